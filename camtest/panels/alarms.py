"""The alarm panel: what is wrong, what to do next; acknowledge and shelve; what has happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from html import escape
from typing import Any, ClassVar

import ipywidgets as widgets
import msgspec

from camtest.panels.banner import COLOURS
from camtest.panels.board import BoardState, Lamp
from camtest.panels.panel import Panel, fresh, monitoring_endpoint
from camtest.panels.sound import AlarmSound
from camtest.panels.static_form import Section
from camtest.panels.telemetry import Telemetry
from camtest.panels.threads import Subscription, weak
from egse.monitor import AlarmError, AlarmEvent, LimitMonitorProxy
from egse.monitor.interface import SETTINGS, TOPIC
from egse.system import format_datetime, from_unix_time
from egse.tmdict import TMDictionary

SPANS = {"15 minutes": 900.0, "1 hour": 3600.0, "4 hours": 14_400.0, "1 day": 86_400.0}
"""How long an alarm can be shelved for with one button [s]."""
REMEMBERED = 100
"""So many events are shown."""


def _clock(seconds: float) -> str:
    return format_datetime(from_unix_time(seconds))[:19].replace("T", " ") if seconds else ""


class AlarmPanel(Panel):
    """All alarms of the site; each event is shown as it comes.

    Args:
        proxy: of the limit monitor; one from the Settings by default.
    """

    name: ClassVar[str] = "alarms"

    def __init__(self, proxy: LimitMonitorProxy | None = None) -> None:
        self.telemetry = Telemetry("mon_cs", TMDictionary([]))
        self.monitor = fresh(proxy or LimitMonitorProxy(), 10.0)
        self.alarms: dict[str, dict[str, Any]] = {}
        self.happened: deque[AlarmEvent] = deque(maxlen=REMEMBERED)
        self.calls = 0
        self.sound = AlarmSound()
        self._asked = False
        super().__init__("Alarms")

    def _subscriptions(self) -> list[Subscription]:
        topics = (b"status", TOPIC.encode())
        return [Subscription(monitoring_endpoint(SETTINGS), topics, weak(self._receive))]

    def _receive(self, frames: list[bytes]) -> None:
        self.telemetry.receive(frames)
        if len(frames) != 2:
            return
        if frames[0] == b"status":
            self.alarms = {alarm["name"]: alarm for alarm in self.telemetry.status.get("alarms") or []}
        elif frames[0] == TOPIC.encode():
            self._happen(msgspec.msgpack.decode(frames[1], type=AlarmEvent))

    def _happen(self, event: AlarmEvent) -> None:
        """Shows an event at once; the status that follows within a second has the rest."""
        self.happened.append(event)
        known = self.alarms.get(event.name, {})
        if event.event in ("raised", "escalated"):
            self.calls += not event.shelved
            told = {
                key: getattr(event, key) for key in ("priority", "value", "unit", "limit", "cause", "action")
            }
            empty = {"count": 1, "shelved_until": 0.0, "reactions": [], "raised": event.time}
            self.alarms[event.name] = {
                **empty, **known, **told, "name": event.name, "active": True, "acknowledged": 0.0, "acknowledged_by": "",
            }  # fmt: skip
        elif event.event == "cleared" and known:
            known["active"] = False
        elif event.event == "acknowledged" and known:
            known |= {"acknowledged": event.time, "acknowledged_by": event.by}

    # -- what is shown -------------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        if self.telemetry.alive and not self._asked:
            self._asked = True
            self.command(
                "?history", lambda: self._with_monitor("get_history", last=REMEMBERED), self._take_history
            )
        names = tuple(self.alarms)
        if self.choice.options != names:
            chosen = self.choice.value
            self.choice.options = names
            self.choice.value = chosen if chosen in names else (names[0] if names else None)
        self.sound.show(self.calls, tuple(self.alarms.values()))
        for html, value in ((self.table, self._table()), (self.events, self._events())):
            if html.value != value:
                html.value = value

    def _take_history(self, events: list[dict[str, Any]]) -> None:
        older = [msgspec.convert(event, AlarmEvent) for event in events]
        seen = {event.number for event in self.happened}
        self.happened.extendleft(event for event in reversed(older) if event.number not in seen)

    def _state(self) -> BoardState:
        lamps = self.telemetry.lamps()
        active = [alarm for alarm in self.alarms.values() if alarm["active"]]
        worst = {"warning": "warn"}.get(active[0]["priority"], "bad") if active else "ok"
        lamps.append(Lamp("ALARMS", worst, f"{len(active)} active" if active else "none"))
        waiting = sum(not alarm["acknowledged"] for alarm in self.alarms.values())
        lamps.append(Lamp("TO ACKNOWLEDGE", "warn" if waiting else "ok", str(waiting)))
        shelves = self.telemetry.status.get("shelves") or []
        lamps.append(Lamp("SHELVED", "info" if shelves else "off", str(len(shelves))))
        context = self.telemetry.status.get("context") or {}
        lamps.append(Lamp("STATE", "info", context.get("state") or "not known"))
        if problems := self.telemetry.status.get("problems"):
            lamps.append(Lamp("LIMITS REFUSED", "warn", str(len(problems))))
        return BoardState(self.title, self.telemetry.note, self.telemetry.alive, tuple(lamps))

    def _table(self) -> str:
        rows = "".join(map(_alarm_row, self.alarms.values()))
        head = "".join(
            f"<th>{text}</th>" for text in ("", "Name", "State", "Since (UTC)", "Value", "Limit", "Next")
        )
        return f'<table class="camtest-alarms"><tr>{head}</tr>{rows}</table>' if rows else "<p>No alarms.</p>"

    def _events(self) -> str:
        rows = "".join(
            f"<tr><td>{_clock(event.time)}</td><td>{event.event}</td><td>{event.priority}</td><td>{escape(event.name)}</td>"
            f"<td>{escape(event.limit)}</td><td>{escape(event.by)}</td><td>{escape(event.comment)}</td></tr>"
            for event in reversed(self.happened)
        )
        return f'<details><summary>What has happened</summary><table data-events="1">{rows}</table></details>'

    def _extra_sections(self) -> Sequence[Section]:
        rows = [
            (
                alarm["name"],
                f"{'active' if alarm['active'] else 'cleared'}: {alarm['limit']}",
                alarm["priority"],
                "",
            )
            for alarm in self.alarms.values()
        ]
        return [Section("Alarms", tuple(rows))] if rows else []

    def _body(self) -> list[widgets.Widget]:
        self.table, self.events = widgets.HTML(), widgets.HTML()
        self.choice = widgets.Dropdown(options=(), description="Alarm")
        self.comment = widgets.Text(
            description="Comment", placeholder="or why it is shelved", continuous_update=False
        )
        self.span = widgets.Dropdown(
            options=list(SPANS), value="1 hour", description="for", layout=widgets.Layout(width="14em")
        )
        buttons = [
            self.button(
                "Acknowledge", self.acknowledge, style="success", hint="You have taken notice of this alarm"
            ),
            self.button("Acknowledge all", self.acknowledge_all, hint="You have taken notice of all of them"),
            self.button("Shelve", self.shelve, style="warning", hint="Nobody is called for it for a while"),
            self.span,
            self.button("Unshelve", self.unshelve, hint="People are called for it again"),
            self.sound,
        ]
        return [self.table, widgets.HBox([self.choice, self.comment]), widgets.HBox(buttons), self.events]

    # -- what operators do -----------------------------------------------------------------------------------------------

    def _with_monitor(self, command: str, **arguments: Any) -> Any:
        with self.monitor as monitor:
            return getattr(monitor, command)(**arguments)

    def _chosen(self) -> str:
        if not self.choice.value:
            raise AlarmError("choose an alarm first")
        return str(self.choice.value)

    def acknowledge(self) -> None:
        """Acknowledges the chosen alarm, with the comment."""
        name, comment = self._chosen(), self.comment.value
        self.command(
            f"acknowledge {name}",
            lambda: self._with_monitor("acknowledge", name=name, comment=comment),
            self._forget,
        )

    def acknowledge_all(self) -> None:
        """Acknowledges all alarms that nobody has acknowledged."""
        names, comment = (
            [n for n, alarm in self.alarms.items() if not alarm["acknowledged"]],
            self.comment.value,
        )
        self.command(
            f"acknowledge {len(names)} alarms",
            lambda: [self._with_monitor("acknowledge", name=name, comment=comment)["name"] for name in names],
            self._forget,
            confirm=f"Have you taken notice of all of them: {', '.join(names)}?",
        )

    def shelve(self) -> None:
        """Shelves the chosen alarm for the chosen time; the comment says why."""
        name, reason, seconds = self._chosen(), self.comment.value, SPANS[str(self.span.value)]
        self.command(
            f"shelve {name}",
            lambda: self._with_monitor("shelve", name=name, by="", seconds=seconds, reason=reason),
            self._forget,
        )

    def unshelve(self) -> None:
        """Takes the chosen alarm from the shelf."""
        name = self._chosen()
        self.command(f"unshelve {name}", lambda: self._with_monitor("unshelve", name=name))

    def _forget(self, _result: Any) -> None:
        self.comment.value = ""

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.monitor.disconnect_cs()


def _alarm_row(alarm: dict[str, Any]) -> str:
    colour = COLOURS[alarm["priority"]] if alarm["active"] else "inherit"
    state = "active" if alarm["active"] else "cleared"
    state += ", shelved" if alarm["shelved_until"] else ""
    state += f", acknowledged by {alarm['acknowledged_by']}" if alarm["acknowledged"] else ""
    value = f"{alarm['value']:.6g}" if isinstance(alarm["value"], float) else str(alarm["value"])
    cells = (
        alarm["name"],
        state,
        _clock(alarm["raised"]),
        f"{value} {alarm['unit']}",
        alarm["limit"],
        alarm["action"],
    )
    reactions = "".join(f"<br><i>{escape(text)}</i>" for text in alarm["reactions"])
    return (
        f'<tr data-alarm-name="{escape(alarm["name"])}" data-state="{state.split(",")[0]}" title="{escape(alarm["cause"])}">'
        f'<td style="color:{colour}"><b>{alarm["priority"].upper()}</b></td>'
        + "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in cells)
        + f"<td>{reactions}</td></tr>"
    )


def make() -> AlarmPanel:
    """Returns a new panel, for the page."""
    return AlarmPanel()
