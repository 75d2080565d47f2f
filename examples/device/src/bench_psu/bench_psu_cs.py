"""The BENCH_PSU control server: `bench_psu_cs start [--simulator] | stop | status`."""

from __future__ import annotations

from egse.control import ControlServerApp, ServerContext
from egse.simulator import MemoryTransport

from bench_psu.bench_psu import (
    BenchPsuController,
    BenchPsuInterface,
)
from bench_psu.bench_psu_devif import SETTINGS
from bench_psu.bench_psu_protocol import BenchPsuProtocol
from bench_psu.bench_psu_sim import BenchPsuModel


def make_controller(context: ServerContext) -> BenchPsuController:
    """Returns the Controller for the control server, or for a dry run.

    With the simulator the model lives in this process; it is put into `context.shared["bench_psu"]`.
    """
    if not context.simulator:
        return BenchPsuController(
            context.settings["DEVICE_HOSTNAME"],
            context.settings["DEVICE_PORT"],
        )
    model = BenchPsuModel()
    context.shared["bench_psu"] = model
    return BenchPsuController(transport=MemoryTransport(model, context.clock))


APP = ControlServerApp(
    name="bench_psu_cs",
    settings=SETTINGS,
    title="BENCH_PSU",
    interface=BenchPsuInterface,
    controller=make_controller,
    protocol=BenchPsuProtocol,
    proxy="bench_psu:BenchPsuProxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
