"""The TM dictionary: every housekeeping parameter of the EGSE, one row each (manual, section 5.6).

dictionary = find_dictionary(setup)                    # of the Setup; that of this package without one
dictionary = read_dictionary("tm-dictionary.csv")
dictionary["GOGSE_ATT_LVL"].unit
dictionary.of("N-FEE-HK")                              # all parameters of one producer
check_file("tm-dictionary.csv")                        # what is wrong with it, by line
"""

from egse.tmdict.check import Finding, check_file
from egse.tmdict.dictionary import (
    TEMPLATE,
    TMDictionary,
    TMDictionaryError,
    dictionary_of,
    find_dictionary,
    read_dictionary,
    template_dictionary,
)
from egse.tmdict.parameter import COLUMNS, Limits, Parameter
from egse.tmdict.prefixes import (
    COMMON_PREFIXES,
    PrefixError,
    check_prefix,
    has_prefix,
    site_of,
    site_prefix,
)

__all__ = [
    "COLUMNS",
    "COMMON_PREFIXES",
    "TEMPLATE",
    "Finding",
    "Limits",
    "Parameter",
    "PrefixError",
    "TMDictionary",
    "TMDictionaryError",
    "check_file",
    "check_prefix",
    "dictionary_of",
    "find_dictionary",
    "has_prefix",
    "read_dictionary",
    "site_of",
    "site_prefix",
    "template_dictionary",
]
