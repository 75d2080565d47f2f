"""200 observations in a batch, and 20 faults on the way: each ends with its true status, and the batch is completed.

A run that is to be hit waits in a building block until it was, so it is known which observation a fault meets and how that
one has to end. `CAMPAIGN_RUNS`, `CAMPAIGN_FAULTS`, `CAMPAIGN_KINDS` and `CAMPAIGN_SEED` change the size, the faults and the moments; what a killed
batch and a retry do is in the suite, in `tests/camtest/run/test_batch.py`.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from camtest.run.batch import BatchState, read_batch
from egse.confman import ConfigurationManagerProxy
from egse.site.ports import release_block
from egse.site.programs import core_entries, known_entry, programs_of
from egse.site.sandbox import Sandbox

pytestmark = [pytest.mark.campaign, pytest.mark.system]

RUNS = int(os.environ.get("CAMPAIGN_RUNS", "200"))
FAULTS = int(os.environ.get("CAMPAIGN_FAULTS", "20"))
SEED = os.environ.get("CAMPAIGN_SEED", "1")
KILLS = int(os.environ.get("CAMPAIGN_KILLS", "15"))
LONGEST_RUN = float(os.environ.get("CAMPAIGN_LONGEST_RUN", "8"))
"""A batch is killed at most so long after it has begun or gone on [s]: about what two runs take."""
LEASE = "60"
"""Of a run [s]: longer than a busy machine keeps a runner waiting. The watchdog notices killed ones at once."""
DISK = 300
"""Size of the data disk [MB]."""
PATIENCE = 180.0
CAMTEST = str(Path(sysconfig.get_path("scripts")) / "camtest")

EXPECTED = {
    "cell": "failed",
    "kernel": "kernel-lost",
    "runner": "interrupted",
    "signal": "interrupted",
    "abort": "aborted",
    "device": "failed",
    "disk": "done",
    "cm_cs": "done",
    "sm_cs": "done",
    "log_cs": "done",
}
"""How the observation ends that a fault meets. One that ends on a full disk waits until there is room for its record."""
ENDS_THE_BATCH = ("runner", "signal", "abort")

CELL = """\
import os, pathlib, time
from camtest import GlobalState, building_block
from camtest.core.observation import current_obsid
from egse.ogse import OGSEProxy

@building_block
def meet_fault(value: int) -> None:
    fault, hold = pathlib.Path(f"fault-{value}"), pathlib.Path(f"hold-{value}")
    while hold.exists():
        GlobalState.clock.sleep(0.05)
    pathlib.Path("running.part").write_text(f"{value} {current_obsid()}")
    os.replace("running.part", "running")
    while fault.exists():
        if fault.read_text() == "cell":
            fault.unlink()
            raise ValueError("the cell fails")
        GlobalState.clock.sleep(0.05)

@building_block
def set_level(value: int) -> None:
    with OGSEProxy() as ogse:
        ogse.att_set_level_index(index=value % 47)

begun = time.time()
if not os.path.exists(f"fault-{n}") or open(f"fault-{n}").read() != "disk":
    meet_fault(value=n)
set_level(value=n)
meet_fault(value=n)  # a command would be refused on a full disk, when it cannot be journalled
with open("ledger", "a") as file:
    file.write(f"{n} {current_obsid()} {begun} {time.time()}\\n")
