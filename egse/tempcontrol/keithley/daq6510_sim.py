"""The DAQ6510 simulator as a process: `daq6510_sim start`."""

from egse.simulator import SimulatorApp
from egse.tempcontrol.keithley.daq6510 import SETTINGS
from egse.tempcontrol.keithley.model import PORT, DAQ6510Model

SIM = SimulatorApp(
    name="daq6510_sim",
    title="Keithley DAQ6510 data acquisition",
    model=DAQ6510Model,
    settings=SETTINGS,
    port=PORT,
)

if __name__ == "__main__":
    SIM.main()
