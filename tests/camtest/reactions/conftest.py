"""A site with core services only, building blocks of its own, and clients that are killed in the middle of a procedure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camtest.reactions.book import ReactionEvent
from camtest.reactions.journal import read_reactions
from egse.archive import Observation
from egse.confman import ConfigurationManagerProxy
from egse.settings import Settings
from egse.setup import Setup
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox

BLOCKS = """
import time
from pathlib import Path
from camtest import GlobalState, building_block, on_abort, recovery

TRACE = Path(__file__).with_name("trace.txt")

def note(text):
    with TRACE.open("a") as file:
        file.write(text + "\\n")

@building_block
def lamp_off(level: int) -> None:
    note(f"lamp off {level}")

@building_block
@on_abort(safe=lamp_off, level=0)
def procedure() -> None:
    note("procedure")
    for _ in range(600):
        GlobalState.clock.sleep(1.0)

@building_block
def slow_safe() -> None:
    note("slow safe")
    while not Path(__file__).with_name("go").exists():
        GlobalState.clock.sleep(0.1)

@building_block
@on_abort(safe=slow_safe)
def cold_procedure() -> None:
    note("cold procedure")
    for _ in range(600):
        GlobalState.clock.sleep(1.0)

@building_block
def steps(count: int) -> None:
    for number in range(count):
        note(f"step {number}")
        GlobalState.clock.sleep(0.05)

@recovery
@building_block
def cool(power: int) -> None:
    note(f"cool {power}")

@recovery
@building_block
def fail() -> None:
    note("fail")
    raise OSError("no answer of the cooler")

@recovery
@building_block
@on_abort(safe=lamp_off, level=9)
def slow() -> None:
    note("slow")
    while not Path(__file__).with_name("go").exists():
        GlobalState.clock.sleep(0.1)
    note("slow has ended")
"""

CLIENT = """
import sys, time
import reaction_bench
from camtest import start_observation
start_observation("a procedure")
try:
    reaction_bench.procedure()
except BaseException as exc:
    reaction_bench.note(f"client: {type(exc).__name__}")
    raise
"""

REACTIONS: dict[str, Any] = {
    "cool": {
        "alarm": "TRP5",
        "block": "reaction_bench.cool",
        "arguments": {"power": 3},
        "warning": 0.5,
        "priority": 5,
    },
    "later": {
        "alarm": "TRP6",
        "block": "reaction_bench.cool",
        "arguments": {"power": 6},
        "warning": 0.0,
        "priority": 9,
    },
    "fail": {"alarm": "TRP7", "block": "reaction_bench.fail", "warning": 0.0},
    "slow": {"alarm": "TRP8", "block": "reaction_bench.slow", "warning": 0.0},
    "patient": {"alarm": "TRP9", "block": "reaction_bench.cool", "arguments": {"power": 9}, "warning": 600.0},
}


def eventually(condition: Callable[[], Any], what: str, timeout: float = 120.0) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.05)
    return found


class Bench:
    """The site, the folder with its building blocks, its clients, and the alarms that there are."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.trace = folder / "trace.txt"
        self.environment = {
            **sandbox.environ(),
            "CAMTEST_SPOOL_LOCATION": str(folder / "spool"),
            "PYTHONPATH": str(folder),
        }
        self.alarms: list[dict[str, Any]] = []
        self.clients: list[subprocess.Popen[str]] = []

    @property
    def site(self) -> Path:
        return self.sandbox.layout.data

    def raise_alarms(self, *names: str) -> None:
        self.alarms = [{"name": name, "priority": "alarm", "active": True} for name in names]

    def traced(self) -> list[str]:
        return self.trace.read_text().splitlines() if self.trace.exists() else []

    def client(self, code: str = CLIENT) -> subprocess.Popen[str]:
        """Starts a client that executes a procedure, and waits until it does."""
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.clients.append(process)
        eventually(lambda: self.traced() or process.poll() is not None, "the client")
        assert process.poll() is None, process.communicate()[1]
        return process

    def events(self) -> list[ReactionEvent]:
        return list(read_reactions(self.site))

    def stages(self, name: str) -> list[str]:
        return [event.stage for event in self.events() if event.reaction == name]

    def wait_for(self, name: str, stage: str) -> ReactionEvent:
        def last() -> ReactionEvent | None:
            found = [event for event in self.events() if event.reaction == name]
            return found[-1] if found and found[-1].stage == stage else None

        event: ReactionEvent = eventually(last, f"{name} {stage}")
        return event

    def last(self, count: int = 1) -> list[dict[str, Any]]:
        with ConfigurationManagerProxy() as manager:
            return [dict(one) for one in manager.list_observations(last=count)]

    def facts(self, obsid: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(Observation(obsid).file("reaction.json").read_text())
        return found

    def close(self) -> None:
        for process in self.clients:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
        self.clients.clear()


@pytest.fixture(scope="module")
def site_with_reactions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("reactions")
    (folder / "reaction_bench.py").write_text(BLOCKS)
    sandbox = Sandbox(folder / "box", only_core=True, seed=1)
    layout = sandbox.create()
    (path,) = layout.conf.glob("SETUP_*.yaml")
    setup = Setup.from_yaml_file(path)
    setup["monitor"] = {"reactions": REACTIONS}
    setup["camtest"] = {"on_lost_session": "safes"}
    with Path(sandbox.env["PLATO_LOCAL_SETTINGS"]).open("a") as file:
        file.write("\nTRUSTED_PACKAGES: [reaction_bench]\n")
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "CAMTEST_SPOOL_LOCATION")}
    sys.path.insert(0, str(folder))
    try:
        with sandbox, sandbox.joined():
            Settings.load(force=True)
            with ConfigurationManagerProxy() as manager:
                manager.submit_setup(yaml=setup.to_yaml_string(), description="reactions for the tests")
            running = Bench(sandbox, folder)
            os.environ |= {name: running.environment[name] for name in before}
            yield running
            running.close()
    finally:
        sys.path.remove(str(folder))
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    Settings.load(force=True)
    release_block(folder / "box")
