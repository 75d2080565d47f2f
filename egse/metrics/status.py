"""The figures that all control servers have, made of the status that they publish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import psutil

from egse.metrics.figures import Figure, leaves, number_of

OWN_KEYS = frozenset(
    {
        "name",
        "title",
        "pid",
        "incarnation",
        "simulator",
        "uptime",
        "endpoints",
        "counters",
        "housekeeping",
        "setup_loaded",
        "device_connected",
        "reserved",
        "process",
    }
)
"""What every server tells about itself, see `ControlServer.status`."""

REQUESTS = {
    "commands": "executed",
    "failures": "failed",
    "refused": "refused",
    "malformed": "malformed",
    "expired": "expired",
    "dropped": "dropped",
    "repeated": "repeated",
}
"""What may become of a request, by the name of its counter."""

PID_ENDS = "_pid"
"""A number in the status of a server whose name ends so is the id of a process of its own."""


def server_figures(status: Mapping[str, Any]) -> Iterator[Figure]:
    """Returns the figures of one server.

    Args:
        status: as published on its monitoring port.
    """
    yield Figure(
        "egse_server_info",
        "What runs",
        (
            (
                {
                    "name": str(status.get("name", "")),
                    "title": str(status.get("title", "")),
                    "incarnation": str(status.get("incarnation", "")),
                    "setup": str(status.get("setup_loaded", "")).partition(" ")[0],
                },
                1.0,
            ),
        ),
    )
    yield from _numbers(status)
    counters = status.get("counters") or {}
    samples = tuple(
        ({"outcome": outcome}, float(counters[name]))
        for name, outcome in REQUESTS.items()
        if name in counters
    )
    yield Figure(
        "egse_server_requests_total", "Requests on the commanding port, by outcome", samples, "counter"
    )
    yield from _processes(status)


def _numbers(status: Mapping[str, Any]) -> Iterator[Figure]:
    housekeeping = status.get("housekeeping") or {}
    for name, text, value in (
        ("uptime_seconds", "Time since the start of the server", status.get("uptime")),
        ("simulator", "1 when the server talks to a model of its device", status.get("simulator")),
        ("device_connected", "1 when the device is connected", status.get("device_connected")),
        ("housekeeping_period_seconds", "Time between two housekeeping rows", housekeeping.get("period")),
    ):
        if (number := number_of(value)) is not None:
            yield Figure.of(f"egse_server_{name}", text, number)
    if "reserved" in status:
        yield Figure.of(
            "egse_server_device_reserved",
            "1 while the device is reserved for maintenance",
            float(bool(status["reserved"])),
        )
    for name, text in (("rows", "taken"), ("missed", "that came too late and were left out")):
        if (number := number_of(housekeeping.get(name))) is not None:
            yield Figure.of(
                f"egse_server_housekeeping_{name}_total", f"Housekeeping rows {text}", number, "counter"
            )


def _processes(status: Mapping[str, Any]) -> Iterator[Figure]:
    """Returns what the other processes of the server cost, the DPU Processor for example."""
    own = {key: value for key, value in status.items() if key not in OWN_KEYS}
    costs: dict[str, dict[str, float]] = {}
    for _, key, value in leaves(own):
        if key.endswith(PID_ENDS) and isinstance(value, int) and value > 0:
            costs[key.removesuffix(PID_ENDS)] = _costs(value)
    for name, text in (
        ("cpu_seconds_total", "Processor time of a process of the server"),
        ("resident_memory_bytes", "Memory of a process of the server"),
        ("start_time_seconds", "Start of a process of the server, Unix time"),
        ("threads", "Threads of a process of the server"),
    ):
        samples = tuple(({"process": key}, cost[name]) for key, cost in costs.items() if name in cost)
        if samples:
            kind = "counter" if name.endswith("_total") else "gauge"
            yield Figure(f"egse_server_process_{name}", text, samples, kind)  # type: ignore[arg-type]


def _costs(pid: int) -> dict[str, float]:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            return {
                "cpu_seconds_total": times.user + times.system,
                "resident_memory_bytes": float(process.memory_info().rss),
                "start_time_seconds": process.create_time(),
                "threads": float(process.num_threads()),
            }
    except psutil.Error:
        return {}
