"""Register maps: the configuration memory of a FEE by names (developer manual, section 14.3.3)."""

from egse.reg.maps import REGISTER_MAP_FILES, Field, RegisterLayout, RegisterMapError, load_layout
from egse.reg.registermap import FieldChange, RegisterMap, RegisterWrite

__all__ = [
    "REGISTER_MAP_FILES",
    "Field",
    "FieldChange",
    "RegisterLayout",
    "RegisterMap",
    "RegisterMapError",
    "RegisterWrite",
    "load_layout",
]
