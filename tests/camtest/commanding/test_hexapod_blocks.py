"""The hexapod's building blocks, executed by the real Controller on its model, on virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from camtest import GlobalState
from camtest.commanding import hexapod
from camtest.core.dryrun import DryRun
from camtest.core.exec import Abort
from camtest.state import install_dry_run
from egse.setup import Setup
from egse.site.layout import SiteLayout

PROXIES = ["PunaProxy", "PunaPlusProxy", "ZondaProxy", "JoranProxy"]


@pytest.fixture
def dry(site: SiteLayout, request: pytest.FixtureRequest) -> DryRun:
    (path,) = site.conf.glob("SETUP_*.yaml")
    setup = Setup.from_yaml_file(path)
    setup.gse.hexapod["device"] = f"class//egse.hexapod.symetrie.{getattr(request, 'param', 'PunaProxy')}"
    dry_run = DryRun(setup, supervised=True)
    install_dry_run(dry_run)
    return dry_run


@pytest.mark.parametrize("dry", PROXIES, indirect=True)
def test_homing_and_moves(dry: DryRun) -> None:
    hexapod.hexapod_homing(force=False)
    assert 115 <= GlobalState.clock.monotonic() <= 125
    hexapod.hexapod_homing(force=False)  # done already
    hexapod.hexapod_set_speed(translation=1.0, rotation=0.5)
    hexapod.hexapod_set_frames(user=[0, 0, 1, 0, 0, 0], object=[0, 0, 0, 0, 0, 0])
    began = GlobalState.clock.monotonic()
    hexapod.hexapod_move_absolute(tx=1, ty=2, tz=3, rx=0, ry=0, rz=1)
    assert GlobalState.clock.monotonic() - began == pytest.approx(4.6, abs=1.0)  # 4.58 mm at 1 mm/s
    user, machine = hexapod.hexapod_positions()
    assert user == pytest.approx([1, 2, 3, 0, 0, 1])
    assert machine == pytest.approx([1, 2, 4, 0, 0, 1])
    hexapod.hexapod_move_relative_user(tx=-1, ty=-2, tz=0, rx=0, ry=0, rz=-1)
    hexapod.hexapod_move_relative_object(tx=0, ty=0, tz=-3, rx=0, ry=0, rz=0)
    assert hexapod.hexapod_positions()[0] == pytest.approx([0] * 6, abs=1e-6)
    hexapod.hexapod_goto_retracted()
    hexapod.hexapod_goto_zero()
    assert hexapod.hexapod_positions()[1] == pytest.approx([0, 0, 1, 0, 0, 0], abs=1e-6)
    hexapod.hexapod_control(on=False)
    hexapod.hexapod_control(on=True)
    hexapod.hexapod_clear_error()
    names = [entry.name for entry in dry.sequence.commands]
    assert names.count("homing") == 1


def test_what_cannot_be_reached_moves_nothing(dry: DryRun) -> None:
    hexapod.hexapod_homing(force=True)
    with pytest.raises(Abort, match=r"cannot move to \[0, 0, 50, 0, 0, 0\]: out of the factory workspace"):
        hexapod.hexapod_move_absolute(tx=0, ty=0, tz=50, rx=0, ry=0, rz=0)
    assert "move_absolute" not in [entry.name for entry in dry.sequence.commands]
    with pytest.raises(Abort, match="six numbers"):
        hexapod.hexapod_set_frames(user=[1, 2, 3], object=[0] * 6)


def test_an_error_on_the_way_ends_the_wait(dry: DryRun, monkeypatch: pytest.MonkeyPatch) -> None:
    hexapod.hexapod_homing(force=False)
    model: Any = dry._shared["puna"]
    sleep = GlobalState.clock.sleep

    def sleep_and_press(seconds: float) -> None:
        sleep(seconds)
        if model.platform.moving:
            model.platform.press_emergency(True)

    monkeypatch.setattr(GlobalState.clock, "sleep", sleep_and_press)
    with pytest.raises(Abort, match="stopped with an error"):
        hexapod.hexapod_move_absolute(tx=0, ty=0, tz=10, rx=0, ry=0, rz=0)
    with pytest.raises(Abort, match="still has an error"):
        hexapod.hexapod_clear_error()
