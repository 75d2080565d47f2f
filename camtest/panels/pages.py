"""The stand-alone pages: which there are, their notebooks for Voila, and the two that need no kernel (index, status)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from camtest.panels.board import static
from egse.files import make_folder, write_atomically
from egse.site.programs import TABLE, Kind

if TYPE_CHECKING:
    from camtest.panels.panel import Panel


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        name: of the page, and of the command that opens it.
        title: for people.
        maker: `module:function` that makes its panel; it gets the text behind `?` in the address as keyword arguments.
        server: the panel is that of this device server; it takes `type` then, see `camtest.panels.devices`.
    """

    name: str
    title: str
    maker: str = "camtest.panels.devices:make_any"
    server: str = ""

    @property
    def of_device(self) -> bool:
        """True for the panel of a device, which has a `type`."""
        return bool(self.server) or self.maker in OF_DEVICES

    def make(self, **options: str) -> Panel:
        """Returns a new panel."""
        module, _, function = self.maker.partition(":")
        make: Callable[..., Panel] = getattr(import_module(module), function)
        return make(**({"server": self.server} if self.server else {}), **options)


OF_VOILA = ("theme", "template", "token")
"""What in the address of a page is for Voila and the server, not for the panel."""

OF_DEVICES = ("camtest.panels.aeu:make", "camtest.panels.devices:make_any")
"""Makers of panels of devices with servers of their choice."""


PAGES = {
    page.name: page
    for page in (
        Page("observation_ui", "Observation: start, end, STOP and ABORT", "camtest.panels.observation:make"),
        Page("pm_ui", "Process manager: servers and devices", "camtest.panels.processes:make"),
        Page("cm_ui", "Configuration manager", "camtest.panels.configuration:make"),
        Page("setup_ui", "Setups: browse, compare, edit, submit, load", "camtest.panels.setups:make"),
        Page("dpu_ui", "Camera: images, housekeeping, registers, N-FEE commands", "camtest.panels.dpu:make"),
        Page("hdf5_ui", "N-FEE Data Inspector (HDF5)", "camtest.panels.hdf5:make"),
        Page(
            "fitsgen_ui", "FITS generation: queue of raw files, cubes", "camtest.panels.devices:make_fitsgen"
        ),
        Page("aeu_ui", "AEU: EGSE of the camera's power and clocks", "camtest.panels.aeu:make"),
        Page("lsci336_ui", "LakeShore 336 temperature controller", server="lsci336_cs"),
        Page("ogse_ui", "OGSE: source, attenuator, power meters", server="ogse_cs"),
        Page("tcs_ui", "TCS EGSE: thermal control of the camera", server="tcs_cs"),
        Page("puna_ui", "PUNA hexapod", server="puna_cs"),
        Page("puna_plus_ui", "PUNA hexapod (Alpha+ controller)", server="puna_plus_cs"),
        Page("zonda_ui", "ZONDA hexapod", server="zonda_cs"),
        Page("joran_ui", "JORAN hexapod", server="joran_cs"),
        Page("smc9300_ui", "HUBER stages", server="smc9300_cs"),
        Page("daq6510_ui", "Keithley DAQ6510 data acquisition", server="daq6510_cs"),
        Page("pm100a_ui", "Thorlabs PM100 power meter", server="pm100a_cs"),
        Page("ksc101_ui", "Thorlabs KSC101 shutter", server="ksc101_cs"),
        Page("fw8smc4_ui", "Eksma filter wheels (8SMC4)", server="fw8smc4_cs"),
        Page("fw8smc5_ui", "Eksma filter wheels (8SMC5)", server="fw8smc5_cs"),
        Page("eq99_ui", "Energetiq EQ-99 lamp", server="eq99_cs"),
        Page("gimbal_ui", "Gimbal with two axes", server="gimbal_cs"),
        Page("fov_ui", "Source position in the focal plane", "camtest.panels.fov:make"),
        Page("visited_positions_ui", "Visited positions", "camtest.panels.fov:make_visited"),
        Page("queue_ui", "Queue and runs", "camtest.panels.queue:make"),
        Page("log_ui", "Log", "camtest.panels.log:make"),
        Page("alarm_ui", "Alarms: what is wrong, acknowledge, shelve", "camtest.panels.alarms:make"),
        Page("hk_ui", "Housekeeping of any server as strip charts", "camtest.panels.housekeeping:make"),
        Page("device_ui", "Any device, from its interface", "camtest.panels.devices:make_any"),
    )
}


def page_named(name: str) -> Page:
    """Returns a page; raises KeyError with the names that there are."""
    if name not in PAGES:
        raise KeyError(f"there is no page {name!r}; there are {', '.join(PAGES)}")
    return PAGES[name]


def device_servers() -> list[str]:
    """Returns the names of the device servers of all packages that are installed."""
    names = (entry.name for entry in entry_points(group="egse.control_server"))
    services = {entry.name for entry in TABLE if entry.kind in (Kind.CORE, Kind.CONSUMER)} | {"tcs_hk"}
    return sorted(set(names) - services)


