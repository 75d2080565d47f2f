"""The control server of a JORAN hexapod: `joran_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.hexapod.symetrie.joran import SETTINGS, JoranInterface, make_controller
from egse.hexapod.symetrie.protocol import JoranProtocol

APP = ControlServerApp(
    name="joran_cs",
    settings=SETTINGS,
    title="JORAN hexapod",
    interface=JoranInterface,
    controller=make_controller,
    protocol=JoranProtocol,
    proxy="egse.hexapod.symetrie.joran:JoranProxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
