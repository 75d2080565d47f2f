"""Rows that are sent again are stored once: after lost answers, kills at every point, midnight, new observations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.clock import VirtualClock
from egse.storage import ObservationInfo, StorageError
from egse.storage import registry as registry_module
from egse.storage.disk import DiskLimits, DiskWatch
from egse.storage.ledger import SESSIONS, SLOT, Ledger
from egse.storage.manager import StorageManager
from egse.storage.naming import utc_text
from egse.storage.persistence.base import Persistence
from egse.storage.sm_cs import status_lines

DAY = 86_400.0


class KilledError(BaseException):
    """The storage manager is killed here."""


class SteppingClock(VirtualClock):
    """A clock that can also be set back."""

    def set(self, now: float) -> None:
        self._elapsed = now - self._start


class Site:
    """A storage manager that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "CSL1"
        self.clock = SteppingClock()
        self.noon = self.clock.now() + DAY / 2
        self.clock.set(self.noon)
        self.manager = StorageManager(self.folder, "CSL1", self.clock)

    def register(self, **item: Any) -> None:
        self.manager.register({"origin": "X", "persistence_class": "CSV", "prep": {}, **item})

    def save(self, first: int, count: int = 1, session: str = "a") -> None:
        rows = [{"timestamp": f"t{number}", "n": number} for number in range(first, first + count)]
        item = {"origin": "X", "data": rows, "session": session, "number": first}
        assert self.manager.save(item) == count

    def restart(self) -> None:
        manager = self.manager
        manager.producers.close()
        manager._hasher.close()
        manager._folder_lock.release()
        self.manager = StorageManager(self.folder, "CSL1", self.clock)

    def start(self, test_id: int = 1) -> None:
        info = ObservationInfo(
            run_id=f"run-{test_id}",
            test_id=test_id,
            site_id="CSL1",
            setup_id=84,
            start=utc_text(self.clock.now()),
        )
        self.manager.start_observation(info, {})

    def numbers(self, pattern: str) -> list[int]:
        return [
            int(line.split(",")[1])
            for path in sorted(self.folder.glob(pattern))
            for line in path.read_text().splitlines()[1:]
        ]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.manager.close()


def test_rows_that_come_again_are_left_out(site: Site) -> None:
    site.register()
    site.save(0, 3)
    site.save(0, 3)
    site.save(2, 3)
    site.save(10, 1)  # rows in between were dropped by the producer
    site.save(0, 1, session="b")  # a producer that was started anew begins at 0
    assert site.numbers("daily/*/*_X.csv") == [0, 1, 2, 3, 4, 10, 0]
    assert site.manager.producers.repeated == 3


def test_rows_without_a_number_are_always_new(site: Site) -> None:
    site.register()
    for _ in range(2):
        site.manager.save({"origin": "X", "data": {"timestamp": "t", "n": 1}})
    assert site.numbers("daily/*/*_X.csv") == [1, 1]


