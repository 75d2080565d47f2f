"""The shipped procedures: written alike, believed in a dry run, and three of them run as a batch against simulators."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camtest.core.sequence import CommandSequence
from camtest.run.dryrun import dry_run_notebook
from camtest.run.notebooks import has_tag, read_notebook
from camtest.run.parameters import notebook_parameters
from camtest.run.pool import KernelPool
from camtest.run.steps import STEP_TAG
from egse.site.layout import SiteLayout

pytestmark = pytest.mark.system

FOLDER = Path(__file__).resolve().parents[2] / "procedures"
PROCEDURES = sorted(FOLDER.glob("*.ipynb"))
NEEDED: dict[str, dict[str, Any]] = {
    "temperature_plateau": {"temperature": 25.0},
    "trp_plateau": {"temperature": -70.0},
    "fov_scan": {"dither": 1},
}
COMMANDS = {
    "camera_switch_on": ["set_output_status", "set_n_cam_secondary_power_status", "n_fee_set_dump_mode"],
    "camera_switch_off": ["set_n_cam_clock_status", "set_n_cam_secondary_power_status"],
    "short_functional_test": ["n_fee_set_full_image_mode", "operate_off"],
    "full_functional_test": ["n_fee_set_full_image_mode", "att_set_level_factor", "operate_off"],
    "bias_read_noise": ["n_fee_set_full_image_mode"],
    "dark_current": ["n_fee_set_full_image_mode"],
    "gain_photon_transfer": ["att_set_level_factor", "n_fee_set_full_image_mode", "operate_off"],
    "temperature_plateau": ["set_temperature_setpoint", "set_range"],
    "trp_plateau": ["request_remote_operation", "set_operating_mode", "set_parameter", "commit", "run_task"],
    "ogse_attenuation_check": ["att_set_level_factor", "operate_off"],
    "fov_scan": ["goto", "n_fee_set_full_image_mode", "operate_off"],
    "best_focus_sweep": ["goto", "move_absolute", "n_fee_set_full_image_mode", "operate_off"],
    "telemetry_limit_check": [],
    "hexapod_check_out": ["homing", "move_absolute", "goto_retracted_position"],
}


@pytest.mark.parametrize("path", PROCEDURES, ids=lambda path: path.stem)
def test_procedures_are_written_alike(path: Path) -> None:
    notebook = read_notebook(path)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    assert all(not cell.get("outputs") for cell in notebook.cells), "a procedure is stored without outputs"
    parameters = notebook_parameters(notebook)
    assert parameters
    for parameter in parameters.values():
        assert parameter.annotation, f"{parameter.name} has no type"
        assert parameter.help, f"{parameter.name} has no explanation"
    assert any(has_tag(cell, "analysis") for cell in notebook.cells), "it has no analysis of its own"
    if path.stem != "short_functional_test":
        assert any(has_tag(cell, STEP_TAG) for cell in notebook.cells), "it cannot be continued"
    assert "end_observation()" in notebook.cells[-1].source


@pytest.fixture(scope="module")
def pool() -> Iterator[KernelPool]:
    with KernelPool(2) as pool:
        yield pool


@pytest.fixture
def dry_runs(site: SiteLayout, pool: KernelPool) -> dict[str, CommandSequence]:
    """What all procedures command with their defaults, at nobody's expense."""
    (setup,) = site.conf.glob("SETUP_*.yaml")

    def work(path: Path) -> Callable[[Any], CommandSequence]:
        return lambda kernel: dry_run_notebook(path, NEEDED.get(path.stem), setup_file=setup, warm=kernel)

    futures = {path.stem: pool.submit(work(path)) for path in PROCEDURES}
    return {name: future.result() for name, future in futures.items()}


def test_dry_runs_of_all_procedures(dry_runs: dict[str, CommandSequence]) -> None:
    assert dry_runs.keys() == COMMANDS.keys()
    for name, wanted in COMMANDS.items():
        sequence = dry_runs[name]
        names = [entry.name for entry in sequence.commands]
        assert not [entry.call for entry in sequence.walk() if entry.error], name
        assert set(wanted) <= set(names), f"{name} does not command {set(wanted) - set(names)}"
        assert sequence.details["elapsed"] > 0, name
    gain = dry_runs["gain_photon_transfer"]
    assert gain.details["elapsed"] > 6 * 3 * 25.0, "six levels of three cycles at the true cycle time"
    assert dry_runs["telemetry_limit_check"].details["elapsed"] == pytest.approx(60.0)


def test_what_was_planned_is_what_is_commanded(shell: Any, lab: Any) -> None:
    """With a settle loop, at twenty times the true speed; of all procedures in `tests/campaigns`."""
    notebook = FOLDER / "temperature_plateau.ipynb"
    given = (
        "-p",
        "temperature",
        "22.5",
        "-p",
        "stable_for",
        "40",
        "-p",
        "dwell",
        "100",
        "-p",
        "switch_off",
        "true",
    )
    code, output = shell.run("camtest", "dry-run", notebook, *given, "--export", "plan.json")
    assert code == 0, output
    code, output = shell.run("camtest", "run", notebook, *given)
    assert code == 0, output
    plan = CommandSequence.read(shell.folder / "plan.json")
    as_run = CommandSequence.of_observation(lab.last()["obsid"], lab.folder)
    assert plan.state_changing() == as_run.state_changing()
    assert not plan.diff(as_run), str(plan.diff(as_run))
    assert [name for _, name, _ in plan.state_changing()] == [
        "set_output_mode",
        "set_temperature_setpoint",
        "set_range",
        "set_range",
    ]
    raw = [command["args"] for command in lab.record(as_run.details["obsid"]).lines("commands.jsonl")]
    assert all(arguments in raw for _, _, arguments in plan.state_changing()), "and as the journal has it"


PLAN = """\
title: Short form
steps:
  - notebook: {folder}/telemetry_limit_check.ipynb
    parameters: {{duration: 40}}
  - notebook: {folder}/bias_read_noise.ipynb
    parameters: {{num_cycles: 1, row_end: 99}}
"""


@pytest.mark.campaign
def test_two_procedures_as_a_batch(shell: Any, lab: Any, tmp_path: Path) -> None:
    lab.to_rest()
    (tmp_path / "plan.yaml").write_text(PLAN.format(folder=FOLDER))
    code, output = shell.finish(shell.start("camtest", "batch", "plan.yaml", "--quiet"), timeout=240)
    assert code == 0, output
    records = [dict(record) for record in lab.manager.list_observations(last=2)]
    assert [record["status"] for record in records] == ["done"] * 2, output
    assert [record["function"].partition("(")[0] for record in records] == [
        "telemetry_limit_check",
        "bias_read_noise",
    ]
    for record in records:
        assert shell.run("camtest", "verify", record["obsid"])[0] == 0
    (page,) = (tmp_path / "runs").glob("batch_*.html")
    assert all(record["obsid"] in page.read_text() for record in records)
    code, output = shell.run("camtest", "runs", "--json", "-n", "3")
    assert [(row["obsid"], row["source"]) for row in json.loads(output)] == [
        (record["obsid"], "batch") for record in records
    ]
