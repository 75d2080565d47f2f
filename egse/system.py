"""Dates and times, the host, and small helpers that everything else uses.

All times are UTC. `python -m egse.system` shows the operating system, Python, the host and the state of its clock.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from egse.advice import missing_key_message
from egse.tree import format_tree

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%f%z"
"""Reads what `format_datetime()` writes, for `datetime.strptime` (manual ch. 12.1)."""

_DAYS = {"day before yesterday": -2, "yesterday": -1, "today": 0, "tomorrow": 1}


def format_datetime(
    dt: str | date | None = None, fmt: str | None = None, width: int = 6, precision: int = 3
) -> str:
    """Writes a moment as text, in UTC (manual ch. 12.1).

    `format_datetime()` gives the timestamp of housekeeping files, `'2022-06-01T07:47:25.672+0000'`;
    `format_datetime('yesterday')` gives a date, `'20220531'`.

    Args:
        dt: now when None; a datetime (converted to UTC, without a time zone taken for UTC) or a date; or one of the
            words 'today', 'yesterday', 'tomorrow', 'day before yesterday', which stand for that day in UTC.
        fmt: a format of `datetime.strftime`; by default the timestamp above, and `%Y%m%d` for a word.
        width: at most this many digits for the fraction of the second.
        precision: digits of the fraction of the second, 3 (milliseconds) to 6; cut off, never rounded up.

    Raises:
        ValueError: for a word that is not known or a number of digits outside 1 to 6.
    """
    if isinstance(dt, str):
        if (days := _DAYS.get(dt.strip().lower())) is None:
            raise ValueError(f"unknown date {dt!r}, expected one of: {', '.join(map(repr, _DAYS))}")
        return (datetime.now(UTC) + timedelta(days=days)).strftime(fmt or "%Y%m%d")
    moment = _utc(datetime.now(UTC) if dt is None else dt)
    if fmt:
        return moment.strftime(fmt)
    digits = min(width, precision)
    if not 1 <= digits <= 6:
        raise ValueError(f"the fraction of a second is written with 1 to 6 digits, not {digits}")
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}"[: 20 + digits] + "+0000"


def str_to_datetime(text: str) -> datetime:
    """Reads a moment: what `format_datetime()` wrote, and ISO 8601 in general.

    Args:
        text: `2022-06-01T07:47:25.672+0000`, `2022-06-01 07:47:25`, `2022-06-01T07:47:25Z`, `20220601`; without a time
            zone it is taken for UTC.

    Returns:
        A datetime in UTC.

    Raises:
        ValueError: when the text is no date.
    """
    text = text.strip()
    try:
        return _utc(datetime.fromisoformat(text))
    except ValueError as exc:
        raise ValueError(f"no date and time: {text!r}, expected as in 2022-06-01T07:47:25.672+0000") from exc


parse_datetime = str_to_datetime
"""The name that manual ch. 12.1 announces."""


def unix_time(text_or_datetime: str | datetime) -> float:
    """Converts a moment to Unix time [s], as metrics and `Clock.now()` use it."""
    if isinstance(text_or_datetime, str):
        return str_to_datetime(text_or_datetime).timestamp()
    return _utc(text_or_datetime).timestamp()


def from_unix_time(seconds: float) -> datetime:
    """Converts Unix time [s] to a datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


EPOCH_1958 = -378_691_200
"""Unix time of 1958-01-01T00:00:00 UTC, from which FITS files of this field count absolute times [s]."""


def time_since_epoch_1958(text_or_datetime: str | datetime) -> float:
    """Converts a moment to the absolute time of FITS files: seconds since 1958, leap seconds not counted."""
    return unix_time(text_or_datetime) - EPOCH_1958


def from_epoch_1958(seconds: float) -> datetime:
    """Converts the absolute time of FITS files [s] to a datetime in UTC."""
    return from_unix_time(seconds + EPOCH_1958)


def _utc(moment: date) -> datetime:
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class MissingKeyError(KeyError):
    """A key that is not there; the message is readable (a plain `KeyError` shows its `repr`)."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class AttributeDict(dict[str, Any]):
    """A dictionary whose keys can be read and set with a dot as well; nested mappings become AttributeDicts.

    Names of dictionary methods (`keys`, `items`, `get` ...) stay methods: such a key is reached with brackets.

    Args:
        head: the content.
        label: what it is called in errors and as the root of the printed tree.
    """

    def __init__(self, head: Mapping[str, Any] | None = None, label: str = "AttributeDict") -> None:
        super().__init__()
        object.__setattr__(self, "_label", label)
        for key, value in (head or {}).items():
            self[key] = value

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, Mapping) and not isinstance(value, AttributeDict):
            value = AttributeDict(value, label=f"{self._label}.{key}")
        super().__setitem__(key, value)

    def __missing__(self, key: str) -> Any:
        raise MissingKeyError(missing_key_message(self._label, key, self))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as exc:
            raise AttributeError(str(exc)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            raise AttributeError(f"{name!r} is a method of {type(self).__name__}: use [{name!r}]")
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(missing_key_message(self._label, name, self))
        del self[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(key for key in self if key.isidentifier())]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __str__(self) -> str:
        return format_tree(type(self).__name__, self)


attrdict = AttributeDict


def get_host_name() -> str:
    """Returns the name of this machine, without its domain."""
    return socket.gethostname().split(".")[0]


def get_host_ip() -> str:
    """Returns the IPv4 address this machine uses towards others, `127.0.0.1` when it has no network.

    No packet is sent: connecting a UDP socket only asks the routing table.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 of RFC 5737: never a real host
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def raise_open_files_limit(wanted: int = 4096) -> int:
    """Raises the soft limit of open files of this process, as manual ch. 26.7 does with `ulimit -n 4096`.

    Args:
        wanted: the number of open files needed; a higher limit is left as it is, and the hard limit is respected.

    Returns:
        The soft limit now in force.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= target:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError):  # macOS refuses more than its own maximum
        return soft
    return target


def os_description() -> str:
    """Returns the operating system with its version, e.g. `Debian GNU/Linux 12 (bookworm), Linux 6.1.0, x86_64`."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = f"macOS {platform.mac_ver()[0]}" if sys.platform == "darwin" else ""
    return ", ".join(
        part for part in (name, f"{platform.system()} {platform.release()}", platform.machine()) if part
    )


def describe_system() -> dict[str, str]:
    """Returns what `python -m egse.system` shows: operating system, Python, host, processors, clock."""
    from egse.timesync import clock_state  # brings what starts programs; few ask

    return {
        "OS": os_description(),
        "Python": f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
        "Host": f"{get_host_name()} ({get_host_ip()})",
        "Processors": str(os.cpu_count()),
        "UTC": format_datetime(),
        "Clock": str(clock_state()),
    }


def _main() -> None:
    for name, value in describe_system().items():
        sys.stdout.write(f"{name:<12s}{value}\n")


if __name__ == "__main__":
    _main()