"""


class Site:
    """A site whose data are on a disk of their own, and the folder in which the batch is run."""

    def __init__(self, sandbox: Sandbox, folder: Path, small_disk: bool) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.small_disk = small_disk
        self.data = Path(sandbox.env["PLATO_DATA_STORAGE_LOCATION"])
        self.batch: subprocess.Popen[bytes] | None = None
        self.resumed = 0

    def said(self) -> str:
        return (self.folder / "output.log").read_text()[-3000:]

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "output.log").open("ab") as output:
            self.batch = subprocess.Popen(
                [CAMTEST, "batch", *arguments, "--quiet"],
                cwd=self.folder,
                env=self.sandbox.environ() | {"CAMTEST_LEASE": LEASE},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self.batch

    def resume(self) -> subprocess.Popen[bytes]:
        self.resumed += 1
        return self.start("--resume")

    def running(self) -> tuple[int, str]:
        """Returns number and obsid of the run whose cell has begun last."""
        try:
            number, obsid = (self.folder / "running").read_text().split()
        except FileNotFoundError:
            return 0, ""
        return int(number), obsid

    def records(self) -> list[dict[str, Any]]:
        with ConfigurationManagerProxy(endpoint=self.sandbox.endpoint("cm_cs")) as manager:
            return [dict(record) for record in manager.list_observations()]

    def record(self, obsid: str) -> dict[str, Any]:
        for record in self.records():
            if record["obsid"] == obsid:
                return record
        raise LookupError(obsid)

    def camtest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CAMTEST, *arguments], env=self.sandbox.environ(), capture_output=True, text=True, check=False
        )

    def state(self) -> BatchState:
        with self.sandbox.joined():
            return read_batch()

    def ledger(self) -> list[tuple[int, str, float, float]]:
        """Returns number, obsid, begin and end [s since 1970] of the cells that came to their end, in that order."""
        rows = [line.split() for line in (self.folder / "ledger").read_text().splitlines()]
        return [(int(number), obsid, float(begin), float(end)) for number, obsid, begin, end in rows]


def eventually(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(ConnectionError, TimeoutError):
            if condition():
                return
        assert time.monotonic() < deadline, f"{what}: did not happen"
        time.sleep(0.05)


@contextlib.contextmanager
def disk_of_its_own(folder: Path) -> Iterator[bool]:
    """Puts a folder onto a small disk where that is possible; says whether it is."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m,mode=700", "tmpfs", str(folder)]
    before = folder.with_name(f"{folder.name}.before")
    shutil.copytree(folder, before)
    mounted = (
        os.geteuid() == 0
        and shutil.which("mount") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )
    try:
        if mounted:
            shutil.copytree(before, folder, dirs_exist_ok=True)
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    entries = [*core_entries(), *(e for name in ("ogse_sim", "ogse_cs") if (e := known_entry(name)))]
    box = Sandbox(tmp_path / "box", programs=programs_of(entries, {"speed": "1", "seed": "1"}))
    box.create()
    (tmp_path / "work").mkdir()
    with disk_of_its_own(Path(box.env["PLATO_DATA_STORAGE_LOCATION"])) as small_disk, box:
        running = Site(box, tmp_path / "work", small_disk)
        yield running
        if running.batch is not None:
            running.batch.kill()
            running.batch.wait()
    release_block(tmp_path / "box")


def write_plan(folder: Path, runs: int) -> None:
    parameters = nbformat.v4.new_code_cell("n: int = 0", metadata={"tags": ["parameters"]})
    cells = [parameters, nbformat.v4.new_code_cell(CELL)]
    spec = {"name": "python3", "display_name": "python3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
    nbformat.write(notebook, folder / "note.ipynb")
    numbers = list(range(1, runs + 1))
    (folder / "plan.yaml").write_text(
        f"steps:\n- {{notebook: note.ipynb, grid: {{n: {numbers}}}, safe_to_repeat: true, retries: 1}}\n"
    )


# The faults -----------------------------------------------------------------------------------------------------------


def closed(site: Site, obsid: str) -> bool:
    return bool(site.record(obsid)["state"] == "closed")


def kill_kernel(site: Site, number: int, obsid: str) -> None:
    assert site.batch is not None
    children = psutil.Process(site.batch.pid).children(recursive=True)
    kernels = [child for child in children if "ipykernel_launcher" in " ".join(child.cmdline())]
    assert kernels
    for kernel in kernels:
        kernel.kill()


def kill_runner(site: Site, number: int, obsid: str) -> None:
    """The kernel is left alone in the middle of a building block: it must not go on."""
    assert site.batch is not None
    site.batch.kill()
    eventually(lambda: closed(site, obsid), f"the end of {obsid}, whose runner was killed")


def terminate(site: Site, number: int, obsid: str) -> None:
    assert site.batch is not None
    site.batch.terminate()
    eventually(lambda: closed(site, obsid), f"the end of {obsid} after SIGTERM")


def abort(site: Site, number: int, obsid: str) -> None:
    done = site.camtest("abort", "-m", "smoke in the lab", "--wait", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    eventually(lambda: closed(site, obsid), f"the end of {obsid} after an abort")


def kill_service(name: str) -> Callable[[Site, int, str], None]:
    return lambda site, number, obsid: (site.sandbox.kill(name), None)[1]


def lose_device(site: Site, number: int, obsid: str) -> None:
    """The device goes away in the middle of a run, and is back before the next one."""
    hold = site.folder / f"hold-{number}"
    hold.touch()
    supervision = site.sandbox.supervision
    supervision.withdraw(["ogse_sim"])
    (site.folder / f"fault-{number}").unlink()
    eventually(lambda: closed(site, obsid), f"the end of {obsid}, whose device is away")
    supervision.declare([p for p in site.sandbox.programs() if p.name == "ogse_sim"])
    site.sandbox.wait_for("ogse_sim")
    hold.unlink()


def fill_disk(site: Site, number: int, obsid: str) -> None:
    """Not a byte is left while the run ends; then somebody makes room."""
    filler = site.data / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))
    before = (site.folder / "output.log").stat().st_size
    (site.folder / f"fault-{number}").unlink()

    def waits() -> bool:
        return "the data disk is full" in (site.folder / "output.log").read_text()[before:]

    try:
        eventually(waits, f"the end of run {number} on a full disk")
        assert not site.record(obsid)["status"]
    finally:
        filler.unlink()
    eventually(lambda: closed(site, obsid), f"the end of {obsid} after the disk was full")
    names = {path.name.split("_", 3)[-1] for path in Path(site.record(obsid)["folder"]).iterdir()}
    assert {"note.ipynb", "note_input.ipynb", "parameters.json", "versions.json"} <= names, names


