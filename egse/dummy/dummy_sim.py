"""The dummy device's simulator as a process: `python -m egse.dummy.dummy_sim start`."""

from egse.dummy.driver import SETTINGS
from egse.dummy.model import DummyModel
from egse.simulator import SimulatorApp

SIM = SimulatorApp(name="dummy_sim", title="dummy device", model=DummyModel, settings=SETTINGS, port=4447)

if __name__ == "__main__":
    SIM.main()
