"""Panels: live views of servers and devices in a notebook or on a page, with buttons for what may be commanded.

    from camtest.panels import panel_for
    panel_for(setup.gse.lsci336.device)

Every panel listens to the monitoring stream of its server in a thread of its own, commands in another, and shows at most
five updates a second. See docs/panels.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egse.lazy import lazy_names

if TYPE_CHECKING:
    from camtest.panels.device import DevicePanel
    from camtest.panels.panel import Panel

_HOMES = {
    "Panel": "panel",
    "DevicePanel": "device",
}

__all__ = ["DevicePanel", "Panel"]
__getattr__, __dir__ = lazy_names(__name__, _HOMES, __all__)
