"""Remote Memory Access Protocol over SpaceWire (ECSS-E-ST-50-52C): packets, CRC, address rules and a target.

Everything here is bytes in, bytes out; links are in `egse.spw`.
"""

from egse.rmap.codec import (
    RMAPCommand,
    RMAPReply,
    count_path_bytes,
    decode_command,
    decode_reply,
    is_rmap_packet,
    is_rmap_reply,
    read_command,
    rmw_command,
    write_command,
)
from egse.rmap.constants import (
    DPU_LOGICAL_ADDRESS,
    FEE_LOGICAL_ADDRESS,
    HK_AREA_ADDRESS,
    HK_AREA_SIZE,
    REGISTER_MAP_SIZE,
    RMAP_KEY,
    RMAP_PROTOCOL_ID,
)
from egse.rmap.crc import header_crc, rmap_crc
from egse.rmap.errors import (
    RMAPAddressError,
    RMAPDecodeError,
    RMAPError,
    RMAPStatus,
    RMAPTimeoutError,
    status_text,
)
from egse.rmap.memory import N_FEE_AREAS, AddressRules, MemoryArea
from egse.rmap.target import RMAPTarget

__all__ = [
    "DPU_LOGICAL_ADDRESS",
    "FEE_LOGICAL_ADDRESS",
    "HK_AREA_ADDRESS",
    "HK_AREA_SIZE",
    "N_FEE_AREAS",
    "REGISTER_MAP_SIZE",
    "RMAP_KEY",
    "RMAP_PROTOCOL_ID",
    "AddressRules",
    "MemoryArea",
    "RMAPAddressError",
    "RMAPCommand",
    "RMAPDecodeError",
    "RMAPError",
    "RMAPReply",
    "RMAPStatus",
    "RMAPTarget",
    "RMAPTimeoutError",
    "count_path_bytes",
    "decode_command",
    "decode_reply",
    "is_rmap_packet",
    "is_rmap_reply",
    "read_command",
    "header_crc",
    "rmap_crc",
    "rmw_command",
    "status_text",
    "write_command",
]
