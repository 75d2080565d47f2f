"""The client of the DPU control server."""

from __future__ import annotations

from egse.dpu import errors as errors  # so that they arrive here as themselves
from egse.dpu.interface import DPUInterface
from egse.proxy import DynamicProxy

SETTINGS = "DPU Control Server"


class DPUProxy(DynamicProxy, DPUInterface):
    """Sends commands to the DPU control server.

    Args:
        endpoint: `tcp://host:port` of its commanding port; from the settings when None.
        timeout: how long a call waits [s]; commands to the FEE take up to one sync pulse (6.25 s at true speed).
    """

    settings_name = SETTINGS
    server_name = "dpu_cs"

    def __init__(self, *, endpoint: str | None = None, timeout: float = 30.0) -> None:
        super().__init__(endpoint=endpoint, timeout=timeout)
