"""The tasks for when something goes wrong: their layout."""

from __future__ import annotations

from camtest.tasks.catalogue import read_catalogue


def test_the_groups_of_the_reference() -> None:
    """User interfaces, section 4."""
    catalogue = read_catalogue(["camtest.contingency"])
    groups = {group.title: {task.title for task in group.tasks} for group in catalogue.tabs[0].groups}
    assert "Copy camera information" in groups["1 - Camera"]
    assert {"start_observation", "end_observation"} <= groups["2 - Managing observations"]
    assert {"Reset N-FEE", "To ON mode", "To STANDBY mode", "To DUMP mode"} <= groups["3 - N-FEE"]
    assert {"Start Task", "Stop TCS EGSE", "Set TRP1 set point"} <= groups["5 - TCS"]
    (icon,) = catalogue.find("Stop TCS EGSE").icons
    assert "svg" in str(icon)
    assert [task.name for task in catalogue.recurring] == ["show_setup_and_obsid"]
