"""The SMC9300 control server: `smc9300_cs start [--simulator] | stop | status`."""

from egse.control import ControlServerApp
from egse.stages.huber.smc9300.driver import SETTINGS, make_controller
from egse.stages.huber.smc9300.interface import HuberSMC9300Interface
from egse.stages.huber.smc9300.protocol import HuberSMC9300Protocol

APP = ControlServerApp(
    name="smc9300_cs",
    settings=SETTINGS,
    title="HUBER SMC9300 stages",
    interface=HuberSMC9300Interface,
    controller=make_controller,
    protocol=HuberSMC9300Protocol,
    proxy="egse.stages.huber.smc9300:HuberSMC9300Proxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
