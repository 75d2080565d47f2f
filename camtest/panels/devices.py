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
SPECIAL = {
    "dpu_cs": "camtest.panels.dpu:DPUPanel",
    "aeu_crio_cs": "camtest.panels.aeu:AEUPanel",
    "pm_cs": "camtest.panels.processes:ProcessPanel",
    "cm_cs": "camtest.panels.configuration:ConfigurationPanel",
}
"""Servers with a panel of their own; all others get the generated one."""


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
        return local_panel(name, kind)
    app = find_app(name)
    if not app.proxy:
        raise ValueError(f"the declaration of {name} names no proxy")
    module, _, attribute = app.proxy.partition(":")
    proxy: Proxy = getattr(import_module(module), attribute)(*app.device_args)
    return panel_for(proxy, app.title)


def make_lsci336(type: str = "proxy") -> Panel:
    """Returns the panel of the LakeShore 336, for the page."""
    return panel_of_server("lsci336_cs", type)


def make_ogse(type: str = "proxy") -> Panel:
    """Returns the panel of the OGSE, for the page."""
    return panel_of_server("ogse_cs", type)


def make_daq6510(type: str = "proxy") -> Panel:
    """Returns the panel of the Keithley DAQ6510 data acquisition, for the page."""
    return panel_of_server("daq6510_cs", type)


def make_pm100a(type: str = "proxy") -> Panel:
    """Returns the panel of the Thorlabs PM100 power meter, for the page."""
    return panel_of_server("pm100a_cs", type)


def make_ksc101(type: str = "proxy") -> Panel:
    """Returns the panel of the Thorlabs KSC101 shutter, for the page."""
    return panel_of_server("ksc101_cs", type)


def make_fw8smc4(type: str = "proxy") -> Panel:
    """Returns the panel of the Eksma filter wheels (8SMC4), for the page."""
    return panel_of_server("fw8smc4_cs", type)


def make_fw8smc5(type: str = "proxy") -> Panel:
    """Returns the panel of the Eksma filter wheels (8SMC5), for the page."""
    return panel_of_server("fw8smc5_cs", type)


def make_eq99(type: str = "proxy") -> Panel:
    """Returns the panel of the Energetiq EQ-99 lamp, for the page."""
    return panel_of_server("eq99_cs", type)


def make_gimbal(type: str = "proxy") -> Panel:
    """Returns the panel of the gimbal with two axes, for the page."""
    return panel_of_server("gimbal_cs", type)


def make_any(server: str = "dummy_cs", type: str = "proxy") -> Panel:
    """Returns the panel of any device server, for the page."""
    return panel_of_server(server, type)
