"""The LakeShore 336 control servers: `lsci336_cs start [--simulator] | stop | status`; of several, `lsci336_2_cs` ..."""

from dataclasses import replace

from egse.control import ControlServerApp
from egse.tempcontrol.lsci336.driver import (
    SETTINGS,
    UNIT_SETTINGS,
    UNITS,
    make_controller,
    make_unit_controller,
)
from egse.tempcontrol.lsci336.interface import LakeShore336Interface
from egse.tempcontrol.lsci336.protocol import LakeShore336Protocol, LakeShore336UnitProtocol

APP = ControlServerApp(
    name="lsci336_cs",
    settings=SETTINGS,
    title="LakeShore 336 temperature controller",
    interface=LakeShore336Interface,
    controller=make_controller,
    protocol=LakeShore336Protocol,
    proxy="egse.tempcontrol.lsci336:LakeShore336Proxy",
    device=True,
)

UNIT = replace(
    APP,
    name="lsci336_{unit}_cs",
    settings=UNIT_SETTINGS,
    title="LakeShore 336 temperature controller {unit}",
    controller=make_unit_controller,
    protocol=LakeShore336UnitProtocol,
    proxy="egse.tempcontrol.lsci336:LakeShore336UnitProxy",
)
UNIT1, UNIT2, UNIT3 = (UNIT.unit(number) for number in UNITS)

if __name__ == "__main__":
    APP.main()
