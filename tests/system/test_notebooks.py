"""The notebooks that people open run from top to bottom, as members of the running sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.system

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


@pytest.fixture
def executed(sandbox: Any, tmp_path: Path) -> Callable[[str], nbformat.NotebookNode]:
    """Executes a notebook in the kernel `camtest` and returns it."""

    def execute(name: str, **values: str) -> nbformat.NotebookNode:
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        for cell in notebook.cells:
            for variable, value in values.items():
                cell.source = re.sub(rf"^{variable} = None\b", f"{variable} = {value!r}", cell.source)
        client = NotebookClient(
            notebook, timeout=300, kernel_name="camtest", resources={"metadata": {"path": str(NOTEBOOKS)}}
        )
        folders = {"TMPDIR": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}  # what notebooks write
        client.execute(env={**sandbox.environ(), **folders})
        return notebook

    return execute


def shown(notebook: nbformat.NotebookNode) -> str:
    """Returns all that the cells show, as text."""
    texts = [
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(texts))


def test_the_first_observation(lab: Any, executed: Callable[[str], nbformat.NotebookNode]) -> None:
    text = shown(executed("tutorial_1_first_observation"))
    record = lab.last()
    assert (record["status"], record["description"]) == ("done", "tutorial: two levels of light")
    commands = lab.record(record["obsid"]).lines("commands.jsonl")
    assert [c["args"]["factor"] for c in commands if c["command"] == "att_set_level_factor"] == [0.1, 0.5]
    for expected in (
        f"Observation {record['obsid']}: done",
        "Housekeeping of the last 300 s",
        "must be in [0, 1]",
    ):
        assert expected in text


def test_a_building_block_and_a_procedure(lab: Any, executed: Callable[[str], nbformat.NotebookNode]) -> None:
    text = shown(executed("tutorial_2_building_block_and_procedure"))
    procedure, block = lab.last(), lab.manager.list_observations(last=2)[0]
    assert (block["status"], block["description"]) == ("done", "tutorial: staircase")
    assert block["function"] == 'staircase(low="0.1", high="0.9", steps="3")'
    assert (procedure["status"], procedure["supervised"]) == ("done", True)
    assert procedure["function"] == 'one_level(level="0.4")'
    assert "steps" in text
    assert f"Observation {procedure['obsid']}: done" in text


def test_a_device_of_your_own(executed: Callable[[str], nbformat.NotebookNode]) -> None:
    text = shown(executed("tutorial_3_own_device"))
    for expected in (
        "[25.0, 50.0, 75.0, 100.0, 100.0]",
        "TUTORIAL,SHUTTER,SIM-1",
        "got 101",
        "bench_shutter_cs.py",
    ):
        assert expected in text


def test_a_first_look_at_images(main_run: Any, executed: Callable[..., nbformat.NotebookNode]) -> None:
    assert main_run.code == 0, main_run.output
    notebook = executed("analysis_first_look", obsid=main_run.record.obsid)
    text = shown(notebook)
    assert f"Observation {main_run.record.obsid}: done" in text
    assert "ok" in text
    pictures = [
        output.data["image/png"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2, "the focal plane and a window of it"


def test_what_is_in_git_has_no_outputs() -> None:
    for path in NOTEBOOKS.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") for cell in notebook.cells), path.name
        assert notebook.metadata.kernelspec.name.startswith("camtest"), path.name
