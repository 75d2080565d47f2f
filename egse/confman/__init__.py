"""The configuration manager's client side: Setups and observations of a site."""

from egse.confman.interface import ConfigurationManagerInterface, ConfigurationManagerProxy
from egse.confman.observations import RECORD_FILE, ObservationError, ObservationRecord, read_records

__all__ = [
    "RECORD_FILE",
    "ConfigurationManagerInterface",
    "ConfigurationManagerProxy",
    "ObservationError",
    "ObservationRecord",
    "read_records",
]
