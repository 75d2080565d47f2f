"""What the TM dictionary and the interface of a server say about the values that it exports."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from egse.command import commands_of
from egse.env import CONF_REPO_LOCATION, EnvError, get_site_id
from egse.tmdict import TMDictionary, TMDictionaryError, find_dictionary, read_dictionary
from egse.tmdict.parameter import Parameter
from egse.tmdict.prefixes import SITES, site_prefix

LOGGER = logging.getLogger(__name__)

IN_REPOSITORY = Path("data") / "common" / "telemetry" / "tm-dictionary.csv"
"""Where a configuration repository keeps its dictionary."""


def site_dictionary() -> TMDictionary:
    """Returns the TM dictionary in the configuration repository of this site, else that of the installed packages.

    No Setup is asked for: a server tells its metrics also while nobody has loaded one.
    """
    root = os.environ.get(CONF_REPO_LOCATION, "").strip()
    path = Path(root).expanduser() / IN_REPOSITORY
    installed = find_dictionary()
    if not root or not path.is_file():
        return installed
    try:
        found = read_dictionary(path)
    except TMDictionaryError as exc:
        LOGGER.warning("metrics are described by the installed TM dictionary: %s", exc)
        return installed
    added = [row for row in installed.parameters if row.mnemonic not in found.mnemonics]
    return TMDictionary((*found.parameters, *added), found.where) if added else found


class Descriptions:
    """Finds what is known about a value by its name; each name is looked up once.

    Args:
        interface: class that declares the commands of the server, for values that the dictionary does not know.
        title: what the server is, for people.
        dictionary: that of the site when None.
    """

    def __init__(
        self, interface: type | None = None, title: str = "", dictionary: TMDictionary | None = None
    ) -> None:
        self._dictionary = site_dictionary() if dictionary is None else dictionary
        self._title = title
        self._queries = {} if interface is None else _first_lines(interface)
        self._known: dict[str, Parameter | None] = {}

    def find(self, name: str) -> Parameter | None:
        """Returns the row of the dictionary; that of another site for a value of a site which has none of its own."""
        if name not in self._known:
            self._known[name] = self._look_up(name)
        return self._known[name]

    def help(self, name: str) -> str:
        """Returns one line about a value: the description with its unit, or that of the command that asks for it."""
        parameter = self.find(name)
        if parameter is not None and (parameter.description or parameter.unit):
            unit = f" [{parameter.unit}]" if parameter.unit else ""
            return f"{parameter.description or name}{unit}"
        parts = name.lower().split("_")
        for start in range(len(parts)):
            query = "_".join(parts[start:])
            if query in self._queries:
                return self._queries[query]
        return f"{name} as told by {self._title or 'its server'}; not in the TM dictionary"

    def _look_up(self, name: str) -> Parameter | None:
        found = self._dictionary.get(name)
        if found is not None:
            return found
        try:
            own = site_prefix(get_site_id())
        except EnvError:
            return None
        if not name.startswith(own):
            return None
        rest = name.removeprefix(own)
        others = (self._dictionary.get(f"{site_prefix(site)}{rest}") for site in SITES)
        return next((parameter for parameter in others if parameter is not None), None)


def _first_lines(interface: type) -> dict[str, str]:
    """Returns the first line of the documentation of each query `get_temperature`, by `temperature`."""
    return {
        name.removeprefix("get_"): ((definition.function.__doc__ or "").strip().splitlines() or [name])[0]
        for name, definition in commands_of(interface).items()
        if name.startswith("get_")
    }
