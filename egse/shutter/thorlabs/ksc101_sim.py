"""The simulator of the Thorlabs KSC101 shutter as a process: `ksc101_sim start`."""

from egse.shutter.thorlabs.ksc101 import SETTINGS
from egse.shutter.thorlabs.model import PORT, ShutterKSC101Model
from egse.simulator import SimulatorApp

SIM = SimulatorApp(
    name="ksc101_sim",
    title="Thorlabs KSC101 shutter",
    model=ShutterKSC101Model,
    settings=SETTINGS,
    port=PORT,
)

if __name__ == "__main__":
    SIM.main()
