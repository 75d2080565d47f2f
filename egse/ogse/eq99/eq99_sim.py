"""The simulator of the Energetiq EQ-99 lamp as a process: `eq99_sim start`."""

from egse.ogse.eq99.eq99 import SETTINGS
from egse.ogse.eq99.model import PORT, LampEQ99Model
from egse.simulator import SimulatorApp

SIM = SimulatorApp(
    name="eq99_sim",
    title="Energetiq EQ-99 lamp",
    model=LampEQ99Model,
    settings=SETTINGS,
    port=PORT,
)

if __name__ == "__main__":
    SIM.main()
