"""Plain papermill with our engine, and the same by `camtest run`: refusals, failures, records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = pytest.mark.system

PROCEDURE = Path(__file__).resolve().parents[2] / "procedures" / "short_functional_test.ipynb"
RAISING = (
    "# parameters\nattenuation: float = 0.5  # transmission, 0..1",
    "from camtest.commanding import ogse\nogse.set_attenuation(factor=attenuation)",
    "raise ValueError('the light is too bright')",
    "print('never')",
)
ENGINE = ("--engine", "camtest", "--no-progress-bar")


def test_wrong_parameters_are_refused_before_anything_starts(lab: Any, shell: Any) -> None:
    """All of them at once: an unknown name, text for a number."""
    before = len(lab.manager.list_observations())
    wrong = ("-p", "num_cyles", 3, "-p", "attenuation", "strong")
    code, output = shell.run("papermill", *ENGINE, PROCEDURE, "out.ipynb", *wrong)
    assert code == 2
    assert "`num_cyles` is not a parameter of this notebook. Did you mean `num_cycles`?" in output
    assert "`attenuation` expected a number, got 'strong'" in output
    assert "Traceback" not in output
    assert len(lab.manager.list_observations()) == before
    assert lab.manager.get_observation() is None


def outcome(lab: Any, executed: Path) -> dict[str, Any]:
    """Returns everything about the last observation that does not depend on when and by what it was run."""
    observation = lab.last_closed()
    record = lab.record(observation["obsid"])
    files = [path.name.removeprefix(record.prefix) for path in record.folder.iterdir()]
    (stored,) = (path for path in record.folder.glob("*.ipynb") if not path.stem.endswith("_input"))
    notebook = nbformat.read(stored, as_version=4)
    commands = record.lines("commands.jsonl")
    return {
        **{key: observation[key] for key in ("status", "reason", "function", "supervised", "setup_id")},
        # Housekeeping and late raw files depend on the moment.
        "files": sorted(name for name in files if not name.endswith((".csv", "supplements.jsonl"))),
        "events": [event["event"] for event in record.lines("events.jsonl")],
        "sources": [cell.source for cell in notebook.cells[1:]],  # the first one is the banner
        "cells": cell_statuses(notebook),
        "executed": cell_statuses(nbformat.read(executed, as_version=4)),
        "block": {command["block"] for command in commands},
        "first": (commands[0]["command"], commands[0]["args"]),
        "mentioned": observation["obsid"],
    }


def cell_statuses(notebook: Any) -> list[str]:
    """Returns the statuses of the cells that the engine saw; papermill adds cells that show where an error is."""
    return [cell.metadata.camtest["status"] for cell in notebook.cells if "camtest" in cell.metadata]


def test_a_cell_that_raises(lab: Any, shell: Any, write_notebook: Callable[..., Path]) -> None:
    notebook = write_notebook("too_bright.ipynb", *RAISING)
    parameters = ("-p", "attenuation", "0.02")
    code, output = shell.run("papermill", *ENGINE, notebook, "out.ipynb", *parameters)
    assert code == 1
    assert "ValueError: the light is too bright" in output
    by_papermill = outcome(lab, shell.folder / "out.ipynb")
    assert by_papermill.pop("mentioned") in output
    assert (by_papermill["status"], by_papermill["reason"]) == (
        "failed",
        "ValueError: the light is too bright",
    )
    assert by_papermill["cells"][-3:] == ["passed", "failed", "not-run"]
    assert by_papermill["first"] == ("att_set_level_factor", {"factor": 0.02})
    assert by_papermill["block"] == {"set_attenuation"}
    assert lab.source.att_get_level()["att_factor"] == pytest.approx(0.02, abs=0.01)

    code, output = shell.run("camtest", "run", notebook, "--output", "run.ipynb", *parameters)
    assert code == 1
    assert "failed: ValueError: the light is too bright" in output
    by_camtest = outcome(lab, shell.folder / "run.ipynb")
    assert by_camtest.pop("mentioned") in output
    assert by_camtest == by_papermill
