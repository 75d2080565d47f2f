"""Going on with a run at a step: only what is true, under a new obsid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from click.testing import CliRunner

from camtest.cli import main
from camtest.run.journal import find_run
from camtest.run.runner import run_notebook
from camtest.run.steps import ContinueError, plan_continuation, require_set_up_without_commands

if TYPE_CHECKING:
    from conftest import FakeCore

SET_UP = "from camtest import building_block\nfrom camtest.core.results import store_result, stored_result\n\n@building_block\ndef note(value: int) -> int:\n    return value"
ONE = "note(value=n)\nstore_result('one', 2 * n)\nlocal = 5"
TWO = "import pathlib\nassert pathlib.Path('repaired').exists(), 'broken'\nprint(stored_result('one'), n)"


def write(folder: Path, *cells: tuple[str, str], kernel: str = "camtest") -> Path:
    made = []
    for tag, source in cells:
        cell = nbformat.v4.new_code_cell(source)  # type: ignore[no-untyped-call]
        if tag:
            cell.metadata["tags"] = [tag]
        made.append(cell)
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec})  # type: ignore[no-untyped-call]
    nbformat.write(notebook, folder / "p.ipynb")  # type: ignore[no-untyped-call]
    return folder / "p.ipynb"


def failed(core: FakeCore, folder: Path, *cells: tuple[str, str]) -> Any:
    path = write(folder, ("parameters", "n: int = 1"), *cells)
    result = run_notebook(path, {"n": 7}, output_dir=folder / "out")
    assert result.status == "failed", result.reason
    return find_run(result.obsid)


def test_a_run_goes_on_at_the_step_that_failed(core: FakeCore, tmp_path: Path) -> None:
    run = failed(core, tmp_path, ("", SET_UP), ("step", ONE), ("step", TWO), ("", "print('last')"))
    assert [event["value"] for event in core.events if event["event"] == "result"] == [14]
    (tmp_path / "repaired").touch()
    plan = plan_continuation(run)
    assert (plan.parameters, plan.obsid) == ({"n": 7}, run.header["obsid"])
    assert len(plan.left_out) == 1
    require_set_up_without_commands(plan)
    result = run_notebook(
        plan.notebook,
        plan.parameters,
        output_dir=tmp_path / "out",
        skip=plan.skip,
        about={"continues": plan.obsid},
    )
    assert core.last["details"]["continues"] == run.header["obsid"]
    assert result.obsid != run.header["obsid"]
    # Parameters, injected parameters, set-up; the step that had passed; the archive of the first run is not on disk here.
    statuses = [c.metadata.camtest.status for c in nbformat.read(result.notebook, 4).cells]  # type: ignore[no-untyped-call]
    assert statuses == ["passed", "passed", "passed", "skipped", "failed", "not-run"]


@pytest.mark.parametrize(
    ("cells", "step", "message"),
    [
        ([("step", "local = 5"), ("step", "1 / 0"), ("", "print(local)")], None, "needs `local`"),
        ([("", "1 / 0")], None, "no cells tagged `step`"),
        ([("step", "# A\n1"), ("step", "# B\n1 / 0"), ("step", "# C\n1")], "C", "comes after 'B'"),
        ([("step", "# A\n1"), ("step", "# B\n1 / 0")], "X", "names no step"),
    ],
)
def test_what_would_not_be_true_is_refused(
    core: FakeCore, tmp_path: Path, cells: list[tuple[str, str]], step: str | None, message: str
) -> None:
    run = failed(core, tmp_path, *cells)
    with pytest.raises(ContinueError, match=message):
        plan_continuation(run, step)


def test_changed_notebook_and_set_up_that_commands_are_refused(core: FakeCore, tmp_path: Path) -> None:
    cells = [("", SET_UP + "\nnote(value=1)"), ("step", "1 / 0")]
    run = failed(core, tmp_path, *cells)
    with pytest.raises(ContinueError, match=r"commands note\(value=1\)"):
        require_set_up_without_commands(plan_continuation(run))
    write(tmp_path, ("parameters", "n: int = 1"), *cells[:1], ("step", "1 / 1"))
    result = CliRunner().invoke(main, ["run", "--continues", run.header["obsid"]])
    assert result.exit_code == 1
    assert "has changed since" in result.output
    assert len(core.records) == 1
