"""The plan of a batch: which procedures, in which order, with which parameters.

    title: Morning checks
    on_failure: stop                  # or continue; each step may say it for itself
    steps:
      - notebook: procedures/camera_switch_on.ipynb
      - name: bias
        notebook: procedures/bias_read_noise.ipynb
        parameters: {num_cycles: 2}
        grid: {ccd_side: [E, F], row_end: [99, 199]}      # four runs: every combination
        safe_to_repeat: true          # may be run again when it failed ...
        retries: 2                    # ... so many times
      - notebook: notebooks/compare.ipynb
        mode: analysis                # commands nothing: runs beside the others
        parameters: {obsid: $bias.obsid}

Paths are relative to the plan. Everything is checked, and all that is wrong is told, before anything is started.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from camtest.run.notebooks import read_notebook
from camtest.run.parameters import ParameterError, check_parameters, notebook_parameters
from egse.yamlfile import read_yaml

Mode = Literal["run", "dry-run", "analysis"]
OnFailure = Literal["stop", "continue"]

REFERENCE = re.compile(r"\$(?P<step>[\w.+-]+)\.obsid")
"""A parameter of this form is the obsid of an earlier step."""


class Step(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One step of a plan, as written.

    Attributes:
        notebook: path, relative to the plan.
        name: how it is called; the name of the notebook by default.
        mode: `run` as an observation, `dry-run`, or `analysis` (commands nothing, makes no observation).
        parameters: values by name.
        grid: lists of values by name: one run for every combination.
        repeat: so many times each.
        on_failure: what becomes of the batch when it fails; None for what the plan says.
        safe_to_repeat: it may be run again without harm.
        retries: how often it is run again when it failed; only when that is safe.
        cell_timeout: longest time for one cell [s].
        kernel: kernel to run in instead of the notebook's own.
        description: free text for the obsid table.
    """

    notebook: str
    name: str = ""
    mode: Mode = "run"
    parameters: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    repeat: int = 1
    on_failure: OnFailure | None = None
    safe_to_repeat: bool = False
    retries: int = 0
    cell_timeout: float | None = None
    kernel: str | None = None
    description: str = ""


class Plan(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A plan, as written.

    Attributes:
        steps: in order.
        title: what it is for.
        on_failure: whether the batch goes on after a step that failed.
    """

    steps: list[Step]
    title: str = ""
    on_failure: OnFailure = "stop"


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a batch: a step with one set of parameters.

    Attributes:
        number: from 1, in the order of the plan.
        name: of the step.
        notebook: absolute path.
        parameters: values by name; references to obsids are still open.
        stops: the batch stops when it fails.
        retries: how often it may be run again.
        mode, cell_timeout, kernel, description: as in the plan.
    """

    number: int
    name: str
    notebook: str
    mode: Mode = "run"
    parameters: dict[str, Any] = {}
    stops: bool = True
    retries: int = 0
    cell_timeout: float | None = None
    kernel: str | None = None
    description: str = ""

    @property
    def label(self) -> str:
        """Name and parameters, for people."""
        values = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{self.name}({values})"


class PlanError(click.ClickException, ValueError):
    """A plan that cannot be run; `errors` has one line for each reason."""

    exit_code = 2

    def __init__(self, plan: str, errors: list[str]) -> None:
        self.errors = errors
        listed = "\n".join(f"  - {error}" for error in errors)
        super().__init__(f"{plan} cannot be run, nothing was started\n{listed}")


def read_plan(path: str | Path) -> tuple[Plan, list[Item]]:
    """Reads a plan and checks it: notebooks, parameters, references.

    Returns:
        The plan and its runs, in order.

    Raises:
        PlanError: telling everything that is wrong.
    """
    source = Path(path)
    try:
        plan = msgspec.convert(read_yaml(source), Plan)
    except (msgspec.ValidationError, ValueError, OSError) as exc:
        raise PlanError(source.name, [str(exc)]) from exc
    errors: list[str] = []
    items: list[Item] = []
    names: set[str] = set()
    if not plan.steps:
        errors.append("it has no steps")
    for index, step in enumerate(plan.steps, start=1):
        name = step.name or Path(step.notebook).stem
        where = f"step {index} ({name})"
        errors += [f"{where}: {problem}" for problem in _problems(step)]
        made, problems = _expand(plan, step, name, source.resolve().parent, names, len(items))
        errors += [f"{where}: {problem}" for problem in problems]
        items += made
        names.add(name)
    if errors:
        raise PlanError(source.name, list(dict.fromkeys(errors)))
    return plan, items


def _problems(step: Step) -> Iterator[str]:
    if step.retries < 0 or step.repeat < 1:
        yield "retries must be 0 or more, repeat 1 or more"
    if step.retries and not step.safe_to_repeat:
        yield "retries are for steps that are safe to repeat: say `safe_to_repeat: true` if it is, or leave retries out"
    if step.cell_timeout is not None and not step.cell_timeout > 0:
        yield f"cell_timeout must be a time above 0 s, got {step.cell_timeout}"
    for name, values in step.grid.items():
        if not values:
            yield f"the grid has no values for `{name}`"
        if name in step.parameters:
            yield f"`{name}` is both a parameter and in the grid"


def _expand(
    plan: Plan, step: Step, name: str, folder: Path, earlier: set[str], done: int
) -> tuple[list[Item], list[str]]:
    """Returns the runs of a step, and what is wrong with it."""
    path = (folder / step.notebook).resolve()
    try:
        notebook = read_notebook(path)
        known = notebook_parameters(notebook)
    except (OSError, ValueError) as exc:
        return [], [f"{step.notebook}: {exc}"]
    items: list[Item] = []
    errors: list[str] = []
    for values in combinations(step.grid):
        given = step.parameters | values
        checked: dict[str, Any] = {}
        for key, value in given.items():
            reference = REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if reference and reference["step"] not in earlier:
                errors.append(f"`{key}`: {value} names no earlier step")
            text = isinstance(value, str) and not reference and key in known
            checked[key] = known[key].convert(value) if text else value
        try:
            check_parameters(notebook, resolved(checked, lambda name: _SOME_OBSID), path.name)
        except ParameterError as exc:
            errors += exc.errors
            continue
        for _ in range(max(step.repeat, 1)):
            items.append(
                Item(
                    number=done + len(items) + 1,
                    name=name,
                    notebook=str(path),
                    mode=step.mode,
                    parameters=checked,
                    stops=(step.on_failure or plan.on_failure) == "stop",
                    retries=max(step.retries, 0) if step.safe_to_repeat else 0,
                    cell_timeout=step.cell_timeout,
                    kernel=step.kernel,
                    description=step.description or plan.title,
                )
            )
    return items, errors


_SOME_OBSID = "SITE_00000_00000"


def resolved(parameters: Mapping[str, Any], obsid_of: Callable[[str], str]) -> dict[str, Any]:
    """Returns parameters in which references are replaced by the obsids that `obsid_of` knows by name of the step."""

    def value_of(value: Any) -> Any:
        reference = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        return obsid_of(reference["step"]) if reference else value

    return {name: value_of(value) for name, value in parameters.items()}


def combinations(grid: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Yields every combination of the values of a grid; the last name changes fastest. One without a grid."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))
