"""TAB on the Setup: every key and every command of its devices is offered, and nothing is read, connected or commanded.

IPython itself offers what a Proxy has from its class. It does not look behind the special values of a Setup
(`setup.gse.ogse.device` makes a Proxy when it is read), and it evaluates nothing that comes from `__getattr__`. The matcher here
walks over a Setup without reading special values: a Proxy is looked at only when it was made before, otherwise its class is.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from typing import Any

from camtest.state import known_setup
from egse.command import CommandDefinition, commands_of
from egse.proxy import Proxy
from egse.setup import NavigableDict, SetupError
from egse.setup.trust import load_class
from egse.site.survey import server_names
from egse.tmdict import find_dictionary

_PATH = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*)\.(\w*)$")
_CALL = re.compile(r"([A-Za-z_]\w*(?:\.\w+)+)\(([^()]*)$")
_CLASS = "class//"
_OWN = ("egse", "camtest")


def install_completion(shell: Any) -> None:
    """Adds the matcher, and turns jedi off: that evaluates `__getattr__` of every name it lists.

    Args:
        shell: the interactive shell.
    """
    shell.Completer.use_jedi = False
    shell.Completer.custom_matchers.append(SetupMatcher(shell))
    for magic, offer in (("%hk", _parameters), ("%cs", _servers)):
        shell.set_hook("complete_command", offer, str_key=magic)


def remove_completion(shell: Any) -> None:
    """Takes the matcher away again; jedi stays off."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [matcher for matcher in matchers if not isinstance(matcher, SetupMatcher)]


def _parameters(_: Any, event: Any) -> list[str]:
    """Returns names of housekeeping parameters, of the Setup that is known here or of this package."""
    begin = str(event.symbol).upper()
    return [name for name in find_dictionary(known_setup()) if name.startswith(begin)]


def _servers(_: Any, event: Any) -> list[str]:
    """Returns names of installed control servers."""
    return [name for name in server_names() if name.startswith(event.symbol)]


class SetupMatcher:
    """A matcher for IPython's completer (`IPCompleter.custom_matchers`, version 2 of its interface).

    Args:
        shell: the interactive shell, whose names are looked up.
    """

    matcher_api_version = 2
    matcher_priority = 0
    matcher_identifier = "camtest_setup_matcher"

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self.__name__ = self.__qualname__ = self.matcher_identifier  # IPython asks for them

    def __call__(self, context: Any) -> dict[str, Any]:
        """Returns what could stand in the place of the token before the cursor."""
        from IPython.core.completer import SimpleCompletion

        found = [
            SimpleCompletion(text, type=kind)
            for kind, texts in (
                ("param", self.arguments(context.text_until_cursor)),
                ("instance", self.names(context.token)),
            )
            for text in texts
        ]
        return {"completions": found, "suppress": False}

    def names(self, text: str) -> list[str]:
        """Returns names behind the last dot, with what stands before it."""
        match = _PATH.search(text)
        if match is None:
            return []
        path, begin = match[1], match[2]
        if "." not in path:  # IPython offers what belongs to a name itself
            return []
        prefix = text[: match.start()]
        return [
            f"{prefix}{path}.{name}"
            for name in names_of(self._find(path))
            if name.startswith(begin) and (begin.startswith("_") or not name.startswith("_"))
        ]

    def arguments(self, line: str) -> list[str]:
        """Returns the arguments of the command in whose brackets the line ends, `factor=`, as far as they are not given."""
        match = _CALL.search(line)
        if match is None:
            return []
        place, _, name = match[1].rpartition(".")
        definition = command_of(self._find(place), name)
        begin = re.split(r"[,\s]", match[2])[-1]
        given = set(re.findall(r"(\w+)\s*=", match[2]))
        names = [] if definition is None else [parameter.name for parameter in definition.parameters]
        return [f"{name}=" for name in names if name.startswith(begin) and name not in given]

    def _find(self, path: str) -> Any:
        root, *keys = path.split(".")
        found = self._shell.user_ns.get(root)
        for key in keys:
            found = step_into(found, key)
        return found


def command_of(place: Any, name: str) -> CommandDefinition | None:
    """Returns a command of a Proxy, or of a class of them; None when there is none, or it is not loaded yet."""
    if isinstance(place, Proxy) and name in place._commands:
        return place._commands[name].definition
    kind = place if isinstance(place, type) else type(place)
    return commands_of(kind).get(name) if _is_proxy_class(kind) else None


def step_into(place: Any, key: str) -> Any:
    """Returns what a key of a Setup, or an attribute of a Proxy leads to, as far as that is known; None otherwise.

    Special values are not read: for `class//...` it is the Proxy that was made before, else its class.
    """
    if isinstance(place, NavigableDict):
        raw = dict.get(place, key)
        if not (isinstance(raw, str) and raw.startswith(_CLASS)):
            return raw
        if key in place.get_memoized_keys():
            return place[key]
        return _class_named(raw.removeprefix(_CLASS))
    is_proxy = isinstance(place, Proxy) or _is_proxy_class(place)
    return place if key == "submit" and is_proxy else None  # it has the same commands


def _class_named(name: str) -> type[Any] | None:
    """Returns a class of ours, or of a package that is in use already: TAB must not import somebody's driver."""
    module = name.rpartition(".")[0]
    if module.partition(".")[0] not in _OWN and module not in sys.modules:
        return None
    try:
        return load_class(name)
    except SetupError:
        return None


def names_of(place: Any) -> Iterable[str]:
    """Returns the names that can stand behind a dot."""
    if isinstance(place, NavigableDict):
        return [*(key for key in place if key.isidentifier()), *_methods(type(place))]
    if isinstance(place, Proxy):
        return dir(place)  # answered from the class and the catalogue that was loaded before
    return dir(place) if _is_proxy_class(place) else ()


def _methods(kind: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")]


def _is_proxy_class(place: Any) -> bool:
    return isinstance(place, type) and issubclass(place, Proxy)