FAULT_KINDS: dict[str, Callable[[Site, int, str], None] | None] = {
    "cell": None,  # the cell sees to that itself
    "kernel": kill_kernel,
    "cm_cs": kill_service("cm_cs"),
    "disk": fill_disk,
    "abort": abort,
    "device": lose_device,
    "sm_cs": kill_service("sm_cs"),
    "runner": kill_runner,
    "signal": terminate,
    "log_cs": kill_service("log_cs"),
}


def plan_faults(site: Site) -> dict[int, str]:
    chosen = os.environ.get("CAMPAIGN_KINDS", ",".join(FAULT_KINDS)).split(",")
    kinds = [kind for kind in chosen if kind != "disk" or site.small_disk]
    numbers = random.Random(SEED).sample(range(2, RUNS), min(FAULTS, RUNS - 2))
    faults = {number: kinds[index % len(kinds)] for index, number in enumerate(numbers)}
    for number, kind in faults.items():
        (site.folder / f"fault-{number}").write_text(kind)
    return dict(sorted(faults.items()))


def test_a_batch_survives_everything(site: Site) -> None:
    write_plan(site.folder, RUNS)
    faults = plan_faults(site)
    print(f"seed {SEED}, disk of its own: {site.small_disk}, faults: {faults}", flush=True)
    started = time.monotonic()
    met = run_with_faults(site, faults)
    took = time.monotonic() - started
    eventually(lambda: all(r["state"] == "closed" for r in site.records()), "the end of all observations")
    records = site.records()
    state = site.state()
    check_batch(site, state, faults)
    check_observations(records, state, faults, met)
    verified = site.camtest("verify", "--all")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    print(
        f"{RUNS} runs in {len(records)} observations in {took:.0f} s "
        f"({took / len(records):.1f} s each): {dict(Counter(r['status'] for r in records))}; "
        f"{len(faults)} faults {dict(Counter(faults.values()))}; resumed {site.resumed} times; "
        f"verify --all: {verified.stdout.strip()}"
    )


def run_with_faults(site: Site, faults: dict[int, str]) -> dict[int, str]:
    """Runs the batch to its end; returns the obsid that each fault has met, by number of the run."""
    met: dict[int, str] = {}
    batch = site.start("plan.yaml")
    deadline = time.monotonic() + 300 + 60 * RUNS
    while True:
        assert time.monotonic() < deadline, site.said()
        number, obsid = site.running()
        if number in faults and number not in met:
            met[number] = obsid
            print(f"  run {number}, {obsid}: {faults[number]}", flush=True)
            strike = FAULT_KINDS[faults[number]]
            if strike is not None:
                strike(site, number, obsid)
                (site.folder / f"fault-{number}").unlink(missing_ok=True)
        if batch.poll() is not None:
            if batch.returncode == 0:
                return met
            expected = sum(faults[hit] in ENDS_THE_BATCH for hit in met)
            assert site.resumed < expected, f"ended with {batch.returncode}\n{site.said()}"
            batch = site.resume()
        time.sleep(0.05)


