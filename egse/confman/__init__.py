"""The configuration manager's client side: Setups and observations of a site.

The proxy is loaded when it is used: whoever only reads the record of observations needs no network.
"""

from typing import TYPE_CHECKING

from egse.confman.observations import RECORD_FILE, ObservationError, ObservationRecord, read_records
from egse.lazy import lazy_names

if TYPE_CHECKING:
    from egse.confman.interface import ConfigurationManagerInterface, ConfigurationManagerProxy

__all__ = [
    "RECORD_FILE",
    "ConfigurationManagerInterface",
    "ConfigurationManagerProxy",
    "ObservationError",
    "ObservationRecord",
    "read_records",
]

_MODULES = dict.fromkeys(("ConfigurationManagerInterface", "ConfigurationManagerProxy"), "interface")
__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
