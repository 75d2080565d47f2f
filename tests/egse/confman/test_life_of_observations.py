"""The life of an observation with the real storage manager in the same process, on a virtual clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.clock import VirtualClock
from egse.confman.manager import ConfigurationManager
from egse.confman.observations import ObservationError
from egse.confman.obsid_table import LINE
from egse.confman.repository import SetupRepository
from egse.setup import NoSetupError
from egse.storage import StorageError, read_manifest
from egse.storage.files import sha256_of
from egse.storage.manager import StorageManager
from egse.storage.sm_cs import StorageController

SETUP = "Setup:\n  camera:\n    ID: chimay\n"


class FlakyStorage(StorageController):
    """The real storage manager, which a test can take away."""

    away = False
    lose_answers = 0
    refuse = ""

    def _reach(self) -> None:
        if self.away:
            raise ConnectionError("no control server answers")

    def _answer(self, value: dict[str, Any]) -> dict[str, Any]:
        if self.lose_answers:
            self.lose_answers -= 1
            raise TimeoutError("the answer was lost")
        return value

    def register(self, item: dict[str, Any]) -> dict[str, Any]:
        self._reach()
        return super().register(item)

    def save(self, item: dict[str, Any]) -> int:
        self._reach()
        return super().save(item)

    def start_observation(self, observation: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
        self._reach()
        if self.refuse:
            raise OSError(self.refuse)
        return self._answer(super().start_observation(observation, files))

    def end_observation(
        self, run_id: str, status: str, reason: str = "", observation: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        self._reach()
        if self.refuse:
            raise OSError(self.refuse)
        return self._answer(super().end_observation(run_id, status, reason, observation))


class Site:
    """Configuration and storage manager of one site."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data/CSL1"
        self.clock = VirtualClock()
        self.repository = SetupRepository(folder / "conf", "CSL1", self.clock)
        (self.repository.folder / "SETUP_CSL1_00084_230407_091711.yaml").write_text(SETUP)
        self.storage = FlakyStorage(StorageManager(self.folder, "CSL1", self.clock))
        self.cm = self._start()
        self.cm.load_setup(84)

    def _start(self) -> ConfigurationManager:
        return ConfigurationManager(
            self.folder,
            self.repository,
            self.storage,
            self.clock,
            is_storage_there=lambda: not self.storage.away,
        )

    def restart(self) -> ConfigurationManager:
        self.cm.close()
        self.cm = self._start()
        return self.cm

    def begin(self, run_id: str = "r1", supervised: bool = True, lease: float = 10.0) -> dict[str, Any]:
        return self.cm.start_observation(
            run_id, 'acquire(n="3")', "a test", supervised, lease, {"notebook": "sft.ipynb"}, "rik@lab:7"
        )

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            self.clock.advance(0.5)
            self.cm.life.tick()

    @property
    def table(self) -> list[str]:
        return (self.folder / "obsid-table.txt").read_text().splitlines()

    def close(self) -> None:
        self.cm.close()
        self.storage.manager.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


def test_a_whole_life(site: Site) -> None:
    started = site.begin()
    assert (started["obsid"], started["state"], started["status"]) == ("CSL1_00084_00001", "open", "")
    assert started["prefix"] == "00001_CSL1_chimay"
    assert site.storage.get_obsid() == site.cm.get_obsid() == "CSL1_00084_00001"
    ended = site.cm.end_observation("r1", "done")
    assert (ended["state"], ended["status"], ended["message"]) == ("closed", "done", "")
    folder = Path(ended["folder"])
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.status == "done"
    assert ended["manifest_sha256"] == sha256_of(folder / "manifest.json")
    assert (folder / "00001_CSL1_chimay_setup.yaml").read_text() == SETUP
    assert site.cm.get_observation() is None
    assert site.cm.find_observation("r1") == ended == site.cm.list_observations(1)[0]
    assert ended["details"]["notebook"] == "sft.ipynb"
    assert "egse" in ended["details"]["versions"]
    assert ended["origin"] == "rik@lab:7"


def test_the_obsid_table_has_the_format_of_the_icd(site: Site) -> None:
    site.begin()
    site.cm.end_observation("r1", "failed", "a cell raised")
    site.cm.start_observation("r2", "", "two\nlines", False, 0.0, {})
    start = "2026-01-01T00:00:00.000+0000"
    assert site.table == [
        f'00001 CSL1 00084 {start} acquire(n="3") [a test]',
        f"00002 CSL1 00084 {start} unknown_function() [two lines]",
    ]
    match = LINE.match(site.table[1])
    assert match is not None
    assert match["description"] == "two lines"


def test_requests_can_be_repeated(site: Site) -> None:
    first = site.begin()
    assert site.begin() == first
    ended = site.cm.end_observation("r1", "failed", "x")
    assert site.cm.end_observation("r1", "done") == ended
    assert site.restart().end_observation("r1", "done") == ended
    with pytest.raises(ObservationError, match=r"ended already: failed \(x\)"):
        site.begin()
    assert len(site.table) == 1


def test_one_observation_at_a_time_and_no_new_setup_meanwhile(site: Site) -> None:
    site.begin()
    with pytest.raises(ObservationError, match=r"CSL1_00084_00001, started by rik@lab:7 at 2026-01-01"):
        site.begin("r2")
    with pytest.raises(ObservationError, match="an observation is running"):
        site.cm.load_setup(84)
    with pytest.raises(ObservationError, match="an observation is running"):
        site.cm.submit_setup(SETUP, "x")
    assert site.cm.get_setup(84)["setup_id"] == 84
    site.cm.end_observation("r1", "done")
    assert site.begin("r2")["test_id"] == 2


