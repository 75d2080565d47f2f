"""The control server of the gimbal with two axes: `gimbal_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.mgse.gimbal.driver import SETTINGS, make_controller
from egse.mgse.gimbal.interface import GimbalInterface
from egse.mgse.gimbal.protocol import GimbalProtocol

APP = ControlServerApp(
    name="gimbal_cs",
    settings=SETTINGS,
    title="gimbal with two axes",
    interface=GimbalInterface,
    controller=make_controller,
    protocol=GimbalProtocol,
    proxy="egse.mgse.gimbal.driver:GimbalProxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
