"""Which process is this: identities that survive the reuse of process ids, and who descends from whom.

A process id alone proves nothing: after a crash the number may belong to an innocent stranger. A process is therefore
known by its id *and* the moment it started, in a form that a step of the host's clock does not change.

What a launcher starts carries a marker in its environment (`CGSE_PROGRAM`), inherited by its children: so that what
a killed program leaves behind can be found and ended, whoever has adopted it meanwhile.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import psutil

from egse.clock import system_clock

MARKER = "CGSE_PROGRAM"
"""Name of the environment variable that marks everything started by a launcher."""

_DEAD = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def process_identity(pid: int) -> str | None:
    """Returns a text that is unique to the process now running as `pid`.

    On Linux it is made of the kernel's boot id and the start time in clock ticks since boot, which no adjustment of
    the clock moves; elsewhere of the creation time as psutil gives it.

    Returns:
        None when there is no such process, or only its zombie is left.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in _DEAD:
            return None
        if _boot_id():
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            return f"{_boot_id()}:{pid}:{stat.rpartition(')')[2].split()[19]}"
        return f"{process.create_time():.2f}"
    except (psutil.Error, OSError, IndexError):
        return None


def is_same_process(pid: int, identity: str) -> bool:
    """Returns True when `pid` is alive and still is the process that once had this `identity`."""
    return identity != "" and process_identity(pid) == identity


def marker(run_dir: Path, name: str) -> str:
    """Returns the value of the marker variable of program `name` of the run directory `run_dir`."""
    return f"{run_dir.resolve()}::{name}"


def descendants(pid: int) -> list[psutil.Process]:
    """Returns all living children of `pid`, and their children; empty when `pid` is gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def own_descendants(pid: int, own_marker: str) -> list[psutil.Process]:
    """Returns the descendants of a launched program, without those that were launched as programs of their own.

    A program may be the parent of the supervisor, and so of everybody: the process manager is, when it had to start
    one. What carries another marker than the program outlives it.

    Args:
        pid: the program.
        own_marker: its marker; a descendant without any marker counts as its own.
    """
    return [process for process in descendants(pid) if _marker_of(process) in ("", own_marker)]


def _marker_of(process: psutil.Process) -> str:
    try:
        return str(process.environ().get(MARKER, ""))
    except (psutil.Error, OSError):
        return ""


def marked_processes(run_dir: Path, name: str | None = None) -> list[psutil.Process]:
    """Finds the living processes of this user that carry the marker of a program.

    Args:
        run_dir: the run directory of the launcher.
        name: the program; None for all programs of this run directory.
    """
    wanted = marker(run_dir, name or "")
    found = []
    for process in psutil.process_iter():
        try:
            value = process.environ().get(MARKER, "") if process.uids().real == os.getuid() else ""
            matches = value == wanted if name else value.startswith(wanted)
            if matches and process.pid != os.getpid() and process.status() not in _DEAD:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def signal_all(processes: Iterable[psutil.Process], signum: signal.Signals) -> None:
    """Sends a signal to each of these processes; those already gone are passed over."""
    for process in processes:
        try:
            process.send_signal(signum)
        except psutil.Error:
            continue


def is_alive(process: psutil.Process) -> bool:
    """Returns True while this process exists and is more than a zombie."""
    try:
        return process.is_running() and process.status() not in _DEAD
    except psutil.Error:
        return False


def wait_gone(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Waits until all these processes have ended; exit codes of children are left to their parents.

    Args:
        processes: what to wait for.
        timeout: how long at most [s].

    Returns:
        The processes that are still alive.
    """
    clock = system_clock()
    deadline = clock.monotonic() + timeout
    alive = [process for process in processes if is_alive(process)]
    while alive and clock.monotonic() < deadline:
        clock.sleep(0.01)
        alive = [process for process in alive if is_alive(process)]
    return alive


def end_all(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Ends processes: SIGTERM, then SIGKILL for those that are still there after `timeout` [s].

    Returns:
        The processes that survived even that (in an uninterruptible wait of the kernel); normally empty.
    """
    alive = [process for process in processes if is_alive(process)]
    signal_all(alive, signal.SIGTERM)
    alive = wait_gone(alive, timeout)
    signal_all(alive, signal.SIGKILL)
    return wait_gone(alive, 2.0)
