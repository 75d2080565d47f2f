"""The plug-in for test engineers: fixtures, sequences, stepping, steps, and reloading edited building blocks."""

from __future__ import annotations

import importlib
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from camtest import GlobalState, building_block
from camtest.commanding import ogse
from camtest.core.dryrun import DryRun
from camtest.core.exec import BuildingBlockError, definition_of
from camtest.testing import check_defaults, commands_of, reload_blocks, run_steps, step_through
from egse.clock import VirtualClock
from egse.setup import Setup

SWITCH_ON = ["ogse_cs.att_set_level_index(index=0)", "ogse_cs.power_on()", "ogse_cs.operate_on()"]


def test_sequence_of_a_dry_run(site: Any, dry_run: DryRun, assert_sequence: Callable[..., None]) -> None:
    ogse.ogse_swon()
    assert_sequence([*SWITCH_ON])
    assert_sequence(["ogse_cs.att_set_level_index(...)", *SWITCH_ON[1:]], dry_run.sequence)
    assert dry_run.clock.monotonic() > 0
    with pytest.raises(AssertionError, match=r"-ogse_cs.laser_on\(\)"):
        assert_sequence([*SWITCH_ON, "ogse_cs.laser_on()"])
    assert commands_of(dry_run.sequence, queries=True)[0] == "ogse_cs.get_interlock()"


def test_virtual_clock(virtual_clock: VirtualClock) -> None:
    GlobalState.clock.sleep(7200)
    assert virtual_clock.monotonic() == 7200


def test_stepping_through_a_block(site: Any, camtest_setup: Setup) -> None:
    GlobalState.setup = camtest_setup
    seen: list[str] = []

    def decide(step: str) -> str:
        seen.append(step)
        return "quit" if "power_on" in step else "next"

    sequence = step_through(ogse.ogse_swon, before=decide)
    assert len(seen) == 3
    assert "ogse_cs.get_interlock()" in seen[0]
    assert [entry.name for entry in sequence.commands] == ["get_interlock", "att_set_level_index"]
    seen.clear()
    step_through(ogse.ogse_swon, before=lambda step: seen.append(step) or "run", start=3)  # type: ignore[func-returns-value]
    assert len(seen) == 1
    assert seen[0].startswith("  3")
    assert not GlobalState.dry_run


DONE: list[str] = []


@building_block
def step(name: str) -> str:
    DONE.append(name)
    return name


def test_steps_from_somewhere_on(dry_run: DryRun) -> None:
    DONE.clear()
    steps = [(step, {"name": name}) for name in "abcd"]
    assert run_steps(steps, start=3) == [None, None, "c", "d"]
    assert run_steps(steps, start=2, stop=2) == [None, "b", None, None]
    assert DONE == ["c", "d", "b"]
    with pytest.raises(ValueError, match="steps 1 to 4"):
        run_steps(steps, start=5)
    with pytest.raises(BuildingBlockError, match="`step` needs `name`"):
        run_steps([*steps, (step, {})])
    assert len(DONE) == 3, "nothing is executed when the arguments of any step are wrong"


@pytest.fixture
def lamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    write(tmp_path, "on", "off")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield importlib.import_module("lamp_under_test")
    del sys.modules["lamp_under_test"]


def write(folder: Path, first: str, second: str, extra: str = "") -> None:
    path = folder / "lamp_under_test.py"
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(
        textwrap.dedent(
            f'''
            from camtest import building_block

            @building_block
            def first():
                """Documentation {extra}."""
                return "{first}"

            @building_block
            def second():
                return "{second}"
            '''
        )
    )
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_a_reload_tells_which_blocks_have_changed(lamp: ModuleType, tmp_path: Path) -> None:
    known = definition_of(lamp.first).bbid
    write(tmp_path, "brighter", "off", "changed")
    (change,) = reload_blocks(lamp)
    assert (change.name, change.change, change.before) == ("first", "changed", known)
    assert change.after == definition_of(lamp.first).bbid != known
    assert "first: changed (BBID" in str(change)
    write(tmp_path, "brighter", "off", "in its documentation only")
    assert reload_blocks("lamp_under_test") == []


def test_code_that_does_not_run_has_no_bbid(lamp: ModuleType, tmp_path: Path) -> None:
    write(tmp_path, "brighter", "off")
    assert definition_of(lamp.first).bbid == ""


def test_common_defaults_are_checked(tmp_path: Path) -> None:
    (tmp_path / "lamp.py").write_text("def glow(): ...\n")
    (tmp_path / "defaults.yaml").write_text("my.lamp:\n  glow: {}\n  dim: {}\nheater:\n  heat: {}\n")
    assert [problem.partition(": ")[2] for problem in check_defaults(tmp_path)] == [
        "my.lamp has no function dim",
        "there is no module heater beside it",
    ]
