"""Core services in this process for the tests of single parts; the engine is tested against the real ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from camtest.core import observation, services
from camtest.core.control import DeskFollower
from camtest.core.forwarding import Forwarder
from camtest.core.lease import LeaseKeeper
from camtest.state import GlobalState
from egse.clock import system_clock
from egse.confman import ObservationError
from egse.confman.desk import OperatorDesk, Question
from egse.storage import StorageError
from egse.storage.naming import utc_text


class FakeCore:
    """Configuration and storage manager as seen through their proxies: records, events and files in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.supplements: dict[str, bytes] = {}
        self.renewed = 0
        self.away = False
        self.desk = OperatorDesk(folder, system_clock(), self._open_run)
        self._lock = threading.RLock()

    def _open_run(self) -> str | None:
        running = self.running
        return None if running is None else str(running["run_id"])

    def __getattr__(self, name: str) -> Any:
        """The commands of the operator's desk, one at a time as in the real server."""
        commands = {
            "give_verb": lambda verb, reason="", run_id="", by="tester": self.desk.give(
                verb, reason, by, run_id
            ),
            "get_desk": self.desk.look,
            "report_to_desk": self.desk.report,
            "ask_operator": lambda run_id, question: self.desk.ask(
                run_id, msgspec.convert(question, Question)
            ),
            "answer_question": lambda answer, key="", run_id="", by="tester": self.desk.answer(
                key, answer, by, run_id
            ),
            "claim_safes": self.desk.claim_safes,
        }
        if name not in commands:
            raise AttributeError(name)
        command = commands[name]

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                return command(*args, **kwargs)

        return call

    def follow_desk(self, run_id: str, seen: int, timeout: float) -> dict[str, Any]:
        with self._lock:
            answer = self.desk.follow(run_id, seen, timeout)
        if not isinstance(answer, Future):
            return answer
        try:
            return answer.result(timeout)
        except TimeoutError:
            return self.desk.look(run_id)

    def __enter__(self) -> FakeCore:
        if self.away:
            raise ConnectionError("nobody answers")
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def running(self) -> dict[str, Any] | None:
        return next((record for record in self.records if record["status"] is None), None)

    @property
    def last(self) -> dict[str, Any]:
        return self.records[-1]

    def start_observation(self, **given: Any) -> dict[str, Any]:
        if self.running is not None:
            raise ObservationError(f"an observation is running: {self.running['obsid']}")
        number = len(self.records) + 1
        self.records.append(
            {
                **given,
                "obsid": f"CSL1_00007_{number:05d}",
                "setup_id": 7,
                "prefix": f"{number:05d}_CSL1_chimay",
                "folder": str(self.folder),
                "start": utc_text(time.time()),
                "status": None,
                "reason": None,
            }
        )
        return dict(self.last)

    def end_observation(self, run_id: str, status: str, reason: str = "") -> dict[str, Any]:
        record = next(record for record in self.records if record["run_id"] == run_id)
        record.update(status=status, reason=reason)
        with self._lock:
            self.desk.tick()
        return dict(record)

    def find_observation(self, run_id: str) -> dict[str, Any] | None:
        return next((record for record in self.records if record["run_id"] == run_id), None)

    def list_observations(self, last: int | None = None) -> list[dict[str, Any]]:
        return [{**record, "state": "closed" if record["status"] else "open"} for record in self.records]

    def renew_lease(self, run_id: str) -> float:
        if self.running is None or self.running["run_id"] != run_id:
            raise ObservationError("the observation is over: its lease ended")
        self.renewed += 1
        return 60.0

    def append_events(self, run_id: str, first_seq: int, events: list[dict[str, Any]]) -> int:
        if self.running is None or self.running["run_id"] != run_id:
            raise StorageError(f"run {run_id} is not open")
        if first_seq <= len(self.events):
            self.events += events[len(self.events) - first_seq :]
        return len(self.events)

    def add_file(self, run_id: str, name: str, data: bytes) -> str:
        self.files[name] = data
        return str(self.folder / name)

    def add_supplement(self, obsid: str, name: str, data: bytes) -> str:
        self.supplements[name] = data
        return name

    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events]


@pytest.fixture(autouse=True)
def _fresh_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No observation, no dry run, no variables of a runner; spools in a folder of this test."""
    for name in ("CAMTEST_RUN_ID", "CAMTEST_OBSERVATION", "CAMTEST_SPOOL", "CAMTEST_DRY_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CAMTEST_SPOOL_LOCATION", str(tmp_path / "spool"))
    GlobalState.reset()
    yield
    GlobalState.reset()
    assert observation._current is None, "the test left an observation open"


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCore]:
    """Core services in memory."""
    fake = FakeCore(tmp_path)
    monkeypatch.setattr(services, "configuration_manager", lambda timeout=10.0: fake)
    monkeypatch.setattr(services, "storage_manager", lambda timeout=10.0: fake)
    background: list[Any] = []
    for kind in (Forwarder, LeaseKeeper, DeskFollower):
        start = kind.start

        def noted(this: Any, start: Any = start) -> None:
            background.append(this)
            start(this)

        monkeypatch.setattr(kind, "start", noted)
    yield fake
    fake.away = False
    observation.finish_observation("interrupted", "the test ended")
    observation._current = None
    for one in (
        background
    ):  # of observations that a test has lost; they would go on asking, and ask real servers next
        one._stopping.set()
    for one in background:
        if not isinstance(one, DeskFollower):  # that one ends with the next answer
            one._thread.join(10)
