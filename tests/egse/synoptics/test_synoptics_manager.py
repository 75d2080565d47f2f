"""The synoptics manager without processes: translation, staleness, storage that is away, garbage, new Setups."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from egse.clock import VirtualClock
from egse.event import EVENT_ID, Event
from egse.proxy import OutcomeUnknownError
from egse.setup import Setup
from egse.storage.naming import utc_text
from egse.synoptics import SynopticsError, SynopticsForwarder
from egse.synoptics.controller import SynopticsManagerController
from egse.tmdict import template_dictionary

LIMIT = 60.0


class Rows:
    """Stands for the store: keeps the rows."""

    waiting = 0

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def save(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    def flush(self, timeout: float) -> bool:
        return True


class Bench:
    """A synoptics manager on a virtual clock."""

    def __init__(self, site_id: str = "SRON", setup: Setup | None = None) -> None:
        self.clock = VirtualClock()
        self.written = Rows()
        self.tasks: list[Callable[[], Any]] = []
        server = SimpleNamespace(schedule_task=self.tasks.append)
        self.manager = SynopticsManagerController(
            site_id,
            self.written,  # type: ignore[arg-type]
            server,  # type: ignore[arg-type]
            stale_after=10.0,
            clock=self.clock,
        )
        self.load(setup if setup is not None else Setup.from_dict({"camera": {"ID": "achel"}}))

    def load(self, setup: Setup | None) -> None:
        self.manager.loaded_setup.setup = setup

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.written.rows

    def values(self) -> dict[str, Any]:
        return {name: value for name, value in self.manager.get_synoptics().items() if value is not None}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def own_setup(folder: Path, *rows: str) -> Setup:
    header = (
        "Storage mnemonic;CAM EGSE mnemonic;Original name in EGSE;Origin of synoptics at SRON;unit cal1;"
        "slope a cal1;offset b cal1"
    )
    (folder / "tm.csv").write_text("\n".join([header, *rows]) + "\n")
    return Setup.from_yaml_string(
        f'Setup:\n  telemetry:\n    dictionary: pandas//{folder}/tm.csv\n    separator: ";"\n'
    )


def test_common_and_site_housekeeping_become_one_row(bench: Bench) -> None:
    assert (
        bench.manager.store_common_synoptics({"FOV_ACT_THETA": 12.5, "FOV_ACT_PHI": -30, "timestamp": ""})
        == 2
    )
    bench.clock.advance(1.0)
    assert bench.manager.store_th_synoptics({"GSRON_LSCI336_TEMPA": 293.15, "GOGSE_LDLS_LAMP": True}) == 2
    first, second = bench.rows
    assert list(first) == ["timestamp", *(row.synoptic_name for row in template_dictionary().synoptics)]
    assert first["timestamp"] == utc_text(VirtualClock.START)
    assert (first["GSYN_ACT_THETA"], first["GSYN_ACT_PHI"], first["GSYN_TRP1"]) == (12.5, -30, None)
    assert second["GSYN_ACT_THETA"] == 12.5
    assert second["GSYN_TRP1"] == 20.0  # Kelvin in the instrument, degrees Celsius in the synoptics
    assert second["GSYN_OGSE_LAMP"] is True
    assert second["GSYN_TRP2"] is None  # never seen, never invented


def test_every_synoptic_of_the_dictionary_can_be_stored() -> None:
    for site in ("CSL1", "CSL2", "SRON", "IAS", "INTA", "LAB"):
        bench, dictionary = Bench(site), template_dictionary()
        common = {name: float(number) for number, name in enumerate(dictionary.common_synoptics())}
        names = dictionary.site_synoptics(site)
        site_hk = dict.fromkeys(names, 1.0)
        assert bench.manager.store_common_synoptics(common) == len(common)
        assert bench.manager.store_th_synoptics(site_hk) == len(set(names.values()))
        missing = {name for name, value in bench.rows[-1].items() if value is None}
        assert missing <= {"GSYN_OGSE_SHUTTER", "GSYN_OGSE_POWER_2"}, (site, missing)


def test_values_that_nobody_renews_become_empty(bench: Bench) -> None:
    bench.manager.store_common_synoptics({"FOV_ACT_THETA": 12.5})
    bench.clock.advance(9.0)
    assert bench.values() == {"GSYN_ACT_THETA": 12.5}
    bench.manager.store_th_synoptics({"GOGSE_LDLS_LAMP": False})
    assert bench.rows[-1]["GSYN_ACT_THETA"] == 12.5
    bench.clock.advance(2.0)
    bench.manager.store_th_synoptics({"GOGSE_LDLS_LAMP": False})
    assert bench.rows[-1]["GSYN_ACT_THETA"] is None
    assert bench.rows[-1]["GSYN_OGSE_LAMP"] is False
    assert bench.values() == {"GSYN_OGSE_LAMP": False}


def test_a_device_without_a_valid_reading_has_no_value(bench: Bench) -> None:
    bench.manager.store_th_synoptics({"GSRON_LSCI336_TEMPA": 293.15})
    assert bench.manager.store_th_synoptics({"GSRON_LSCI336_TEMPA": math.nan}) == 1
    assert bench.rows[-1]["GSYN_TRP1"] is None
    bench.manager.store_th_synoptics({"GSRON_LSCI336_TEMPA": None})
    assert bench.values() == {}


def test_of_two_devices_for_one_synoptic_the_one_that_tells_it_goes_on_telling_it() -> None:
    bench = Bench("LAB")
    bench.manager.store_th_synoptics({"GOGSE_ATT_LVL": 0.5})
    for other in (None, 0.1):
        assert bench.manager.store_th_synoptics({"GLAB_FW8SMC4_LVL": other}) == 0
        assert bench.values() == {"GSYN_OGSE_ATTENUATION": 0.5}
    bench.manager.store_th_synoptics({"GOGSE_ATT_LVL": None})
    assert bench.manager.store_th_synoptics({"GLAB_FW8SMC4_LVL": 0.1}) == 1
    assert bench.values() == {"GSYN_OGSE_ATTENUATION": 0.1}


def test_late_values_do_not_replace_younger_ones(bench: Bench) -> None:
    now = bench.clock.now()
    bench.manager.store_common_synoptics({"FOV_ACT_THETA": 2.0})
    old = {"FOV_ACT_THETA": 1.0, "FOV_ACT_PHI": 5.0, "timestamp": utc_text(now - 5.0)}
    assert bench.manager.store_common_synoptics(old) == 1
    assert bench.values() == {"GSYN_ACT_THETA": 2.0, "GSYN_ACT_PHI": 5.0}
    bench.clock.advance(6.0)  # five and six seconds are more than ten
    assert bench.values() == {"GSYN_ACT_THETA": 2.0}
    before = len(bench.rows)
    stale = {"FOV_CMD_THETA": 1.0, "timestamp": utc_text(bench.clock.now() - 11.0)}
    assert bench.manager.store_common_synoptics(stale) == 0
    assert len(bench.rows) == before


def test_unknown_names_are_told_and_the_others_stored(bench: Bench) -> None:
    with pytest.raises(SynopticsError) as caught:
        bench.manager.store_common_synoptics(
            {"FOV_ACT_THETAA": 1.0, "FOV_ACT_PHI": 2.0, "GOGSE_LDLS_LAMP": True}
        )
    text = str(caught.value)
    assert "FOV_ACT_THETAA is no origin of a synoptic, did you mean 'FOV_ACT_THETA'" in text
    assert "GOGSE_LDLS_LAMP is one for store_th_synoptics" in text
    assert str(template_dictionary().where) in text
    assert "1 other value(s) were taken" in text
    assert bench.values() == {"GSYN_ACT_PHI": 2.0}
    with pytest.raises(SynopticsError, match="at SRON: GCSL_DAQ6510_TRP1"):
        bench.manager.store_th_synoptics({"GCSL_DAQ6510_TRP1": 20.0})
    with pytest.raises(SynopticsError, match="and 490 more"):
        bench.manager.store_common_synoptics({f"X{number}": number for number in range(500)})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("cold", "'cold' is no number"),
        (True, "True is no number"),
        ([1, 2], "a list is no single value"),
        ({"a": 1}, "a dict is no single value"),
        (b"\x00", "a bytes is no single value"),
    ],
)
def test_values_that_do_not_fit_are_refused(bench: Bench, value: object, said: str) -> None:
    with pytest.raises(SynopticsError, match=said):
        bench.manager.store_common_synoptics({"FOV_ACT_THETA": value, "FOV_ACT_PHI": 2.0})
    assert bench.values() == {"GSYN_ACT_PHI": 2.0}
    with pytest.raises(SynopticsError, match="a text of 1000 characters"):
        bench.manager.store_th_synoptics({"GOGSE_LDLS_LAMP": "x" * 1000})
    with pytest.raises(SynopticsError, match="7 is no origin"):
        bench.manager.store_common_synoptics({7: 1.0})  # type: ignore[dict-item]


def test_linear_calibration_and_raw_values(tmp_path: Path) -> None:
    setup = own_setup(
        tmp_path,
        "N-FEE-HK;NFEE_CCD1_TS;CCD1_TS;;DegCelsius;0.01;-200",
        "N-FEE-HK;NFEE_CCD2_TS;CCD2_TS;;ADU;;",
        "SYN-HK;GSYN_CCD1;NFEE_CCD1_TS;;DegCelsius;;",
        "SYN-HK;GSYN_CCD2;NFEE_CCD2_TS;;DegCelsius;;",
    )
    bench = Bench(setup=setup)
    assert bench.manager.get_origins() == {"common": ["NFEE_CCD1_TS"], "th": []}
    bench.manager.store_common_synoptics({"NFEE_CCD1_TS": 12_000})
    assert bench.values() == {"GSYN_CCD1": -80.0}


def test_without_a_setup_it_says_so_and_goes_on_with_one(tmp_path: Path) -> None:
    bench = Bench()
    empty = SynopticsManagerController("SRON", bench.written, clock=bench.clock)  # type: ignore[arg-type]
    assert empty.get_synoptics() == {}
    assert empty.get_origins() == {"common": [], "th": []}
    with pytest.raises(SynopticsError, match=r"no Setup is loaded.*cm_cs load-setup ID"):
        empty.store_common_synoptics({"FOV_ACT_THETA": 1.0})
    empty.loaded_setup.setup = Setup.from_dict({"telemetry": {"dictionary": "pandas///nowhere/tm.csv"}})
    with pytest.raises(SynopticsError, match=r"nowhere/tm\.csv"):
        empty.store_common_synoptics({"FOV_ACT_THETA": 1.0})
    assert "nowhere" in empty.problem
    empty.loaded_setup.setup = own_setup(tmp_path, "SYN-HK;GSYN_X;FOV_X;;;;")
    assert empty.store_common_synoptics({"FOV_X": 1.0}) == 1
    assert empty.problem == ""
    assert empty.dictionary == str(tmp_path / "tm.csv")


def test_a_new_setup_is_loaded_in_a_scheduled_task(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int | None] = []
    monkeypatch.setattr(bench.manager.loaded_setup, "fetch", fetched.append)
    bench.manager.handle_event(
        Event(event_id=EVENT_ID.SETUP, context={"event_type": "new_setup", "setup_id": 53}, source="cm_cs")
    )
    assert fetched == []
    (task,) = bench.tasks
    assert isinstance(task, partial)
    task()
    assert fetched == [53]
    bench.manager.handle_event(Event(event_id=EVENT_ID.ALL, context={"event_type": "other"}))
    assert len(bench.tasks) == 1


# -- the forwarder -------------------------------------------------------------------------------------------------------


class Manager:
    """Stands for the proxy of the synoptics manager."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.blocked = threading.Event()
        self.blocked.set()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.called = threading.Semaphore(0)
        self.closed = False

    def _answer(self) -> None:
        self.called.release()
        assert self.blocked.wait(LIMIT)
        if self.error is not None:
            raise self.error

    def get_origins(self) -> dict[str, list[str]]:
        self._answer()
        return {"common": ["A"], "th": ["B"]}

    def store_common_synoptics(self, hk: dict[str, Any]) -> int:
        self._answer()
        self.calls.append(("common", hk))
        return len(hk)

    def store_th_synoptics(self, hk: dict[str, Any]) -> int:
        self._answer()
        self.calls.append(("th", hk))
        return len(hk)

    def disconnect_cs(self) -> None:
        self.closed = True


