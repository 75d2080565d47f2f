"""The LakeShore 336 simulators as processes: `lsci336_sim start`; of several, `lsci336_2_sim start` ..."""

from dataclasses import replace

from egse.simulator import Busy, SimulatorApp
from egse.tempcontrol.lsci336.driver import UNIT_PORT, UNIT_SETTINGS, UNITS, cold_model
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

SIM1, SIM2, SIM3 = (
    replace(
        SIM,
        name=f"lsci336_{unit}_sim",
        title=f"LakeShore 336 temperature controller {unit}",
        model=cold_model,
        settings=UNIT_SETTINGS.format(unit=unit),
        port=UNIT_PORT,
    )
    for unit in UNITS
)

if __name__ == "__main__":
    SIM.main()
