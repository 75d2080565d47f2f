"""The simulator of the gimbal with two axes as a process: `gimbal_sim start`."""

from egse.mgse.gimbal.driver import SETTINGS
from egse.mgse.gimbal.model import PORT, GimbalModel
from egse.simulator import SimulatorApp

SIM = SimulatorApp(
    name="gimbal_sim",
    title="gimbal with two axes",
    model=GimbalModel,
    settings=SETTINGS,
    port=PORT,
)

if __name__ == "__main__":
    SIM.main()
