"""The launcher: one copy of each program, readiness, reasons, no orphans."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from egse.process import AlreadyRunningError, Launcher, LaunchError, Program
from egse.process.identity import is_same_process, marked_processes, process_identity, wait_gone
from egse.process.launcher import parse_ready_line

SERVER = """
import signal, sys
print("starting")
print("READY", sys.argv[1], "tcp://127.0.0.1:1234", flush=True)
signal.pause()
"""

PARENT = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
print("READY parent", child.pid, "ipc://x", flush=True)
signal.pause()
"""


def program(tmp_path: Path, name: str, source: str, **options: object) -> Program:
    script = tmp_path / f"{name}.py"
    script.write_text(source)
    return Program(name=name, command=(sys.executable, str(script), name), **options)  # type: ignore[arg-type]


@pytest.fixture
def launcher(tmp_path: Path):
    launcher = Launcher(tmp_path / "run")
    yield launcher
    for name in launcher.status():
        launcher.stop(name, timeout=1.0)
    assert marked_processes(launcher.run_dir) == []


def test_a_started_program_is_in_the_registry_with_its_endpoint(launcher: Launcher, tmp_path: Path) -> None:
    record = launcher.start(program(tmp_path, "one", SERVER))

    assert psutil.pid_exists(record.pid)
    assert record.endpoints == ("tcp://127.0.0.1:1234",)
    assert Launcher(launcher.run_dir).status() == {"one": record}
    assert Path(record.stdout).read_text().startswith("starting\nREADY one")
    assert oct(launcher.run_dir.stat().st_mode & 0o777) == "0o700"


def test_a_second_copy_is_refused(launcher: Launcher, tmp_path: Path) -> None:
    one = program(tmp_path, "one", SERVER)
    record = launcher.start(one)

    with pytest.raises(AlreadyRunningError, match=f"one runs already as process {record.pid}"):
        Launcher(launcher.run_dir).start(one)
    launcher.registry.remove("one")  # the registry is lost; the lock is not
    with pytest.raises(AlreadyRunningError):
        launcher.start(one)
    launcher.stop("one")
    assert not psutil.pid_exists(record.pid)


def test_a_stale_entry_does_not_count(launcher: Launcher, tmp_path: Path) -> None:
    one = program(tmp_path, "one", SERVER)
    record = launcher.start(one)
    os.kill(record.pid, signal.SIGKILL)
    wait_gone([psutil.Process(record.pid)], 2.0)

    assert launcher.status() == {}
    assert launcher.start(one).pid != record.pid


def test_the_same_process_id_of_another_process_is_not_the_program() -> None:
    identity = process_identity(os.getpid())

    assert identity is not None
    assert is_same_process(os.getpid(), identity)
    assert not is_same_process(os.getppid(), identity)
    assert not is_same_process(os.getpid(), identity + "0")
    assert process_identity(2**22 + 1) is None


def test_a_program_that_fails_says_why(launcher: Launcher, tmp_path: Path) -> None:
    bad = program(tmp_path, "bad", "import sys\nprint('before', file=sys.stderr)\nimport no_such_library\n")

    with pytest.raises(LaunchError, match=r"(?s)bad ended with exit code 1.*before.*no_such_library"):
        launcher.start(bad)
    assert launcher.status() == {}


def test_only_the_output_of_the_last_start_is_told(launcher: Launcher, tmp_path: Path) -> None:
    bad = program(tmp_path, "bad", "raise SystemExit('first reason')")
    with pytest.raises(LaunchError, match="first reason"):
        launcher.start(bad)
    bad = program(tmp_path, "bad", "raise SystemExit('second reason')")
    with pytest.raises(LaunchError) as caught:
        launcher.start(bad)

    assert "second reason" in str(caught.value)
    assert "first reason" not in str(caught.value)


def test_a_program_that_is_never_ready_is_ended(launcher: Launcher, tmp_path: Path) -> None:
    mute = program(tmp_path, "mute", "import signal; signal.pause()", ready_timeout=0.3)

    with pytest.raises(LaunchError, match=r"mute was not ready within 0.3 s"):
        launcher.start(mute)
    assert marked_processes(launcher.run_dir, "mute") == []


def test_a_missing_program_is_named(launcher: Launcher) -> None:
    with pytest.raises(LaunchError, match="nowhere cannot be started with '/no/such/program start'"):
        launcher.start(Program(name="nowhere", command=("/no/such/program", "start")))
    with pytest.raises(LaunchError, match="cannot be the name"):
        launcher.start(Program(name="../up", command=("true",)))


def test_stop_ends_children_in_sessions_of_their_own(launcher: Launcher, tmp_path: Path) -> None:
    record = launcher.start(program(tmp_path, "parent", PARENT))
    children = psutil.Process(record.pid).children()
    assert len(children) == 1

    assert launcher.stop("parent")
    assert wait_gone(children, 0.0) == []
    assert not launcher.stop("parent")


def test_stop_ends_what_a_killed_program_left_behind(launcher: Launcher, tmp_path: Path) -> None:
    record = launcher.start(program(tmp_path, "parent", PARENT))
    (child,) = psutil.Process(record.pid).children()
    os.kill(record.pid, signal.SIGKILL)
    wait_gone([psutil.Process(record.pid)], 2.0)
    assert child.is_running()

    assert not launcher.stop("parent", timeout=1.0)
    assert wait_gone([child], 0.0) == []


def test_stop_kills_what_ignores_sigterm(launcher: Launcher, tmp_path: Path) -> None:
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('READY deaf', flush=True)\nsignal.pause()"
    record = launcher.start(program(tmp_path, "deaf", deaf))

    assert launcher.stop("deaf", timeout=0.2)
    assert not record.alive


def test_a_large_output_file_is_put_aside(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egse.process.launcher.MAX_LOG_SIZE", 100)
    (launcher.log_dir / "one.out").write_text("READY old tcp://old:1\n" * 10)
    record = launcher.start(program(tmp_path, "one", SERVER))

    assert record.endpoints == ("tcp://127.0.0.1:1234",)
    assert (launcher.log_dir / "one.out.1").exists()


@pytest.mark.parametrize(
    ("line", "endpoints"),
    [
        ("READY log_cs tcp://127.0.0.1:6100", ("tcp://127.0.0.1:6100",)),
        ("READY 127.0.0.1 4181", ("tcp://127.0.0.1:4181",)),
        ("READY", ()),
        ("READYING", None),
        ("nearly READY", None),
        ("", None),
    ],
)
def test_announcements(line: str, endpoints: tuple[str, ...] | None) -> None:
    assert parse_ready_line(line) == endpoints


MANAGER = """
import signal, sys
from egse.process import Launcher, Program
own = Program(name="own", command=(sys.executable, "-c", "import signal; signal.pause()"), says_ready=False)
Launcher(sys.argv[2]).start(own)
print("READY manager tcp://127.0.0.1:1", flush=True)
signal.pause()
"""


def test_a_program_that_another_one_has_started_outlives_it(launcher: Launcher, tmp_path: Path) -> None:
    manager = program(tmp_path, "manager", MANAGER)
    launcher.start(
        Program(name="manager", command=(*manager.command, str(launcher.run_dir)), ready_timeout=30.0)
    )
    own = launcher.status()["own"]
    assert psutil.Process(own.pid).ppid() == launcher.status()["manager"].pid

    assert launcher.stop("manager")
    assert launcher.status() == {"own": own}
    assert launcher.stop("own")
