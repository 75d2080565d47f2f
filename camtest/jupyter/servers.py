"""The control servers of a site, as the process manager knows them, or by asking each of them."""

from __future__ import annotations

import pkgutil
from typing import Any

from IPython.core.error import UsageError

from camtest.core.servers import find_app
from egse.procman import ProcessManagerProxy
from egse.proxy import Proxy, endpoint_from_settings, is_control_server_active
from egse.site.survey import server_names

LOOK = 0.3
"""How long a server is given to answer when the process manager is away [s]."""


def all_servers() -> tuple[list[tuple[str, ...]], str]:
    """Returns rows for `camtest.display.ServerTable`, and who was asked."""
    try:
        with ProcessManagerProxy(timeout=10.0) as manager:
            found = manager.get_all_status()
    except (ConnectionError, TimeoutError) as exc:
        rows = [_asked(name) for name in server_names()]
        return rows, f"The process manager does not answer; each server was asked. {exc}"
    return [_told(status) for status in found.values()], ""


def _told(status: Any) -> tuple[str, ...]:
    remark = status.explanation or (f"restarted {status.restarts} times" if status.restarts else "")
    simulator = {True: "yes", False: "", None: "?"}[status.simulator]
    pid = "" if status.pid is None else str(status.pid)
    return (status.name, str(status.state), simulator, pid, status.endpoint, remark)


def _asked(name: str) -> tuple[str, ...]:
    try:
        endpoint = endpoint_from_settings(find_app(name).settings)
    except (LookupError, OSError, ImportError) as exc:
        return (name, "unknown", "", "", "", str(exc))
    state = "running" if is_control_server_active(endpoint, LOOK) else "no answer"
    return (name, state, "", "", endpoint, "")


def proxy_of(name: str) -> Proxy:
    """Returns a new Proxy of a control server.

    Args:
        name: `ogse_cs`.

    Raises:
        UsageError: when there is none of this name, or it has no Proxy.
    """
    if name not in server_names():
        raise UsageError(f"there is no control server {name!r}: {', '.join(server_names())}")
    app = find_app(name)
    if not app.proxy:
        proxy = Proxy(endpoint=endpoint_from_settings(app.settings))
        proxy.settings_name, proxy.server_name = app.settings, name
        return proxy
    made: Proxy = pkgutil.resolve_name(app.proxy)()
    return made
