"""The control server of a PUNA with an Alpha controller: `puna_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.hexapod.symetrie.pmac import SETTINGS
from egse.hexapod.symetrie.protocol import HexapodProtocol
from egse.hexapod.symetrie.puna import PunaInterface, make_controller

APP = ControlServerApp(
    name="puna_cs",
    settings=SETTINGS,
    title="PUNA hexapod",
    interface=PunaInterface,
    controller=make_controller,
    protocol=HexapodProtocol,
    proxy="egse.hexapod.symetrie.puna:PunaProxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