def check_batch(site: Site, state: BatchState, faults: dict[int, str]) -> None:
    """Every run is done once in the end, in order and one at a time; none was executed again without need."""
    assert [state.status_of(item) for item in state.items] == ["done"] * RUNS
    again = {number: len(attempts) for number, attempts in state.attempts.items() if len(attempts) != 1}
    hit = {number: 2 for number, kind in faults.items() if EXPECTED[kind] != "done"}
    assert again == hit, "only what a fault has met is run again, once"
    ledger = site.ledger()
    times = Counter(number for number, *_ in ledger)
    assert times == Counter(range(1, RUNS + 1)), "no cell came to its end twice"
    for (_, first, _, end), (_, second, begin, _) in pairwise(ledger):
        assert end <= begin, f"{second} began before {first} had ended"


def check_observations(
    records: list[dict[str, Any]], state: BatchState, faults: dict[int, str], met: dict[int, str]
) -> None:
    """Each is closed with its true status; obsids are unique and without gaps."""
    ids = [int(str(record["obsid"])[-5:]) for record in records]
    assert ids == list(range(1, len(ids) + 1)), "obsids are unique and without gaps"
    # A start whose answer came too late on a busy machine is withdrawn: the number is used, nothing was executed.
    unborn = {r["obsid"]: r["reason"] for r in records if r["reason"].startswith("not started")}
    assert all(r["status"] == "failed" for r in records if r["obsid"] in unborn)
    records = [record for record in records if record["obsid"] not in unborn]
    statuses = {record["obsid"]: record["status"] for record in records}
    truth = {obsid: EXPECTED[faults[number]] for number, obsid in met.items()}
    assert met.keys() == faults.keys()
    wrong = {obsid: s for obsid, s in statuses.items() if s != truth.get(obsid, "done")}
    assert not wrong, wrong
    told = {a.obsid: a.status for attempts in state.attempts.values() for a in attempts}
    assert told == statuses, "the batch tells the same as the record of the site"
    print(f"{len(unborn)} starts were withdrawn: {unborn}")
    for number, kind in faults.items():
        continued = [r["details"].get("continues") for r in records if r["details"].get("item") == number]
        assert continued == ([None] if EXPECTED[kind] == "done" else [None, met[number]])


def test_the_runner_is_killed_at_random_moments(site: Site) -> None:
    """Whatever it is just doing: nothing that is done is executed again, no two runs overlap, no obsid is lost."""
    runs = KILLS
    write_plan(site.folder, runs)
    rng = random.Random(SEED)

    def recorded() -> int:
        return sum(path.stat().st_size for path in site.sandbox.layout.log.rglob("*.batch.jsonl"))

    batch, kills = site.start("plan.yaml"), 0
    while True:
        before = recorded()
        eventually(lambda: batch.poll() is not None or recorded() > before, "the begin of a run")  # noqa: B023
        with contextlib.suppress(subprocess.TimeoutExpired):
            batch.wait(rng.uniform(0.0, LONGEST_RUN) if kills < KILLS else None)
        if batch.poll() == 0:
            break
        if batch.poll() is None:
            batch.kill()
            batch.wait()
            kills += 1
        else:
            assert batch.returncode == -9, site.said()
        batch = site.resume()
    eventually(lambda: all(r["state"] == "closed" for r in site.records()), "the end of all observations")
    records = site.records()
    state = site.state()
    assert [state.status_of(item) for item in state.items] == ["done"] * runs
    ids = [int(str(record["obsid"])[-5:]) for record in records]
    assert ids == list(range(1, len(ids) + 1)), "obsids are unique and without gaps"
    assert {record["status"] for record in records} <= {"done", "interrupted"}
    done = Counter(record["details"]["item"] for record in records if record["status"] == "done")
    assert done == Counter(range(1, runs + 1)), "each is done once"
    ledger = site.ledger()
    for (_, first, _, end), (_, second, begin, _) in pairwise(ledger):
        assert end <= begin, f"{second} began before {first} had ended"
    assert len({obsid for _, obsid, *_ in ledger}) == len(ledger)
    verified = site.camtest("verify", "--all")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    print(
        f"{kills} kills: {runs} runs in {len(records)} observations, "
        f"{dict(Counter(r['status'] for r in records))}; {len(ledger)} cells came to their end"
    )
