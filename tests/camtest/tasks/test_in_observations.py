"""A task runs its building block in the observation that is running, or as one of its own; the events name the task."""

from __future__ import annotations

from typing import Any

from camtest.core.exec import building_block, current_obsid, end_observation, start_observation
from camtest.tasks.blocks import in_observation
from camtest.tasks.loading import note_task


@building_block
def where_am_i(step: int) -> str | None:
    return current_obsid()


def test_in_the_running_observation_or_alone(core: Any) -> None:
    obsid = start_observation("by a task")
    note_task("camtest.operate.ogse_tasks", "response = where_am_i(step=1)")
    assert in_observation(where_am_i, "not used", step=1) == obsid
    end_observation()
    note_task("camtest.operate.ogse_tasks", "nothing is running: nothing is written")
    assert in_observation(where_am_i, "alone", step=2) != obsid
    assert [record["description"] for record in core.records] == ["by a task", "alone"]
    tasks = [event for event in core.events if event["event"] == "task"]
    assert [(event["module"], event["call"]) for event in tasks] == [
        ("camtest.operate.ogse_tasks", "response = where_am_i(step=1)")
    ]
