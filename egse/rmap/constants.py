"""Numbers of the RMAP link between DPU and N-FEE, in this one place.

The layout of the protocol is ECSS-E-ST-50-52C. Logical addresses 0x50 (DPU) and 0x51 (FEE) are those seen on the link;
keys and memory areas are not public and are **assumptions**: correct them here when the real ones are known.
"""

from __future__ import annotations

from typing import Final

RMAP_PROTOCOL_ID: Final = 0x01
"""Protocol identifier of RMAP (ECSS-E-ST-50-51C)."""

DPU_LOGICAL_ADDRESS: Final = 0x50
"""Logical address of the DPU; the first byte of every HK and data packet."""

FEE_LOGICAL_ADDRESS: Final = 0x51
"""Logical address of the N-FEE as an RMAP target."""

RMAP_KEY: Final = 0xD1
"""Key that authorises a command (assumption)."""

HK_AREA_ADDRESS: Final = 0x0700
"""Start of the housekeeping memory area (assumption, as in public FPGA simulators of this FEE)."""

HK_AREA_SIZE: Final = 144
"""Size of the housekeeping memory area [bytes]: 36 words of 32 bits."""

REGISTER_MAP_SIZE: Final = 2048
"""Size of the mirrored register memory [bytes]; it includes the housekeeping area."""

RMAP_TIMEOUT: Final = 1.0
"""Default time to wait for a reply [s, real time]."""
