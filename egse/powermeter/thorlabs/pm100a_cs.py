"""The control server of the Thorlabs PM100 power meter: `pm100a_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.powermeter.thorlabs.interface import ThorlabsPM100Interface
from egse.powermeter.thorlabs.pm100a import SETTINGS, make_controller
from egse.powermeter.thorlabs.protocol import ThorlabsPM100Protocol

APP = ControlServerApp(
    name="pm100a_cs",
    settings=SETTINGS,
    title="Thorlabs PM100 power meter",
    interface=ThorlabsPM100Interface,
    controller=make_controller,
    protocol=ThorlabsPM100Protocol,
    proxy="egse.powermeter.thorlabs.pm100a:ThorlabsPM100Proxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
