"""The supervisor, as a real process: order, restarts, giving up, adoption, no orphan."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from egse.clock import system_clock
from egse.process import LaunchError, Program, ProgramStatus, State, Supervision
from egse.process.identity import marked_processes, wait_gone
from egse.process.supervised import restart_delay

SERVER = """
import os, signal, sys
name, log = sys.argv[1:3]
def note(text):
    with open(log, "a") as file:
        file.write(f"{text} {name} {os.environ.get('EXTRA', '')}".strip() + "\\n")
def end(*_):
    note("stop")
    raise SystemExit(0)
signal.signal(signal.SIGTERM, end)
note("start")
print("READY", name, "tcp://127.0.0.1:1", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def supervision(tmp_path: Path):
    supervision = Supervision(tmp_path / "run", owned=True)
    yield supervision
    supervision.shut_down()
    assert marked_processes(supervision.run_dir) == []


@pytest.fixture
def server(tmp_path: Path) -> Callable[..., Program]:
    script = tmp_path / "server.py"
    script.write_text(SERVER)

    def make(name: str, **options: object) -> Program:
        command = (sys.executable, str(script), name, str(tmp_path / "events"))
        return Program(name=name, command=command, **options)  # type: ignore[arg-type]

    return make


def events(tmp_path: Path) -> list[str]:
    path = tmp_path / "events"
    return path.read_text().splitlines() if path.exists() else []


def wait_for(
    supervision: Supervision, name: str, condition: Callable[[ProgramStatus], bool]
) -> ProgramStatus:
    clock = system_clock()
    deadline = clock.monotonic() + 60
    while clock.monotonic() < deadline:
        status = supervision.status().get(name)
        if status is not None and condition(status):
            return status
        clock.sleep(0.01)
    raise AssertionError(f"{name}: {supervision.status().get(name)}")


def test_programs_start_in_order_and_stop_in_reverse(
    supervision: Supervision, server, tmp_path: Path
) -> None:
    programs = [
        server("third", needs=("second",), stage=2),
        server("first"),
        server("second", needs=("first",), stage=1),
    ]
    assert supervision.declare(programs) == []
    states = supervision.wait(["first", "second", "third"], timeout=10)
    pids = [status.pid for status in states.values()]

    assert all(status.state is State.RUNNING for status in states.values())
    assert all(status.endpoints == ("tcp://127.0.0.1:1",) for status in states.values())
    assert sorted(supervision.shut_down()) == ["first", "second", "third"]
    starts, stops = events(tmp_path)[:3], events(tmp_path)[3:]
    assert starts == ["start first", "start second", "start third"]
    assert stops == ["stop third", "stop second", "stop first"]
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    assert supervision.supervisor_pid() is None


def test_a_killed_program_is_restarted(supervision: Supervision, server) -> None:
    supervision.declare([server("one")])
    first = supervision.wait(["one"], timeout=10)["one"]
    supervision.kill("one")
    status = wait_for(supervision, "one", lambda s: s.state is State.RUNNING and s.pid != first.pid)

    assert status.restarts == 1
    assert "killed by SIGKILL" in status.reason


def test_a_crash_loop_backs_off_and_is_given_up_with_its_reason(
    supervision: Supervision, tmp_path: Path
) -> None:
    script = tmp_path / "crash.py"
    script.write_text(
        "import os, sys, time\nopen(sys.argv[1], 'a').write(f'{time.time()}\\n')\nimport no_such_library"
    )
    times = tmp_path / "times"
    supervision.declare([Program(name="crash", command=(sys.executable, str(script), str(times)), tries=3)])
    status = supervision.wait(["crash"], timeout=10)["crash"]

    assert status.state is State.FATAL
    assert "no_such_library" in status.reason
    starts = [float(line) for line in times.read_text().split()]
    assert len(starts) == 3
    assert starts[1] - starts[0] > 0.2
    assert starts[2] - starts[1] > 0.4

    script.write_text(
        "import signal\nprint('READY crash', flush=True)\nsignal.pause()"
    )  # repaired: declare again
    supervision.declare([Program(name="crash", command=(sys.executable, str(script), str(times)), tries=3)])
    assert supervision.wait(["crash"], timeout=10)["crash"].state is State.RUNNING


def test_delays_double_up_to_ten_seconds() -> None:
    assert [restart_delay(n) for n in (1, 2, 3, 6, 7, 50)] == [0.2, 0.4, 0.8, 6.4, 10.0, 10.0]


def test_what_needs_a_fatal_program_is_blocked(supervision: Supervision, server) -> None:
    bad = Program(name="bad", command=(sys.executable, "-c", "raise SystemExit('broken')"), tries=1)
    supervision.declare([bad, server("after", needs=("bad",))])
    states = supervision.wait(["bad", "after"], timeout=10)

    assert states["bad"].state is State.FATAL
    assert states["after"].state is State.BLOCKED
    assert states["after"].reason == "needs bad, which is fatal"


def test_a_program_that_ends_with_0_is_left_alone(supervision: Supervision) -> None:
    done = Program(name="done", command=(sys.executable, "-c", "print('READY done')"))
    supervision.declare([done])

    assert wait_for(supervision, "done", lambda s: s.state is State.ENDED).restarts == 0


def test_a_second_supervisor_is_refused(supervision: Supervision, server) -> None:
    supervision.declare([server("one")])
    supervision.wait(["one"], timeout=10)
    second = subprocess.run(
        [sys.executable, "-m", "egse.process.supervisor", str(supervision.run_dir)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert second.returncode == 3
    assert "another supervisor looks after" in second.stderr


def test_a_new_supervisor_adopts_what_a_killed_one_left(
    supervision: Supervision, server, tmp_path: Path
) -> None:
    supervision.declare([server("one")])
    before = supervision.wait(["one"], timeout=10)["one"]
    supervisor = supervision.supervisor_pid()
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    wait_gone([psutil.Process(supervisor)], 5.0)
    assert supervision.supervisor_pid() is None
    assert supervision.status()["one"].pid == before.pid  # told without a supervisor

    assert supervision.declare([server("one"), server("two")]) == ["one"]
    after = supervision.wait(["one", "two"], timeout=10)
    assert after["one"].pid == before.pid
    assert events(tmp_path) == ["start one", "start two"]

    supervision.kill("one")  # an adopted program is watched like the others
    assert wait_for(supervision, "one", lambda s: s.state is State.RUNNING and s.pid != before.pid)


def test_stop_works_after_the_supervisor_was_killed(supervision: Supervision, server) -> None:
    supervision.declare([server("one"), server("two", stage=1)])
    supervision.wait(["one", "two"], timeout=10)
    supervisor = supervision.supervisor_pid()
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    wait_gone([psutil.Process(supervisor)], 5.0)

    assert sorted(supervision.shut_down()) == ["one", "two"]
    assert marked_processes(supervision.run_dir) == []


def test_withdraw_stops_one_and_leaves_the_others(supervision: Supervision, server, tmp_path: Path) -> None:
    supervision.declare([server("one"), server("two")])
    supervision.wait(["one", "two"], timeout=10)

    assert supervision.withdraw(["two"]) == ["two"]
    assert events(tmp_path)[-1] == "stop two"
    assert set(supervision.status()) == {"one"}
    assert supervision.status()["one"].state is State.RUNNING


def test_restart_gives_variables_to_one_start_only(supervision: Supervision, server, tmp_path: Path) -> None:
    supervision.declare([server("one")])
    supervision.wait(["one"], timeout=10)
    supervision.restart("one", once_env={"EXTRA": "once"})
    second = supervision.wait(["one"], timeout=10)["one"]
    assert events(tmp_path) == ["start one", "stop one", "start one once"]

    supervision.kill("one")
    wait_for(supervision, "one", lambda s: s.state is State.RUNNING and s.pid != second.pid)
    assert events(tmp_path)[-1] == "start one"


def test_unknown_names_are_refused_with_the_known_ones(supervision: Supervision, server) -> None:
    supervision.declare([server("one")])
    with pytest.raises(LaunchError, match=r"two is not supervised here \(programs: one\)"):
        supervision.restart("two")
    with pytest.raises(LaunchError, match="two does not run"):
        supervision.kill("two")


def test_everything_stops_when_the_owner_is_killed(supervision: Supervision, server, tmp_path: Path) -> None:
    source = (
        "import sys, signal\n"
        "from egse.process import Program, Supervision\n"
        "supervision = Supervision(sys.argv[1], owned=True)\n"
        "supervision.declare([Program(name='one', command=tuple(sys.argv[2:]))])\n"
        "supervision.wait(['one'], timeout=10)\n"
        "print('up', flush=True)\n"
        "signal.pause()\n"
    )
    command = [sys.executable, "-c", source, str(supervision.run_dir), *server("one").command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        supervisor = supervision.supervisor_pid()
        assert supervisor is not None
        owner.kill()

    assert wait_gone([psutil.Process(supervisor)], 5.0) == []
    assert events(tmp_path) == ["start one", "stop one"]
    assert marked_processes(supervision.run_dir) == []


def test_a_damaged_file_of_wishes_stops_nothing(supervision: Supervision, server) -> None:
    supervision.declare([server("one")])
    supervision.wait(["one"], timeout=10)
    wishes = supervision.run_dir / "programs.json"
    content = wishes.read_bytes()
    wishes.write_bytes(b"\x00 not json")
    os.kill(supervision.supervisor_pid() or 0, signal.SIGUSR1)
    status = supervision.status()["one"]
    wishes.write_bytes(content)

    assert status.state is State.RUNNING
    assert supervision.declare([server("two")]) == []
    assert supervision.wait(["two"], timeout=10)["two"].state is State.RUNNING


def test_what_is_never_given_up_comes_back_when_others_are_fatal(supervision: Supervision, server) -> None:
    supervision.declare([server("core", tries=0), server("device", tries=1)])
    first = supervision.wait(["core", "device"], timeout=10)
    for status in first.values():
        assert status.pid is not None
        os.kill(status.pid, signal.SIGKILL)

    assert wait_for(supervision, "device", lambda s: s.state is State.FATAL).crashes == 1
    again = wait_for(supervision, "core", lambda s: s.state is State.RUNNING and s.pid != first["core"].pid)
    assert (again.crashes, again.restarts) == (1, 1)


def test_a_stop_that_nobody_waits_for(supervision: Supervision, server) -> None:
    supervision.declare([server("one"), server("two")])
    supervision.wait(["one", "two"], timeout=10)

    assert supervision.withdraw(["one"], wait=False) == ["one"]
    clock = system_clock()
    deadline = clock.monotonic() + 60
    while "one" in supervision.status():
        assert clock.monotonic() < deadline
        clock.sleep(0.01)
    assert supervision.status()["two"].state is State.RUNNING
