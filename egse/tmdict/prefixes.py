"""EGSE-conform names of parameters: what they begin with (manual, section 5.6.2; storage ICD, section 7.1)."""

from __future__ import annotations

from egse.advice import or_meant

SYNOPTICS_PREFIX = "GSYN_"

COMMON_PREFIXES: dict[str, str] = {
    "CM_": "configuration manager",
    "GAEU_": "AEU",
    "NFEE_": "N-FEE",
    "GTCS_": "TCS",
    "FOV_": "source position",
    SYNOPTICS_PREFIX: "synoptics",
    "GOGSE_": "OGSE",
    "SM_": "storage manager",
    "PM_": "process manager",
    "MON_": "limit monitor",
    "LOG_": "log manager",
    "SYN_": "synoptics manager",
    "GDPU_": "DPU",
    "GFITS_": "FITS generation",
}
"""Prefixes of what all test houses have; the first six are those of the manual, `GOGSE_` is that of the ICD."""

SITES: dict[str, str] = {
    "CSL": "CSL",
    "CSL1": "CSL",
    "CSL2": "CSL",
    "SRON": "SRON",
    "IAS": "IAS",
    "INTA": "INTA",
    "KUL": "",
    "ESA": "",
    "LAB": "",
}
"""Sites in use (storage ICD, section 1) with their test house; `LAB` is the site of a sandbox."""

TEST_HOUSES = ("CSL", "SRON", "IAS", "INTA")
"""In the order of the dictionary (manual, section 5.6.1)."""

MNEMONIC_PREFIXES: dict[str, str] = {
    "CM": "CM_",
    "SM": "SM_",
    "PM": "PM_",
    "MON": "MON_",
    "LOG": "LOG_",
    "SYN": "SYN_",
    "SYN-HK": SYNOPTICS_PREFIX,
    "N-FEE-HK": "NFEE_",
    "DPU": "GDPU_",
    "FITSGEN": "GFITS_",
    "FOV": "FOV_",
    "OGSE": "GOGSE_",
    "TCS": "GTCS_",
    "TCS-HK": "GTCS_",
    "AEU-CRIO": "GAEU_",
    **{f"AEU-PSU{number}": "GAEU_" for number in range(1, 7)},
    **{f"AEU-AWG{number}": "GAEU_" for number in (1, 2)},
}
"""Producers whose names have one prefix, by storage mnemonic."""


class PrefixError(ValueError):
    """A name of a parameter that does not begin as it should."""


def site_prefix(site_id: str) -> str:
    """Returns the prefix of a site's own parameters, `G<SITE>_`."""
    return f"G{site_id.upper().replace('-', '_')}_"


def site_of(name: str, sites: tuple[str, ...] = ()) -> str | None:
    """Returns the site whose prefix a name has, None for a name without one.

    Args:
        name: of a parameter.
        sites: further sites besides those in use.
    """
    for site in (*sites, *SITES):
        if name.startswith(site_prefix(site)):
            return site
    return None


def has_prefix(name: str, sites: tuple[str, ...] = ()) -> bool:
    """Says whether a name is EGSE-conform: begins with a common prefix or with that of a site."""
    return name.startswith(tuple(COMMON_PREFIXES)) or site_of(name, sites) is not None


def check_prefix(name: str, mnemonic: str = "", sites: tuple[str, ...] = ()) -> str:
    """Returns `name` when it is EGSE-conform.

    Args:
        name: of a parameter.
        mnemonic: storage mnemonic of its producer; some must use one certain prefix.
        sites: further sites besides those in use.

    Raises:
        PrefixError: when it is not; the text says what it should begin with.
    """
    wanted = MNEMONIC_PREFIXES.get(mnemonic)
    if wanted is not None and not name.startswith(wanted):
        raise PrefixError(f"{name} of {mnemonic} must begin with {wanted}")
    if wanted is None and not has_prefix(name, sites):
        first = f"{name.partition('_')[0]}_"
        known = [*COMMON_PREFIXES, *(site_prefix(site) for site in (*SITES, *sites))]
        raise PrefixError(
            f"{name} begins with none of the prefixes {', '.join(known)}{or_meant(first, known)}"
        )
    return name
