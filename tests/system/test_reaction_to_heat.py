"""The simulated camera overheats in the middle of a procedure: nobody has to be there for it to be made safe.

Real simulators, limit monitor and reactions; control of the site is required, so that the operator has to lose it first.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camtest.reactions.interface import ReactionProxy
from egse.archive import Observation, verify
from egse.authority import get_control
from egse.confman import ConfigurationManagerProxy
from egse.dpu import DPUProxy
from egse.journal import BeginRecord, read_journal
from egse.monitor.interface import LimitMonitorProxy
from egse.process import Program
from egse.settings import Settings
from egse.setup import Setup
from egse.site.ports import release_block
from egse.site.programs import TABLE
from egse.site.sandbox import Sandbox

from .conftest import ON_MODE, eventually

pytestmark = pytest.mark.system

SPEED = 5.0
HOT, COLD = 65_000, 20_000
SENSOR = "NFEE_TOU_SENSE_1"
NAMES = ("log_cs", "sm_cs", "cm_cs", "pm_cs", "wd_cs", "mon_cs", "fdir_cs", "n_fee_sim", "dpu_cs", "n_fee_hk")

PROCEDURE = """
import sys
from pathlib import Path
from camtest import observation
from camtest.commanding import dpu
from egse.authority import control

with control(reason="functional test"), observation("a procedure"):
    dpu.n_fee_to_standby_mode()
    dpu.n_fee_to_dump_mode()
    Path(sys.argv[1]).touch()
    dpu.n_cam_acquire_and_dump(
        num_cycles=1000, row_start=0, row_end=9, rows_final_dump=0, ccd_order=[1, 2, 3, 4], ccd_side="E"
    )