def test_without_a_setup_there_is_no_observation(site: Site) -> None:
    (site.folder / "last_setup_id.txt").unlink()
    site.restart()
    with pytest.raises(ObservationError, match="no Setup is loaded"):
        site.begin()
    with pytest.raises(NoSetupError, match="no Setup is loaded"):
        site.cm.get_setup()


@pytest.mark.parametrize(("supervised", "status"), [(True, "interrupted"), (False, "orphaned")])
def test_a_lease_that_lapses_ends_the_observation(site: Site, supervised: bool, status: str) -> None:
    site.begin(supervised=supervised)
    site.pass_time(9)
    assert site.cm.renew_lease("r1") == 10.0
    site.pass_time(9)
    assert site.cm.get_obsid() is not None
    site.pass_time(1.5)
    ended = site.cm.find_observation("r1")
    assert ended is not None
    assert (ended["state"], ended["status"]) == ("closed", status)
    assert "no sign of life from rik@lab:7 for 10 s" in ended["reason"]
    with pytest.raises(ObservationError, match=status):
        site.cm.renew_lease("r1")
    with pytest.raises(ObservationError, match="not known"):
        site.cm.renew_lease("r9")


def test_a_restart_gives_the_holder_time_to_come_back(site: Site) -> None:
    site.begin()
    site.clock.advance(3600)
    cm = site.restart()
    site.pass_time(9)
    cm.renew_lease("r1")
    site.pass_time(9)
    assert cm.get_obsid() == "CSL1_00084_00001"
    site.pass_time(2)
    assert cm.list_observations(1)[0]["status"] == "interrupted"


def test_a_lease_of_zero_never_lapses(site: Site) -> None:
    site.begin(lease=0.0)
    site.pass_time(1000)
    assert site.restart().get_obsid() is not None


def test_storage_away_at_start_is_a_recorded_failure(site: Site) -> None:
    site.storage.away = True
    with pytest.raises(
        ObservationError, match="CSL1_00084_00001 is recorded as failed: the storage manager could not"
    ):
        site.begin()
    with pytest.raises(ObservationError, match="is being closed"):
        site.begin("r2")
    site.storage.away = False
    site.pass_time(11)
    first = site.cm.find_observation("r1")
    assert first is not None
    assert (first["state"], first["status"]) == ("closed", "failed")
    assert "no control server answers" in first["reason"]
    manifest = read_manifest(Path(first["folder"]))
    assert manifest is not None
    assert manifest.status == "failed"
    assert site.begin("r2")["test_id"] == 2
    assert len(site.table) == 2


def test_a_short_absence_at_start_is_waited_for(site: Site) -> None:
    site.storage.lose_answers = 1
    assert site.begin()["state"] == "open"
    assert site.storage.get_obsid() == "CSL1_00084_00001"


def test_a_storage_manager_that_cannot_write_fails_the_start(site: Site) -> None:
    site.storage.refuse = "No space left on device"
    with pytest.raises(ObservationError, match="No space left"):
        site.begin()
    assert site.cm.list_observations()[0]["status"] == "failed"


def test_storage_away_at_the_end_delays_the_seal_only(site: Site) -> None:
    site.begin()
    site.storage.away = True
    ended = site.cm.end_observation("r1", "done")
    assert (ended["state"], ended["status"]) == ("closing", "done")
    assert "is sealed as soon as it does" in ended["message"]
    site.pass_time(60)
    assert site.cm.get_observation() is not None
    site.storage.away = False
    site.pass_time(11)
    assert site.cm.list_observations(1)[0]["state"] == "closed"
    assert site.cm.end_observation("r1", "done")["message"] == ""


def test_a_refused_seal_does_not_block_the_site(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.begin()

    def refuse(*_: object) -> dict[str, Any]:
        raise StorageError("the folder belongs to another run")

    monkeypatch.setattr(site.storage, "end_observation", refuse)
    ended = site.cm.end_observation("r1", "done")
    assert (ended["state"], ended["manifest_sha256"]) == ("closed", "")


def test_an_observation_found_closing_is_finished(site: Site) -> None:
    site.begin()
    site.storage.away = True
    site.cm.end_observation("r1", "aborted", "operator")
    site.restart()
    site.storage.away = False
    site.cm.life.tick()
    ended = site.cm.list_observations(1)[0]
    assert (ended["state"], ended["status"], ended["reason"]) == ("closed", "aborted", "operator")


def test_the_obsid_table_is_completed_from_the_record(site: Site) -> None:
    for run in ("r1", "r2", "r3"):
        site.begin(run)
        site.cm.end_observation(run, "done")
    table = site.folder / "obsid-table.txt"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("00001 old line of another system\n" + lines[0] + lines[1][:20])
    site.storage.manager.close()
    site.storage.manager = StorageManager(site.folder, "CSL1", site.clock)
    site.restart().life.tick()
    assert site.table[1:] == [line.rstrip("\n") for line in lines]


def test_a_setup_that_vanished_does_not_stop_the_end(site: Site) -> None:
    site.storage.away = True
    with pytest.raises(ObservationError):
        site.begin()
    for path in site.repository.folder.glob("SETUP*"):
        path.unlink()
    site.storage.away = False
    site.pass_time(11)
    assert site.cm.list_observations(1)[0]["state"] == "closed"
