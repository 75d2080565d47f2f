"""The banner above every panel: the alarms of the site that are active, when there are any."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets as widgets
import msgspec

from camtest.panels.static_form import Section
from camtest.panels.threads import Subscription, weak
from egse.monitor.interface import SETTINGS
from egse.proxy import endpoint_from_settings

NAMED = 3
"""So many alarms are named."""
SILENCE = 10.0
"""A limit monitor that was heard, and is silent for so long, is told to be gone [s]."""
COLOURS = {"critical": "#922b21", "alarm": "#c0392b", "warning": "#b9770e"}


def summary(alarms: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Returns the worst priority of the active alarms, and a line on them; both empty when there are none.

    Args:
        alarms: as the limit monitor lists them, the most urgent first.
    """
    active = [alarm for alarm in alarms if alarm["active"] and not alarm["shelved_until"]]
    if not active:
        return "", ""
    named = "; ".join(f"{alarm['name']} {alarm['limit']}".strip() for alarm in active[:NAMED])
    more = f" and {len(active) - NAMED} more" if len(active) > NAMED else ""
    open_ones = sum(not alarm["acknowledged"] for alarm in active)
    count = f"{len(active)} alarm{'s' * (len(active) > 1)}" + (
        f" ({open_ones} not acknowledged)" if open_ones else ""
    )
    return str(active[0]["priority"]), f"{count}: {named}{more}"


class Banner:
    """What the limit monitor says, in one line.

    Attributes:
        widget: the line; without height when there is nothing to say.
        alarms: the alarms as they were heard last.
    """

    def __init__(self) -> None:
        self.widget = widgets.HTML()
        self.alarms: list[dict[str, Any]] = []
        self._heard = 0.0

    def subscription(self) -> Subscription:
        """Returns what is to be listened to; a site without a limit monitor has no banner."""
        return Subscription(
            lambda: endpoint_from_settings(SETTINGS, "MONITORING_PORT"),
            (b"status",),
            weak(self.receive),
            often=False,
        )

    def receive(self, frames: list[bytes]) -> None:
        """Takes the status of the limit monitor."""
        if len(frames) == 2 and frames[0] == b"status":
            self._heard = time.monotonic()
            self.alarms = msgspec.msgpack.decode(frames[1]).get("alarms") or []

    def text(self) -> tuple[str, str]:
        """Returns priority and text of the banner; both empty when there is nothing to say."""
        if self._heard and time.monotonic() - self._heard > SILENCE:
            return "critical", "the limit monitor (mon_cs) is not heard any more: nobody watches the limits"
        return summary(self.alarms)

    def show(self) -> None:
        """Repaints, when something has changed."""
        priority, text = self.text()
        value = (
            f'<div role="alert" data-alarm="{priority}" style="background:{COLOURS[priority]};color:#fff;'
            f'padding:0.2em 0.8em;border-radius:3px"><b>{priority.upper()}</b> {escape(text)}</div>'
            if text
            else ""
        )
        if self.widget.value != value:
            self.widget.value = value

    def sections(self) -> list[Section]:
        """Returns the banner for the static form; nothing when there is nothing to say."""
        priority, text = self.text()
        state = "warn" if priority == "warning" else "bad"
        return [Section("Alarms", ((priority, text, "", state),))] if text else []
