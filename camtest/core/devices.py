"""The devices that the Setup of the session names, each on one connection."""

from __future__ import annotations

from typing import Any

from camtest.core.context import Abort
from camtest.state import GlobalState
from egse.proxy import Proxy
from egse.setup import Setup

_proxies: tuple[Setup | None, dict[str, Proxy]] = (None, {})
"""The devices of one Setup that were asked for, each with its connection: the Setup makes a new one at each access."""


def device(path: str) -> Proxy:
    """Returns the device that the Setup names, `device("gse.ogse")` for `setup.gse.ogse.device`.

    It is the same one, on the same connection, as long as the Setup is the same.

    Raises:
        Abort: when there is no Setup, or the Setup has no such device.
    """
    global _proxies
    setup = GlobalState.setup
    if setup is None:
        raise Abort(
            f"There is no Setup, so the device at {path} is not known. Is the configuration manager running and a "
            "Setup loaded (`cm_cs load-setup ID`)?"
        )
    if _proxies[0] is not setup:
        _proxies = (setup, {})
    proxies = _proxies[1]
    if path not in proxies:
        proxies[path] = _find(setup, path)
    return proxies[path]


def _find(setup: Setup, path: str) -> Proxy:
    node: Any = setup
    for name in [*path.split("."), "device"]:
        if name not in node:
            raise Abort(f"The Setup has no `{path}.device` (nothing called `{name}`)")
        node = getattr(node, name)
    proxy: Proxy = node
    return proxy
