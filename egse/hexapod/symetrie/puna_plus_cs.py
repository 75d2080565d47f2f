"""The control server of a PUNA hexapod (Alpha+ controller): `puna_plus_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.hexapod.symetrie.protocol import AlphaPlusProtocol
from egse.hexapod.symetrie.punaplus import SETTINGS, PunaPlusInterface, make_controller

APP = ControlServerApp(
    name="puna_plus_cs",
    settings=SETTINGS,
    title="PUNA hexapod (Alpha+ controller)",
    interface=PunaPlusInterface,
    controller=make_controller,
    protocol=AlphaPlusProtocol,
    proxy="egse.hexapod.symetrie.punaplus:PunaPlusProxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
