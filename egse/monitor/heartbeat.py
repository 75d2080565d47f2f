"""The sign of life of the limit monitor, and the dead man who calls when it stays away.

The monitor writes `<data>/<SITE>/alarms/heartbeat.json` once a second, from the very thread that judges: one that hangs is as
good as dead. Whoever is alive can look at it: the watchdog of observations does (`wd_cs`), and `cgse alarm deadman`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from egse.files import write_atomically
from egse.monitor.alarms import AlarmEvent

LOGGER = logging.getLogger(__name__)

FILE = "heartbeat.json"
PERIOD = 1.0
"""How often the monitor gives a sign of life [s]."""
PATIENCE = 10.0
"""A monitor that gave none for so long is gone [s]."""
NAME = "mon_cs/gone"
"""Name of the alarm."""


class HeartbeatError(Exception):
    """The last sign of life cannot be read."""


class NoHeartbeatError(HeartbeatError):
    """There is no file with a sign of life."""


class Heartbeat(msgspec.Struct, frozen=True):
    """The last sign of life.

    Attributes:
        time: Unix time [s].
        pid: process id of the monitor.
        incarnation: which life of it.
        ended: it has ended because it was asked to.
        servers: names of the servers that it watches and that nobody else would know of.
        restarts: how often each program had been restarted, by name.
    """

    time: float
    pid: int
    incarnation: str
    ended: bool = False
    servers: tuple[str, ...] = ()
    restarts: dict[str, int] = {}


def write_heartbeat(
    folder: Path,
    now: float,
    incarnation: str,
    servers: Sequence[str] = (),
    restarts: Mapping[str, int] | None = None,
    *,
    ended: bool = False,
) -> None:
    """Gives a sign of life; when that is not possible, the dead man may well call."""
    beat = Heartbeat(now, os.getpid(), incarnation, ended, tuple(servers), dict(restarts or {}))
    try:
        write_atomically(folder / FILE, msgspec.json.encode(beat), 0o600, durable=False)
    except OSError as exc:
        LOGGER.debug("no sign of life: %s", exc)


def read_heartbeat(folder: Path) -> Heartbeat | None:
    """Returns the last sign of life, None when there is none that can be read."""
    try:
        return load_heartbeat(folder)
    except HeartbeatError:
        return None


def load_heartbeat(folder: Path) -> Heartbeat:
    """Returns the last sign of life.

    Raises:
        NoHeartbeatError: when there is no such file.
        HeartbeatError: when the file is damaged or cannot be read.
    """
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Heartbeat)
    except FileNotFoundError as exc:
        raise NoHeartbeatError(f"no sign of life can be read at {path}: {exc.strerror}") from exc
    except OSError as exc:
        raise HeartbeatError(f"no sign of life can be read at {path}: {exc.strerror}") from exc
    except msgspec.MsgspecError as exc:
        raise HeartbeatError(f"no sign of life can be read at {path}: it is damaged, {exc}") from exc


class DeadMan:
    """Looks whether the monitor is alive, and calls when it is not.

    A sign of life that cannot be read is none. Only where nobody has seen one and no file is, nothing is expected.

    Args:
        folder: `<data>/<SITE>/alarms`.
        call: tells people; the same routes as the monitor's.
        patience: how long no sign of life is fine [s].
        by: who looks, for people.

    Attributes:
        gone: the monitor is gone.
        trouble: why no sign of life could be read the last time; empty when one could.
    """

    def __init__(
        self,
        folder: Path,
        call: Callable[[Sequence[AlarmEvent]], None],
        patience: float = PATIENCE,
        by: str = "",
    ) -> None:
        self.gone = False
        self.trouble = ""
        self._folder = folder
        self._call = call
        self._patience = patience
        self._by = by
        self._last: Heartbeat | None = None
        self._since: float | None = None  # when the last sign of life came; None while none is expected

    def look(self, now: float, monotonic: float) -> bool:
        """Looks once; returns whether the monitor is as it should be: alive, ended on request, or never there.

        Args:
            now: Unix time [s].
            monotonic: of a clock that never steps; the age of a sign of life is told by it [s].
        """
        try:
            self._take(load_heartbeat(self._folder), now, monotonic)
        except HeartbeatError as exc:
            self.trouble = str(exc)
            if self._since is None and not isinstance(exc, NoHeartbeatError):
                self._since = monotonic
        else:
            self.trouble = ""
        self._tell(self._since is not None and monotonic - self._since > self._patience, now)
        return not self.gone

    def _take(self, beat: Heartbeat, now: float, monotonic: float) -> None:
        """Takes notice of a sign of life; one that was seen before is none."""
        if beat.ended:
            self._since = None
        elif self._last is None or self._last.ended:
            self._since = monotonic - min(max(0.0, now - beat.time), 2 * self._patience)
        elif beat != self._last:
            self._since = monotonic
        self._last = beat

    def _tell(self, gone: bool, now: float) -> None:
        if gone == self.gone:
            return
        self.gone = gone
        process = f"process {self._last.pid}" if self._last else "process unknown"
        cause = f"the limit monitor ({process}) has died or hangs: nobody watches the limits"
        if self.trouble:
            cause = f"{self.trouble}; the disk or the limit monitor ({process}) is gone: maybe nobody watches the limits"
        event = AlarmEvent(
            number=0,
            time=now,
            name=NAME,
            event="raised" if gone else "cleared",
            priority="critical",
            value="gone" if gone else "running",
            limit=f"no sign of life for {self._patience:g} s",
            cause=cause,
            action="start it: `cgse core start`; look why: `cgse log show`",
            by=self._by,
            source="mon_cs",
            active=gone,
        )
        LOGGER.critical("%s: %s", NAME, event.cause if gone else "the limit monitor is there again")
        self._call([event])
