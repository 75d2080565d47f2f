"""Panels in JupyterLab: ABORT while `time.sleep` runs in the same kernel, live panels meanwhile, what a saved notebook shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from camtest.panels.pages import PAGES
from egse.confman import ConfigurationManagerProxy
from egse.site.sandbox import Sandbox
from egse.tempcontrol.lsci336 import LakeShore336Proxy

from ..system import jupyterlab
from .conftest import eventually

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        jupyterlab.CHROMIUM is None, reason="chromium is not installed (apt install chromium)"
    ),
    pytest.mark.timeout(900),
]

PANELS = """\
from camtest.panels import ObservationPanel, panel_for
from egse.tempcontrol.lsci336 import LakeShore336Proxy
display(ObservationPanel())
display(panel_for(LakeShore336Proxy()))
"""
BUSY = """\
import pathlib, time
from camtest import checkpoint, observation
with observation("a cell that is busy"):
    while not pathlib.Path("go_on").exists():
        time.sleep(1.0)
    checkpoint()
"""
# JupyterLab shows 50 outputs of a cell; a panel is two, itself and its static form.
HALF_OF_THE_PANELS = """\
from itertools import islice
from camtest.panels.pages import PAGES
made = [page.make() for page in islice(PAGES.values(), {})]
for panel in made:
    display(panel)
"""
TASKS = """\
from camtest.tasks import tasks_gui
gui = tasks_gui("camtest.operate")
gui.add_class("camtest-panel")
next(b for b in gui.buttons.buttons if b.task.signature.parameters).button.click()
display(gui)
"""
NAMELESS = re.compile(
    r"\s*- (button|textbox|combobox|checkbox|listbox|radio|spinbutton|tab|slider|searchbox|switch|link)"
    r"( \[[^]]*\])*(:.*)?$"
)
"""A line of an accessibility tree with a control that has no name."""
UNREACHABLE = """() => [...document.querySelectorAll('.camtest-panel :is(button, input, select, textarea)')]
  .filter((e) => !e.disabled && e.offsetParent !== null && e.tabIndex < 0).map((e) => e.outerHTML.slice(0, 200))"""
BUSY_CELL = ".jp-InputArea-prompt:has-text('[*]')"
"""A cell that runs."""


@pytest.fixture(scope="module")
def lab_in_browser(
    sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Any]:
    """JupyterLab as a member of the running sandbox, with a browser."""
    root = tmp_path_factory.mktemp("jupyter")
    with jupyterlab.JupyterLab(root, sandbox.environ(), free_ports(1)[0]) as running:
        yield running
    assert running.elsewhere == [], "the page has asked for something outside of this machine"


def test_abort_does_not_wait_behind_a_cell(lab_in_browser: Any, in_sandbox: Sandbox, shots: Path) -> None:
    root = Path(lab_in_browser.root)
    cells = [nbformat.v4.new_code_cell(source) for source in (PANELS, BUSY)]
    spec = {"name": "camtest", "display_name": "camtest", "language": "python"}
    path = root / "cockpit.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
    notebook = lab_in_browser.open(path)
    page = notebook.page
    notebook.run_all(wait=False)
    with ConfigurationManagerProxy(timeout=10.0) as manager, LakeShore336Proxy() as controller:
        observation = eventually(manager.get_observation, "the observation")
        run_id, obsid = observation["run_id"], observation["obsid"]
        bar = page.locator("#camtest-session-bar")
        bar.locator('[data-part="observation"]', has_text=obsid).wait_for()  # told by a kernel that is busy
        assert bar.get_attribute("data-mode") == "simulator"
        # what another client does is seen while the cell is busy
        page.locator(f'[data-name="obsid"] td.value:has-text("{obsid}")').wait_for()
        controller.set_temperature_setpoint(output=1, value=279.0)
        page.locator('[data-name="GLAB_LSCI336_SETPOINT_1"] td.value:text-is("279")').wait_for()

        abort = page.locator('[data-verb="abort"]')
        abort.click()
        abort.click()
        page.locator('[data-result="accepted"]').wait_for()
        # between two building blocks it ends the observation at once
        eventually(
            lambda: (manager.find_observation(run_id=run_id) or {}).get("status") == "aborted", "the end"
        )
        assert page.locator(BUSY_CELL).count() == 1, "the cell goes on sleeping"
        page.screenshot(path=shots / "observation.png")
        (root / "go_on").touch()
    page.locator('[data-led="OBSERVATION"][data-state="off"]').wait_for()
    notebook.wait_done()  # after a cell the static forms are brought up to date
    notebook.save()
    page.close()
    saved = nbformat.read(path, as_version=4)
    texts = [o.data.get("text/html", "") for o in saved.cells[0].outputs if o.output_type == "display_data"]
    static = "".join(text for text in texts if "camtest-static" in text)
    assert "GLAB_LSCI336_TEMPA" in static
    assert "279" in static


SOUND = """
import pathlib, time
from IPython.display import display
from camtest.panels.sound import AlarmSound
sound = AlarmSound(repeat=1.0)
display(sound)
"""
CRITICAL = """
def wait_for(name):
    while not pathlib.Path(name).exists():
        time.sleep(0.1)