"""


class Lab:
    """The site, its camera, and who works there."""

    def __init__(self, sandbox: Sandbox, admin: int, folder: Path) -> None:
        self.sandbox, self.admin, self.folder = sandbox, admin, folder
        self.operators: list[subprocess.Popen[str]] = []

    def sensor(self, value: int) -> float:
        """Has the camera measure something; returns when."""
        with (
            socket.create_connection(("127.0.0.1", self.admin), timeout=5) as sock,
            sock.makefile("rwb") as stream,
        ):
            stream.write(json.dumps({"do": "set", "hk": {SENSOR: value}}).encode() + b"\n")
            stream.flush()
            assert json.loads(stream.readline())["ok"] is True
        return time.time()

    def operator(self) -> subprocess.Popen[str]:
        """Starts somebody who works with the camera; returns when it acquires images."""
        mark = self.folder / f"acquiring{len(self.operators)}"
        process = subprocess.Popen(
            [sys.executable, "-c", PROCEDURE, str(mark)],
            env={**self.sandbox.environ(), "CAMTEST_SPOOL_LOCATION": str(self.folder / "spool")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.operators.append(process)
        eventually(lambda: mark.exists() or process.poll() is not None, 120, "the procedure")
        with DPUProxy() as camera:
            eventually(
                lambda: camera.n_fee_get_mode() != ON_MODE or process.poll() is not None, 60, "the images"
            )
        assert process.poll() is None, process.communicate()[1]
        return process

    def commands(self, obsid: str) -> list[BeginRecord]:
        paths = sorted((self.sandbox.layout.data / "journal/dpu_cs").glob("*.journal"))
        records = [record for path in paths for record in read_journal(path)]
        return [one for one in records if isinstance(one, BeginRecord) and one.obsid == obsid]

    def state(self) -> dict[str, Any]:
        with ReactionProxy() as proxy:
            (reaction,) = proxy.get_reactions()
        return dict(reaction)

    def close(self) -> None:
        for process in self.operators:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
        self.operators.clear()


def programs(admin: int) -> list[Program]:
    found = []
    for name in NAMES:
        program = next(entry for entry in TABLE if entry.name == name).program(
            {"speed": f"{SPEED:g}", "seed": "1"}
        )
        if name == "n_fee_sim":
            program = replace_command(program, "--admin-port", str(admin))
        found.append(program)
    return found


def replace_command(program: Program, *more: str) -> Program:
    import msgspec

    return msgspec.structs.replace(program, command=(*program.command, *more))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("heat")
    (admin,) = free_ports(1)
    sandbox = Sandbox(folder / "box", speed=SPEED, seed=1, programs=programs(admin))
    layout = sandbox.create()
    (path,) = layout.conf.glob("SETUP_*.yaml")
    setup = Setup.from_yaml_file(path)
    setup["monitor"] = {
        "limits": {SENSOR: {"alarm": [None, 60_000], "clear_after": 0.5}},
        "reactions": {
            "fee_too_hot": {
                "alarm": SENSOR,
                "block": "camtest.commanding.dpu.n_fee_to_on_mode",
                "warning": 1.0,
            }
        },
    }
    settings = Path(sandbox.env["PLATO_LOCAL_SETTINGS"])
    settings.write_text(settings.read_text().replace("SITE:\n", "SITE:\n  CONTROL: required\n", 1))
    before = os.environ.get("CAMTEST_SPOOL_LOCATION")
    with sandbox, sandbox.joined():
        Settings.load(force=True)
        with ConfigurationManagerProxy() as manager:
            from egse.authority import control

            with control(reason="a Setup for the tests"):
                manager.submit_setup(yaml=setup.to_yaml_string(), description="a reaction to heat")
        lab = Lab(sandbox, admin, folder)
        eventually(lambda: lab_has_table(), 60, "the table of reactions")
        yield lab
        lab.close()
    if before is not None:
        os.environ["CAMTEST_SPOOL_LOCATION"] = before
    Settings.load(force=True)
    release_block(folder / "box")


def lab_has_table() -> bool:
    with ReactionProxy() as proxy:
        assert proxy.get_problems() == []
        return len(proxy.get_reactions()) == 1


@pytest.fixture
def lab(site: Lab) -> Iterator[Lab]:
    site.sensor(COLD)
    eventually(lambda: site.state()["stage"] == "", 60, "the end of what was before")
    yield site
    site.close()


def check(lab: Lab, since: float, status: str) -> None:
    """The camera is made safe, and the record says how it was."""
    done = eventually(lambda: (s := lab.state())["stage"] in ("done", "failed") and s, 120, "the reaction")
    assert done["stage"] == "done", done["text"]
    with DPUProxy() as camera:
        assert camera.n_fee_get_mode() == ON_MODE
    first = lab.commands(done["obsid"])[0]
    assert first.command == "n_fee_set_on_mode"
    print(f"first safing command {first.time - since:.2f} s after the temperature rose; {done['text']}")
    with ConfigurationManagerProxy() as manager:
        procedure, reaction = manager.list_observations(last=2)
    assert (procedure["status"], reaction["status"]) == (status, "done")
    assert reaction["obsid"] == done["obsid"]
    report = eventually(
        lambda: [p for p in Observation(done["obsid"]).files if p.name.endswith("reaction_report.html")],
        60,
        "the report",
    )
    assert "n_fee_set_on_mode" in report[0].read_text()
    assert verify(Observation(procedure["obsid"])) == []
    assert verify(Observation(done["obsid"])) == []
    with LimitMonitorProxy() as monitor:
        told = [
            e["comment"]
            for e in monitor.get_history(since=since)
            if e["event"] == "reaction" and e["name"] == SENSOR
        ]
    assert [text.split()[1].rstrip(":") for text in told] == ["announced", "running", "running", "done"]


def test_with_the_kernel_killed(lab: Lab) -> None:
    operator = lab.operator()
    since = lab.sensor(HOT)
    operator.kill()
    operator.wait()
    check(lab, since, "orphaned")


def test_with_an_operator_in_command(lab: Lab) -> None:
    operator = lab.operator()
    held = get_control()
    assert held.reason == "functional test"
    since = lab.sensor(HOT)
    check(lab, since, "aborted")
    assert get_control().epoch > held.epoch
    _, errors = operator.communicate(timeout=60)
    assert operator.returncode != 0
    assert "was taken over by" in errors or "refused" in errors
