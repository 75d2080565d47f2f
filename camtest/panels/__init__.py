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
    from camtest.panels.aeu import AEUPanel
    from camtest.panels.configuration import ConfigurationPanel
    from camtest.panels.device import DevicePanel
    from camtest.panels.devices import panel_for, panel_of_server
    from camtest.panels.dpu import DPUPanel
    from camtest.panels.hdf5 import HDF5Panel
    from camtest.panels.housekeeping import HousekeepingPanel
    from camtest.panels.log import LogPanel
    from camtest.panels.observation import ObservationPanel
    from camtest.panels.ogse import OGSEPanel
    from camtest.panels.panel import Panel
    from camtest.panels.processes import ProcessPanel
    from camtest.panels.queue import QueuePanel
    from camtest.panels.setups import SetupPanel
    from camtest.panels.tcs import TCSPanel

_HOMES = {
    "AEUPanel": "aeu",
    "ConfigurationPanel": "configuration",
    "DPUPanel": "dpu",
    "DevicePanel": "device",
    "HDF5Panel": "hdf5",
    "HousekeepingPanel": "housekeeping",
    "LogPanel": "log",
    "OGSEPanel": "ogse",
    "ObservationPanel": "observation",
    "Panel": "panel",
    "ProcessPanel": "processes",
    "QueuePanel": "queue",
    "SetupPanel": "setups",
    "TCSPanel": "tcs",
    "panel_for": "devices",
    "panel_of_server": "devices",
}

__all__ = [
    "AEUPanel",
    "ConfigurationPanel",
    "DPUPanel",
    "DevicePanel",
    "HDF5Panel",
    "HousekeepingPanel",
    "LogPanel",
    "OGSEPanel",
    "ObservationPanel",
    "Panel",
    "ProcessPanel",
    "QueuePanel",
    "SetupPanel",
    "TCSPanel",
    "panel_for",
    "panel_of_server",
]
__getattr__, __dir__ = lazy_names(__name__, _HOMES, __all__)
