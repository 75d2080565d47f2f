"""The table of reactions in the Setup: what is accepted, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from camtest.cli import main
from camtest.core.blocks import BlockDefinition
from camtest.core.conditions import DEFINITION_ATTRIBUTE
from camtest.core.exec import building_block, recovery
from camtest.reactions.table import ReactionError, check_table, find_recovery, read_table, recoveries
from egse.setup import Setup

ON_MODE = "camtest.commanding.dpu.n_fee_to_on_mode"


def setup_with(**reactions: Any) -> Setup:
    return Setup({"monitor": {"reactions": reactions}})


def test_a_table_in_the_order_of_its_urgency() -> None:
    table = check_table(
        setup_with(
            warm={"alarm": "TRP*", "block": ON_MODE, "at": "warning"},
            hot={
                "alarm": ["TRP5", "TRP6"],
                "block": "camtest.commanding.tempcontrol.heater_off",
                "arguments": {"heater": 1},
                "priority": 1,
                "warning": 0,
                "safes": "before",
            },
        )
    )
    assert [one.name for one in table] == ["hot", "warm"]
    hot, warm = table
    assert hot.function == 'heater_off(heater="1")'
    assert (hot.warning, hot.safes, hot.at) == (0.0, "before", "alarm")
    assert (warm.warning, warm.priority, warm.timeout) == (5.0, 100, 300.0)
    assert warm.answers("TRP1", "warning")
    assert not hot.answers("TRP5", "warning")
    assert hot.answers("TRP5", "critical")
    assert not hot.answers("TRP7", "critical")
    with pytest.raises(LookupError, match="Did you mean `warm`"):
        table.find("worm")


def test_without_a_table() -> None:
    assert len(read_table(None)) == len(read_table(Setup({"site_id": "X"}))) == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"block": "camtest.commanding.dpu.n_fee_to_onn_mode"},
            r"hot\.block: .*Did you mean `n_fee_to_on_mode`",
        ),
        ({"block": "camtest.commanding.ogse.ogse_swon"}, r"hot\.block: .*not declared as a recovery"),
        ({"block": "os.path.join"}, r"hot\.block: .*not in a trusted package"),
        ({"block": "camtest.no_such.thing"}, r"hot\.block: camtest.no_such cannot be imported"),
        ({"block": ""}, r"hot\.block: names no building block"),
        ({"arguments": {"mode": 1}}, r"hot\.arguments: .*has no parameter `mode`"),
        ({"arguments": [1]}, r"hot\.arguments: must be a branch"),
        ({"block": "camtest.commanding.tempcontrol.heater_off"}, r"hot\.block: .*needs"),
        (
            {"block": "camtest.commanding.tempcontrol.heater_off", "arguments": {"heater": 7}},
            r"hot\.arguments: .*heater",
        ),
        ({"at": "urgent"}, r"hot\.at: must be one of warning, alarm, critical, not 'urgent'"),
        ({"warning": -1}, r"hot\.warning: must be a number from 0 to 3600"),
        ({"priority": True}, r"hot\.priority: must be a number"),
        ({"alarm": []}, r"hot\.alarm: must be the name of an alarm"),
        ({"alarms": "TRP1"}, r"hot\.alarms: is no key of a reaction Did you mean `alarm`"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_others_are_kept(
    change: dict[str, Any], problem: str
) -> None:
    entry = {"alarm": "TRP1", "block": ON_MODE} | change
    table = read_table(setup_with(hot=entry, fine={"alarm": "TRP2", "block": ON_MODE}))
    assert [one.name for one in table] == ["fine"]
    with pytest.raises(ReactionError, match=problem):
        check_table(setup_with(hot=entry))


def test_the_place_of_a_mistake_is_file_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "SETUP_CSL1_00001_260101_000000.yaml"
    path.write_text(
        f"Setup:\n  monitor:\n    reactions:\n      hot:\n        alarm: TRP1\n        block: {ON_MODE}\n        warning: soon\n"
    )
    (problem,) = read_table(Setup.from_yaml_file(path)).problems
    assert (
        problem
        == f"{path}, line 7, monitor.reactions.hot.warning: must be a number from 0 to 3600, not 'soon'"
    )


def test_entries_that_are_no_branches() -> None:
    assert "must be a branch" in read_table(Setup({"monitor": {"reactions": "none"}})).problems[0]
    assert "needs `alarm` and `block`" in read_table(setup_with(hot="off")).problems[0]


def test_the_safe_state_of_the_setup_may_be_run() -> None:
    name = "camtest.commanding.dpu.n_fee_to_dump_mode"
    with pytest.raises(LookupError, match="not declared"):
        find_recovery(name, Setup({}))
    assert find_recovery(name, Setup({"camtest": {"safe_state": name}}))


def test_what_may_be_run_is_declared_beside_it() -> None:
    @recovery
    @building_block
    def lamp_off_at_once() -> None:
        """Lamp off."""

    definition: BlockDefinition = getattr(lamp_off_at_once, DEFINITION_ATTRIBUTE)
    assert definition.options is not None
    assert definition.options.recovers
    assert lamp_off_at_once.BUILDING_BLOCK_FUNC
    known = recoveries()
    assert known[ON_MODE].startswith("Brings the N-FEE to ON mode")
    assert "camtest.commanding.ogse.ogse_swon" not in known


def test_the_command_line_lists_and_checks(tmp_path: Path) -> None:
    path = tmp_path / "SETUP_CSL1_00001_260101_000000.yaml"
    path.write_text(
        "Setup:\n  monitor:\n    reactions:\n"
        f"      hot: {{alarm: TRP1, block: {ON_MODE}}}\n      bad: {{alarm: TRP1, block: os.getcwd}}\n"
    )
    run = CliRunner()
    done = run.invoke(main, ["reactions", "list", "--setup", str(path)])
    assert done.exit_code == 1
    assert "n_fee_to_on_mode()" in done.output
    assert "monitor.reactions.bad.block" in done.output
    blocks = run.invoke(main, ["reactions", "blocks"])
    assert ON_MODE in blocks.output


def test_the_dry_run_shows_what_it_would_command(tmp_path: Path) -> None:
    path = tmp_path / "SETUP_CSL1_00001_260101_000000.yaml"
    heater = "{alarm: TRP1, block: camtest.commanding.tempcontrol.heater_off, arguments: {heater: 1}}"
    path.write_text(
        "Setup:\n  site_id: CSL1\n  gse:\n    lsci336:\n      device: class//egse.tempcontrol.lsci336.LakeShore336Proxy\n"
        f"  monitor:\n    reactions:\n      warm: {heater}\n      off: {{alarm: TRP1, block: {ON_MODE}}}\n"
    )
    run = CliRunner()
    done = run.invoke(main, ["reactions", "dry-run", "warm", "--setup", str(path)])
    assert done.exit_code == 0, done.output
    assert "lsci336_cs.set_range(output=1, range='OFF')" in done.output
    failed = run.invoke(main, ["reactions", "dry-run", "--all", "--setup", str(path)])
    assert failed.exit_code == 1  # this Setup has no DPU
    assert "off: " in failed.output
    assert (
        "Did you mean `warm`"
        in run.invoke(main, ["reactions", "dry-run", "wam", "--setup", str(path)]).output
    )
