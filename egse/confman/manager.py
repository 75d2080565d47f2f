"""The configuration manager without its server: the loaded Setup and the life of observations."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from egse.clock import Clock
from egse.confman.active_setup import ActiveSetup, frozen_files
from egse.confman.checkout import Finding
from egse.confman.control_token import ControlCommands, ControlToken
from egse.confman.desk import OperatorDesk, Question
from egse.confman.interface import ConfigurationManagerInterface
from egse.confman.life import ObservationLife
from egse.confman.observations import ObservationBook, ObservationError, ObservationRecord
from egse.confman.pusher import Pusher
from egse.confman.remote import State
from egse.confman.repository import SetupFile, SetupRepository, navigate
from egse.confman.watch import RepositoryWatch
from egse.security.roles import current_caller
from egse.setup import SetupError
from egse.storage.files import FolderLock
from egse.storage.interface import StorageInterface, StorageProxy
from egse.storage.naming import camera_name
from egse.storage.observation import ObservationInfo
from egse.version import VERSION

LOGGER = logging.getLogger(__name__)


class ConfigurationManager(ControlCommands, ConfigurationManagerInterface):
    """Executes the commands of the configuration manager.

    Args:
        site_folder: data folder of the site; made when missing.
        repository: the Setups.
        storage: the storage manager.
        clock: true time.
        is_storage_there: a quick look whether the storage manager answers.
        patience: how long a client waits for a storage manager that is away [s].

    Raises:
        BlockingIOError: when another configuration manager owns the data folder.
    """

    def __init__(
        self,
        site_folder: Path,
        repository: SetupRepository,
        storage: StorageInterface,
        clock: Clock,
        is_storage_there: Callable[[], bool] = lambda: True,
        patience: float = 5.0,
    ) -> None:
        self.site_folder = site_folder
        self.site_id = repository.site_id
        self.repository = repository
        self._storage = storage
        self._folder_lock = FolderLock(site_folder, "cm")
        self.control = ControlToken(site_folder, clock)
        for finding in repository.recover():
            LOGGER.warning("%s", finding)
        self._watch = RepositoryWatch(repository, clock)
        self.setups = ActiveSetup(repository, site_folder)
        self.pusher = Pusher(repository, may_merge=lambda: self.life.book.current is None)
        self.setups.on_change(lambda _: self.pusher.request())
        book = ObservationBook(site_folder)
        self.life = ObservationLife(book, storage, clock, self._files_of, is_storage_there, patience)
        self.desk = OperatorDesk(site_folder, clock, self.life.open_run)
        self.life.holder_of = self.desk.holder_of

    def start(self) -> None:
        """Starts the background work; what was not pushed before the last end is pushed now."""
        self.pusher.start()
        if self.repository.remote() is not None:
            self.pusher.request()

    def close(self) -> None:
        """Ends the background work; an observation that is running stays open for the next start."""
        self.pusher.end()
        self._watch.close()
        self.desk.close()
        if isinstance(self._storage, StorageProxy):
            self._storage.disconnect_cs()
        self._folder_lock.release()

    # -- observations --------------------------------------------------------------------------------------------

    def start_observation(
        self,
        run_id: str,
        function: str,
        description: str,
        supervised: bool,
        lease: float,
        details: dict[str, Any],
        origin: str = "",
    ) -> dict[str, Any]:
        if not run_id:
            raise ObservationError("an observation needs a run id")
        setup = self.setups.current
        if setup is None and self.life.book.find(run_id) is None:
            raise ObservationError("no Setup is loaded, and an observation needs one: `cm_cs load-setup ID`")
        info = ObservationInfo(
            run_id=run_id,
            test_id=0,
            site_id=self.site_id,
            setup_id=setup.setup_id if setup else 0,
            start="",
            camera=camera_name(navigate(setup.content, "camera__ID")) if setup else None,
            function=function.strip() or "unknown_function()",
            description=description,
            supervised=supervised,
            lease=lease,
            origin=origin,
            details=self._details(details, setup),
            setup_sha256=setup.sha256 if setup else "",
        )
        return self._answer(self.life.start(info))

    def _details(self, details: dict[str, Any], setup: SetupFile | None) -> dict[str, Any]:
        versions = {"egse": VERSION, **details.get("versions", {})}
        frozen = frozen_files(setup, self.repository.root)[1] if setup else {}
        return {**details, "versions": versions, "setup_files": frozen}

    def _files_of(self, info: ObservationInfo) -> dict[str, bytes]:
        """Returns what the folder of an observation begins with."""
        try:
            setup = self.repository.read(info.setup_id)
        except (SetupError, OSError) as exc:
            LOGGER.error("Setup %05d cannot be put into observation %s: %s", info.setup_id, info.obsid, exc)
            return {}
        if setup.sha256 != info.setup_sha256:
            LOGGER.error("%s was changed after observation %s had started", setup.path.name, info.obsid)
        return frozen_files(setup, self.repository.root)[0]

    def end_observation(self, run_id: str, status: str, reason: str = "", by: str = "") -> dict[str, Any]:
        holder = self.desk.holder_of(run_id)
        if holder != by and self.life.open_run() == run_id:
            raise ObservationError(f"run {run_id} was taken over by {holder or 'nobody'}, who ends it")
        record = self.life.end(run_id, status, reason)
        self.desk.tick()
        return self._answer(record)

    def renew_lease(self, run_id: str) -> float:
        return self.life.renew_lease(run_id)

    def get_observation(self) -> dict[str, Any] | None:
        return self._maybe(self.life.book.current)

    def get_obsid(self) -> str | None:
        current = self.life.book.current
        return None if current is None else current.info.obsid

    def find_observation(self, run_id: str) -> dict[str, Any] | None:
        return self._maybe(self.life.book.find(run_id))

    def list_observations(self, last: int | None = None) -> list[dict[str, Any]]:
        return [self._answer(record) for record in self.life.last(last)]

    def _answer(self, record: ObservationRecord) -> dict[str, Any]:
        return record.as_dict(self.site_folder)

    def _maybe(self, record: ObservationRecord | None) -> dict[str, Any] | None:
        return None if record is None else self._answer(record)

    # -- operators ---------------------------------------------------------------------------------------------------

    def give_verb(self, verb: str, reason: str = "", run_id: str = "", by: str = "") -> dict[str, Any]:
        return self.desk.give(verb, reason, current_caller().origin(by or "unknown"), run_id)

    def get_desk(self, run_id: str = "") -> dict[str, Any]:
        return self.desk.look(run_id)

    def follow_desk(self, run_id: str, seen: int, timeout: float) -> dict[str, Any]:
        return self.desk.follow(run_id, seen, timeout)  # type: ignore[return-value]  # a future: it is deferred

    def report_to_desk(self, run_id: str, state: str, detail: str = "", reached: int = 0) -> dict[str, Any]:
        return self.desk.report(run_id, state, detail, reached)

    def ask_operator(self, run_id: str, question: dict[str, Any]) -> dict[str, Any]:
        return self.desk.ask(run_id, msgspec.convert(question, Question))

    def answer_question(self, answer: str, key: str = "", run_id: str = "", by: str = "") -> dict[str, Any]:
        return self.desk.answer(key, answer, current_caller().origin(by or "unknown"), run_id)

    def claim_safes(self, run_id: str, by: str) -> bool:
        return self.desk.claim_safes(run_id, by)

    def watch_observation(self, by: str) -> dict[str, Any] | None:
        self.life.watched()
        run_id = self.life.open_run()
        if run_id is None:
            return None
        left = self.life.lease_left()
        return {**self._maybe(self.life.book.current), "lease_left": left, "desk": self.desk.look(run_id)}  # type: ignore[dict-item]

    def safe_take_over(self, run_id: str, by: str, reason: str) -> dict[str, Any]:
        desk = self.desk.take_over(run_id, by, reason)
        self.life.renew_lease(run_id, by)
        return desk

    # -- Setups --------------------------------------------------------------------------------------------------

    def load_setup(self, setup_id: int) -> dict[str, Any]:
        self.life.refuse_while_running()
        setup = self.setups.load(setup_id)
        found = [finding for finding in self._watch.now().findings if setup.path.name in finding.text]
        for finding in found:
            LOGGER.warning("Setup %05d is loaded all the same: %s", setup_id, finding)
        return {**setup.as_dict(), **({"problem": "; ".join(map(str, found))} if found else {})}

    def get_setup(self, setup_id: int | None = None) -> dict[str, Any]:
        return self.setups.get(setup_id).as_dict()

    def submit_setup(self, yaml: str, description: str, author: str = "") -> dict[str, Any]:
        self.life.refuse_while_running()
        self.pusher.remote.look()  # which ids are taken there
        return self.setups.submit(yaml, description, author or "unknown@localhost").as_dict()

    def list_setups(self, filters: dict[str, Any]) -> list[list[Any]]:
        return self.repository.find(filters)

    def repository_status(self) -> dict[str, Any]:
        """Returns what the status shows of the repository and its remote; may be called from any thread."""
        look = self._watch.latest()
        return {
            "push": State.NONE.value if look.remote is None else self.pusher.describe(),
            "findings": [finding.as_dict() for finding in self._with_remote(look.findings)],
        }

    def _with_remote(self, findings: list[Finding]) -> list[Finding]:
        finding = self.pusher.outcome.finding()
        return [*findings, *([finding] if finding else [])]

    def check_setups(self) -> list[dict[str, Any]]:
        findings = self._with_remote(self._watch.now().findings)
        return [finding.as_dict() for finding in (*findings, *self.repository.unreadable())]

    def sync_setups(self, start: bool = True) -> dict[str, Any]:
        attempts, outcome = self.pusher.attempts, self.pusher.outcome
        if start:
            self.pusher.request()
        return {
            "attempts": attempts,
            "state": outcome.state.value,
            "text": outcome.text,
            "step": outcome.step,
        }

    def get_site_id(self) -> str:
        return self.site_id
