"""The metrics port of a control server, asked over HTTP."""

from __future__ import annotations

import logging
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from egse.dummy import DummyProxy
from egse.metrics.figures import Figure
from egse.metrics.port import MOST_CLIENTS, MetricsPort
from egse.settings import Settings


def page(port: int, timeout: float = 10.0) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=timeout) as answer:
        text: str = answer.read().decode()
    return text


def samples(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        threading.Event().wait(0.05)


def check_with_promtool(text: str) -> None:
    """Has `promtool` look for mistakes in names and units, if it is installed."""
    if shutil.which("promtool") is None:
        return
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.fixture
def port(free_ports: Callable[[int], list[int]]) -> int:
    return free_ports(1)[0]


@pytest.fixture
def metrics(port: int) -> Iterator[MetricsPort]:
    made = MetricsPort("test_cs", {"METRICS_PORT": port}, figures=lambda: [Figure.of("extra", "More", 1.0)])
    made.start()
    yield made
    made.close()


def test_it_tells_what_was_published_last(metrics: MetricsPort, port: int) -> None:
    metrics.note("housekeeping", {"GOGSE_ATT_LVL": 1})
    metrics.note("housekeeping", {"GOGSE_ATT_LVL": 2})
    found = samples(page(port))
    assert found["GOGSE_ATT_LVL"] == 2.0
    assert abs(found["GOGSE_ATT_LVL_ts"] - time.time()) < 60.0
    assert found["extra"] == 1.0
    assert found["process_resident_memory_bytes"] > 1e6


def test_what_the_process_costs_is_no_number_of_the_status(metrics: MetricsPort, port: int) -> None:
    status = {"name": "test_cs", "queue": {"waiting": 2}, "process": {"RSS": 5, "CPU%": 1.0}}
    metrics.note("status", status)
    figures = [name for name in samples(page(port)) if name.startswith("egse_server_status{")]
    assert figures == ['egse_server_status{figure="queue.waiting"}']
    assert "process" in status  # what is published stays whole


def test_it_listens_on_loopback_only_unless_the_settings_name_a_host(port: int) -> None:
    for settings, host in (({}, "127.0.0.1"), ({"METRICS_HOSTNAME": "0.0.0.0"}, "0.0.0.0")):
        made = MetricsPort("test_cs", {"METRICS_PORT": port, "HOSTNAME": "egse-server", **settings})
        assert made.address == (host, port)


def test_a_server_without_a_port_has_none() -> None:
    made = MetricsPort("test_cs", {})
    made.start()
    made.close()
    assert made.address is None


def test_a_port_in_use_gives_a_warning(
    metrics: MetricsPort, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    other = MetricsPort("other_cs", {"METRICS_PORT": port})
    with caplog.at_level(logging.WARNING):
        other.start()
    other.note("housekeeping", {"A": 1})
    other.close()
    assert f"other_cs tells no metrics: its port 127.0.0.1:{port} cannot be opened" in caplog.text
    assert "held by process" in caplog.text
    assert page(port)


def test_a_mistake_in_the_figures_of_a_server_does_not_hide_the_others(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Iterator[Figure]:
        yield Figure.of("first", "One", 1.0)
        raise RuntimeError("what a mistake")

    made = MetricsPort("test_cs", {"METRICS_PORT": port}, figures=broken)
    made.start()
    try:
        made.note("housekeeping", {"A": 1})
        for _ in range(2):
            assert {"A", "first"} <= set(samples(page(port)))
    finally:
        made.close()
    assert caplog.text.count("some of its figures cannot be told") == 1


def test_clients_that_ask_nothing_are_turned_away_when_they_are_many(metrics: MetricsPort, port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST_CLIENTS)]

    def turned_away() -> bool:
        try:
            page(port, timeout=0.5)
        except (OSError, urllib.error.URLError):
            return True
        return False

    wait_for(turned_away, "being turned away")
    for client in silent:
        client.close()
    wait_for(lambda: not turned_away(), "an answer")


def test_names_that_prometheus_takes_for_the_same_are_told_once(metrics: MetricsPort, port: int) -> None:
    metrics.note("housekeeping", {"a.b": 1, "a-b": 2})
    assert len(re.findall("^a_b ", page(port), re.MULTILINE)) == 1


def test_after_the_end_nobody_answers(metrics: MetricsPort, port: int) -> None:
    page(port)
    metrics.close()
    with pytest.raises(urllib.error.URLError):
        page(port)


@pytest.fixture
def dummy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A dummy_cs with its model inside; the process and its metrics port."""
    command, monitoring, service, port, log = free_ports(5)
    local = tmp_path / "local.yaml"
    local.write_text(
        f"Dummy Control Server:\n  COMMANDING_PORT: {command}\n  MONITORING_PORT: {monitoring}\n"
        f"  SERVICE_PORT: {service}\n  METRICS_PORT: {port}\n  HK_DELAY: 0.2\n  MONITORING_DELAY: 0.2\n"
        f"Logging Control Server:\n  RECEIVER_PORT: {log}\n"
    )
    for name, value in {
        "SITE_ID": "SRON",
        "PLATO_LOCAL_SETTINGS": str(local),
        "PLATO_DATA_STORAGE_LOCATION": str(tmp_path / "data"),
        "PLATO_LOG_FILE_LOCATION": str(tmp_path / "log"),
    }.items():
        monkeypatch.setenv(name, value)
    Settings.load(force=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "egse.dummy.dummy_cs", "start", "--simulator"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("READY dummy_cs")
    yield process, port
    process.kill()
    process.wait()
    process.stdout.close()
    monkeypatch.undo()
    Settings.load(force=True)


def test_a_device_server_tells_its_housekeeping_and_itself(dummy: tuple[subprocess.Popen[str], int]) -> None:
    process, port = dummy
    with DummyProxy() as device:
        device.set_voltage(7.25)
        wait_for(lambda: samples(page(port)).get("GSRON_DUMMY_VOLTAGE") == 7.25, "the new voltage")
        wait_for(
            lambda: samples(page(port))['egse_server_requests_total{outcome="executed"}'] >= 1, "the count"
        )
    found = samples(page(port))
    assert found["egse_server_simulator"] == 1.0
    assert found["egse_server_device_connected"] == 1.0
    assert found["egse_process_resident_memory_bytes"] > found["egse_process_unique_memory_bytes"] > 1e6
    assert 0.0 <= found["egse_process_cpu_ratio"] < 8.0
    assert found["egse_process_cpu_seconds_total"] > 0.0
    check_with_promtool(page(port))
    assert abs(found["GSRON_DUMMY_VOLTAGE_ts"] - time.time()) < 60.0
    with socket.create_connection(("127.0.0.1", port)):  # a client that asks nothing does not keep the server
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    with pytest.raises(urllib.error.URLError):
        page(port)
