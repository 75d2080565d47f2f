"""The cockpit and a procedure with panels without any browser: what their executed copies and their HTML show."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from egse.site.sandbox import Sandbox

pytestmark = pytest.mark.system

COCKPIT = Path(__file__).resolve().parents[2] / "notebooks" / "cockpit.ipynb"
LATER = """\
from egse.clock import system_clock
from egse.tempcontrol.lsci336 import LakeShore336Proxy
with LakeShore336Proxy() as controller:
    controller.set_temperature_setpoint(output=1, value=283.25)
clock, panels = system_clock(), (temperature_panel, process_panel, housekeeping_panel)
for _ in range(600):
    if temperature_panel.telemetry.row.get("GLAB_LSCI336_SETPOINT_1") == 283.25 and process_panel.servers:
        break
    clock.sleep(0.1)
assert not any(panel.errors for panel in (*panels, observation_panel, camera_panel, queue_panel, log_panel))
"""


def static_forms(cell: nbformat.NotebookNode) -> str:
    shown = [o.data for o in cell.outputs if o.output_type in ("display_data", "execute_result")]
    return "".join(
        data.get("text/html", "") for data in shown if "camtest-static" in data.get("text/html", "")
    )


def test_the_executed_cockpit_shows_the_last_state(in_sandbox: Sandbox, tmp_path: Path) -> None:
    notebook = nbformat.read(COCKPIT, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(LATER))
    client = NotebookClient(
        notebook, timeout=300, kernel_name="camtest", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    cells = {cell.id: cell for cell in notebook.cells}
    assert "283.25" in static_forms(cells["devices"])  # set by the last cell, after this one had ended
    assert "lsci336_cs" in static_forms(cells["servers"])
    assert "N-FEE MODE" in static_forms(cells["camera"])
    assert all(
        "application/vnd.jupyter.widget-view+json" in cells[n].outputs[-2].data for n in ("devices", "camera")
    )
    texts = [o.data["text/plain"] for o in cells["devices"].outputs if "data" in o]
    assert any("GLAB_LSCI336_SETPOINT_1" in text for text in texts)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert "283.25" in page
    assert '<details class="camtest-static" open' in static_forms(
        cells["devices"]
    )  # no browser shows the widget
