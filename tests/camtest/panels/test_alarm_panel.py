"""The alarm panel and the banner above every panel, fed with what the limit monitor publishes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from camtest.panels.alarms import AlarmPanel
from camtest.panels.banner import SILENCE, Banner
from egse.monitor import Alarm, AlarmEvent
from egse.site.layout import SiteLayout


def alarm(name: str = "TEMP", **more: Any) -> dict[str, Any]:
    fields = {
        "priority": "alarm",
        "value": 31.5,
        "unit": "degC",
        "limit": "above 30",
        "cause": "heater <1>",
        "action": "switch it off",
    }
    made = Alarm(name=name, number=1, raised=1.0e9, last_raised=1.0e9, **(fields | more))
    return dict(msgspec.to_builtins(made))


def status(*alarms: dict[str, Any]) -> list[bytes]:
    return [
        b"status",
        msgspec.msgpack.encode({"name": "mon_cs", "alarms": alarms, "context": {"state": "IDLE"}}),
    ]


def test_the_banner_tells_the_worst_alarm_and_when_the_monitor_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    banner = Banner()
    banner.show()
    assert banner.widget.value == ""
    banner.receive(
        status(
            alarm(), alarm("B", priority="warning"), alarm("C", active=False), alarm("D", shelved_until=9e9)
        )
    )
    banner.show()
    assert 'data-alarm="alarm"' in banner.widget.value
    assert "2 alarms (2 not acknowledged): TEMP above 30; B above 30" in banner.widget.value
    assert banner.sections()[0].rows[0][0] == "alarm"
    banner.receive(status())
    banner.show()
    assert banner.widget.value == ""
    banner._heard -= SILENCE + 1.0
    banner.show()
    assert "nobody watches the limits" in banner.widget.value


def test_the_panel_shows_an_event_at_once_and_the_rest_with_the_status(site: SiteLayout) -> None:
    with AlarmPanel() as panel:
        panel._receive(status())
        panel._refresh()
        assert panel.table.value == "<p>No alarms.</p>"
        event = AlarmEvent(number=7, time=1.0e9, name="TEMP", event="raised", priority="alarm", value=31.5, unit="degC",
                           limit="above 30", cause="heater <1>", action="switch it off")  # fmt: skip
        panel._receive([b"alarm", msgspec.msgpack.encode(event)])
        panel._refresh()
        assert 'data-alarm-name="TEMP" data-state="active" title="heater &lt;1&gt;"' in panel.table.value
        assert "switch it off" in panel.table.value
        assert panel.choice.value == "TEMP"
        lamps = {lamp.name: (lamp.state, lamp.text) for lamp in panel._state().lamps}
        assert lamps["ALARMS"] == ("bad", "1 active")
        assert lamps["TO ACKNOWLEDGE"] == ("warn", "1")
        panel._receive(status(alarm(active=False, acknowledged=1.0e9, acknowledged_by="anna")))
        panel._refresh()
        assert 'data-state="cleared"' in panel.table.value
        assert "acknowledged by anna" in panel.table.value
        assert "raised" in panel.events.value
        assert "TEMP" in repr(panel)


def test_the_sound_follows_what_nobody_has_acknowledged(site: SiteLayout) -> None:
    raised = {"number": 7, "time": 1.0e9, "name": "TEMP", "event": "raised", "priority": "critical"}
    with AlarmPanel() as panel:
        panel._receive(status())
        panel._refresh()
        assert (panel.sound.calls, panel.sound.waiting) == (0, "")
        panel._receive([b"alarm", msgspec.msgpack.encode(raised)])
        panel._receive([b"alarm", msgspec.msgpack.encode({**raised, "name": "B", "shelved": True})])
        panel._receive(status(alarm(priority="critical"), alarm("B", priority="critical", shelved_until=9e9)))
        panel._refresh()
        assert (panel.sound.calls, panel.sound.waiting) == (1, "critical")
        panel._receive(status(alarm(acknowledged=1.0e9), alarm("C", priority="warning")))
        panel._refresh()
        assert (panel.sound.calls, panel.sound.waiting) == (1, "warning")
        panel._receive(status(alarm(active=False)))
        panel._refresh()
        assert panel.sound.waiting == ""
