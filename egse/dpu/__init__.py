"""The DPU: control server, DPU Processor and the mirror of the N-FEE (developer manual, section 14.1).

Names are loaded when they are used, so that a script that only commands (`DPUProxy`) does not load HDF5.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egse.dpu.controller import DPUController
    from egse.dpu.errors import DPUProcessorError, FEEModeError
    from egse.dpu.interface import DPUInterface
    from egse.dpu.monitoring import DPUMonitoring
    from egse.dpu.processor import DPUProcessor
    from egse.dpu.protocol import DPUProtocol
    from egse.dpu.proxy import DPUProxy
    from egse.dpu.state import NFEEState

_MODULES = {
    "DPUController": "controller",
    "DPUInterface": "interface",
    "DPUMonitoring": "monitoring",
    "DPUProcessor": "processor",
    "DPUProcessorError": "errors",
    "DPUProtocol": "protocol",
    "DPUProxy": "proxy",
    "FEEModeError": "errors",
    "NFEEState": "state",
}

__all__ = [
    "DPUController",
    "DPUInterface",
    "DPUMonitoring",
    "DPUProcessor",
    "DPUProcessorError",
    "DPUProtocol",
    "DPUProxy",
    "FEEModeError",
    "NFEEState",
]


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
