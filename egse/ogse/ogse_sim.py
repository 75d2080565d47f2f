"""The OGSE simulator as a process: `ogse_sim start`; SIGUSR1 toggles the interlock."""

from egse.ogse.model import PORT, OGSEModel
from egse.simulator import Busy, SimulatorApp

SIM = SimulatorApp(
    name="ogse_sim",
    title="OGSE",
    model=OGSEModel,
    settings="OGSE Control Server",
    port=PORT,
    max_clients=1,
    busy=Busy.QUEUE,
)

if __name__ == "__main__":
    SIM.main()
