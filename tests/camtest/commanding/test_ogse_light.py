"""How much light: levels of the site, fractions of the full well, warm-up; on the real Controller and its model."""

from __future__ import annotations

import pytest

from camtest import GlobalState
from camtest.commanding import ogse
from camtest.core.dryrun import DryRun
from camtest.core.exec import Abort
from egse.command import CommandError
from egse.ogse import LEVELS
from egse.setup import Setup


def setup_with(**values: object) -> None:
    """Changes `gse.ogse` of the active Setup."""
    assert GlobalState.setup is not None
    setup: Setup = GlobalState.setup.copy()
    for name, value in values.items():
        if value is None:
            del setup.gse.ogse[name]
        else:
            setup.gse.ogse[name] = value
    GlobalState.setup = setup


def test_fraction_of_the_full_well(dry_run: DryRun) -> None:
    setup_with(fwc_factor=2.5)
    ogse.set_fwc_fraction(fraction=0.5)
    assert ogse.get_attenuation()["att_factor"] == pytest.approx(0.192, abs=0.01)
    assert ogse.get_fwc_fraction() == pytest.approx(0.5, abs=0.03)
    assert not ogse.get_attenuation()["att_moving"]
    ogse.set_fwc_fraction(fraction=50.0)
    assert ogse.get_fwc_fraction() == 2.5, "all there is"
    ogse.set_fwc_fraction(fraction=0.0)
    assert ogse.get_fwc_fraction() == 0.0


def test_levels_that_were_measured_at_the_site(dry_run: DryRun) -> None:
    assert ogse.attenuation_levels() == LEVELS
    setup_with(fwc_factor=1.0, attenuation_factors=[0, 1e-3, 0.11, 0.95])
    assert ogse.level_of_fraction(0.1) == 2
    ogse.set_fwc_fraction(fraction=0.1)
    assert ogse.get_attenuation()["att_index"] == 2
    assert ogse.get_fwc_fraction() == 0.11
    setup_with(attenuation_factors=[0.5, 0.1])
    with pytest.raises(Abort, match="must be transmissions, ascending"):
        ogse.set_fwc_fraction(fraction=0.1)


def test_without_calibration_nothing_is_commanded(dry_run: DryRun) -> None:
    setup_with(fwc_factor=None)
    with pytest.raises(Abort, match="no calibration of the light"):
        ogse.set_fwc_fraction(fraction=0.1)
    assert [entry.name for entry in dry_run.sequence.commands if not entry.query] == []


def test_positions_of_the_wheels(dry_run: DryRun) -> None:
    ogse.set_fw_position(positions=(3, 1))
    assert ogse.get_attenuation()["att_factor"] == pytest.approx(0.8)
    ogse.set_fw_position(positions=(8, 8))
    assert ogse.get_attenuation()["att_factor"] == pytest.approx(8.1e-7)
    with pytest.raises(CommandError, match="`positions` expected 2 elements, not 1"):
        ogse.set_fw_position(positions=(1,))  # type: ignore[arg-type]


def test_warm_up(dry_run: DryRun) -> None:
    with pytest.raises(Abort, match="The lamp of the OGSE is off"):
        ogse.wait_for_warm_up(1e-3, 60.0, 600.0)
    ogse.ogse_swon()
    with pytest.raises(Abort, match="Channel 1 of the power meter sees no light"):
        ogse.wait_for_warm_up(1e-3, 60.0, 600.0)
    ogse.set_attenuation(factor=1.0)
    cold = ogse.get_power()["power1"]
    took = ogse.wait_for_warm_up(tolerance=5e-4, stable_for=300.0, timeout=7200.0)
    assert 700.0 < took < 3600.0
    assert 1.003 < ogse.get_power()["power1"] / cold < 1.01
