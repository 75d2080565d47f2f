"""Going on with a procedure whose kernel is gone: a new run that begins at a step, honestly.

A cell tagged `step` begins a step; it reaches to the next one. What stands before the first step is set-up. A run that
continues another one executes the set-up again, then everything from a step on. It has an obsid of its own, and its record
says which observation it continues; that one stays as it is. This is refused when it would not be true:

* the notebook is not what it was, or it has no steps;
* the set-up commands anything (found out by a dry run of it);
* a cell that is to run uses a name that only a cell left out defines: a step depends on parameters and on results that
  earlier steps have stored (`camtest.core.results`), not on their variables.
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from nbformat import NotebookNode

from camtest.run.dryrun import DryRunFailedError, dry_run_notebook
from camtest.run.journal import RunRecord
from camtest.run.notebooks import cell_titles, has_tag, read_notebook
from camtest.run.parameters import PARAMETERS_TAG, parse_module
from camtest.run.recovery import notebook_of

STEP_TAG = "step"
INJECTED_TAG = "injected-parameters"


class ContinueError(click.ClickException, RuntimeError):
    """A run cannot be continued; nothing was started."""


@dataclass(frozen=True)
class Continuation:
    """How to go on with a run.

    Attributes:
        notebook: path of the procedure.
        parameters: those that were given then.
        obsid: the observation that is continued.
        step: title of the step at which it goes on.
        left_out: ids of the cells that are not executed.
    """

    notebook: Path
    parameters: dict[str, Any]
    obsid: str
    step: str
    left_out: frozenset[str]

    def skip(self, cell: NotebookNode) -> bool:
        """Returns True for a cell that is left out."""
        return cell.get("id") in self.left_out


def plan_continuation(record: RunRecord, step: str | None = None) -> Continuation:
    """Finds out how to go on with a run, and that it may be done.

    Args:
        record: the run.
        step: title (or its beginning) or cell id of the step to begin with; None: the first that did not pass.

    Raises:
        ContinueError: when it cannot be done, with the reason.
    """
    if record.alive and not record.ended:
        raise ContinueError(f"run {record.run_id} is still running")
    path = Path(record.header["notebook"])
    try:
        now = read_notebook(path)
    except (OSError, ValueError) as exc:
        raise ContinueError(f"{path} cannot be read: {exc}") from exc
    done = notebook_of(record, lost=not record.ended)
    before = [cell for cell in done.cells if not has_tag(cell, INJECTED_TAG)]
    if [cell.source for cell in before] != [cell.source for cell in now.cells]:
        raise ContinueError(
            f"{path.name} has changed since observation {record.header['obsid']}: run it from its start"
        )
    titles = cell_titles(now)
    steps = [i for i, cell in enumerate(now.cells) if cell.cell_type == "code" and has_tag(cell, STEP_TAG)]
    if not steps:
        raise ContinueError(
            f"{path.name} has no cells tagged `{STEP_TAG}`: it can only be run from its start"
        )
    first = _first_open(steps, before)
    begin = first if step is None else _named(step, steps, now.cells, titles)
    if begin > first:
        raise ContinueError(
            f"step {titles[begin]!r} comes after {titles[first]!r}, which did not pass: begin with that"
        )
    left_out = range(steps[0], begin)
    _require_independent(now.cells, left_out, begin, titles)
    return Continuation(
        notebook=path,
        parameters=dict(record.header.get("given") or {}),
        obsid=record.header["obsid"],
        step=titles[begin],
        left_out=frozenset(now.cells[index]["id"] for index in left_out),
    )


def _first_open(steps: list[int], cells: list[NotebookNode]) -> int:
    """Returns where the first step begins of which a cell did not pass."""
    ends = [*steps[1:], len(cells)]
    for begin, end in zip(steps, ends, strict=True):
        codes = [cell for cell in cells[begin:end] if cell.cell_type == "code"]
        if any(cell.metadata.get("camtest", {}).get("status") != "passed" for cell in codes):
            return begin
    raise ContinueError("all its steps have passed: there is nothing to go on with")


def _named(step: str, steps: list[int], cells: list[NotebookNode], titles: list[str]) -> int:
    found = [i for i in steps if cells[i]["id"] == step or titles[i].startswith(step)]
    if len(found) != 1:
        names = ", ".join(repr(titles[i]) for i in steps)
        raise ContinueError(f"{step!r} names {len(found) or 'no'} step(s); there are {names}")
    return found[0]


def _require_independent(cells: list[NotebookNode], left_out: range, begin: int, titles: list[str]) -> None:
    """Refuses when a cell that is to run needs what a cell that is left out has defined."""
    known = set(dir(builtins))
    for cell in cells[: left_out.start]:
        known |= _names(cell)[0]
    lost = {name: index for index in left_out for name in _names(cells[index])[0]}
    for index in range(begin, len(cells)):
        defined, used = _names(cells[index])
        for name in sorted(used - known):
            if name in lost:
                raise ContinueError(
                    f"the cell {titles[index]!r} needs `{name}`, which the step {titles[lost[name]]!r} has defined in the "
                    "kernel that is gone: store it there with store_result(), or begin with that step"
                )
        known |= defined


def _names(cell: NotebookNode) -> tuple[set[str], set[str]]:
    """Returns the names that a cell defines at its top level, and those that it uses without defining them before."""
    if cell.cell_type != "code":
        return set(), set()
    source = "\n".join(
        "" if line.lstrip().startswith(("%", "!")) else line for line in cell.source.splitlines()
    )
    try:
        tree = parse_module(source)
    except SyntaxError:
        return set(), set()
    defined: set[str] = set()
    used: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                defined.add(name)
            case ast.alias(name=name, asname=asname):
                defined.add(asname or name.partition(".")[0])
            case ast.arg(arg=name):
                defined.add(name)
    return defined, used - defined


def require_set_up_without_commands(continuation: Continuation, kernel: str | None = None) -> None:
    """Refuses when the cells before the first step command anything.

    Raises:
        ContinueError: naming what they command, or when their dry run fails.
    """
    cells = read_notebook(continuation.notebook).cells
    first = next(i for i, cell in enumerate(cells) if cell.cell_type == "code" and has_tag(cell, STEP_TAG))
    set_up = frozenset(cell["id"] for cell in cells[:first])

    def later(cell: NotebookNode) -> bool:
        return (
            cell.get("id") not in set_up
            and not has_tag(cell, INJECTED_TAG)
            and not has_tag(cell, PARAMETERS_TAG)
        )

    try:
        sequence = dry_run_notebook(
            continuation.notebook, continuation.parameters, kernel_name=kernel, skip=later
        )
    except DryRunFailedError as exc:
        raise ContinueError(f"the set-up of {continuation.notebook.name} fails: {exc.message}") from exc
    commands = [entry.call for entry in sequence.walk() if entry.kind in ("command", "block")]
    if commands:
        raise ContinueError(
            f"the set-up of {continuation.notebook.name}, before its first step, commands {', '.join(commands[:3])}: "
            "move that into a step"
        )
