"""The simulator of a ZONDA hexapod as a process: `zonda_sim start`; SIGUSR1 is the emergency stop."""

from egse.hexapod.symetrie.alphaplus_model import ZondaModel
from egse.hexapod.symetrie.zonda import SETTINGS
from egse.simulator import SimulatorApp

SIM = SimulatorApp(
    name="zonda_sim", title="ZONDA hexapod", model=ZondaModel, settings=SETTINGS, port=2323, max_clients=4
)

if __name__ == "__main__":
    SIM.main()
