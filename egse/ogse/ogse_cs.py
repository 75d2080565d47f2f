"""The OGSE control server: `ogse_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.ogse.driver import SETTINGS, make_controller
from egse.ogse.interface import OGSEInterface
from egse.ogse.protocol import OGSEProtocol

APP = ControlServerApp(
    name="ogse_cs",
    settings=SETTINGS,
    title="OGSE: lamp, attenuator, power meters",
    interface=OGSEInterface,
    controller=make_controller,
    protocol=OGSEProtocol,
    proxy="egse.ogse:OGSEProxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
