"""The housekeeping of the bench instruments stands in the TM dictionary, at every site."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from egse.clock import VirtualClock
from egse.filterwheel.eksma.fw8smc4_cs import APP as FW8SMC4
from egse.filterwheel.eksma.fw8smc5_cs import APP as FW8SMC5
from egse.mgse.gimbal.gimbal_cs import APP as GIMBAL
from egse.ogse.eq99.eq99_cs import APP as EQ99
from egse.powermeter.thorlabs.pm100a_cs import APP as PM100A
from egse.powersupply.aimtti.aimtti_cs import UNIT1, UNIT2
from egse.settings import Settings
from egse.shutter.thorlabs.ksc101_cs import APP as KSC101
from egse.tempcontrol.keithley.daq6510_cs import APP as DAQ6510
from egse.tmdict import template_dictionary

APPS = (DAQ6510, PM100A, KSC101, FW8SMC4, FW8SMC5, EQ99, UNIT1, UNIT2, GIMBAL)


@pytest.mark.parametrize("site", ["CSL1", "CSL2", "SRON", "IAS", "INTA", "LAB"])
@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_names_are_known(app: Any, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", site)
    controller = app.make_dry_controller(VirtualClock(), {})
    row = app.protocol(SimpleNamespace(name=app.name), controller).get_housekeeping()
    known = {p.name for p in template_dictionary().of(str(Settings.load(app.settings).STORAGE_MNEMONIC))}
    assert row
    assert set(row) <= known
