"""The TCS control server: `tcs_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.tcs.driver import SETTINGS, make_controller
from egse.tcs.interface import TCSInterface
from egse.tcs.protocol import TCSProtocol

APP = ControlServerApp(
    name="tcs_cs",
    settings=SETTINGS,
    title="TCS EGSE: thermal control of the camera",
    interface=TCSInterface,
    controller=make_controller,
    protocol=TCSProtocol,
    proxy="egse.tcs:TCSProxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
