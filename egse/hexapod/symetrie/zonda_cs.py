"""The control server of a ZONDA hexapod: `zonda_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.hexapod.symetrie.protocol import ZondaProtocol
from egse.hexapod.symetrie.zonda import SETTINGS, ZondaInterface, make_controller

APP = ControlServerApp(
    name="zonda_cs",
    settings=SETTINGS,
    title="ZONDA hexapod",
    interface=ZondaInterface,
    controller=make_controller,
    protocol=ZondaProtocol,
    proxy="egse.hexapod.symetrie.zonda:ZondaProxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
