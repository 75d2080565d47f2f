"""Reactions with real core services: procedures whose kernel lives or is killed, cancelling, restarts in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from camtest.reactions.service import ReactionService
from egse.archive import Observation, verify
from egse.authority import get_control
from egse.confman import ConfigurationManagerProxy
from egse.setup import get_setup

from .conftest import CLIENT, Bench, eventually

pytestmark = pytest.mark.system


@pytest.fixture
def bench(site_with_reactions: Bench) -> Iterator[Bench]:
    bench = site_with_reactions
    bench.trace.unlink(missing_ok=True)
    (bench.folder / "go").unlink(missing_ok=True)
    bench.raise_alarms()
    yield bench
    bench.close()


@pytest.fixture
def service(bench: Bench) -> Iterator[ReactionService]:
    running = ReactionService(bench.site, look=lambda: bench.alarms)
    running.use_setup(get_setup())
    assert running.table.problems == ()
    running.start()
    yield running
    bench.raise_alarms()
    eventually(lambda: not running.book.cases, "the end of all reactions")
    running.stop()


def kinds(obsid: str) -> list[str]:
    return [event["event"] for event in Observation(obsid).events]


def test_in_the_middle_of_a_procedure_with_a_living_kernel(bench: Bench, service: ReactionService) -> None:
    client = bench.client()
    bench.raise_alarms("TRP5")
    done = bench.wait_for("cool", "done")
    commanded = [line for line in bench.traced() if not line.startswith("client")]
    assert commanded[:3] == ["procedure", "cool 3", "lamp off 0"]  # the recovery first
    client.wait(60)  # the client is fenced, its building block ends
    assert "client: ObservationError" in bench.traced()
    procedure, reaction = bench.last(2)
    assert (procedure["status"], reaction["status"]) == ("aborted", "done")
    assert procedure["reason"] == "automatic reaction cool to TRP5"
    assert reaction["obsid"] == done.obsid
    assert reaction["function"] == 'cool(power="3")'
    assert bench.traced().count("lamp off 0") == 1  # its safe has run, in the observation of the reaction
    assert bench.facts(done.obsid)["safes"] == ["reaction_bench.lamp_off"]
    eventually(
        lambda: [p.name for p in Observation(done.obsid).files if p.name.endswith("reaction_report.html")],
        "the report",
    )
    assert verify(Observation(done.obsid)) == []
    assert verify(Observation(procedure["obsid"])) == []
    assert bench.stages("cool")[-4:] == ["announced", "running", "running", "done"]
    assert get_control().holder == ""  # given back


def test_with_the_kernel_killed(bench: Bench, service: ReactionService) -> None:
    client = bench.client()
    client.kill()
    client.wait()
    bench.raise_alarms("TRP5")
    bench.wait_for("cool", "done")
    procedure, reaction = bench.last(2)
    assert (procedure["status"], reaction["status"]) == ("orphaned", "done")
    assert "taken-over" in kinds(procedure["obsid"])
    assert bench.traced()[1] == "cool 3" or bench.traced()[1:3] == ["lamp off 0", "cool 3"]


def test_a_watchdog_that_is_making_safe_is_overtaken(bench: Bench, service: ReactionService) -> None:
    client = bench.client(CLIENT.replace("procedure()", "cold_procedure()"))
    client.kill()
    client.wait()
    eventually(lambda: "slow safe" in bench.traced(), "the safe that the watchdog runs")
    bench.raise_alarms("TRP5")
    eventually(lambda: "cool 3" in bench.traced(), "the recovery, although that safe has not ended")
    (bench.folder / "go").touch()
    bench.wait_for("cool", "done")
    procedure, reaction = bench.last(2)
    assert (procedure["status"], reaction["status"]) == ("orphaned", "done")
    assert procedure["reason"].startswith("automatic reaction cool")


def test_control_is_taken_from_an_operator_in_command(bench: Bench, service: ReactionService) -> None:
    code = """
import sys
from egse.authority import take_control
import reaction_bench
grant = take_control("thermal balance test")
reaction_bench.note("in command")
while not grant.lost:
    grant._end.wait(0.1)
reaction_bench.note("lost")
"""
    operator = bench.client(code)
    holder = get_control()
    assert holder.reason == "thermal balance test"
    bench.raise_alarms("TRP5")
    bench.wait_for("cool", "done")
    assert "cool 3" in bench.traced()
    assert get_control().epoch > holder.epoch
    eventually(lambda: "lost" in bench.traced(), "the loss of control", 60)
    operator.wait(30)


def test_several_at_once_go_by_priority_and_a_failure_does_not_stop_the_next(
    bench: Bench, service: ReactionService
) -> None:
    bench.raise_alarms("TRP7", "TRP6", "TRP5")
    bench.wait_for("fail", "failed")
    assert bench.traced() == ["cool 3", "cool 6", "fail"]
    failed = bench.wait_for("fail", "failed")
    assert "no answer of the cooler" in failed.text
    record = bench.last()[0]
    assert record["status"] == "failed"
    assert bench.facts(record["obsid"])["problems"]
    service.step()
    service.step()
    assert bench.traced() == ["cool 3", "cool 6", "fail"]  # not repeated while the alarms stay


def test_an_operator_cancels_by_answering_the_announcement(bench: Bench, service: ReactionService) -> None:
    bench.client()
    bench.raise_alarms("TRP9")
    bench.wait_for("patient", "announced")
    with ConfigurationManagerProxy() as manager:
        (question,) = eventually(lambda: manager.get_desk()["questions"], "the announcement on the desk")
        assert question["text"].startswith("ALARM TRP9: cool(")
        manager.answer_question(answer="the sensor is broken", key=question["key"], by="ann@lab:1")
        cancelled = bench.wait_for("patient", "cancelled")
        assert cancelled.text == "the sensor is broken"
        assert cancelled.by.startswith("ann@lab")
        assert manager.get_obsid() is not None  # the procedure goes on
        bench.clients[-1].send_signal(signal.SIGINT)
        eventually(lambda: manager.get_obsid() is None, "the end of the procedure")


SERVICE = """
import sys
from pathlib import Path
from egse.setup import get_setup
from camtest.reactions.service import ReactionService
service = ReactionService(Path(sys.argv[1]), look=lambda: [{"name": "TRP8", "priority": "alarm", "active": True}])
service.use_setup(get_setup())
service.start()
service._stopping.wait()
"""


def test_a_restart_in_the_middle_repeats_nothing_and_tells_what_was_begun(bench: Bench) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(bench.site)], env=bench.environment, cwd=bench.folder
    )
    eventually(lambda: "slow" in bench.traced(), "the building block")
    server.kill()
    server.wait()
    running = next(event for event in reversed(bench.events()) if event.run_id)
    os.kill(running.pid, 0)  # what makes safe goes on
    bench.raise_alarms("TRP8")
    again = ReactionService(bench.site, look=lambda: bench.alarms)
    again.use_setup(get_setup())
    again.start()
    (bench.folder / "go").touch()
    told = bench.wait_for("slow", "interrupted")
    assert "not repeated" in told.text
    assert running.obsid in told.text
    again.step()
    assert bench.traced() == ["slow", "slow has ended"]
    record = bench.last()[0]
    assert (record["obsid"], record["status"]) == (running.obsid, "interrupted")
    bench.raise_alarms()
    bench.wait_for("slow", "over")
    again.stop()
