"""The Setup: what a test environment consists of, navigable with dots (manual ch. 8 and 17.1).

| Name | What it does |
|---|---|
| `Setup`, `NavigableDict` | nested dictionaries that are navigated with dots, keys or both |
| `load_setup(id)` | makes a Setup the active one and returns it |
| `get_setup(id)` | returns a Setup, the active one stays |
| `submit_setup(setup, description)` | hands in a changed Setup under a new id |
| `list_setups(**filters)` | what there is |
| `diff_setups(old, new)` | what differs between two Setups |
| `on_active_setup(callback)` | tells when another Setup became active in this process |
"""

from egse.setup.diff import Change, SetupDiff, diff_setups
from egse.setup.directives import Directive, is_directive, register_directive
from egse.setup.errors import DirectiveError, NoSetupError, SetupError, UntrustedClassError
from egse.setup.navdict import NavigableDict, navdict
from egse.setup.provider import (
    SetupList,
    get_setup,
    list_setups,
    load_setup,
    on_active_setup,
    set_provider,
    submit_setup,
)
from egse.setup.setup import Setup, parse_setup_filename

__all__ = [
    "Change",
    "Directive",
    "DirectiveError",
    "NavigableDict",
    "Setup",
    "SetupDiff",
    "NoSetupError",
    "SetupError",
    "SetupList",
    "UntrustedClassError",
    "diff_setups",
    "get_setup",
    "is_directive",
    "list_setups",
    "load_setup",
    "navdict",
    "on_active_setup",
    "parse_setup_filename",
    "register_directive",
    "set_provider",
    "submit_setup",
]
