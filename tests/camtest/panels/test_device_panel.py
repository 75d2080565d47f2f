"""The generated panel beside a real server: what it shows, what it commands, a server that is slow, gone, and back."""

from __future__ import annotations

import gc
import signal
import threading
import weakref
from collections.abc import Iterator

import psutil
import pytest

from camtest.panels import DevicePanel
from camtest.panels.errors import PanelError
from camtest.panels.local import local_panel
from egse.dummy import DummyProxy

from .conftest import DummyServer, eventually


@pytest.fixture
def panel(server: DummyServer) -> Iterator[DevicePanel]:
    with DevicePanel(DummyProxy()) as made:
        eventually(lambda: made.telemetry.rows, "housekeeping")
        yield made


def value_of(panel: DevicePanel, name: str) -> str:
    return next((row[1] for row in panel.board.state.get("rows", ()) if row[0] == name), "")


def lamp_of(panel: DevicePanel, name: str) -> str:
    return next((lamp[1] for lamp in panel.board.state.get("lamps", []) if lamp[0] == name), "")


def choose(panel: DevicePanel, command: str, **fields: str) -> None:
    panel.chooser.value = command
    assert panel.form is not None
    for name, text in fields.items():
        panel.form.fields[name].widget.value = text


def test_a_button_reaches_the_device_and_what_comes_back_is_shown(
    panel: DevicePanel, server: DummyServer
) -> None:
    choose(panel, "set_voltage", voltage="7.25")
    panel.run_button.click()
    eventually(lambda: "set_voltage(voltage=7.25): done" in panel.message.value, "the message")
    assert ("set_voltage", {"voltage": 7.25}) in server.commands()
    eventually(lambda: value_of(panel, "GLAB_DUMMY_VOLTAGE") == "7.25", "the housekeeping")
    assert lamp_of(panel, "SERVER") == "ok"
    assert lamp_of(panel, "MODEL") == "info"
    assert "GLAB_DUMMY_VOLTAGE" in repr(panel)
    assert "7.25" in panel.to_html()
    eventually(lambda: panel.charts.series and panel.charts.data, "a chart")


def test_what_is_wrong_is_said_before_anything_is_sent(panel: DevicePanel, server: DummyServer) -> None:
    for text, expected in (
        ("11", "must be in [0, 10] V"),
        ("much", "expected a number"),
        ("", "must be given"),
    ):
        choose(panel, "set_voltage", voltage=text)
        panel.run_button.click()
        eventually(lambda expected=expected: expected in panel.message.value, expected)
    assert [name for name, _ in server.commands()] == []
    assert 'data-message="bad"' in panel.message.value
    assert not panel.errors


def test_dangerous_commands_ask_before(panel: DevicePanel, server: DummyServer) -> None:
    choose(panel, "output_on")
    panel.run_button.click()
    question, yes, no = panel._confirmation.children
    assert "Really output_on()?" in question.value
    no.click()
    eventually(lambda: "not done" in panel.message.value, "the refusal")
    assert server.commands() == []
    panel.run_button.click()
    _, yes, _ = panel._confirmation.children
    yes.click()
    eventually(lambda: ("output_on", {}) in server.commands(), "the command")
    assert not panel._confirmation.children
    eventually(lambda: value_of(panel, "GLAB_DUMMY_ON") == "True", "the effect")


def test_a_server_that_hangs_and_one_that_is_killed(panel: DevicePanel, server: DummyServer) -> None:
    panel.telemetry.silence = 1.0  # it publishes four times a second
    server.send(signal.SIGSTOP)
    eventually(lambda: "has been silent" in panel.board.state["note"], "the silence")
    assert panel.board.state["alive"] is False
    beat = panel.board.beat
    eventually(lambda: panel.board.beat > beat, "the panel itself goes on")
    server.send(signal.SIGCONT)
    eventually(lambda: lamp_of(panel, "SERVER") == "ok", "the recovery")
    server.kill()
    eventually(lambda: lamp_of(panel, "SERVER") == "bad", "the death")
    choose(panel, "set_voltage", voltage="1")
    panel.run_button.click()
    eventually(lambda: 'data-message="bad"' in panel.message.value, "the error")
    server.start()
    eventually(lambda: lamp_of(panel, "SERVER") == "ok", "the new server")
    panel.run_button.click()
    eventually(lambda: ("set_voltage", {"voltage": 1.0}) in server.commands(), "a command to the new server")


def test_errors_in_callbacks_are_shown_recorded_and_raised(server: DummyServer) -> None:
    panel = DevicePanel(DummyProxy())

    def fail() -> None:
        raise ZeroDivisionError("a bug")

    panel.button("bug", fail).click()
    eventually(lambda: "ZeroDivisionError" in panel.message.value, "the message")
    assert any("Traceback" in how for _, _, how in panel.history)
    with pytest.raises(PanelError, match="a bug"):
        panel.close()
    assert panel.closed
    panel.close()


def test_panels_leave_nothing_behind(server: DummyServer) -> None:
    process = psutil.Process()

    def open_and_close() -> None:
        with DevicePanel(DummyProxy()) as panel:
            panel.send("get_voltage", {})

    open_and_close()
    gc.collect()
    threads, descriptors = threading.active_count(), process.num_fds()
    for _ in range(20):
        open_and_close()
    gc.collect()
    eventually(lambda: threading.active_count() <= threads, "the threads")
    eventually(lambda: process.num_fds() <= descriptors + 2, f"descriptors: {descriptors} before")


def test_a_panel_that_nobody_holds_ends_by_itself(server: DummyServer) -> None:
    before = threading.active_count()
    reference = weakref.ref(DevicePanel(DummyProxy()))

    def is_gone() -> bool:
        gc.collect()
        return reference() is None

    eventually(is_gone, "the panel")
    eventually(lambda: threading.active_count() <= before, "its threads")


def test_a_simulator_needs_no_server(dummy_site: object) -> None:
    with local_panel("dummy_cs", "simulator") as panel:
        eventually(lambda: panel.telemetry.rows, "housekeeping")
        panel.send("set_voltage", {"voltage": 3.0})
        eventually(lambda: value_of(panel, "GLAB_DUMMY_VOLTAGE") == "3", "the effect")
