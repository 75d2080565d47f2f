"""The archive of a site with a day worth looking back at: three observations, alarms, a server that was away."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from egse.clock import VirtualClock
from egse.confman.manager import ConfigurationManager
from egse.confman.repository import SetupRepository
from egse.context import CommandContext
from egse.journal import BeginRecord, EndRecord, JournalSource
from egse.monitor.alarms import AlarmEvent
from egse.monitor.journal import FOLDER, AlarmJournal
from egse.storage.manager import StorageManager
from egse.storage.naming import utc_text
from egse.storage.sm_cs import StorageController

DICTIONARY = (
    "TM source;Storage mnemonic;CAM EGSE mnemonic;Name of corresponding timestamp;Description;unit cal1;"
    "MAX nonops;MIN nonops;MAX ops;MIN ops\n"
    "Hexapod;PUNA;GCSL1_X;timestamp;user position x;mm;30;;20;\n"
    "Hexapod;PUNA;GCSL1_Y;timestamp;user position y;mm;;;20;\n"
)
DAY = "20260101"
START = VirtualClock.START


class History:
    """Writes the archive of a day as the core services do."""

    def __init__(self, root: Path) -> None:
        self.clock = VirtualClock()
        self.site = root / "data/CSL1"
        repository = SetupRepository(root / "conf", "CSL1", self.clock)
        (repository.folder / "tm-dictionary.csv").write_text(DICTIONARY)
        (repository.folder / "SETUP_CSL1_00084_230407_091711.yaml").write_text(
            "Setup:\n  camera:\n    ID: chimay\n"
            "  telemetry: {dictionary: pandas//tm-dictionary.csv, separator: ';'}\n"
        )
        self.storage = StorageManager(self.site, "CSL1", self.clock)
        self.cm = ConfigurationManager(self.site, repository, StorageController(self.storage), self.clock)
        self.cm.load_setup(84)
        self.storage.register({"origin": "PUNA", "persistence_class": "CSV"})
        self.storage.register({"origin": "SM", "persistence_class": "CSV"})
        self.journal = AlarmJournal(self.site / FOLDER)
        self.numbers = 0

    def rows(self, values: list[float], period: float = 10.0, disk: bool = True) -> None:
        for x in values:
            self.clock.advance(period)
            now = utc_text(self.clock.now())
            self.storage.save({"origin": "PUNA", "data": {"timestamp": now, "GCSL1_X": x, "GCSL1_Y": 0.0}})
            if disk:
                self.storage.save(
                    {
                        "origin": "SM",
                        "data": {"timestamp": now, "SM_DISK_FREE": 5_000_000_000 - x, "SM_DISK_PERCENT": 40},
                    }
                )

    def observation(self, run: str, status: str, values: list[float], reason: str = "why") -> None:
        self.cm.start_observation(run, 'acquire(n="3")', "a <test>", True, 0.0, {})
        begun = self.clock.now()
        self.rows(values)
        events = [
            {"t": begun, "event": "start", "block": "n_cam_acquire", "call": 1, "pid": 1},
            {"t": self.clock.now(), "event": "end" if status == "done" else "failed", "call": 1, "pid": 1},
        ]
        self.storage.append_events(run, 0, events)
        if status:
            self.cm.end_observation(run, status, reason)

    def alarm(self, event: str, name: str = "GCSL1_X", **fields: object) -> None:
        self.numbers += 1
        self.journal.write(
            [AlarmEvent(number=self.numbers, time=self.clock.now(), name=name, event=event, **fields)]  # type: ignore[arg-type]
        )

    def command(self, number: int, server: str, command: str, end: EndRecord | None) -> None:
        folder = self.site / "journal" / server
        folder.mkdir(parents=True, exist_ok=True)
        source = JournalSource(server, "life-1", "operations")
        context = CommandContext(origin="ann@lab:1", obsid="CSL1_00084_00001", block="n_cam_acquire")
        begin = BeginRecord(f"c{number}", self.clock.now(), source, command, {}, context)
        with (folder / f"{DAY}.journal").open("ab") as file:
            for record in (begin, end):
                if record is not None:
                    data = msgspec.json.encode(record)
                    file.write(b"%08x %b\n" % (crc32(data), data))

    def close(self) -> None:
        self.journal.close()
        self.cm.close()
        self.storage.close()


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


@pytest.fixture
def site(history: History) -> Path:
    """A day: 10 min of rows, a gap of 5 min without PUNA, an alarm that was dealt with and one that is open."""
    history.observation("r1", "done", [1.0] * 10)
    history.alarm(
        "raised", priority="alarm", value=31.0, unit="mm", limit="above 30 (alarm)", obsid="CSL1_00084_00001"
    )
    history.observation("r2", "failed", [25.0] * 10 + [31.0] * 2, reason="the hexapod is <stuck>")
    history.alarm("acknowledged", by="ann", comment="on it")
    history.alarm("reaction", by="fdir_cs", comment="hexapod stopped")
    history.clock.advance(300.0)
    history.rows([2.0] * 6)
    history.alarm("cleared")
    history.alarm("raised", name="dpu_cs/gone", priority="critical", limit="gone")
    history.command(1, "dpu_cs", "n_fee_set_on_mode", EndRecord("c1", history.clock.now(), "done"))
    history.command(
        2, "dpu_cs", "n_fee_dump", EndRecord("c2", history.clock.now(), "failed", "ValueError: no")
    )
    history.command(3, "dpu_cs", "n_fee_dump", None)
    history.observation("r3", "", [2.0] * 3)
    history.close()
    return history.site
