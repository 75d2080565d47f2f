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
from urllib.parse import parse_qs

from camtest.panels.board import static
from egse.files import make_folder, write_atomically

if TYPE_CHECKING:
    from camtest.panels.panel import Panel


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        name: of the page, and of the command that opens it.
        title: for people.
        maker: `module:function` that makes its panel; it gets the text behind `?` in the address as keyword arguments.
    """

    name: str
    title: str
    maker: str

    def make(self, **options: str) -> Panel:
        """Returns a new panel."""
        module, _, function = self.maker.partition(":")
        make: Callable[..., Panel] = getattr(import_module(module), function)
        return make(**options)


PAGES = {
    page.name: page
    for page in (
        Page("observation_ui", "Observation: start, end, STOP and ABORT", "camtest.panels.observation:make"),
        Page("pm_ui", "Process manager: servers and devices", "camtest.panels.processes:make"),
        Page("cm_ui", "Configuration manager", "camtest.panels.configuration:make"),
        Page("setup_ui", "Setups: browse, compare, edit, submit, load", "camtest.panels.setups:make"),
        Page("dpu_ui", "Camera: images, housekeeping, registers, N-FEE commands", "camtest.panels.dpu:make"),
        Page("hdf5_ui", "N-FEE Data Inspector (HDF5)", "camtest.panels.hdf5:make"),
        Page("aeu_ui", "AEU: EGSE of the camera's power and clocks", "camtest.panels.aeu:make"),
        Page("lsci336_ui", "LakeShore 336 temperature controller", "camtest.panels.devices:make_lsci336"),
        Page("ogse_ui", "OGSE: source, attenuator, power meters", "camtest.panels.devices:make_ogse"),
        Page("queue_ui", "Queue and runs", "camtest.panels.queue:make"),
        Page("log_ui", "Log", "camtest.panels.log:make"),
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
    core = {"log_cs", "cm_cs", "sm_cs", "pm_cs", "syn_cs", "wd_cs", "n_fee_hk", "fitsgen"}
    return sorted(set(names) - core)


def show(name: str) -> None:
    """Shows the panel of a page; the options come from the address. Called by the notebooks of the pages."""
    query = parse_qs(os.environ.get("QUERY_STRING", ""))
    options = {
        key: values[-1] for key, values in query.items() if not key.startswith("voila-") and key != "token"
    }
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
    suffix = "?voila-theme=dark" if theme else ""
    entries = "".join(
        f'<li><a href="{base}voila/render/{name}.ipynb{suffix}" data-page="{name}">{escape(page.title)}</a></li>'
        for name, page in PAGES.items()
        if name != "device_ui"
    )
    devices = "".join(
        f'<li><a href="{base}voila/render/device_ui.ipynb?server={server}">{server}</a></li>'
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
        f'<p id="stale" role="alert"></p><main><h1 id="verdict" role="status" aria-live="polite">looking ...</h1>'
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
