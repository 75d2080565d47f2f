"""The simulator of a PUNA with an Alpha controller as a process: `puna_sim start`; SIGUSR1 is the emergency stop."""

from egse.hexapod.symetrie.alpha_model import PunaModel
from egse.hexapod.symetrie.pmac import PORT, SETTINGS
from egse.simulator import SimulatorApp

SIM = SimulatorApp(
    name="puna_sim", title="PUNA hexapod", model=PunaModel, settings=SETTINGS, port=PORT, max_clients=4
)

if __name__ == "__main__":
    SIM.main()
