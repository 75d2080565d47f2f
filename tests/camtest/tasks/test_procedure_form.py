"""The form: made from what the notebook declares, tells all errors, hands typed values on."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from camtest.run.queue import Queue
from camtest.tasks.procedures import ProcedureForm, procedure_form

PARAMETERS = """\
from typing import Annotated, Literal
from egse.command import Range, Unit
temperature: Annotated[float, Range(-80, 40), Unit("degC")]  # set point
side: Literal["E", "F"] = "F"  # which side
order: list[int] = [1, 2]
gain: float | None = None
name: str = "x"
quick: bool = False
"""


@pytest.fixture
def form(tmp_path: Path) -> ProcedureForm:
    cell = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})  # type: ignore[no-untyped-call]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "p.ipynb")  # type: ignore[no-untyped-call]
    return procedure_form(tmp_path / "p.ipynb")


def test_values_have_the_types_of_the_notebook(form: ProcedureForm) -> None:
    assert form.values() == {}
    for name, value in {
        "temperature": "-70",
        "side": "E",
        "order": "[3, 4]",
        "gain": "1e1",
        "name": "'y'",
    }.items():
        form.fill(**{name: value})
    form.fill(quick=True)
    assert form.values() == {
        "temperature": -70.0,
        "side": "E",
        "order": [3, 4],
        "gain": 10.0,
        "name": "y",
        "quick": True,
    }
    assert form.check()


def test_all_errors_are_told_and_nothing_is_queued(form: ProcedureForm) -> None:
    form.fill(order="[1, 'a']")
    form.fill(gain="much")
    form.enqueue()
    for text in ("`temperature` [degC]", "is missing", "`order`", "`gain`"):
        assert text in form.message.value
    assert Queue().state().items == {}
    form.fill(temperature="500")
    assert not form.check()
    assert "must be in [-80, 40] degC" in form.message.value


def test_good_values_go_to_the_queue(form: ProcedureForm) -> None:
    form.fill(temperature="20")
    Queue().set_status("paused", "lunch")
    form.enqueue()
    assert "the queue is paused" in form.message.value
    (entry,) = Queue().state().items.values()
    assert entry.item.parameters == {"temperature": 20.0}
