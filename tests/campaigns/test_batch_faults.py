"""200 observations in a batch, and 20 faults on the way: each ends with its true status, and the batch is completed.

`CAMPAIGN_RUNS` and `CAMPAIGN_FAULTS` make it shorter; the suite has its short form in `tests/camtest/run/test_batch.py`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from camtest.run.batch import BatchState, read_batch
from egse.confman import ConfigurationManagerProxy
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox

pytestmark = [pytest.mark.campaign, pytest.mark.system]

RUNS = int(os.environ.get("CAMPAIGN_RUNS", "200"))
FAULTS = int(os.environ.get("CAMPAIGN_FAULTS", "20"))
CAMTEST = str(Path(sysconfig.get_path("scripts")) / "camtest")
KINDS = ("cell", "kernel", "runner", "cm_cs", "sm_cs", "signal")
CELL = """\
import pathlib, time
from camtest import building_block

@building_block
def note(value: int) -> int:
    return value

note(value=n)
bad = pathlib.Path(f"bad-{n}")
if bad.exists():
    bad.unlink()
    raise ValueError("the cell fails")
pathlib.Path("running").write_text(str(n))
time.sleep(0.3)
"""


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("faults") / "box"
    with Sandbox(folder, only_core=True) as running:
        with ConfigurationManagerProxy(endpoint=running.endpoint("cm_cs")) as manager:
            manager.load_setup(1)
        yield running
    release_block(folder)
    shutil.rmtree(folder)


def write_plan(folder: Path) -> None:
    cells = [
        nbformat.v4.new_code_cell("n: int = 0", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(CELL),
    ]
    spec = {"name": "python3", "display_name": "python3", "language": "python"}
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), folder / "note.ipynb"
    )
    numbers = list(range(1, RUNS + 1))
    (folder / "plan.yaml").write_text(
        f"steps:\n- {{notebook: note.ipynb, grid: {{n: {numbers}}}, safe_to_repeat: true, retries: 1}}\n"
    )


def start(core: Sandbox, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with (folder / "output.log").open("ab") as output:
        return subprocess.Popen(
            [CAMTEST, "batch", *arguments, "--quiet"],
            cwd=folder,
            env=core.environ() | {"CAMTEST_LEASE": "5"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def running(folder: Path) -> int:
    try:
        return int((folder / "running").read_text() or 0)
    except FileNotFoundError:
        return 0


def strike(kind: str, number: int, core: Sandbox, batch: subprocess.Popen[bytes], folder: Path) -> None:
    """Does something bad while run `number` is under way."""
    match kind:
        case "cell":
            (folder / f"bad-{number + 1}").touch()
        case "kernel":
            kernels = [
                p
                for p in psutil.Process(batch.pid).children(recursive=True)
                if "ipykernel_launcher" in " ".join(p.cmdline())
            ]
            for kernel in kernels:
                kernel.kill()
        case "runner":
            batch.kill()
        case "signal":
            batch.send_signal(signal.SIGTERM)
        case service:
            core.kill(service)


def test_a_batch_survives_everything(core: Sandbox, tmp_path: Path) -> None:
    write_plan(tmp_path)
    rng = random.Random(os.environ.get("CAMPAIGN_SEED", "1"))
    at = sorted(rng.sample(range(2, RUNS - 1), min(FAULTS, RUNS - 3)))
    faults = {number: KINDS[index % len(KINDS)] for index, number in enumerate(at)}
    print(f"faults: {faults}")
    batch = start(core, tmp_path, "plan.yaml")
    resumed = 0
    deadline = time.monotonic() + 120 + 30 * RUNS
    while True:
        assert time.monotonic() < deadline, (tmp_path / "output.log").read_text()[-3000:]
        number = running(tmp_path)
        due = [n for n in faults if n <= number]
        for n in due:
            strike(faults.pop(n), number, core, batch, tmp_path)
        if batch.poll() is not None:
            if batch.returncode == 0:
                break
            resumed += 1
            assert resumed < 3 * FAULTS + 3, (tmp_path / "output.log").read_text()[-3000:]
            batch = start(core, tmp_path, "--resume")
        time.sleep(0.05)
    with core.joined():
        state = read_batch()
        check_observations(core, state)
    assert subprocess.run([CAMTEST, "verify", "--all"], env=core.environ(), check=False).returncode == 0


def check_observations(core: Sandbox, state: BatchState) -> None:
    """Every run is done once in the end; every observation is closed with the status that its attempt has."""
    assert [state.status_of(item) for item in state.items] == ["done"] * RUNS
    with ConfigurationManagerProxy(endpoint=core.endpoint("cm_cs")) as manager:
        deadline = time.monotonic() + 60
        while any(record["state"] != "closed" for record in manager.list_observations()):
            assert time.monotonic() < deadline, "an observation is not closed"
            time.sleep(0.2)
        records = manager.list_observations()
    ids = [int(str(record["obsid"])[-5:]) for record in records]
    assert ids == list(range(1, len(ids) + 1)), "obsids are unique and without gaps"
    told = {a.obsid: a.status for attempts in state.attempts.values() for a in attempts if a.obsid}
    for record in records:
        assert record["status"] in ("done", "failed", "interrupted", "kernel-lost"), record
        if record["obsid"] in told:
            assert record["status"] == told[record["obsid"]], record
    assert sum(record["status"] == "done" for record in records) >= RUNS
    print({status: sum(r["status"] == status for r in records) for status in {r["status"] for r in records}})
