"""The DPU control server: `dpu_cs start [--simulator] | stop | status`."""

from __future__ import annotations

from egse.control import ControlServerApp, ServerContext
from egse.dpu.backend import ProcessorBackend
from egse.dpu.controller import DPUController
from egse.dpu.dry import DryBackend
from egse.dpu.interface import DPUInterface
from egse.dpu.protocol import DPUProtocol
from egse.dpu.proxy import SETTINGS
from egse.fee import camera_model
from egse.fee.model import NFEEModel

FEE_MODEL = "n_fee_model"
"""Key of the N-FEE model among what the Controllers of a dry run share."""


def make_controller(context: ServerContext) -> DPUController:
    """Makes the controller: on a DPU Processor of its own, or in a dry run on core and model in this thread."""
    if not context.dry_run:
        return DPUController(ProcessorBackend(context))
    model = context.shared.get(FEE_MODEL)
    backend = DryBackend(
        context.clock, camera_model(), model if isinstance(model, NFEEModel) else None, seed=context.seed
    )
    context.shared[FEE_MODEL] = backend.model
    return DPUController(backend)


APP = ControlServerApp(
    name="dpu_cs",
    settings=SETTINGS,
    title="DPU: readout and commanding of the N-FEE",
    interface=DPUInterface,
    controller=make_controller,
    protocol=DPUProtocol,
    proxy="egse.dpu:DPUProxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
