"""Tasks of `camtest.operate` command real servers: in the running observation, and as observations of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camtest.state import GlobalState
from camtest.tasks.catalogue import read_catalogue
from camtest.tasks.form import ArgumentsForm
from camtest.tasks.session import Run, TaskSession

pytestmark = pytest.mark.system


@pytest.fixture
def session(in_sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TaskSession]:
    monkeypatch.setenv("CAMTEST_RUNS_LOCATION", str(tmp_path / "runs"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    GlobalState.reset()
    made = TaskSession(read_catalogue(["camtest.operate"]))
    yield made
    made.close()
    GlobalState.reset()


def run(session: TaskSession, name: str, mode: str = "kernel", **texts: Any) -> Run:
    form = ArgumentsForm(session.catalogue.find(name))
    form.fill(**texts)
    started = session.start(form.call(), mode)
    assert started.over.wait(240), started.console.text
    assert started.outcome is not None
    assert started.outcome.status == "done", started.console.text
    return started


def commands(record: Any) -> list[tuple[str, Any]]:
    """Returns the commands to the OGSE in the journals of the servers."""
    found = [lines[0] for lines in record.journal().values()]
    return [(line["command"], line["args"]) for line in found if line["command"].startswith("att_set_level")]


def test_tasks_run_in_the_observation_that_is_running(session: TaskSession, lab: Any, wait: Any) -> None:
    run(session, "start_observation", description="from the tasks")
    obsid = session.namespace["response"]
    run(session, "set_attenuation", factor="0.1")
    assert f"{obsid}" in run(session, "get_obsid").console.text
    run(session, "camtest.operate.ogse_tasks.status")
    assert session.namespace["response"]["att_moving"] is False
    run(session, "end_observation")
    observation = wait(lab.last_closed, what="the end of the observation")
    assert (observation["obsid"], observation["status"]) == (obsid, "done")
    record = lab.record(obsid)
    assert commands(record) == [("att_set_level_factor", {"factor": 0.1})]
    events = record.lines("events.jsonl")
    assert [event["block"] for event in events if event["event"] == "start"] == [
        "camtest.commanding.ogse.set_attenuation"
    ]
    calls = [event["call"] for event in events if event["event"] == "task"]
    assert "response = set_attenuation(factor=0.1, description='Set Attenuation')" in calls


@pytest.mark.campaign
def test_a_task_alone_is_an_observation_also_in_another_process(
    session: TaskSession, lab: Any, wait: Any
) -> None:
    before = lab.last()["obsid"]
    run(session, "level_up", "script", description="by hand")
    observation = wait(lab.last_closed, what="the end of the observation")
    assert observation["obsid"] != before
    assert observation["description"] == "by hand"
    session.switch_kernel("python3")
    run(session, "level_down")
    second = wait(lab.last_closed, what="the end of the observation")
    assert second["obsid"] not in (before, observation["obsid"])
    blocks = [
        event["block"]
        for event in lab.record(second["obsid"]).lines("events.jsonl")
        if event["event"] == "start"
    ]
    assert blocks == ["camtest.commanding.ogse.att_level_down"]
