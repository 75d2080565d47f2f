"""The simulator of a JORAN hexapod as a process: `joran_sim start`; SIGUSR1 is the emergency stop."""

from egse.hexapod.symetrie.alphaplus_model import JoranModel
from egse.hexapod.symetrie.joran import SETTINGS
from egse.simulator import SimulatorApp

SIM = SimulatorApp(
    name="joran_sim", title="JORAN hexapod", model=JoranModel, settings=SETTINGS, port=2323, max_clients=4
)

if __name__ == "__main__":
    SIM.main()
