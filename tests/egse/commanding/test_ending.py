"""SIGTERM ends a server in any state, in time, and nothing of it is left."""

from __future__ import annotations

import importlib.util
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from egse.control import ControlServer
from egse.settings import Settings
from egse.site.ports import busy_ports

SOURCE = Path(__file__).with_name("state_device.py")
SPEC = importlib.util.spec_from_file_location("state_device", SOURCE)
assert SPEC is not None
assert SPEC.loader is not None
device: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(device)

LIMIT = 5.0
"""A server may take so long to end [s]."""
CLEAN, HARD, KILLED = 0, 70, -signal.SIGTERM
"""Exit codes: by itself; ended by its own watchdog, when something in it does not come back; before it took over signals."""
EXPECTED = {
    "importing": {KILLED},
    "constructing": {KILLED},
    "starting": {HARD},
    "idle": {CLEAN},
    "command": {HARD},
    "housekeeping": {CLEAN},
    "task": {HARD},
    "device_away": {CLEAN},
    "device_silent": {HARD},
    "leaking": {CLEAN},
}


class Ending(NamedTuple):
    """How a server ended: exit code, seconds that it took, ports still open, processes that it left."""

    code: int | None
    duration: float
    ports: list[int]
    orphans: list[psutil.Process]


class Bench:
    """One server for each state, all at the same time, and what they need around them."""

    def __init__(self, folder: Path, ports: list[int], stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        silent, storage, log, away, *rest = ports
        self.ports = {state: [rest.pop() for _ in range(3)] for state in device.STATES}
        self.away = away
        self.settings = folder / "local.yaml"
        self.settings.write_text(
            f"SITE:\n  ID: LAB\nLogging Control Server:\n  RECEIVER_PORT: {log}\n"
            f"Storage Control Server:\n  COMMANDING_PORT: {storage}\n"
            + "".join(
                self._block(state, silent if state == "device_silent" else away) for state in self.ports
            )
        )
        instrument = stack.enter_context(socket.create_server(("127.0.0.1", silent)))
        assert instrument  # takes connections and never says a word
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.lines: dict[str, queue.SimpleQueue[str]] = {}

    def _block(self, state: str, device_port: int) -> str:
        commanding, service, monitoring = self.ports[state]
        mnemonic = "STATE" if state in ("housekeeping", "device_away") else ""
        return (
            f"{device.block_name(state)}:\n  COMMANDING_PORT: {commanding}\n  SERVICE_PORT: {service}\n"
            f"  MONITORING_PORT: {monitoring}\n  DEVICE_PORT: {device_port}\n  HK_DELAY: 0.1\n"
            f"  MONITORING_DELAY: 0.1\n  STORAGE_MNEMONIC: '{mnemonic}'\n"
        )

    def start(self, state: str) -> None:
        process = subprocess.Popen(
            [sys.executable, str(SOURCE), state, "start"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        self.stack.callback(process.stdout.close)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        self.processes[state] = process
        lines = self.lines[state] = queue.SimpleQueue()
        threading.Thread(target=pass_on, args=(process.stdout, lines.put), daemon=True).start()

    def expect(self, state: str, beginning: str) -> None:
        """Waits for a line of a server's output."""
        while not (line := self.lines[state].get(timeout=60)).startswith(beginning):
            assert line, f"{state}: ended with exit code {self.processes[state].wait()} before {beginning!r}"

    def bring_into(self, state: str) -> None:
        """Returns when the server is in its state."""
        if state == "importing":
            return
        if state not in ("constructing", "starting", "housekeeping"):
            self.expect(state, "READY")
        proxy = device.StateProxy(state)
        self.stack.callback(proxy.disconnect_cs)
        if state in ("command", "task"):
            call = proxy.submit.wait if state == "command" else proxy.submit.schedule
            call()
        elif state == "device_silent":
            proxy.submit.ask()
            wait_until(lambda: status(proxy)["counters"]["commands"] == 1)
        elif state == "device_away":
            wait_until(lambda: status(proxy)["device_connected"] in (None, False))
        elif state == "leaking":
            proxy.leak()
        if state in ("constructing", "starting", "command", "housekeeping", "task"):
            self.expect(state, f"AT {state}")

    def end(self) -> dict[str, Ending]:
        """Sends SIGTERM to all and waits for each."""
        children = {
            state: psutil.Process(process.pid).children(recursive=True)
            for state, process in self.processes.items()
        }
        started = time.monotonic()
        for process in self.processes.values():
            process.terminate()
        durations: dict[str, float] = {}
        waiting = dict(self.processes)
        while waiting and time.monotonic() - started < 3 * LIMIT:
            for state, process in list(waiting.items()):
                if process.poll() is not None:
                    durations[state] = time.monotonic() - started
                    del waiting[state]
            threading.Event().wait(0.02)
        return {
            state: Ending(
                process.poll(),
                durations.get(state, 3 * LIMIT),
                busy_ports(self.ports[state]),
                [child for child in children[state] if child.is_running()],
            )
            for state, process in self.processes.items()
        }


def pass_on(lines: Iterable[str], put: Callable[[str], None]) -> None:
    for line in lines:
        put(line)
    put("")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("ending")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("SITE_ID", "LAB")
        patch.setenv("PLATO_LOCAL_SETTINGS", str(folder / "local.yaml"))
        patch.setenv("PLATO_DATA_STORAGE_LOCATION", str(folder / "data"))
        patch.setenv("PLATO_LOG_FILE_LOCATION", str(folder / "log"))
        bench = Bench(folder, free_ports(4 + 3 * len(device.STATES)), stack)
        Settings.load(force=True)
        yield bench
    Settings.load(force=True)


@pytest.fixture(scope="module")
def endings(site: Bench) -> dict[str, Ending]:
    """All states at the same time: a server that is stuck takes nearly the whole limit."""
    for state in device.STATES:
        if state != "importing":
            site.start(state)
    for state in site.processes:
        site.bring_into(state)
    site.start("importing")
    return site.end()


@pytest.mark.parametrize("state", device.STATES)
def test_sigterm_ends_a_server_in_any_state(endings: dict[str, Ending], state: str) -> None:
    ending = endings[state]
    print(f"{state}: exit code {ending.code} after {ending.duration:.2f} s")
    assert ending.code in EXPECTED[state]
    assert ending.duration < LIMIT, f"{ending.duration:.2f} s"
    assert (ending.ports, ending.orphans) == ([], [])


def test_only_records_stay_in_the_folders_of_the_site(endings: dict[str, Ending], site: Bench) -> None:
    """No lock, socket or half-written file, whatever the state was; log records wait for a log manager."""
    files = [path for path in site.folder.rglob("*") if not path.is_dir()]
    assert {path.suffix for path in files if path != site.settings} == {".journal", ".spool"}
    for path in files:
        assert path.is_file()


def test_a_server_that_was_ended_the_hard_way_starts_again_at_once(
    endings: dict[str, Ending], site: Bench
) -> None:
    site.start("command")
    site.expect("command", "READY")
    process = site.processes["command"]
    process.terminate()
    assert process.wait(LIMIT) == CLEAN


def test_a_server_within_a_process_leaves_no_thread_and_no_socket(
    endings: dict[str, Ending], site: Bench
) -> None:
    """Looked at from inside, where the end of the process does not clean up."""

    def live() -> None:
        server = ControlServer(device.make_app("idle"))
        thread = threading.Thread(target=server.serve)
        thread.start()
        with device.StateProxy("idle") as proxy:
            assert status(proxy)["name"] == "idle_cs"
        server.stop()
        thread.join(LIMIT)
        assert not thread.is_alive()

    def census() -> tuple[int, int, int]:
        return threading.active_count(), process.num_threads(), process.num_fds()

    process = psutil.Process()
    live()  # what a process keeps for all its proxies is there after the first time
    before = census()
    for _ in range(5):
        live()
    wait_until(lambda: all(now <= then for now, then in zip(census(), before, strict=True)))
    assert busy_ports(site.ports["idle"]) == []


@pytest.mark.parametrize("role", range(3), ids=["commanding", "service", "monitoring"])
def test_a_port_that_somebody_else_holds_is_named_with_its_holder(
    endings: dict[str, Ending], site: Bench, role: int
) -> None:
    port = site.ports["idle"][role]
    with socket.create_server(("127.0.0.1", port)):
        refused = subprocess.run(
            [sys.executable, str(SOURCE), "idle", "start"], capture_output=True, text=True, timeout=20
        )
    assert refused.returncode == 1
    assert refused.stdout == ""
    for part in (f"tcp://127.0.0.1:{port}", f"in use by process {os.getpid()}", "idle_cs stop", "Traceback"):
        assert (part in refused.stderr) == (part != "Traceback"), refused.stderr
    assert busy_ports(site.ports["idle"]) == []


def status(proxy: Any) -> dict[str, Any]:
    with proxy.get_service_proxy() as services:
        found: dict[str, Any] = services.get_server_status()
    return found


def wait_until(condition: Callable[[], bool], limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.02)
