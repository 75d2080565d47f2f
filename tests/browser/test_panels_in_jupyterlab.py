"""Panels in JupyterLab: ABORT while `time.sleep` runs in the same kernel, live panels meanwhile, what a saved notebook shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

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
BUSY_KERNEL = """() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status"""


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
        assert page.evaluate(BUSY_KERNEL) == "busy", "the cell goes on sleeping"
        page.screenshot(path=shots / "observation.png")
        (root / "go_on").touch()
    page.locator('[data-led="OBSERVATION"][data-state="off"]').wait_for()
    notebook.save()
    page.close()
    saved = nbformat.read(path, as_version=4)
    texts = [o.data.get("text/html", "") for o in saved.cells[0].outputs if o.output_type == "display_data"]
    static = "".join(text for text in texts if "camtest-static" in text)
    assert "GLAB_LSCI336_TEMP_A" in static
    assert "279" in static