wait_for("switched_on")
sound.show(1, [{"priority": "critical", "active": True}])
wait_for("heard")
sound.show(1, [{"priority": "critical", "active": True, "acknowledged": 1.0e9}])
"""


def test_alarms_are_heard_by_who_wants_to(lab_in_browser: Any) -> None:
    root = Path(lab_in_browser.root)
    path = root / "sound.ipynb"
    spec = {"name": "camtest", "display_name": "camtest", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source) for source in (SOUND, CRITICAL)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
    notebook = lab_in_browser.open(path)
    page = notebook.page
    notebook.run_all(wait=False)
    page.get_by_role("button", name="Sound off").click()
    page.get_by_role("button", name="Sound on").wait_for()
    (root / "switched_on").touch()
    sound = page.locator("[data-sound=on]")
    heard = lambda: int(sound.get_attribute("data-heard") or 0)  # noqa: E731
    eventually(lambda: heard() >= 3, "the alarm, again and again")
    assert page.get_by_role("button", name=re.compile("Sound on$")).count() == 1, "the browser plays"
    (root / "heard").touch()
    notebook.wait_done()
    page.wait_for_timeout(500)
    before = heard()
    page.wait_for_timeout(2500)
    assert heard() == before, "silent once it is acknowledged"
    page.close()


def test_the_bar_tells_site_setup_observation_and_mode(
    lab_in_browser: Any, in_sandbox: Sandbox, shots: Path
) -> None:
    """At the top of every page, whatever is scrolled; a dry run has another colour, and stripes."""
    root = Path(lab_in_browser.root)
    spec = {"name": "camtest", "display_name": "camtest", "language": "python"}
    cells = [nbformat.v4.new_code_cell("%dryrun on")]
    path = root / "dry.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
    notebook = lab_in_browser.open(path)
    bar = notebook.page.get_by_role("status", name="State of the session")
    notebook.page.locator('#camtest-session-bar[data-mode="simulator"]').wait_for()
    assert "gradient" not in bar.evaluate("e => getComputedStyle(e).backgroundImage")
    notebook.run_all()
    notebook.page.locator('#camtest-session-bar[data-mode="dry-run"]').wait_for()
    assert "DRY RUN: nothing reaches a device" in bar.inner_text()
    assert in_sandbox.layout.site_id in bar.locator('[data-part="site"]').inner_text()
    assert bar.bounding_box()["y"] < 5
    assert "gradient" in bar.evaluate("e => getComputedStyle(e).backgroundImage")
    with ConfigurationManagerProxy() as manager:
        run = manager.start_observation(
            run_id="the-bar", function="", description="", supervised=False, lease=0.0, details={}
        )
        elsewhere = bar.locator('[data-part="elsewhere"]', has_text=run["obsid"])
        elsewhere.wait_for()  # somebody else's, while this session is dry
        notebook.page.screenshot(path=shots / "session-bar.png")
        manager.end_observation(run_id="the-bar", status="done")
    elsewhere.wait_for(state="detached")
    notebook.page.close()


def test_every_button_and_field_has_a_name_and_the_keyboard_reaches_it(
    lab_in_browser: Any, in_sandbox: Sandbox
) -> None:
    """All panels and a Tasks GUI in one page, as a reader of the screen is told them."""
    root = Path(lab_in_browser.root)
    path = root / "all.ipynb"
    spec = {"name": "camtest", "display_name": "camtest", "language": "python"}
    halves = (HALF_OF_THE_PANELS.format(part) for part in ("0, 15", "15, None"))
    cells = [nbformat.v4.new_code_cell(source) for source in (*halves, TASKS)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
    notebook = lab_in_browser.open(path)
    page = notebook.page
    notebook.run_all()
    assert notebook.errors == 0
    panels = page.locator(".camtest-panel")
    eventually(lambda: panels.count() == len(PAGES) + 1, "all panels")
    nameless: list[str] = []
    for panel in panels.all():
        for tab in [None, *panel.get_by_role("tab").all()]:
            if tab is not None:
                tab.click()
            said = panel.aria_snapshot().splitlines()
            nameless += [f"{said[0]}: {line.strip()}" for line in said if NAMELESS.match(line)]
    assert sorted(set(nameless)) == []
    unreachable = page.evaluate(UNREACHABLE)
    assert unreachable == []
    first = panels.first.locator("button:visible:enabled").first
    first.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('.camtest-panel') !== null")
    page.close()
