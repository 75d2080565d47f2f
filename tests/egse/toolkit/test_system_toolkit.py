from __future__ import annotations

import copy
import re
import resource
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from egse.system import (
    TIME_FORMAT,
    AttributeDict,
    attrdict,
    format_datetime,
    from_epoch_1958,
    from_unix_time,
    get_host_ip,
    get_host_name,
    parse_datetime,
    raise_open_files_limit,
    str_to_datetime,
    time_since_epoch_1958,
    unix_time,
)
from egse.timesync import ClockState, clock_state

MOMENT = datetime(2022, 6, 1, 7, 47, 25, 672999, tzinfo=UTC)


def test_manual_examples_of_dates() -> None:
    assert format_datetime(MOMENT) == "2022-06-01T07:47:25.672+0000"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", format_datetime())
    read = datetime.strptime(format_datetime(MOMENT), "%Y-%m-%dT%H:%M:%S.%f%z")
    assert read == MOMENT.replace(microsecond=672000)
    today = datetime.now(UTC)
    assert format_datetime("yesterday") == f"{today - timedelta(days=1):%Y%m%d}"
    assert format_datetime("yesterday", fmt="%d/%m/%Y") == f"{today - timedelta(days=1):%d/%m/%Y}"
    assert format_datetime("today") == f"{today:%Y%m%d}"
    assert format_datetime("tomorrow") == f"{today + timedelta(days=1):%Y%m%d}"
    assert format_datetime("day before yesterday") == f"{today - timedelta(days=2):%Y%m%d}"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2022, 6, 1, 7, 47, 25), "2022-06-01T07:47:25.000+0000"),
        (
            datetime(2022, 6, 1, 9, 47, 25, tzinfo=timezone(timedelta(hours=2))),
            "2022-06-01T07:47:25.000+0000",
        ),
        (date(2022, 6, 1), "2022-06-01T00:00:00.000+0000"),
    ],
)
def test_format_is_utc(moment: date, text: str) -> None:
    assert format_datetime(moment) == text


def test_format_options() -> None:
    assert format_datetime(MOMENT, precision=6) == "2022-06-01T07:47:25.672999+0000"
    assert format_datetime(MOMENT, width=1) == "2022-06-01T07:47:25.6+0000"
    assert format_datetime(MOMENT, fmt="%H%M%S") == "074725"
    with pytest.raises(ValueError, match="1 to 6"):
        format_datetime(MOMENT, precision=7, width=7)
    with pytest.raises(ValueError, match="unknown date 'noon', expected one of: 'day before yesterday'"):
        format_datetime("noon")


def test_parsing() -> None:
    assert str_to_datetime("2022-06-01T07:47:25.672+0000") == MOMENT.replace(microsecond=672000)
    assert str_to_datetime("2022-06-01 07:47:25") == datetime(2022, 6, 1, 7, 47, 25, tzinfo=UTC)
    assert str_to_datetime("2022-06-01T09:47:25+02:00") == datetime(2022, 6, 1, 7, 47, 25, tzinfo=UTC)
    assert str_to_datetime("20220601") == datetime(2022, 6, 1, tzinfo=UTC)
    assert parse_datetime is str_to_datetime
    assert datetime.strptime("2022-06-01T07:47:25.672+0000", TIME_FORMAT).tzinfo is not None
    assert from_unix_time(unix_time("2022-06-01T07:47:25.672+0000")) == MOMENT.replace(microsecond=672000)
    assert unix_time(datetime(1970, 1, 1)) == 0.0
    with pytest.raises(ValueError, match="no date and time: 'soon'"):
        str_to_datetime("soon")


def test_absolute_time_of_fits_files() -> None:
    assert time_since_epoch_1958("1958-01-01T00:00:00.000+0000") == 0.0
    assert time_since_epoch_1958(datetime(1970, 1, 1, tzinfo=UTC)) == (12 * 365 + 3) * 86_400
    text = "2022-06-01T07:47:25.672+0000"
    assert format_datetime(from_epoch_1958(time_since_epoch_1958(text))) == text


@pytest.mark.parametrize(
    ("word", "days"), [("day before yesterday", -2), ("yesterday", -1), ("today", 0), ("tomorrow", 1)]
)
def test_day_words_with_a_format(word: str, days: int) -> None:
    day = datetime.now(UTC) + timedelta(days=days)
    assert format_datetime(word.upper()) == f"{day:%Y%m%d}"
    assert format_datetime(word, fmt="%d/%m/%Y") == f"{day:%d/%m/%Y}"
    assert format_datetime(word, "%Y-%m-%d") == f"{day:%Y-%m-%d}"


def test_attribute_dict() -> None:
    tree = attrdict({"a": {"b c": 1, "d": 2}, "keys": 3})
    assert tree.a.d == tree["a"]["d"] == tree["a"].d == 2
    tree.a.e = {"f": 4}
    assert tree["a"]["e"].f == 4
    assert tree["keys"] == 3
    assert list(tree.keys()) == ["a", "keys"]
    assert "d" in dir(tree.a)
    assert "b c" in tree.a._ipython_key_completions_()
    with pytest.raises(
        AttributeError, match=r"no key 'dd' in AttributeDict\.a, did you mean 'd'\? \(keys: b c, d, e\)"
    ):
        _ = tree.a.dd
    with pytest.raises(KeyError, match="no key 'x'"):
        tree["x"]
    with pytest.raises(AttributeError, match="is a method"):
        tree.items = 3
    del tree.a.d
    assert "d" not in tree.a
    twin = copy.deepcopy(tree)
    twin.a.e.f = 5
    assert tree.a.e.f == 4
    assert isinstance(twin.a, AttributeDict)
    assert str(AttributeDict({"x": {"y": 1}})) == "AttributeDict\n└── x\n    └── y: 1"


def test_host() -> None:
    assert get_host_name()
    assert re.fullmatch(r"[\d.]+", get_host_ip())


def test_open_files_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = min(soft, 512)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
        assert raise_open_files_limit(low + 100) == low + 100
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == low + 100
        assert raise_open_files_limit(10) == low + 100
        assert raise_open_files_limit(hard + 1) == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_clock_state() -> None:
    assert clock_state().synchronised in (True, False, None)
    assert str(ClockState(True, "kernel", 0.0012)) == "synchronised, error below 0.001 s (kernel)"
    assert str(ClockState(False, "timedatectl")) == "NOT synchronised (timedatectl)"


def test_info_modules_run() -> None:
    out = subprocess.run(
        [sys.executable, "-m", "egse.system"], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[0] for line in out.splitlines()] == [
        "OS",
        "Python",
        "Host",
        "Processors",
        "UTC",
        "Clock",
    ]
    out = subprocess.run([sys.executable, "-m", "egse"], capture_output=True, text=True, check=True).stdout
    assert "export SITE_ID=CSL1" in out
    assert "PLATO_DATA_STORAGE_LOCATION: (not set)" in out
