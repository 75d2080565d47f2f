"""The simulators of Aim-TTi bench supplies as processes: `aimtti1_sim start`, `aimtti2_sim start`."""

from egse.powersupply.aimtti.aimtti import SETTINGS
from egse.powersupply.aimtti.model import PORT, AimTTiModel
from egse.simulator import SimulatorApp


def _unit(number: int) -> SimulatorApp:
    return SimulatorApp(
        name=f"aimtti{number}_sim",
        title=f"Aim-TTi bench supply {number}",
        model=AimTTiModel,
        settings=SETTINGS.format(unit=number),
        port=PORT + number - 1,
        max_clients=4,
    )


UNIT1, UNIT2 = _unit(1), _unit(2)

if __name__ == "__main__":
    UNIT1.main()
