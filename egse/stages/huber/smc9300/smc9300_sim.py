"""The SMC9300 simulator as a process: `smc9300_sim start`."""

from egse.simulator import SimulatorApp
from egse.stages.huber.smc9300.driver import SETTINGS
from egse.stages.huber.smc9300.model import PORT, SMC9300Model

SIM = SimulatorApp(
    name="smc9300_sim",
    title="HUBER SMC9300 stages",
    model=SMC9300Model,
    settings=SETTINGS,
    port=PORT,
)

if __name__ == "__main__":
    SIM.main()
