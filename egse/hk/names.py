"""Names of housekeeping parameters: from those of a device to EGSE-conform ones (manual, section 5.6.4)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TypeVar

from egse.env import get_site_id
from egse.setup import Setup, SetupError, get_setup
from egse.tmdict import TMDictionary, find_dictionary

LOGGER = logging.getLogger(__name__)

T = TypeVar("T")


def current_dictionary(setup: Setup | None = None) -> TMDictionary:
    """Returns the TM dictionary of a Setup.

    Args:
        setup: the Setup; the one that the configuration manager has loaded when None. Without a configuration manager,
            without a loaded Setup, or when that names no dictionary, it is the one of this package.

    Raises:
        TMDictionaryError: when the Setup names a dictionary that cannot be read.
    """
    if setup is None:
        try:
            setup = get_setup()
        except (ConnectionError, TimeoutError, SetupError) as exc:
            LOGGER.info("the TM dictionary of this package is used: %s", exc)
    return find_dictionary(setup)


def read_conversion_dict(
    storage_mnemonic: str, use_site: bool = False, setup: Setup | None = None
) -> dict[str, str]:
    """Returns the translation table of a producer.

    For `SYN-HK` it leads from EGSE-conform names to those of the synoptics; for everybody else from the names in the device
    (`Original name in EGSE`) to EGSE-conform ones.

    Args:
        storage_mnemonic: storage mnemonic of the producer.
        use_site: what is particular to this site (by its prefix; for synoptics by the column of its test house) instead
            of what all have in common.
        setup: whose TM dictionary is used; see `current_dictionary` for None.

    Returns:
        EGSE-conform (or synoptic) names by original names, in the order of the dictionary.

    Raises:
        TMDictionaryError: when the dictionary cannot be read or does not know the producer.
        EnvError: with `use_site`, when the environment names no site.
    """
    dictionary = current_dictionary(setup)
    return dictionary.conversion(storage_mnemonic, get_site_id() if use_site else None)


def convert_hk_names(original_hk: Mapping[str, T], conversion_dict: Mapping[str, str]) -> dict[str, T]:
    """Returns housekeeping under its new names; the original is left alone.

    Args:
        original_hk: values by original names.
        conversion_dict: new names by original names, from `read_conversion_dict`; names that it does not have stay.

    Raises:
        ValueError: when two values would get the same name.
    """
    converted: dict[str, T] = {}
    for name, value in original_hk.items():
        new_name = conversion_dict.get(name, name)
        if new_name in converted:
            raise ValueError(f"two values of the housekeeping would be called {new_name}, one of them {name}")
        converted[new_name] = value
    return converted
