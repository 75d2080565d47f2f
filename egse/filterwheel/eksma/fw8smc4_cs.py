"""The control server of the Eksma filter wheels (8SMC4): `fw8smc4_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.filterwheel.eksma.fw8smc4 import SETTINGS, make_controller
from egse.filterwheel.eksma.fw8smc4_interface import FilterWheel8SMC4Interface
from egse.filterwheel.eksma.fw8smc4_protocol import FilterWheel8SMC4Protocol

APP = ControlServerApp(
    name="fw8smc4_cs",
    settings=SETTINGS,
    title="Eksma filter wheels (8SMC4)",
    interface=FilterWheel8SMC4Interface,
    controller=make_controller,
    protocol=FilterWheel8SMC4Protocol,
    proxy="egse.filterwheel.eksma.fw8smc4:FilterWheel8SMC4Proxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
