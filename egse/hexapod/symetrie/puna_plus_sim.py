"""The simulator of a PUNA hexapod (Alpha+ controller) as a process: `puna_plus_sim start`; SIGUSR1 is the emergency stop."""

from egse.hexapod.symetrie.alphaplus_model import PunaPlusModel
from egse.hexapod.symetrie.punaplus import SETTINGS
from egse.simulator import SimulatorApp

SIM = SimulatorApp(
    name="puna_plus_sim",
    title="PUNA hexapod (Alpha+ controller)",
    model=PunaPlusModel,
    settings=SETTINGS,
    port=2323,
    max_clients=4,
)

if __name__ == "__main__":
    SIM.main()