@pytest.fixture
def forwarding(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SynopticsForwarder, Manager]]:
    monkeypatch.setattr("egse.synoptics.forwarder.RETRY_INTERVAL", 0.02)
    manager = Manager()
    forwarder = SynopticsForwarder("test_cs", capacity=5, proxy=manager)  # type: ignore[arg-type]
    yield forwarder, manager
    manager.blocked.set()
    forwarder.close()


def wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(6000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("condition not met in time")


def test_only_what_is_wanted_is_forwarded(forwarding: tuple[SynopticsForwarder, Manager]) -> None:
    forwarder, manager = forwarding
    forwarder.store_common_synoptics({"A": 1, "X": 2, "timestamp": "t"})
    forwarder.store_th_synoptics({"B": 3, "A": 4, "timestamp": "t"})
    forwarder.store_th_synoptics({"X": 5})
    wait_until(lambda: forwarder.waiting == 0 and forwarder.sent == 2)
    assert manager.calls == [("common", {"A": 1, "timestamp": "t"}), ("th", {"B": 3, "timestamp": "t"})]


def test_a_synoptics_manager_that_hangs_holds_nobody_up(
    forwarding: tuple[SynopticsForwarder, Manager],
) -> None:
    forwarder, manager = forwarding
    manager.blocked.clear()
    forwarder.store_common_synoptics({"A": 0})
    assert manager.called.acquire(timeout=LIMIT)  # the thread hangs in the call now
    for number in range(1, 101):
        forwarder.store_common_synoptics({"A": number})
    assert (forwarder.waiting, forwarder.dropped) == (5, 95)
    manager.blocked.set()
    wait_until(lambda: forwarder.waiting == 0 and forwarder.sent == 6)
    assert [hk["A"] for _, hk in manager.calls] == [0, 96, 97, 98, 99, 100]


@pytest.mark.parametrize("error", [ConnectionError("away"), OutcomeUnknownError("no answer")])
def test_one_that_is_away_is_tried_again(
    forwarding: tuple[SynopticsForwarder, Manager], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    forwarder, manager = forwarding
    manager.error = error
    forwarder.store_common_synoptics({"A": 1})
    for _ in range(3):
        assert manager.called.acquire(timeout=LIMIT)
    manager.error = None
    wait_until(lambda: forwarder.sent == 1)
    assert caplog.text.count("wait or are left out") == 1


@pytest.mark.parametrize("error", [SynopticsError("refused"), RuntimeError("garbage")])
def test_what_is_refused_is_counted_and_the_thread_goes_on(
    forwarding: tuple[SynopticsForwarder, Manager], error: Exception
) -> None:
    forwarder, manager = forwarding
    manager.error = error
    for number in range(3):
        forwarder.store_common_synoptics({"A": number})
    wait_until(lambda: forwarder.refused == 3)
    manager.error = None
    forwarder.store_common_synoptics({"A": 9})
    wait_until(lambda: forwarder.sent == 1)


def test_it_ends_while_the_synoptics_manager_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager()
    manager.error = ConnectionError("away")
    forwarder = SynopticsForwarder("test_cs", proxy=manager)  # type: ignore[arg-type]
    forwarder.store_common_synoptics({"A": 1})
    assert manager.called.acquire(timeout=LIMIT)
    forwarder.close()
    assert manager.closed
    forwarder.store_common_synoptics({"A": 2})  # afterwards: nothing happens
    assert forwarder.waiting <= 1
