"""The control server of the Thorlabs KSC101 shutter: `ksc101_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.shutter.thorlabs.interface import ShutterKSC101Interface
from egse.shutter.thorlabs.ksc101 import SETTINGS, make_controller
from egse.shutter.thorlabs.protocol import ShutterKSC101Protocol

APP = ControlServerApp(
    name="ksc101_cs",
    settings=SETTINGS,
    title="Thorlabs KSC101 shutter",
    interface=ShutterKSC101Interface,
    controller=make_controller,
    protocol=ShutterKSC101Protocol,
    proxy="egse.shutter.thorlabs.ksc101:ShutterKSC101Proxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
