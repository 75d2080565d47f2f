"""The simulator of the filter wheels on one motor as a process: `fw8smc4_sim start`."""

from egse.filterwheel.eksma.axis_model import PORT
from egse.filterwheel.eksma.two_wheels import TwoWheelModel
from egse.simulator import SimulatorApp

SIM = SimulatorApp(
    name="fw8smc4_sim",
    title="Eksma filter wheels (8SMC4)",
    model=TwoWheelModel,
    settings="FW8SMC4 Control Server",
    port=PORT,
    max_clients=8,
)

if __name__ == "__main__":
    SIM.main()
