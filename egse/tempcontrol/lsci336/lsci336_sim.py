"""The LakeShore 336 simulator as a process: `lsci336_sim start`."""

from egse.simulator import Busy, SimulatorApp
from egse.tempcontrol.lsci336.model import PORT, LakeShore336Model

SIM = SimulatorApp(
    name="lsci336_sim",
    title="LakeShore 336 temperature controller",
    model=LakeShore336Model,
    settings="LSCI336 Control Server",
    port=PORT,
    max_clients=2,
    busy=Busy.REFUSE,
)

if __name__ == "__main__":
    SIM.main()
