"""What becomes a metric: names, numbers, texts, times, and what is too old to be told."""

from __future__ import annotations

import enum
from datetime import UTC, datetime

import numpy as np
import pytest

from egse.metrics.book import MetricsBook
from egse.metrics.figures import Figure, leaves, metric_name, number_of, seconds_of, text_of
from egse.metrics.parameters import Descriptions
from egse.ogse import OGSEInterface
from egse.tmdict import TMDictionary
from egse.tmdict.parameter import Parameter

TIME = "2026-11-26T05:00:00.500+0000"
SECONDS = 1795669200.5

DICTIONARY = TMDictionary(
    [
        Parameter("GOGSE_ATT_LVL", "OGSE", description="Attenuation", unit="Percent"),
        Parameter("GOGSE_RAW", "OGSE", description="Raw", unit="Volts", slope=2.0, offset=1.0),
        Parameter("GOGSE_LATE", "OGSE", description="Late", timestamp="GOGSE_LATE_AT"),
        Parameter("GSYN_X", "SYN-HK", description="Synoptic"),
        Parameter("GCSL1_TEMP_A", "LSCI", description="Input A", unit="Kelvin"),
    ]
)


class Clock:
    """Both clocks of a book, stepped by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> float:
        return 1000.0 + self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_book(clock: Clock, timestamps: str = "housekeeping", stale_after: float = 0.0) -> MetricsBook:
    return MetricsBook(lambda: 1.0, timestamps, stale_after, clock.monotonic, clock.now)


def told(book: MetricsBook) -> dict[str, Figure]:
    found = list(book.figures(Descriptions(OGSEInterface, "OGSE", DICTIONARY)))
    assert len({figure.name for figure in found}) == len(found)
    return {figure.name: figure for figure in found}


def value(figures: dict[str, Figure], name: str) -> float:
    ((_, number),) = figures[name].samples
    return number


def test_a_row_is_told_with_what_the_dictionary_says(clock: Clock) -> None:
    book = make_book(clock)
    row = {
        "timestamp": TIME,
        "GOGSE_ATT_LVL": 40,
        "GOGSE_RAW": 3.0,
        "GOGSE_ON": True,
        "GOGSE_NAN": float("nan"),
    }
    book.note("housekeeping", {**row, "GOGSE_TEXT": "busy", "GOGSE_NONE": None, "GOGSE_LATE": 1, "x-1 y": 5})
    figures = told(book)
    assert figures["GOGSE_ATT_LVL"] == Figure.of("GOGSE_ATT_LVL", "Attenuation [Percent]", 40.0)
    assert value(figures, "GOGSE_RAW") == 7.0  # calibrated: the unit is that of calibrated values
    assert value(figures, "GOGSE_ON") == 1.0
    assert figures["GOGSE_TEXT_info"].samples == (({"value": "busy"}, 1.0),)
    assert value(figures, "x_1_y") == 5.0
    assert not {"GOGSE_NAN", "GOGSE_NONE", "timestamp", "GOGSE_NAN_ts"} & set(figures)
    assert "not in the TM dictionary" in figures["GOGSE_ON"].help


def test_a_value_that_the_dictionary_does_not_know_is_described_by_the_interface(clock: Clock) -> None:
    book = make_book(clock)
    book.note("housekeeping", {"GOGSE_POWER": 1.0})
    assert told(book)["GOGSE_POWER"].help.startswith("Returns")


@pytest.mark.parametrize(
    ("timestamps", "expected"), [("housekeeping", SECONDS), ("server", 1002.0), ("prometheus", None)]
)
def test_the_three_origins_of_times(clock: Clock, timestamps: str, expected: float | None) -> None:
    book = make_book(clock, timestamps)
    clock.seconds = 2.0
    book.note("housekeeping", {"timestamp": TIME, "GOGSE_ATT_LVL": 40})
    figures = told(book)
    if expected is None:
        assert "GOGSE_ATT_LVL_ts" not in figures
    else:
        assert value(figures, "GOGSE_ATT_LVL_ts") == expected


def test_a_parameter_may_have_a_time_of_its_own(clock: Clock) -> None:
    book = make_book(clock)
    book.note(
        "housekeeping", {"timestamp": TIME, "GOGSE_LATE": 1, "GOGSE_LATE_AT": "2026-11-26T04:59:50.500+0000"}
    )
    assert value(told(book), "GOGSE_LATE_ts") == SECONDS - 10.0


def test_without_a_time_in_the_row_it_is_that_of_the_server(clock: Clock) -> None:
    book = make_book(clock)
    book.note("housekeeping", {"timestamp": "tomorrow", "GOGSE_ATT_LVL": 40})
    assert value(told(book), "GOGSE_ATT_LVL_ts") == 1000.0


def test_a_wrong_origin_of_times_is_refused(clock: Clock) -> None:
    with pytest.raises(ValueError, match="METRICS_TIMESTAMPS is 'device'; use one of housekeeping, server"):
        make_book(clock, "device")


def test_old_values_disappear(clock: Clock) -> None:
    book = make_book(clock)
    book.note("housekeeping", {"GOGSE_ATT_LVL": 40})
    book.note("status", {"name": "ogse_cs", "uptime": 3.0})
    clock.seconds = 4.9
    assert {"GOGSE_ATT_LVL", "egse_server_uptime_seconds"} <= set(told(book))
    book.note("status", {"name": "ogse_cs", "uptime": 8.0})
    clock.seconds = 5.1
    figures = told(book)
    assert "egse_server_uptime_seconds" in figures
    assert not {"GOGSE_ATT_LVL", "GOGSE_ATT_LVL_ts", "egse_server_housekeeping_timestamp_seconds"} & set(
        figures
    )


def test_a_slow_rhythm_is_learnt(clock: Clock) -> None:
    book = make_book(clock)
    for seconds in (0.0, 20.0):
        clock.seconds = seconds
        book.note("housekeeping", {"GOGSE_ATT_LVL": 40})
    clock.seconds = 79.0
    assert "GOGSE_ATT_LVL" in told(book)
    clock.seconds = 81.0
    assert "GOGSE_ATT_LVL" not in told(book)


def test_the_settings_may_say_how_old_is_too_old(clock: Clock) -> None:
    book = make_book(clock, stale_after=100.0)
    book.note("housekeeping", {"GOGSE_ATT_LVL": 40})
    clock.seconds = 99.0
    assert "GOGSE_ATT_LVL" in told(book)
    clock.seconds = 101.0
    assert "GOGSE_ATT_LVL" not in told(book)


def test_rows_of_two_kinds_live_side_by_side_and_the_newest_value_counts(clock: Clock) -> None:
    book = make_book(clock)
    book.note("housekeeping", {"A": 1, "B": 1})
    clock.seconds = 3.0
    book.note("housekeeping", {"B": 2, "C": 2})
    assert [value(told(book), name) for name in "ABC"] == [1.0, 2.0, 2.0]
    clock.seconds = 6.0
    assert {"B", "C"} <= set(told(book))
    assert "A" not in told(book)


def test_other_topics_and_things_that_are_no_rows_are_not_told(clock: Clock) -> None:
    book = make_book(clock)
    book.note("new_setup", {"setup_id": 3})
    book.note("housekeeping", [1, 2])
    assert told(book) == {}


def test_the_status_gives_the_figures_of_the_server_and_named_values(clock: Clock) -> None:
    book = make_book(clock)
    book.note(
        "status",
        {
            "name": "syn_cs",
            "title": "Synoptics",
            "pid": 12,
            "uptime": 3.0,
            "counters": {"commands": 4, "failures": 1},
            "housekeeping": {"period": 1.0, "rows": 7, "missed": 0},
            "device_connected": None,
            "synoptics": {"GSYN_X": 4.5, "GSYN_Y": None},
            "queue": {"waiting": 2, "worker_pid": 1, "names": ["a"]},
        },
    )
    figures = told(book)
    assert value(figures, "GSYN_X") == 4.5
    assert figures["egse_server_requests_total"].samples == (
        ({"outcome": "executed"}, 4.0),
        ({"outcome": "failed"}, 1.0),
    )
    assert figures["egse_server_requests_total"].kind == "counter"
    assert value(figures, "egse_server_housekeeping_rows_total") == 7.0
    assert "egse_server_device_connected" not in figures
    assert figures["egse_server_status"].samples == (({"figure": "queue.waiting"}, 2.0),)
    ((labels, memory),) = figures["egse_server_process_resident_memory_bytes"].samples
    assert labels == {"process": "worker"}
    assert memory > 0


def test_a_site_without_rows_of_its_own_is_described_by_those_of_another(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_ID", "LAB")
    book = make_book(clock)
    book.note("housekeeping", {"GLAB_TEMP_A": 293.0})
    assert told(book)["GLAB_TEMP_A"].help == "Input A [Kelvin]"


class _Mode(enum.Enum):
    SAFE = "s"


class _Range(enum.IntEnum):
    LOW = 1


def test_numbers_texts_and_times() -> None:
    moment = datetime(2026, 11, 26, 5, 0, 0, 500_000, tzinfo=UTC)
    numbers = (True, 3, 2.5, np.float32(0.5), np.bool_(True), np.int64(4), _Range.LOW, moment)
    assert [number_of(value) for value in numbers] == [1.0, 3.0, 2.5, 0.5, 1.0, 4.0, 1.0, SECONDS]
    assert [number_of(value) for value in ("1", None, b"1", [1], np.zeros(2), float("nan"))] == [None] * 6
    assert number_of(float("inf")) == float("inf")
    assert [text_of(value) for value in ("busy", _Mode.SAFE, 3, None)] == ["busy", "SAFE", "", ""]
    assert [seconds_of(value) for value in (TIME, moment, "soon", 3)] == [SECONDS, SECONDS, None, None]
    assert len(text_of("x" * 1000)) == 200


def test_names_and_leaves() -> None:
    assert [metric_name(name) for name in ("A_b9", "a.b-c d", "9a", "")] == ["A_b9", "a_b_c_d", "_9a", "_"]
    assert list(leaves({"a": {"b": 1, "l": [1]}, 2: "t"})) == [("a.b", "b", 1), ("2", "2", "t")]
