"""The DPU: control server, DPU Processor and the mirror of the N-FEE (developer manual, section 14.1).

Names are loaded when they are used, so that a script that only commands (`DPUProxy`) does not load HDF5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egse.lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