@pytest.mark.parametrize("kind", ["CSV", "TXT", "SQLite", "FITS"])
@pytest.mark.parametrize("point", ["before_ledger", "after_ledger", "torn", "after_main", "after_mirror"])
def test_killed_at_every_point_of_a_save(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: str, point: str
) -> None:
    def rows(first: int, count: int) -> list[Any]:
        return [
            {
                "CSV": {"timestamp": f"t{n}", "n": n},
                "TXT": f"t,{n}",
                "SQLite": {"timestamp": f"t{n}", "n": n},
                "FITS": {"name": f"N{n}", "data": [n]},
            }[kind]
            for n in range(first, first + count)
        ]

    def save(first: int, count: int) -> None:
        item = {"origin": "X", "data": rows(first, count), "session": "a", "number": first}
        site.manager.save(item)

    def numbers(role: int) -> list[Any]:
        (producer,) = site.manager.producers
        return (
            producer.files[role].read()
            if kind != "FITS"
            else [int(unit["data"][0]) for unit in producer.files[role].read()]
        )

    site.register(persistence_class=kind)
    site.start()
    save(0, 2)
    passed = 0

    def fail_point(name: str) -> None:
        nonlocal passed
        passed += name == "sm.save.after_write"
        wanted = {"after_main": 1, "after_mirror": 2}.get(point)
        if name == f"sm.save.{point}" or (name == "sm.save.after_write" and passed == wanted):
            raise KilledError

    def torn(self: Persistence, prepared: Any) -> None:
        if kind in ("CSV", "TXT", "FITS"):
            with self.path.open("ab") as file:
                file.write(prepared.payload[: len(prepared.payload) * 2 // 3])
        raise KilledError

    subclass = registry_module.persistence_class(kind)
    monkeypatch.setattr(subclass, "rollback", lambda *_: None)
    if point == "torn":
        monkeypatch.setattr(subclass, "write", torn)
    monkeypatch.setattr(registry_module, "fail_point", fail_point)
    with pytest.raises(KilledError):
        save(2, 3)
    monkeypatch.undo()
    site.restart()
    save(2, 3)  # no answer came: it is sent again
    save(5, 1)
    for role in (0, 1):
        found = numbers(role)
        if kind == "FITS":
            assert found == list(range(6))
        elif kind == "TXT":
            assert found == rows(0, 6)
        else:
            assert [int(row["n"]) for row in found] == list(range(6))


def test_a_mirror_that_cannot_be_written_takes_the_row_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.register()
    site.start()
    site.save(0)
    (producer,) = site.manager.producers
    assert producer.mirror is not None

    def no_room(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(producer.mirror, "write", no_room)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            site.manager.save({"origin": "X", "data": {"timestamp": "t", "n": 1}})
    monkeypatch.undo()
    site.save(1)
    assert site.numbers("daily/*/*_X.csv") == site.numbers("obs/*/*_X_*.csv") == [0, 1]


def test_the_answer_is_lost_over_midnight(site: Site) -> None:
    site.register()
    site.save(0, 2)
    site.restart()
    site.clock.set(site.noon + DAY / 2)
    site.save(0, 2)
    site.save(1, 2)
    assert site.numbers("daily/20260101/*.csv") == [0, 1]
    assert site.numbers("daily/20260102/*.csv") == [2]


def test_down_over_midnight_and_for_days(site: Site) -> None:
    site.register()
    site.save(0)
    site.clock.set(site.noon + 3 * DAY)
    site.restart()
    site.save(1)
    assert [path.name for path in sorted((site.folder / "daily").iterdir())] == ["20260101", "20260104"]
    assert site.numbers("daily/*/*.csv") == [0, 1]


def test_the_clock_is_stepped(site: Site) -> None:
    site.register()
    site.start()
    midnight = site.noon + DAY / 2
    for number, now in enumerate(
        (midnight - 1, midnight + 1, midnight - 2, midnight + 2, site.noon + 400 * DAY)
    ):
        site.clock.set(now)
        site.manager.tick()
        site.save(number)
    assert site.numbers("daily/20260101/*.csv") == [0, 2]
    assert site.numbers("daily/20260102/*.csv") == [1, 3]
    assert site.numbers("daily/2027*/*.csv") == [4]
    assert site.numbers("obs/*/*_X_*.csv") == [0, 1, 2, 3, 4]


def test_an_observation_holds_the_rows_of_its_time(site: Site) -> None:
    site.register()
    site.save(0, 2)
    site.start(1)
    site.save(0, 2)  # the answer was lost; these were stored before the observation
    site.save(2)
    site.manager.end_observation("run-1", "done")
    site.save(2, 2)
    site.start(2)
    site.save(4)
    assert site.numbers("obs/00001*/*_X_*.csv") == [2]
    assert site.numbers("obs/00002*/*_X_*.csv") == [4]
    assert site.numbers("daily/*/*_X.csv") == [0, 1, 2, 3, 4]


def test_two_producers_of_one_name_do_not_mix_up(site: Site) -> None:
    site.register()
    for number in range(3):
        for session in ("a", "b"):
            site.save(number, session=session)
            site.save(number, session=session)
    site.restart()
    for session in ("a", "b"):
        site.save(2, 2, session=session)
    assert site.numbers("daily/*/*_X.csv") == [0, 0, 1, 1, 2, 2, 3, 3]


def test_another_class_of_the_same_name_leaves_the_old_file_alone(site: Site) -> None:
    site.register()
    site.save(0, 2)
    site.register(persistence_class="SQLite")
    site.restart()
    site.save(0, 3)
    site.restart()
    assert site.numbers("daily/*/*_X.csv") == [0, 1]
    assert not list(site.folder.rglob("*.damaged"))
    assert [row["n"] for row in site.manager.read({"origin": "X"})] == [2]


def test_named_files_and_permanent_files(site: Site, tmp_path: Path) -> None:
    site.manager.close()
    named = tmp_path / "named"
    site.manager = StorageManager(site.folder, "CSL1", site.clock, named_files=named)
    site.register(filename="exactly.csv")
    site.manager.register({"origin": "P", "persistence_class": "TXT", "persistence_count": True})
    site.start()
    site.save(0)
    site.manager.save({"origin": "P", "data": "one"})
    site.clock.set(site.noon + DAY)
    site.save(1)
    assert (named / "exactly.csv").read_text().splitlines()[1:] == ["t0,0", "t1,1"]
    assert site.numbers("obs/*/*_X_*.csv") == [0, 1]
    assert site.manager.get_filenames({"origin": "P"}) == [str(site.folder / "P.txt")]
    with pytest.raises(StorageError, match="`number`"):
        site.manager.save({"origin": "X", "data": {"n": 1}, "session": "a", "number": -1})
    with pytest.raises(StorageError, match="`select` must be a mapping"):
        site.manager.read({"origin": "X", "select": "last"})
    with pytest.raises(StorageError, match="cannot be read"):
        site.manager.read({"origin": "X", "select": {"last": "many"}})


def test_the_ledger_survives_a_torn_record_and_reuses_slots(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path)
    for origin in ("A", "B"):
        track = ledger.track(origin)
        for number in range(SESSIONS + 3):
            track.end(f"s{number}", 5)
        track.save()
    ledger.forget("A")
    ledger.close()
    with path.open("r+b") as file:
        file.seek(SLOT + 20)
        file.write(b"\xff")
    ledger = Ledger(path)
    assert ledger.track("B").already("s10", 0, 0, 3) == 0, "a torn record is no record"
    ledger.track("C").save()
    ledger.close()
    assert path.stat().st_size <= 2 * SLOT


def test_warnings_before_the_disk_is_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="egse.storage.disk")
    left = 100.0 - DiskWatch(tmp_path).usage().percent
    watch = DiskWatch(tmp_path, DiskLimits(low=left + 5, critical=0.0))
    assert watch.check(0.0).level == "low"
    watch.check(60.0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    watch.limits = DiskLimits(low=100.0, critical=left + 5)
    watch.check(120.0)
    watch.check(120.0 + 4000.0)
    watch.limits = DiskLimits(low=0.0, critical=0.0)
    watch.check(5000.0)
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR", "ERROR", "INFO"]
    assert "are free" in caplog.text


def test_status_warns_when_room_gets_scarce() -> None:
    disk = {"total": 2**31, "used": 2**31 * 0.97, "free": 2**31 * 0.03, "percent": 97.0, "level": "critical"}
    status = {
        "endpoints": dict.fromkeys(("commanding", "monitoring", "service"), "tcp://127.0.0.1:6100"),
        "storage location": "/data/CSL1",
        "setup": "00053",
        "registrations": {"CM": ["/data/CSL1/daily/20260101/20260101_CSL1_CM.csv"]},
        "obsid": "CSL1_00053_00007",
        "sync_failures": 2,
        "disk": disk,
    }
    lines = status_lines(status, full=False)
    assert lines[5:8] == ["Storage location: /data/CSL1", "Loaded Setup: 00053", "Registrations: ['CM']"]
    assert any("the data disk gets full, 0.060 GiB (3.0 %) are free" in line for line in lines)
    assert any("2 times" in line for line in lines)
    assert "An observation is registered: CSL1_00053_00007" in status_lines(status, full=True)
    disk["level"], status["sync_failures"] = "ok", 0
    assert not any("WARNING" in line for line in status_lines(status, full=True))
