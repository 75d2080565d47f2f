"""Tells IPython how to show objects of `egse` and `camtest.core`, which know nothing of notebooks.

The types are named, not imported: what a session never uses is not loaded for its display.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

TEXT, HTML = "text/plain", "text/html"


def _tree(value: Any) -> str:
    from egse.tree import format_tree

    return format_tree(value.__dict__.get("_label") or type(value).__name__, value)


_PLAIN = {("egse.setup.navdict", "NavigableDict"): _tree}
"""What IPython would print as the dictionary that it also is."""
_TYPES: dict[tuple[str, str], str] = {
    ("egse.archive.observation", "Observation"): "observations",
    ("camtest.core.sequence.sequence", "CommandSequence"): "sequences",
    ("egse.reg.registermap", "RegisterMap"): "registers",
    ("egse.spw.packets", "SpaceWirePacket"): "packets",
    ("egse.proxy", "Proxy"): "devices",
}
"""Types, with the module here whose `as_html` and `as_text` show them; sub-classes are shown alike."""


def install_formatters(formatter: Any) -> None:
    """Adds the displays to a session.

    Args:
        formatter: `display_formatter` of the interactive shell.
    """
    for (module, name), as_text in _PLAIN.items():
        formatter.formatters[TEXT].for_type_by_name(module, name, _printed(as_text))
    for (module, name), home in _TYPES.items():
        formatter.formatters[HTML].for_type_by_name(module, name, _html(home))
        formatter.formatters[TEXT].for_type_by_name(module, name, _text(home))


def remove_formatters(formatter: Any) -> None:
    """Takes the displays away again."""
    for module, name in (*_TYPES, *_PLAIN):
        for kind in (HTML, TEXT):
            one = formatter.formatters[kind]
            one.deferred_printers.pop((module, name), None)
            for known in [k for k in one.type_printers if (k.__module__, k.__name__) == (module, name)]:
                one.pop(known)


def _module(home: str) -> Any:
    return import_module(f"camtest.display.{home}")


def _html(home: str) -> Callable[[Any], str]:
    return lambda value: str(_module(home).as_html(value))


def _text(home: str) -> Callable[[Any, Any, bool], None]:
    return _printed(lambda value: str(_module(home).as_text(value)))


def _printed(as_text: Callable[[Any], str]) -> Callable[[Any, Any, bool], None]:
    def show(value: Any, printer: Any, cycle: bool) -> None:
        printer.text("..." if cycle else as_text(value))

    return show
