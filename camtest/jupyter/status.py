"""What a session must never hide: site, Setup, observation, and whether commands reach hardware."""

from __future__ import annotations

import html
from dataclasses import dataclass

from camtest.core.exec import ObservationError, current_obsid
from camtest.state import GlobalState
from egse import mode
from egse.env import EnvError, get_site_id
from egse.mode import current_mode
from egse.setup import Setup

DRY_RUN = "DRY RUN: nothing reaches a device"
OPERATIONS = "operations: commands go to the devices"
SIMULATOR = "simulator: commands go to simulated devices"
_COLOURS = {DRY_RUN: "#b36b00", SIMULATOR: "#2b5fa8"}


@dataclass(frozen=True)
class SessionStatus:
    """The state of a session.

    Attributes:
        site: id of the site, or what is missing.
        setup: id of the active Setup and its camera, or why there is none.
        obsid: the running observation, or "no observation".
        mode: dry run, simulator or operations.
    """

    site: str
    setup: str
    obsid: str
    mode: str

    def __str__(self) -> str:
        return f"site {self.site} | Setup {self.setup} | {self.obsid} | {self.mode}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        cells = "".join(
            f'<span style="margin-right:1.5em"><b>{title}</b> {html.escape(text)}</span>'
            for title, text in (("Site", self.site), ("Setup", self.setup), ("Observation", self.obsid))
        )
        colour = _COLOURS.get(self.mode, "#1a6e3c")
        return {
            "text/plain": str(self),
            "text/html": (
                f'<div style="border-left:6px solid {colour};padding:0.2em 0.8em">{cells}'
                f'<b style="color:{colour}">{html.escape(self.mode)}</b></div>'
            ),
        }


def session_status() -> SessionStatus:
    """Returns the state of this session; at a prompt it shows itself."""
    return SessionStatus(
        site=_site(),
        setup=_describe_setup(GlobalState.setup),
        obsid=_observation(),
        mode=_mode(),
    )


def _mode() -> str:
    if GlobalState.dry_run:
        return DRY_RUN
    return SIMULATOR if current_mode() == mode.SIMULATOR else OPERATIONS


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
