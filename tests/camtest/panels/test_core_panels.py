"""Panels of Setups, configuration manager and queue: what their buttons do is seen by other clients and processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camtest.panels import panel as base
from camtest.panels.configuration import ConfigurationPanel
from camtest.panels.queue import QueuePanel
from camtest.panels.setups import SetupPanel
from camtest.run.queue import Queue
from egse.authority import get_control, release_control
from egse.confman import ConfigurationManagerProxy
from egse.settings import Settings
from egse.setup import get_setup
from egse.site.layout import SiteLayout
from egse.site.localsettings import read_local_settings, write_local_settings

from ..run import notebook_tools
from .conftest import eventually

HOLDER = """
import sys
from egse.authority import take_control
take_control("thermal balance")
print("HELD", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def manager(site: SiteLayout, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConfigurationManagerProxy]:
    """A configuration manager of its own, as another client sees it; control of the site is required."""
    monkeypatch.delenv("CGSE_CONTROL_TOKEN", raising=False)
    settings = read_local_settings(site.settings)
    guarded = {**settings.get("SITE", {}), "CONTROL": "required"}
    write_local_settings(site.settings, {**settings, "SITE": guarded})
    Settings.load(force=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "egse.confman.cm_cs", "start"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("READY cm_cs")
        with ConfigurationManagerProxy() as proxy:
            yield proxy
    finally:
        release_control()
        process.kill()
        process.wait()
        process.stdout.close()
        Settings.load(force=True)


@pytest.fixture
def holder(manager: ConfigurationManagerProxy) -> Iterator[None]:
    """Another process that has control of the site."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "HELD\n"
    yield
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


def press(panel: base.Panel, text: str, agree: bool = False) -> None:
    """Presses a button of a panel, and agrees to what it asks."""
    found = [w for w in tree(panel.widget) if getattr(w, "description", None) == text]
    assert len(found) == 1, f"{len(found)} buttons {text!r}"
    assert not found[0].disabled
    found[0].click()
    if agree:
        _question, yes, _no = panel._confirmation.children
        yes.click()


def tree(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from tree(child)


def said(panel: base.Panel, text: str) -> None:
    eventually(
        lambda: text in panel.message.value, f"{text!r} in the message, which is {panel.message.value}"
    )


def test_a_setup_is_edited_submitted_and_another_one_loaded(manager: ConfigurationManagerProxy) -> None:
    before = str(get_setup().get_id())
    with SetupPanel() as panel:
        eventually(lambda: panel.chooser.value, "the list of Setups")
        press(panel, "Edit")
        eventually(lambda: panel.editor.value, "the text")
        eventually(lambda: not panel.submit_button.disabled, "the manager is heard")
        press(panel, "Submit")
        said(panel, "a description of what was changed is needed")
        panel.description.value = "a new temperature limit"
        press(panel, "Submit")
        said(panel, "nothing was changed")
        text = panel.editor.value
        panel.editor.value = text + "\n  broken: [1\n"
        press(panel, "Show changes")
        said(panel, "line")
        assert 'data-message="bad"' in panel.message.value
        panel.editor.value = text + "\ncamtest_panel:\n  limit: 12.5\n"
        press(panel, "Show changes")
        said(panel, "indent it below")
        panel.editor.value = text.replace("Setup:\n", "Setup:\n  camtest_panel:\n    limit: 12.5\n", 1)
        press(panel, "Show changes")
        eventually(lambda: "camtest_panel" in panel.difference.value, "the difference")
        press(panel, "Submit", agree=True)
        said(panel, "control")  # nobody has control: refused, in words
        assert str(get_setup().get_id()) == before
        with ConfigurationPanel() as control:
            control.reason.value = "a new limit"
            press(control, "Take control")
            said(control, "take control: ")
            press(panel, "Submit", agree=True)
            eventually(lambda: str(get_setup().get_id()) != before, "the new Setup at the manager")
            submitted = get_setup()
            assert submitted["camtest_panel"]["limit"] == 12.5
            eventually(lambda: panel.loaded == str(submitted.get_id()), "it in the panel")
            eventually(lambda: len(panel.chooser.options) == 2, "it in the list")
            panel.chooser.value = int(before)
            press(panel, "Load", agree=True)
            eventually(lambda: str(get_setup().get_id()) == before, "the old Setup at the manager")
            press(control, "Release control")
            said(control, "release control: done")
        panel.filter.value = "site_id="
        said(panel, "is no filter")
        panel.filter.value = "camtest_panel.limit=12.5"
        eventually(
            lambda: [number for _, number in panel.chooser.options] == [int(submitted.get_id())], "one"
        )


def test_control_is_taken_over_with_a_reason(manager: ConfigurationManagerProxy, holder: None) -> None:
    with ConfigurationPanel() as panel:
        panel.reason.value = "heater off"
        press(panel, "Take control")
        said(panel, "thermal balance")  # who has it, and what for
        assert get_control().reason == "thermal balance"
        eventually(lambda: "thermal balance" in repr(panel), "the holder in the panel")
        panel.force.value, panel.reason.value = True, ""
        press(panel, "Take control", agree=True)
        said(panel, "reason")
        assert get_control().reason == "thermal balance"
        panel.reason.value = "the heater must go off"
        press(panel, "Take control", agree=True)
        eventually(
            lambda: get_control().reason == "the heater must go off", "control, as the manager tells it"
        )
        press(panel, "Take control", agree=True)
        said(panel, "take control: ")
        press(panel, "Release control")
        eventually(lambda: not get_control().holder, "control that is free again")
        press(panel, "Check Setups")
        said(panel, "check Setups: ")
        assert 'data-message="good"' in panel.message.value


def test_the_queue_is_filled_changed_and_run(
    site: SiteLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTEST_RUNS_LOCATION", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    started: list[Queue] = []
    monkeypatch.setattr("camtest.panels.queue.start_worker", lambda queue, output: started.append(queue))
    notebook = notebook_tools.write_notebook(tmp_path / "it.ipynb", "# parameters\nn: int = 1", "1 // n")
    queue = Queue()  # as another process sees it: the state is in a file
    with QueuePanel() as panel:
        panel.reason.value = "lunch"
        press(panel, "Pause")
        eventually(lambda: queue.state().status == "paused", "the pause")
        assert queue.state().reason == "lunch"
        for path in (str(notebook), "it.ipynb", "missing.ipynb", "runs"):
            panel.notebook.value = path
            press(panel, "Add to the queue")
        said(panel, "add runs")
        assert 'data-message="bad"' in panel.message.value
        assert queue.state().waiting == [1, 2]
        assert not started, "a queue that is paused starts nothing"
        panel.number.value = 2
        press(panel, "Make it the next")
        eventually(lambda: queue.state().waiting == [2, 1], "the order")
        panel.number.value = 1
        press(panel, "Remove", agree=True)
        eventually(lambda: queue.state().waiting == [2], "the removal")
        press(panel, "Remove", agree=True)
        said(panel, "1 does not wait in the queue: it is removed")
        eventually(lambda: "paused: lunch" in repr(panel), "the state in the panel")
        press(panel, "Resume")
        eventually(lambda: started, "the worker")
        assert queue.state().status == "running"
        press(panel, "Stop", agree=True)
        eventually(lambda: queue.state().status == "stopped", "the stop")
        assert panel.errors == []
