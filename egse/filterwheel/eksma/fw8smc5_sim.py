"""The simulators of the two filter wheels with a motor each, as processes: `fw8smc5_sim start`, `fw8smc5_2_sim start`."""

from egse.filterwheel.eksma.fw8smc5 import PORT_1, PORT_2, SECOND_WHEEL, SETTINGS, wheel_model
from egse.simulator import SimulatorApp

SIM = SimulatorApp(
    name="fw8smc5_sim",
    title="Eksma filter wheel 1 (8SMC5)",
    model=wheel_model,
    settings=SETTINGS,
    port=PORT_1,
    max_clients=8,
)
SECOND = SimulatorApp(
    name="fw8smc5_2_sim",
    title="Eksma filter wheel 2 (8SMC5)",
    model=lambda seed: wheel_model(seed + 1),
    settings=SECOND_WHEEL,
    port=PORT_2,
    max_clients=8,
)

if __name__ == "__main__":
    SIM.main()
