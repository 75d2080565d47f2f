"""The TCS EGSE simulator as a process: `tcs_sim start`; commands on one port, telemetry on another."""

from egse.clock import system_clock
from egse.simulator import Busy, FurtherPort, SimulatorApp
from egse.tcs.driver import SETTINGS, TELEMETRY_SETTINGS, number_of_channels
from egse.tcs.model import PORT, TCSModel
from egse.tcs.stream import TELEMETRY_PORT, TCSTelemetryModel

SIM = SimulatorApp(
    name="tcs_sim",
    title="TCS EGSE",
    model=lambda seed: TCSModel(seed, channels=number_of_channels(), start=system_clock().now()),
    settings=SETTINGS,
    port=PORT,
    max_clients=4,
    busy=Busy.QUEUE,
    further=(FurtherPort("TELEMETRY", TCSTelemetryModel, TELEMETRY_SETTINGS, TELEMETRY_PORT),),
)

if __name__ == "__main__":
    SIM.main()
