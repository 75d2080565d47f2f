"""What a session must never hide: site, Setup, observation, and whether commands reach hardware."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from camtest.core.exec import ObservationError, current_obsid
from camtest.state import GlobalState, known_setup
from egse import mode
from egse.env import EnvError, get_site_id
from egse.mode import current_mode
from egse.setup import Setup

DRY_RUN = "DRY RUN: nothing reaches a device"
OPERATIONS = "operations: commands go to the devices"
SIMULATOR = "simulator: commands go to simulated devices"
SANDBOX = "private sandbox: commands go to simulated devices of this kernel"

_LOOKS = {
    DRY_RUN: ("dry-run", "#b36b00"),
    SIMULATOR: ("simulator", "#2b5fa8"),
    SANDBOX: ("sandbox", "#6a3fa0"),
    OPERATIONS: ("operations", "#1a6e3c"),
}
"""Short name and colour of each mode; the logos of the kernels have the same colours."""

_private_site = ""


def mark_private_sandbox(site_folder: str) -> None:
    """Says that the site in this folder is the private sandbox of this kernel; empty: it has none."""
    global _private_site
    _private_site = site_folder


@dataclass(frozen=True)
class SessionStatus:
    """The state of a session.

    Attributes:
        site: id of the site, or what is missing.
        setup: id of the active Setup and its camera, or why there is none.
        obsid: the running observation, or "no observation".
        mode: dry run, simulator, private sandbox or operations.
    """

    site: str
    setup: str
    obsid: str
    mode: str

    def __str__(self) -> str:
        return f"site {self.site} | Setup {self.setup} | {self.obsid} | {self.mode}"

    @property
    def short_mode(self) -> str:
        """`dry-run`, `simulator`, `sandbox` or `operations`."""
        return _LOOKS[self.mode][0]

    def as_dict(self) -> dict[str, str]:
        """Returns it as plain data, with `name` (the short mode) and `colour`: for the bar at the top of JupyterLab."""
        name, colour = _LOOKS[self.mode]
        texts = {"site": self.site, "setup": self.setup, "obsid": self.obsid, "mode": self.mode}
        return {**texts, "name": name, "colour": colour}

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        cells = "".join(
            f'<span style="margin-right:1.5em"><b>{title}</b> {html.escape(text)}</span>'
            for title, text in (("Site", self.site), ("Setup", self.setup), ("Observation", self.obsid))
        )
        name, colour = _LOOKS[self.mode]
        # Stripes as well as a colour: nobody has to tell colours apart to see a dry run.
        edge = (
            f"repeating-linear-gradient(135deg,{colour} 0 6px,#fff 6px 10px)" if name == "dry-run" else colour
        )
        badge = f"background:{colour};color:#fff;padding:0.1em 0.6em;border-radius:3px"
        return {
            "text/plain": str(self),
            "text/html": (
                f'<div role="status" data-camtest-mode="{name}" style="display:flex;align-items:stretch">'
                f'<div style="flex:0 0 10px;background:{edge}"></div><div style="padding:0.2em 0.8em">{cells}'
                f'<b style="{badge}">{html.escape(self.mode)}</b></div></div>'
            ),
        }


def session_status(*, ask: bool = True) -> SessionStatus:
    """Returns the state of this session; at a prompt it shows itself.

    Args:
        ask: ask the configuration manager for the Setup when it is not known yet.
    """
    return SessionStatus(
        site=_site(),
        setup=_describe_setup(GlobalState.setup if ask else known_setup()),
        obsid=_observation(),
        mode=_mode(),
    )


class StatusLine:
    """Shows the state of the session above the output of the first cell, and again below each cell that has changed it.

    Args:
        shell: the interactive shell; `start` and `stop` are what is to be called then.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._shown: SessionStatus | None = None
        self._depth = 0

    def start(self) -> None:
        """Begins."""
        self._shell.events.register("pre_run_cell", self.before)
        self._shell.events.register("post_run_cell", self.after)

    def stop(self) -> None:
        """Ends."""
        self._shell.events.unregister("pre_run_cell", self.before)
        self._shell.events.unregister("post_run_cell", self.after)

    def before(self, info: Any = None) -> None:
        """Called before each cell; a cell within a cell (`%%observation`) is told by the depth."""
        if _is_silent(info):
            return
        self._depth += 1
        if self._shown is None:
            self.show()

    def after(self, result: Any = None) -> None:
        """Called after each cell."""
        if _is_silent(getattr(result, "info", None)):
            return
        self._depth = max(self._depth - 1, 0)
        if self._depth == 0 and session_status(ask=False) != self._shown:
            self.show(ask=False)

    def show(self, *, ask: bool = True) -> None:
        """Shows the state now."""
        from IPython.display import display

        self._shown = session_status(ask=ask)
        display(self._shown)  # type: ignore[no-untyped-call]


def _is_silent(info: Any) -> bool:
    """True for what a front end executes on its own account, and for `%%observation`, which is part of its cell."""
    return info is not None and (
        getattr(info, "silent", False) or getattr(info, "store_history", True) is False
    )


def _mode() -> str:
    if GlobalState.dry_run:
        return DRY_RUN
    if current_mode() != mode.SIMULATOR:
        return OPERATIONS
    return SANDBOX if _private_site else SIMULATOR


def _site() -> str:
    try:
        return get_site_id()
    except EnvError as exc:
        return f"unknown ({exc})"


def _describe_setup(setup: Setup | None) -> str:
    if setup is None:
        return "none (the configuration manager does not answer or has no Setup loaded)"
    camera = setup.get("camera")
    name = camera.get("ID") if isinstance(camera, dict) else None
    return f"{setup.get_id() or 'without id'}" + (f" ({name})" if name else "")


def _observation() -> str:
    try:
        return current_obsid() or "no observation"
    except ObservationError as exc:
        return str(exc)
