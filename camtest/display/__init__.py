"""What the objects of a camera test look like in a notebook: as HTML without anything from elsewhere, and as text.

| Object | Shown as |
|---|---|
| `Setup`, `SetupDiff` | tree to open and close; table of differences (by themselves) |
| `Observation` | card: what it is, its files, its building blocks over time |
| `CommandSequence` | tree and timeline |
| `housekeeping("GOGSE_ATT_LVL")` | table of last values and plots with limits |
| `RegisterMap` | registers and fields, those that differ from power-on marked |
| `SpaceWirePacket` | fields and bytes |
| `focal_plane(images)` | the CCDs in their layout: stretch, zoom, value under the pointer |
| `device_status(proxy)` | control server and housekeeping of a device, now |
| any Proxy | its commands with units and ranges; nothing is asked |

Every display also has a plain-text form, which is what log files and terminals get. Saved notebooks show all of it years
later, offline, also as HTML pages of nbconvert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from camtest.display.formatters import install_formatters, remove_formatters
from egse.lazy import lazy_names

if TYPE_CHECKING:
    from camtest.display.ccds import FocalPlaneView, ImageView, focal_plane, zoom
    from camtest.display.devices import DeviceStatus, ServerTable, device_status
    from camtest.display.logs import LogView, log_view
    from camtest.display.observations import ObservationCard
    from camtest.display.parameters import HousekeepingView, housekeeping

__all__ = [
    "DeviceStatus",
    "FocalPlaneView",
    "HousekeepingView",
    "ImageView",
    "LogView",
    "ObservationCard",
    "ServerTable",
    "device_status",
    "focal_plane",
    "housekeeping",
    "install_formatters",
    "log_view",
    "remove_formatters",
    "zoom",
]
_HOMES = {
    "DeviceStatus": "devices",
    "ServerTable": "devices",
    "device_status": "devices",
    "HousekeepingView": "parameters",
    "housekeeping": "parameters",
    "FocalPlaneView": "ccds",
    "ImageView": "ccds",
    "focal_plane": "ccds",
    "zoom": "ccds",
    "LogView": "logs",
    "log_view": "logs",
    "ObservationCard": "observations",
}
__getattr__, __dir__ = lazy_names(__name__, _HOMES, __all__)
