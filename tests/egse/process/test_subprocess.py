"""`SubProcess` and `ProcessStatus`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from typing import Any

import psutil
import pytest

from egse.clock import VirtualClock
from egse.process import ProcessStatus, SubProcess, child
from egse.process.identity import wait_gone
from egse.system import str_to_datetime

SLEEPER = "import signal; signal.pause()"
PARENT = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {SLEEPER!r}])
print("started", flush=True)
{SLEEPER}
"""


def test_output_and_exit_code_are_returned() -> None:
    source = "import os, sys; print(os.environ['COLOUR']); print('oops', file=sys.stderr); sys.exit(3)"
    with SubProcess("talker", [sys.executable], ["-c", source], env={"COLOUR": "red"}) as talker:
        assert talker.communicate(timeout=10) == ("red\n", "oops\n")
        assert talker.returncode == 3
        assert not talker.is_running


def test_a_child_that_writes_much_does_not_hang_when_nobody_reads() -> None:
    source = "import sys; sys.stderr.write('e' * 1_000_000); print('x' * 1_000_000); print('end')"
    with SubProcess("talker", [sys.executable], ["-c", source]) as talker:
        psutil.Process(talker.pid).wait(timeout=30)
        output, errors = talker.communicate(timeout=10)
    assert output == "x" * 1_000_000 + "\nend\n"
    assert errors == "e" * 1_000_000
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("talker")]


def test_of_a_lot_of_output_the_newest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "KEPT", 1000)
    source = "for n in range(100_000): print(n)"
    with SubProcess("counter", [sys.executable], ["-c", source]) as counter:
        output, _ = counter.communicate(timeout=30)
        assert len(counter._drains["stdout"]._data) <= 2000
    assert len(output) == 1000
    assert output.endswith("\n99998\n99999\n")


def first_line(name: str, source: str, expected: str) -> SubProcess:
    """Starts a program and waits for its first line."""
    reader, writer = os.pipe()
    process = SubProcess(
        name, [sys.executable, "-c", source], stdout=writer, stderr=subprocess.DEVNULL
    ).execute()
    os.close(writer)
    with open(reader) as lines:
        assert lines.readline() == expected
    return process


def test_stop_ends_the_children_too() -> None:
    process = first_line("parent", PARENT, "started\n")
    children = process.children()
    assert len(children) == 1

    assert process.stop() == -15
    assert wait_gone(children, 0.0) == []


def test_stop_kills_what_ignores_sigterm() -> None:
    source = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); signal.pause()"
    )
    process = first_line("deaf", source, "x\n")

    assert process.stop(timeout=0.1) == -9


def test_communicate_gives_up_in_time_and_leaves_it_running() -> None:
    with SubProcess("sleeper", [sys.executable, "-c", SLEEPER]) as sleeper:
        with pytest.raises(TimeoutError, match=r"sleeper .* still runs after 0.1 s"):
            sleeper.communicate(timeout=0.1)
        assert sleeper.is_running
        with pytest.raises(RuntimeError, match="was started already"):
            sleeper.execute()
    assert not sleeper.is_running


def test_misuse_is_told() -> None:
    idle = SubProcess("idle", ["true"])
    with pytest.raises(RuntimeError, match="call execute"):
        _ = idle.pid
    assert idle.stop() is None
    with pytest.raises(FileNotFoundError):
        SubProcess("nothing", ["/no/such/program"]).execute()


def test_the_process_status_has_the_fields_of_the_manual() -> None:
    status = ProcessStatus(delay=2000)
    values = status.as_dict()

    assert list(values) == [
        "timestamp", "delay", "PID", "Up", "UUID", "RSS", "USS", "CPU User", "CPU System", "CPU count", "CPU%",
    ]  # fmt: skip
    assert values["delay"] == 2000
    assert isinstance(values["UUID"], uuid.UUID)
    assert values["RSS"] >= values["USS"] > 1_000_000
    assert values["CPU User"] > 0
    assert str_to_datetime(values["timestamp"]).year >= 2024
    later = status.update().as_dict()
    assert later["UUID"] == values["UUID"]
    assert later["Up"] >= values["Up"] > 0


def test_the_status_of_a_process_that_has_ended() -> None:
    with SubProcess("sleeper", [sys.executable, "-c", SLEEPER]) as sleeper:
        status = ProcessStatus(pid=sleeper.pid)
        assert status.as_dict()["PID"] == sleeper.pid
    with pytest.raises(ProcessLookupError, match="has ended"):
        status.update()
    with pytest.raises(ProcessLookupError):
        ProcessStatus(pid=2**22 + 1)


def use_processor(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_who_asks_often_does_not_disturb_who_asks_seldom() -> None:
    clock = VirtualClock()
    status = ProcessStatus(clock=clock)
    before = status.as_dict()["CPU%"]
    for _ in range(9):
        use_processor(0.05)
        clock.sleep(0.1)
        assert status.update().as_dict()["CPU%"] == before
    clock.sleep(2.1)
    share = status.update().as_dict()["CPU%"]
    assert 100.0 * 0.43 / 3.0 <= share < 100.0 * 1.5 / 3.0  # of all 3 s, not of the last moment
    clock.sleep(0.5)
    assert status.update().as_dict()["CPU%"] == share


def test_unique_memory_is_measured_once_a_second_and_the_rest_always(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[psutil.Process] = []
    walk = psutil.Process.memory_full_info

    def counted(process: psutil.Process) -> Any:
        measured.append(process)
        return walk(process)

    monkeypatch.setattr(psutil.Process, "memory_full_info", counted)
    clock = VirtualClock()
    status = ProcessStatus(clock=clock)
    first = status.as_dict()
    for _ in range(19):  # 10 Hz for almost two seconds
        clock.sleep(0.1)
        status.update()
    assert len(measured) == 2
    use_processor(0.05)
    last = status.update().as_dict()
    assert last["CPU User"] + last["CPU System"] > first["CPU User"] + first["CPU System"]
    assert last["Up"] == pytest.approx(first["Up"] + 1.9)


def test_the_status_is_whole_whatever_other_threads_do() -> None:
    status = ProcessStatus()
    seen: list[dict[str, Any]] = []

    def ask() -> None:
        for _ in range(50):
            seen.append(status.update().as_dict())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 200
    assert all(values["USS"] > 1_000_000 and values["Up"] > 0 and values["CPU%"] >= 0 for values in seen)


def test_the_figures_are_in_the_units_of_prometheus() -> None:
    status = ProcessStatus()
    values = status.as_dict()
    figures = {figure.name: figure for figure in status.figures()}
    told = {name: figure.samples[0][1] for name, figure in figures.items()}
    assert told == {
        "egse_process_uptime_seconds": values["Up"],
        "egse_process_resident_memory_bytes": values["RSS"],
        "egse_process_unique_memory_bytes": values["USS"],
        "egse_process_cpu_seconds_total": values["CPU User"] + values["CPU System"],
        "egse_process_cpu_ratio": values["CPU%"] / 100.0,
    }
    counters = [name for name, figure in figures.items() if figure.kind == "counter"]
    assert counters == ["egse_process_cpu_seconds_total"]
