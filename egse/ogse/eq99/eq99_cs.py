"""The control server of the Energetiq EQ-99 lamp: `eq99_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.ogse.eq99.eq99 import SETTINGS, make_controller
from egse.ogse.eq99.interface import LampEQ99Interface
from egse.ogse.eq99.protocol import LampEQ99Protocol

APP = ControlServerApp(
    name="eq99_cs",
    settings=SETTINGS,
    title="Energetiq EQ-99 lamp",
    interface=LampEQ99Interface,
    controller=make_controller,
    protocol=LampEQ99Protocol,
    proxy="egse.ogse.eq99.eq99:LampEQ99Proxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
