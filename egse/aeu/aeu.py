"""The units of the AEU test EGSE, under the names of the manual (section 6.1.1)."""

from egse.aeu.awg_interface import AWGInterface
from egse.aeu.crio_interface import CRIOInterface
from egse.aeu.driver import (
    AWGController,
    AWGEthernetInterface,
    AWGSimulator,
    CRIOController,
    CRIOEthernetInterface,
    CRIOSimulator,
    PSUController,
    PSUEthernetInterface,
    PSUSimulator,
)
from egse.aeu.lines import LINES, LoopBack, OperatingMode
from egse.aeu.messages import AEUError
from egse.aeu.proxies import AWGProxy, CRIOProxy, PSUProxy
from egse.aeu.psu_interface import PSUInterface

__all__ = [
    "LINES",
    "AEUError",
    "AWGController",
    "AWGEthernetInterface",
    "AWGInterface",
    "AWGProxy",
    "AWGSimulator",
    "CRIOController",
    "CRIOEthernetInterface",
    "CRIOInterface",
    "CRIOProxy",
    "CRIOSimulator",
    "LoopBack",
    "OperatingMode",
    "PSUController",
    "PSUEthernetInterface",
    "PSUInterface",
    "PSUProxy",
    "PSUSimulator",
]
