"""The control server of the Eksma filter wheels (8SMC5): `fw8smc5_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.filterwheel.eksma.fw8smc5 import SETTINGS, make_controller
from egse.filterwheel.eksma.fw8smc5_interface import FilterWheel8SMC5Interface
from egse.filterwheel.eksma.fw8smc5_protocol import FilterWheel8SMC5Protocol

APP = ControlServerApp(
    name="fw8smc5_cs",
    settings=SETTINGS,
    title="Eksma filter wheels (8SMC5)",
    interface=FilterWheel8SMC5Interface,
    controller=make_controller,
    protocol=FilterWheel8SMC5Protocol,
    proxy="egse.filterwheel.eksma.fw8smc5:FilterWheel8SMC5Proxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
