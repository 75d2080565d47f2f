"""The control servers of Aim-TTi bench supplies: `aimtti1_cs start [--simulator] | stop | status`, `aimtti2_cs`."""

from egse.control import ControlServerApp
from egse.powersupply.aimtti.aimtti import SERVER, SETTINGS, make_controller
from egse.powersupply.aimtti.interface import AimTTiInterface
from egse.powersupply.aimtti.protocol import AimTTiProtocol

SUPPLY = ControlServerApp(
    name=SERVER,
    settings=SETTINGS,
    title="Aim-TTi bench supply {unit}",
    interface=AimTTiInterface,
    controller=make_controller,
    protocol=AimTTiProtocol,
    proxy="egse.powersupply.aimtti.aimtti:AimTTiProxy",
    device=True,
)
UNIT1, UNIT2 = SUPPLY.unit(1), SUPPLY.unit(2)
