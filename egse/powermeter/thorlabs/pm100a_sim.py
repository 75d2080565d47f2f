"""The simulator of the Thorlabs PM100 power meter as a process: `pm100a_sim start`."""

from egse.powermeter.thorlabs.model import PORT, ThorlabsPM100Model
from egse.powermeter.thorlabs.pm100a import SETTINGS
from egse.simulator import SimulatorApp

SIM = SimulatorApp(
    name="pm100a_sim",
    title="Thorlabs PM100 power meter",
    model=ThorlabsPM100Model,
    settings=SETTINGS,
    port=PORT,
)

if __name__ == "__main__":
    SIM.main()
