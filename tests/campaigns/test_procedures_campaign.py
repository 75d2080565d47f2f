"""All procedures against simulators, from switch-on to switch-off: what was dry-run is what was commanded."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from camtest.core.sequence import CommandSequence
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox

pytestmark = [pytest.mark.campaign, pytest.mark.system]

SPEED = 10.0
START_TIMEOUT = 240.0
"""Two dozen programs start at once [s]."""
FOLDER = Path(__file__).resolve().parents[2] / "procedures"
CAMTEST, CGSE = (str(Path(sysconfig.get_path("scripts")) / name) for name in ("camtest", "cgse"))
CAMERA = """\
title: The camera from switch-on to switch-off
on_failure: continue
steps:
  - {notebook: %(f)s/camera_switch_on.ipynb, parameters: {num_cycles: 1, row_end: 99}}
  - {notebook: %(f)s/short_functional_test.ipynb, parameters: {num_cycles: 1, row_end: 99}}
  - {notebook: %(f)s/full_functional_test.ipynb, parameters: {num_rows: 60, window_rows: 40, attenuations: [0.1, 1.0]}}
  - {notebook: %(f)s/bias_read_noise.ipynb, parameters: {num_cycles: 1, row_end: 99}}
  - {notebook: %(f)s/dark_current.ipynb, parameters: {num_cycles: 2, row_end: 59, ccds: [1, 2]}}
  - {notebook: %(f)s/gain_photon_transfer.ipynb, parameters: {row_end: 299, attenuations: [0.1, 0.26, 0.48, 1.0]}}
  - {notebook: %(f)s/temperature_plateau.ipynb, parameters: {temperature: 25.0, stable_for: 60, dwell: 100}}
  - {notebook: %(f)s/trp_plateau.ipynb, parameters: {temperature: -105.0, stable_for: 60, dwell: 100, stop_task: true}}
  - {notebook: %(f)s/ogse_attenuation_check.ipynb, parameters: {warm_up: 20, dwell: 120, attenuations: [0.1, 0.5, 1.0]}}
  - {notebook: %(f)s/telemetry_limit_check.ipynb}
  - {notebook: %(f)s/camera_switch_off.ipynb}
"""
POINTING = """\
title: Mechanisms and source
on_failure: continue
steps:
  - {notebook: %(f)s/hexapod_check_out.ipynb, parameters: {homing: true}}
  - {notebook: %(f)s/fov_scan.ipynb, parameters: {dither: 2, positions: [[8.3, 45.0], [8.3, -135.0]]}}
  - {notebook: %(f)s/best_focus_sweep.ipynb, parameters: {focus: [-0.2, -0.1, 0.0, 0.1, 0.2]}}
"""
PLANS = {"camera": (CAMERA, {"aeu": True}), "pointing": (POINTING, {"equipment": True})}
"""What is run, and what its sandbox is made with: the camera sees either a lamp through the attenuator or the source."""


@dataclass(frozen=True)
class Planned:
    """A dry run, and what it took [s]."""

    name: str
    sequence: CommandSequence
    wall: float
    cpu: float


@contextmanager
def running(folder: Path, options: dict[str, bool]) -> Iterator[Sandbox]:
    sandbox = Sandbox(folder, speed=SPEED, seed=1, optics=True, **options)
    try:
        sandbox.start(timeout=START_TIMEOUT)
        if "equipment" not in options:
            start_tcs = [CGSE, "device", "tcs", "start", "--simulator"]
            subprocess.run(start_tcs, env=sandbox.environ(), check=True, stdout=subprocess.DEVNULL)
        yield sandbox
    finally:
        sandbox.stop()
        release_block(folder)
    shutil.rmtree(folder)


def test_every_procedure_is_in_a_plan() -> None:
    planned = [step["notebook"] for plan, _ in PLANS.values() for step in _steps(plan)]
    assert sorted(planned) == sorted(map(str, FOLDER.glob("*.ipynb")))


@pytest.mark.parametrize("name", PLANS)
def test_all_procedures(name: str, tmp_path: Path) -> None:
    plan, options = PLANS[name]
    with running(tmp_path / "box", options) as bench:
        check_procedures(bench, plan, tmp_path)


def check_procedures(bench: Sandbox, plan: str, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(plan % {"f": FOLDER})
    command = [CAMTEST, "batch", "plan.yaml", "--quiet"]
    with (
        (tmp_path / "batch.txt").open("w") as output,
        subprocess.Popen(command, cwd=tmp_path, env=bench.environ(), stdout=output, stderr=output) as batch,
    ):
        try:
            plans = _dry_runs(bench, plan, tmp_path)
            batch.wait(2400)
        finally:
            batch.terminate()
    told = (tmp_path / "batch.txt").read_text()
    print(told)
    folders = sorted((bench.layout.data / "obs").iterdir())
    assert len(folders) == len(plans), told
    runs = [CommandSequence.of_observation(folder.name, bench.layout.data) for folder in folders]
    print(_table(plans, runs))
    assert batch.returncode == 0, told
    for planned, run in zip(plans, runs, strict=True):
        assert planned.sequence.state_changing() == run.state_changing(), str(planned.sequence.diff(run))
        assert not planned.sequence.diff(run), str(planned.sequence.diff(run))
        assert run.details["status"] == "done"
    verified = subprocess.run([CAMTEST, "verify", "--all"], env=bench.environ(), check=False)
    assert verified.returncode == 0


def _steps(plan: str) -> list[dict[str, str]]:
    return list(yaml.safe_load(plan % {"f": FOLDER})["steps"])


def _dry_runs(bench: Sandbox, plan: str, folder: Path) -> list[Planned]:
    """Dry-runs the day while it happens: each procedure begins where those before it have left the devices."""
    found: list[Planned] = []
    exports: list[Path] = []
    for step in _steps(plan):
        notebook = Path(step["notebook"])
        given, export = folder / f"{notebook.stem}.yaml", folder / f"{notebook.stem}.json"
        given.write_text(json.dumps(step.get("parameters", {})))
        earlier = [word for path in exports for word in ("--after", str(path))]
        command = [CAMTEST, "dry-run", str(notebook), "-f", str(given), "--export", str(export), *earlier]
        before, began = _cpu(), time.monotonic()
        done = subprocess.run(command, env=bench.environ(), capture_output=True, text=True, check=False)
        wall, cpu = time.monotonic() - began, _cpu() - before
        assert done.returncode == 0, done.stdout + done.stderr
        exports.append(export)
        found.append(Planned(notebook.stem, CommandSequence.read(export), wall, cpu))
    return found


def _cpu() -> float:
    """Returns the processor time of all children that have ended [s]; kernels are children of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _table(plans: list[Planned], runs: list[CommandSequence]) -> str:
    lines = [
        f"{'procedure':<24} {'wall [s]':>8} {'CPU [s]':>8} {'virtual [s]':>11} {'changing':>8} {'equal':>6}  status"
    ]
    for plan, run in zip(plans, runs, strict=True):
        changing = plan.sequence.state_changing()
        equal = "yes" if changing == run.state_changing() else "NO"
        figures = f"{plan.wall:>8.1f} {plan.cpu:>8.2f} {plan.sequence.duration:>11.1f} {len(changing):>8} {equal:>6}"
        lines.append(f"{plan.name:<24} {figures}  {run.details['status']}")
    return "\n".join(lines)
