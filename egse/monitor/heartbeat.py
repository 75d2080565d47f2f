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
    """Returns the last sign of life, None when there never was one."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Heartbeat)
    except (OSError, msgspec.MsgspecError):
        return None


class DeadMan:
    """Looks whether the monitor is alive, and calls when it is not.

    Args:
        folder: `<data>/<SITE>/alarms`.
        call: tells people; the same routes as the monitor's.
        patience: how long no sign of life is fine [s].
        by: who looks, for people.
    """

    def __init__(
        self,
        folder: Path,
        call: Callable[[Sequence[AlarmEvent]], None],
        patience: float = PATIENCE,
        by: str = "",
    ) -> None:
        self.gone = False
        self._folder = folder
        self._call = call
        self._patience = patience
        self._by = by
        self._last: Heartbeat | None = None
        self._since = 0.0

    def look(self, now: float, monotonic: float) -> bool:
        """Looks once; returns whether the monitor is as it should be: alive, ended on request, or never there.

        Args:
            now: Unix time [s].
            monotonic: of a clock that never steps; the age of a sign of life is told by it [s].
        """
        beat = read_heartbeat(self._folder)
        if beat is None or beat.ended:
            self._last = None
            self._tell(False, now, beat)
            return True
        if self._last is None:
            self._since = monotonic - min(max(0.0, now - beat.time), 2 * self._patience)
        elif beat != self._last:
            self._since = monotonic
        self._last = beat
        self._tell(monotonic - self._since > self._patience, now, beat)
        return not self.gone

    def _tell(self, gone: bool, now: float, beat: Heartbeat | None) -> None:
        if gone == self.gone:
            return
        self.gone = gone
        event = AlarmEvent(
            number=0,
            time=now,
            name=NAME,
            event="raised" if gone else "cleared",
            priority="critical",
            value="gone" if gone else "running",
            limit=f"no sign of life for {self._patience:g} s",
            cause=f"the limit monitor (process {beat.pid if beat else 'unknown'}) has died or hangs: nobody watches the limits",
            action="start it: `cgse core start`; look why: `cgse log show`",
            by=self._by,
            source="mon_cs",
        )
        LOGGER.critical("%s: %s", NAME, event.cause if gone else "the limit monitor is there again")
        self._call([event])
