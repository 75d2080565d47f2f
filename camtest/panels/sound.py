"""The sound of alarms in the browser: off until somebody in front of it wants to hear them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import anywidget
import traitlets

from camtest.panels.board import static
from egse.monitor.alarms import PRIORITIES

REPEAT = 30.0
"""An alarm or a critical one that nobody acknowledges is heard again after so long [s]."""


def waiting_priority(alarms: Iterable[Mapping[str, Any]]) -> str:
    """Returns the worst priority of the active alarms that are neither acknowledged nor shelved; empty without any."""
    waiting = (
        alarm["priority"]
        for alarm in alarms
        if alarm["active"] and not alarm.get("acknowledged") and not alarm.get("shelved_until")
    )
    return max(waiting, key=PRIORITIES.index, default="")


class AlarmSound(anywidget.AnyWidget):
    """A button that switches the sound on and off in this browser, which remembers it.

    One tone for a warning, two for an alarm, three for a critical one; again every `REPEAT` seconds for the latter two until
    they are acknowledged, shelved or gone.
    """

    _esm = static("sound.js")
    calls = traitlets.Int(0).tag(sync=True)
    waiting = traitlets.Unicode("").tag(sync=True)
    repeat = traitlets.Float(REPEAT).tag(sync=True)

    def show(self, calls: int, alarms: Iterable[Mapping[str, Any]]) -> None:
        """Tells the browser.

        Args:
            calls: how many alarms were raised or got worse so far, but for shelved ones; each new one is heard.
            alarms: as the limit monitor lists them.
        """
        with self.hold_sync():
            self.waiting = waiting_priority(alarms)
            self.calls = calls
