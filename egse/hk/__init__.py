"""Housekeeping by the name of a parameter, and the names themselves (manual, section 5.6).

times, values = get_housekeeping("GOGSE_ATT_LVL", obsid=1151)      # or od="20230620", time_window=3600.0
table = get_housekeeping_frame(["GSYN_TRP1", "GSYN_TRP2"], time_window=("2023-06-01", "2023-07-01"))
hk = convert_hk_names(hk, read_conversion_dict("LSCI336", use_site=True))
"""

from egse.hk.access import get_hk_names, get_housekeeping, get_housekeeping_frame
from egse.hk.names import convert_hk_names, current_dictionary, read_conversion_dict
from egse.tmdict import PrefixError, check_prefix

__all__ = [
    "PrefixError",
    "check_prefix",
    "convert_hk_names",
    "current_dictionary",
    "get_hk_names",
    "get_housekeeping",
    "get_housekeeping_frame",
    "read_conversion_dict",
]
