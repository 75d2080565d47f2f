"""The front-end electronics of the normal cameras (N-FEE): modes, numbers, geometry, timing, housekeeping, simulator.

`CCD_BIN_TO_ID`, `CCD_BIN_TO_IDX`, `CCD_ID_TO_BIN` and `DEFAULT_CCD_READOUT_ORDER` are those of the camera model (see
`camera_model`); code that has a Setup uses `ccd_numbering(setup)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egse.fee.geometry import (
    FrameLayout,
    PacketGroup,
    locate_pixel,
    pixel_to_readout,
    readout_to_pixel,
    sides_of,
)
from egse.fee.modes import IMAGE_MODES, TRANSITIONS, is_dump_mode, is_legal_transition, n_fee_mode
from egse.fee.numbering import (
    EM_NUMBERING,
    FEE_SENSOR_SEL,
    FM_NUMBERING,
    NUMBERINGS,
    CCDNumbering,
    camera_model,
    ccd_numbering,
    decode_ccd_order,
    encode_ccd_order,
    order_codes,
)
from egse.fee.timing import (
    CYCLE_TIMES,
    FRAMES_PER_CYCLE,
    LONG_PULSE,
    READOUT_PERIOD,
    SHORT_PULSE,
    readout_time,
)
from egse.lazy import lazy_names

if TYPE_CHECKING:
    from egse.fee.hk import ERROR_FLAGS, HKMap, HKMapError, decode_hk, error_flag_names, load_hk_map
    from egse.fee.memory_link import NFEEMemoryLink
    from egse.fee.model import NFEEModel
    from egse.fee.readout import ReadoutConfig

__all__ = [
    "CYCLE_TIMES",
    "EM_NUMBERING",
    "ERROR_FLAGS",
    "FEE_SENSOR_SEL",
    "FM_NUMBERING",
    "FRAMES_PER_CYCLE",
    "IMAGE_MODES",
    "LONG_PULSE",
    "NUMBERINGS",
    "READOUT_PERIOD",
    "SHORT_PULSE",
    "TRANSITIONS",
    "CCDNumbering",
    "FrameLayout",
    "HKMap",
    "HKMapError",
    "NFEEMemoryLink",
    "NFEEModel",
    "PacketGroup",
    "ReadoutConfig",
    "camera_model",
    "ccd_numbering",
    "decode_ccd_order",
    "decode_hk",
    "encode_ccd_order",
    "error_flag_names",
    "is_dump_mode",
    "is_legal_transition",
    "load_hk_map",
    "locate_pixel",
    "n_fee_mode",
    "order_codes",
    "pixel_to_readout",
    "readout_time",
    "readout_to_pixel",
    "sides_of",
]

_NUMBERING_NAMES = {
    "CCD_BIN_TO_ID": "bin_to_id",
    "CCD_BIN_TO_IDX": "bin_to_idx",
    "CCD_ID_TO_BIN": "id_to_bin",
    "DEFAULT_CCD_READOUT_ORDER": "default_readout_order",
}


# Loaded when they are used: whoever only needs numbers and geometry (raw files, proxies) loads no model and no YAML.
_MODULES = {
    "ERROR_FLAGS": "hk",
    "HKMap": "hk",
    "HKMapError": "hk",
    "NFEEMemoryLink": "memory_link",
    "NFEEModel": "model",
    "ReadoutConfig": "readout",
    "decode_hk": "hk",
    "error_flag_names": "hk",
    "load_hk_map": "hk",
}


_load, __dir__ = lazy_names(__name__, _MODULES, __all__)


def __getattr__(name: str) -> Any:
    attribute = _NUMBERING_NAMES.get(name)
    return _load(name) if attribute is None else getattr(ccd_numbering(), attribute)
