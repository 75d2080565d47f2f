"""The LakeShore 336 control server: `lsci336_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.tempcontrol.lsci336.driver import SETTINGS, make_controller
from egse.tempcontrol.lsci336.interface import LakeShore336Interface
from egse.tempcontrol.lsci336.protocol import LakeShore336Protocol

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

if __name__ == "__main__":
    APP.main()
