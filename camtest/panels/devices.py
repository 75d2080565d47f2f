"""Which panel a device gets, and the panels of single devices that are made from the generated one."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from camtest.core.servers import find_app
from camtest.panels.device import DevicePanel
from camtest.panels.local import local_panel
from camtest.panels.panel import Panel
from egse.proxy import Proxy

KINDS = ("proxy", "simulator", "direct")
"""`--type`: through the control server (shared with others), a model in this process, the device past its server."""
HEXAPODS = ("puna_cs", "puna_plus_cs", "zonda_cs", "joran_cs")
SPECIAL = {
    "dpu_cs": "camtest.panels.dpu:DPUPanel",
    "aeu_crio_cs": "camtest.panels.aeu:AEUPanel",
    **dict.fromkeys(HEXAPODS, "camtest.panels.hexapod:HexapodPanel"),
    "pm_cs": "camtest.panels.processes:ProcessPanel",
    "fov_hk": "camtest.panels.fov:FOVPanel",
    "ogse_cs": "camtest.panels.ogse:OGSEPanel",
    "tcs_cs": "camtest.panels.tcs:TCSPanel",
    "cm_cs": "camtest.panels.configuration:ConfigurationPanel",
}
"""Servers with a panel of their own; all others get the generated one."""
SPECIAL_LOCAL = dict.fromkeys(HEXAPODS, "camtest.panels.hexapod:LocalHexapodPanel")
"""The same for devices without their control server."""


def panel_for(proxy: Proxy, title: str = "") -> Panel:
    """Returns the panel of a device: its own one where there is one, else one that is made from its interface.

    Args:
        proxy: of the device, for example `setup.gse.lsci336.device`.
        title: shown above; by default the name of the server.
    """
    special = SPECIAL.get(proxy.server_name)
    if special is None:
        return DevicePanel(proxy, title)
    module, _, name = special.partition(":")
    kind: Any = getattr(import_module(module), name)
    panel: Panel = kind(proxy)
    return panel


def panel_of_server(server: str, kind: str = "proxy") -> Panel:
    """Returns the panel of a device server.

    Args:
        server: its name, `lsci336_cs`; `_cs` may be left out.
        kind: one of `KINDS`.

    Raises:
        ValueError: for another kind, or a server that names no proxy.
    """
    if kind not in KINDS:
        raise ValueError(f"--type {kind!r} is none of {', '.join(KINDS)}")
    name = server if server.endswith(("_cs", "_hk", "fitsgen")) else f"{server}_cs"
    if kind != "proxy":
        return local_panel(name, kind, SPECIAL_LOCAL.get(name, ""))
    app = find_app(name)
    if not app.proxy:
        raise ValueError(f"the declaration of {name} names no proxy")
    module, _, attribute = app.proxy.partition(":")
    proxy: Proxy = getattr(import_module(module), attribute)(*app.device_args)
    return panel_for(proxy, app.title)


def make_fitsgen() -> Panel:
    """Returns the panel of the FITS generator, for the page: its queue of raw files, and cubes on demand."""
    return panel_of_server("fitsgen")


def make_any(server: str = "dummy_cs", type: str = "proxy") -> Panel:
    """Returns the panel of any device server, for the page."""
    return panel_of_server(server, type)