def page_address(name: str, *, theme: str | None = None, **options: str) -> str:
    """Returns the address of a page, relative to other pages.

    Args:
        name: of the page.
        theme: `dark`, or empty; None: that of the page on which this runs.
        options: of its panel.
    """
    wanted = _query().get("theme", "") if theme is None else theme
    query = urlencode({**options, **({"theme": wanted} if wanted else {})})
    return f"{name}.ipynb" + (f"?{query}" if query else "")


def _query() -> dict[str, str]:
    """Returns what stands behind the question mark in the address of the page on which this runs."""
    return {key: values[-1] for key, values in parse_qs(os.environ.get("QUERY_STRING", "")).items()}


def show(name: str) -> None:
    """Shows the panel of a page; the options come from the address. Called by the notebooks of the pages."""
    options = {key: value for key, value in _query().items() if key not in OF_VOILA}
    from IPython.display import display

    display(page_named(name).make(**options))  # type: ignore[no-untyped-call]


def write_notebooks(folder: Path) -> None:
    """Writes the notebook of each page into a folder, for Voila."""
    make_folder(folder, 0o700)
    for name, page in PAGES.items():
        cell: dict[str, Any] = {
            "cell_type": "code",
            "execution_count": None,
            "id": name.replace("_", "-"),
            "metadata": {},
            "outputs": [],
            "source": f'from camtest.panels.pages import show\n\nshow("{name}")',
        }
        notebook = {
            "cells": [cell],
            "metadata": {
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                "title": page.title,
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        write_atomically(folder / f"{name}.ipynb", json.dumps(notebook, indent=1).encode())


def launcher_entries(root: Path) -> list[dict[str, str]]:
    """Returns what JupyterLab has cards for in its launcher: panels, and the notebooks and procedures that there are.

    Args:
        root: folder of the notebooks.

    Returns:
        For each `label`, `caption`, `category`, and `code` (of the cell of a new notebook) or `path` (below the root).
    """
    code = 'from camtest.panels.pages import PAGES\n\nPAGES["{}"].make()'
    panels = [
        {
            "label": page.title.partition(":")[0],
            "caption": page.title,
            "category": "camtest: panels",
            "code": code.format(name),
        }
        for name, page in PAGES.items()
    ]
    files = [
        {"label": path.stem.replace("_", " "), "caption": str(path.relative_to(root)), "category": f"camtest: {folder}",
         "path": path.relative_to(root).as_posix()}
        for folder in ("notebooks", "procedures")
        for path in sorted((root / folder).glob("*.ipynb"))
    ]  # fmt: skip
    return [*panels, *files]


def _page(base: str, theme: str, title: str, body: str, script: str = "") -> str:
    config = json.dumps({"baseUrl": base}).replace("<", "\\u003c")
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{static('page.css')}{static('panels.css')}</style>"
        f'<script id="jupyter-config-data" type="application/json">{config}</script></head>'
        f'<body class="{theme}">{body}{script}</body></html>'
    )


def index_page(base: str, theme: str = "") -> str:
    """Returns the page that leads to all others.

    Args:
        base: base address of the server.
        theme: `dark`, or as the browser wants.
    """
    entries = "".join(
        f'<li><a href="{base}voila/render/{page_address(name, theme=theme)}" data-page="{name}">{escape(page.title)}</a></li>'
        for name, page in PAGES.items()
        if name != "device_ui"
    )
    devices = "".join(
        f'<li><a href="{base}voila/render/{escape(page_address("device_ui", theme=theme, server=server))}">{server}</a></li>'
        for server in device_servers()
    )
    own = "?theme=dark" if theme else ""
    body = (
        f'<main><h1>camtest</h1><p><a href="{base}camtest/status{own}"><b>How is the site? What is wrong, what next?</b></a>'
        f"</p><nav aria-label='Panels'><h2>Panels</h2><ul>{entries}</ul></nav>"
        f"<nav aria-label='Devices'><h2>Devices, from their interfaces</h2><ul>{devices}</ul></nav></main>"
    )
    return _page(base, theme, "camtest", body)


def status_page(base: str, theme: str = "") -> str:
    """Returns the page for 3 a.m.: what is running, what is wrong, the next action.

    Args:
        base: base address of the server.
        theme: `dark`, or as the browser wants.
    """
    body = (
        f'<p id="stale" role="alert"></p><main><div role="status" aria-live="polite"><h1 id="verdict">looking ...</h1></div>'
        '<p id="site"></p><h2>What is running</h2><p id="running"></p><div id="verbs"></div>'
        '<h2>What is wrong, and the next action</h2><p id="fine">Nothing.</p><table><tbody id="wrong"></tbody></table>'
        '<h2>Servers</h2><div id="servers"></div><h2>Errors of the last hour</h2><ul id="errors"></ul>'
        f'<p><small>as of <span id="at"></span> · <a href="{base}camtest">all panels</a></small></p></main>'
    )
    return _page(base, theme, "camtest: status", body, f'<script type="module">{_scripts()}</script>')


def _scripts() -> str:
    """Returns the two scripts of the status page as one module: inline, so that no further file is asked for."""
    verbs = static("verbs.js").replace("export default { render };", "").replace("export ", "")
    lines: list[Any] = [line for line in static("status.js").splitlines() if not line.startswith("import ")]
    return verbs + "\n".join(lines)
