"""Checks of the machine: disks, clock, ports."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

import psutil

from egse.clock import system_clock
from egse.site.doctor.findings import Finding, SiteView, fail, ok, warn
from egse.site.localsettings import port_paths
from egse.site.ports import busy_ports
from egse.site.programs import TABLE
from egse.timesync import clock_state

SCARCE, FULL = 0.20, 0.03
"""Fraction of the disk that should be free (storage ICD, section 1), and below which writing will soon fail."""
SLOW, TOO_SLOW = 60.0, 20.0
"""Write speed of the data disk [MB/s]: full frames are 576 GB a day raw and as much FITS, 13.3 MB/s on average."""
SAMPLE = 64 << 20
"""So much is written to measure the speed [bytes]."""


def disk_space(site: SiteView) -> Iterator[Finding]:
    """There is room on the disks for data and logs."""
    seen = set()
    for name, folder in (("data", site.data), ("log", site.log), ("configuration", site.conf_repo)):
        if folder is None or not folder.is_dir():
            continue
        device = folder.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        disk = shutil.disk_usage(folder)
        free = disk.free / disk.total
        text = f"disk for {name}: {disk.free / 1e9:.1f} GB free ({free:.0%})"
        if free < FULL:
            yield fail(text, "make room: cgse archive status, cgse archive prune")
        elif free < SCARCE:
            yield warn(text, "make room: cgse archive status, cgse archive prune")
        else:
            yield ok(text)
        files = os.statvfs(folder)
        if files.f_files and files.f_favail / files.f_files < FULL:
            yield fail(
                f"disk for {name}: only {files.f_favail} more files fit (inodes)", "remove small files"
            )


def disk_speed(site: SiteView) -> Iterator[Finding]:
    """The data disk takes what the camera delivers."""
    if (
        site.data is None
        or not os.access(site.data, os.W_OK)
        or shutil.disk_usage(site.data).free < 20 * SAMPLE
    ):
        return
    clock = system_clock()
    block = os.urandom(1 << 20)
    with tempfile.NamedTemporaryFile(dir=site.data, prefix=".doctor-") as file:
        start = clock.monotonic()
        for _ in range(SAMPLE >> 20):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        speed = SAMPLE / 1e6 / max(clock.monotonic() - start, 1e-6)
    text = f"data disk writes {speed:.0f} MB/s"
    action = "use a faster disk for the data; a slow one provokes buffer-full errors of the FEE"
    yield fail(text, action) if speed < TOO_SLOW else warn(text, action) if speed < SLOW else ok(text)


def clock(site: SiteView) -> Iterator[Finding]:
    """The clock of this machine follows a time server."""
    state = clock_state()
    if state.synchronised:
        yield ok(f"clock: {state}")
    elif state.synchronised is None:
        yield warn(f"clock: {state}", "install chrony or systemd-timesyncd (in a container: see to the host)")
    else:
        yield warn(
            f"clock: {state}",
            "timedatectl set-ntp true, or install chrony; timestamps are only as good as it",
        )


def ports(site: SiteView) -> Iterator[Finding]:
    """No port is given twice, and none is used by a program that has no business there."""
    owners: dict[int, list[str]] = {}
    for path in port_paths(site.settings):
        if path[-1] in ("DEVICE_PORT", "PORT"):  # of instruments, on other machines
            continue
        value = site.settings
        for key in path:
            value = value[key]
        owners.setdefault(int(value), []).append(" ".join(path))
    for port, names in sorted(owners.items()):
        if len(names) > 1:
            yield fail(
                f"port {port} is given to {' and '.join(names)}",
                "give one of them another port in the local settings",
            )
    busy = busy_ports(owners)
    holders = _listeners() if busy else {}
    strangers = 0
    for port in busy:
        command = holders.get(port, "")
        if not _is_ours(command, owners[port]):
            strangers += 1
            who = command or "a process of another user"
            yield warn(
                f"port {port} ({owners[port][0]}) is used by {who.partition(' < ')[0][:120]}",
                "end that process, or give this site other ports in the local settings",
            )
    if not strangers:
        yield ok(f"ports: {len(owners)} configured, {len(busy)} in use by the servers of this site")


def _is_ours(command: str, owners: list[str]) -> bool:
    """Says whether a program, or the one that started it, is the one that a port was given to."""
    names = [entry.name for entry in TABLE if entry.settings and owners[0].startswith(entry.settings)]
    return any(name in command for name in names) if names else ("_cs" in command or "_sim" in command)


def _listeners() -> dict[int, str]:
    """Returns who listens on each port of this machine: process id and command line, then those of its parents."""
    found = {}
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.pid:
                with contextlib.suppress(psutil.Error):
                    process = psutil.Process(connection.pid)
                    lines = [" ".join(each.cmdline()) for each in (process, *process.parents())]
                    found[connection.laddr.port] = (
                        f"process {connection.pid} ({lines[0]}) < {' < '.join(lines[1:])}"
                    )
    return found
