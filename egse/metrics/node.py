"""Figures of the machine and its disks, for sites without a node exporter; the process manager tells them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from egse.env import EnvError, get_data_storage_location, get_log_file_location
from egse.metrics.figures import Figure, Labels

FOLDERS = (("data", get_data_storage_location), ("log", get_log_file_location))
"""The folders of a site whose disks are told."""


def node_figures() -> Iterator[Figure]:
    """Returns processor, memory and network figures of this machine, and how full the disks of the site are."""
    times = psutil.cpu_times()._asdict()
    samples = tuple(({"mode": mode}, float(seconds)) for mode, seconds in times.items())
    yield Figure(
        "egse_node_cpu_seconds_total", "Time of all processors, by what they did", samples, "counter"
    )
    yield Figure.of("egse_node_cpus", "Number of processors", float(psutil.cpu_count() or 1))
    yield Figure.of(
        "egse_node_load1", "Mean number of running processes in the last minute", os.getloadavg()[0]
    )
    yield Figure.of("egse_node_boot_time_seconds", "Start of the machine, Unix time", psutil.boot_time())
    yield from _memory()
    yield from _network()
    yield from _disks()


def _memory() -> Iterator[Figure]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    for name, text, value in (
        ("memory_bytes", "Memory of the machine", memory.total),
        ("memory_available_bytes", "Memory that programs can still get", memory.available),
        ("swap_used_bytes", "Memory on disk that is used", swap.used),
    ):
        yield Figure.of(f"egse_node_{name}", text, float(value))


def _network() -> Iterator[Figure]:
    counters = psutil.net_io_counters(pernic=True)
    for name, text, field in (
        ("receive", "received", "bytes_recv"),
        ("transmit", "sent", "bytes_sent"),
    ):
        samples = tuple(({"device": nic}, float(getattr(c, field))) for nic, c in counters.items())
        yield Figure(
            f"egse_node_network_{name}_bytes_total", f"Bytes {text}, by interface", samples, "counter"
        )


def _disks() -> Iterator[Figure]:
    usages: list[tuple[Labels, os.statvfs_result]] = []
    for name, location in FOLDERS:
        try:
            folder = _existing(location())
            usages.append(({"folder": name}, os.statvfs(folder)))
        except (EnvError, OSError):
            continue  # a folder that is not there has no disk; the site is checked by others
    for figure, text, field in (
        ("size_bytes", "Size of the disk of a folder of the site", "f_blocks"),
        ("available_bytes", "Free space on the disk of a folder of the site", "f_bavail"),
    ):
        samples = tuple((labels, float(getattr(usage, field) * usage.f_frsize)) for labels, usage in usages)
        yield Figure(f"egse_node_disk_{figure}", text, samples)
    files = tuple((labels, float(usage.f_favail)) for labels, usage in usages)
    yield Figure("egse_node_disk_free_files", "Files that can still be made on the disk of a folder", files)


def _existing(folder: Path) -> Path:
    """Returns the folder, or the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
