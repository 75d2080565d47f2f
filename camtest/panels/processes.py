"""The process manager's panel: all servers with their lamps, start and stop, and why one has crashed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any, ClassVar

import ipywidgets as widgets

from camtest.jupyter.keeping import is_page
from camtest.panels.board import BoardState, Lamp
from camtest.panels.devices import panel_of_server
from camtest.panels.pages import PAGES, page_address, page_named
from camtest.panels.panel import Panel, fresh, monitoring_endpoint
from camtest.panels.server_list import ServerList, ServerRow
from camtest.panels.static_form import Section
from camtest.panels.telemetry import Telemetry
from camtest.panels.threads import Subscription, weak
from egse.command import CommandError
from egse.procman import ProcessManagerProxy
from egse.procman.interface import CORE, DEVICE, PROGRAM, ProcessManagerError
from egse.setup import SetupError, get_setup
from egse.setup.paths import value_at
from egse.tmdict import TMDictionary

SETTINGS = "Process Manager Control Server"
CM_SETTINGS = "Configuration Manager Control Server"
GROUPS = {CORE: "Core services", PROGRAM: "File generation", DEVICE: "Device control servers"}
STARTS = {"fitsgen": "fitsgen", "fov_hk": "fov_hk", "n_fee_hk": "n_fee_hk"}
CHANGING = ("starting", "stopping")
LINKS = {"cm_cs": "cm_ui", "log_cs": "log_ui", "dpu_cs": "dpu_ui", "fov_hk": "fov_ui"}
"""Servers that have a page of their own; the page of any device is made from its interface."""
GENERATED = ("fitsgen",)
"""What is no device and gets such a page all the same."""
TOOLS = {"fov_ui": "Source position", "visited_positions_ui": "Visited positions"}
"""Pages that the bar leads to, and what stands on their buttons."""
IDENTIFIERS = {"CAMERA ID": "camera.ID", "HEXAPOD ID": "gse.hexapod.ID"}
"""Lamps that tell an identifier, and where the Setup has it."""
ASK_AGAIN = 10.0
"""How long to wait before a Setup that could not be read is asked for again [s]."""
AEU = "aeu_"
"""The names of the AEU's servers begin with it."""


def lamp_of(server: dict[str, Any]) -> tuple[str, str]:
    """Returns colour and words of a server: green when all is well, orange without its hardware, red when it does not run.

    Args:
        server: `egse.procman.interface.ServerStatus` as plain data.
    """
    state = str(server["state"])
    if state == "running":
        if server.get("connected") is False:
            return "warn", "running, hardware not connected"
        return "ok", "running" + (" (simulator)" if server.get("simulator") else "")
    if state in CHANGING:
        return "info", f"⏳ {state}"
    return "bad", state


def page_of(name: str, kind: str) -> str:
    """Returns the address of a server's page, beside that of this panel; empty when it has none."""
    if name in LINKS:
        return page_address(LINKS[name])
    return page_address("device_ui", server=name) if kind == DEVICE or name in GENERATED else ""


def identifiers(setup_id: int) -> dict[str, str] | None:
    """Returns what a Setup says for each of `IDENTIFIERS`, `none` where it says nothing; None when it cannot be read."""
    try:
        setup = get_setup(setup_id)
    except (OSError, SetupError):
        return None
    return {lamp: str(value_at(setup, place, "none")) for lamp, place in IDENTIFIERS.items()}


def _is_trouble(server: dict[str, Any]) -> bool:
    """Says whether something has to be done about a server; one that was stopped on purpose is none."""
    return server["state"] in ("crashed", "not responding") or (
        server["kind"] == CORE and server["state"] == "stopped"
    )


class ProcessPanel(Panel):
    """All servers of the site, as the process manager sees them once a second.

    Args:
        proxy: of the server; one from the Settings by default.
    """

    name: ClassVar[str] = "processes"

    def __init__(self, proxy: ProcessManagerProxy | None = None) -> None:
        self.telemetry = Telemetry("pm_cs", TMDictionary([]))
        self.site = Telemetry("cm_cs", TMDictionary([]))
        self.manager = fresh(proxy or ProcessManagerProxy(), 10.0)
        self.modes: dict[str, bool] = {}
        """By name of a device server, whether its next start uses the simulator; as the operator has switched it."""
        self.identifiers: dict[str, str] = {}
        self._identified: str | None = None
        self._asked_at = float("-inf")
        self._opened: dict[str, Panel] = {}
        super().__init__("Process manager")

    def _subscriptions(self) -> list[Subscription]:
        topics = (b"status",)
        return [
            Subscription(monitoring_endpoint(SETTINGS), topics, weak(self.telemetry.receive)),
            Subscription(monitoring_endpoint(CM_SETTINGS), topics, weak(self.site.receive)),
        ]

    @property
    def servers(self) -> dict[str, dict[str, Any]]:
        """Status of all servers by name; a process manager that is not heard cannot tell its own, so it is told here."""
        found = dict(self.telemetry.status.get("servers") or {})
        own = self.telemetry.server
        if own in found and not self.telemetry.alive:
            found[own] = {**found[own], "state": "not responding", "reason": f"{own} is not heard"}
        return found

    # -- what is shown -------------------------------------------------------------------------------------------------

    def _state(self) -> BoardState:
        lamps = self.telemetry.lamps()
        observation = (self.site.status.get("observation") or {}).get("obsid")
        lamps.append(
            Lamp("OBSERVATION", "ok" if observation else "off", observation or "No observation is running")
        )
        setup = self.telemetry.status.get("setup")
        lamps.append(Lamp("SETUP ID", "info", str(setup or "none")))
        unknown = "not known" if setup else "none"
        lamps += [Lamp(name, "info", self.identifiers.get(name, unknown)) for name in IDENTIFIERS]
        troubles = [name for name, server in self.servers.items() if _is_trouble(server)]
        if troubles:
            lamps.append(Lamp("TROUBLE", "bad", ", ".join(troubles)))
        return BoardState(self.title, self.telemetry.note, self.telemetry.alive, tuple(lamps))

    def _identify(self) -> None:
        """Has the Setup looked at when it is another one."""
        setup, now = self.telemetry.status.get("setup"), time.monotonic()
        if setup == self._identified:
            return
        self.identifiers = {}
        if not setup:
            self._identified = None
        elif self.site.alive and now - self._asked_at >= ASK_AGAIN:
            self._asked_at = now
            look = partial(identifiers, int(setup))
            self.command("?identifiers of the Setup", look, partial(self._take_identifiers, str(setup)))

    def _take_identifiers(self, setup: str, found: dict[str, str] | None) -> None:
        if found is not None:
            self._identified, self.identifiers, self._asked_at = setup, found, float("-inf")

    def _refresh(self) -> None:
        self._identify()
        self.list.show([self._row(name, server) for name, server in self.servers.items()])

    def _row(self, name: str, server: dict[str, Any]) -> ServerRow:
        kind, state = server["kind"], str(server["state"])
        colour, words = lamp_of(server)
        up, page = state == "running", page_of(name, kind)
        if kind == DEVICE:
            self.modes.setdefault(name, bool(server.get("simulator")))
        lines = [] if up else [server.get("reason") or "", *server.get("stderr", ())]
        return ServerRow(
            name=name,
            title=server["title"],
            group=GROUPS[kind],
            column=int(kind == DEVICE),
            state=state,
            colour=colour,
            words=words,
            start=None if kind == CORE else not up and state not in CHANGING,
            stop=None if kind == CORE else state != "stopped",
            simulator=self.modes.get(name),
            address=page if is_page() else "",
            panel=bool(page),
            why="\n".join(line for line in lines if line),
        )

    def _pressed(self, verb: str, name: str) -> None:
        """A button of a server was pressed."""
        actions = {"start": self.start, "stop": self.stop, "switch": self.switch, "open": self._open_of}
        self._guard(partial(actions[verb], name))

    def _open_of(self, name: str) -> None:
        self.open_panel(LINKS.get(name, name))

    def _body(self) -> list[widgets.Widget]:
        self.list = ServerList(weak(self._pressed))
        self._place = widgets.VBox([])
        bar = widgets.HBox(
            [
                self.button("▶ start all devices", self.start_all, style="success"),
                self.button("■ stop all devices", self.stop_all, style="danger"),
                self.button(
                    "▶ start AEU", self.start_aeu, style="success", hint="Start all servers of the AEU"
                ),
                self.button("■ stop AEU", self.stop_aeu, style="danger", hint="Stop all servers of the AEU"),
                *(
                    self.link(text, page, page_address(page), hint=PAGES[page].title)
                    for page, text in TOOLS.items()
                ),
            ]
        )
        return [bar, self.list, self._place]

    def link(self, text: str, panel: str, page: str, *, hint: str) -> widgets.Widget:
        """Returns what opens another panel: a link on a page, else a button that shows it below.

        Args:
            text: on it.
            panel: name of a page or of a device server, for `open_panel`.
            page: address of its page.
            hint: tool tip.
        """
        if is_page():
            shown = widgets.HTML(
                f'<a href="{escape(page)}" target="_blank" title="{escape(hint)}">{escape(text)}</a>'
            )
            shown.add_class("camtest-link")
            return shown
        return self.button(text, partial(weak(self.open_panel), panel), hint=hint)

    def _extra_sections(self) -> Sequence[Section]:
        rows = [
            (n, lamp_of(s)[1], str(s.get("reason") or ""), lamp_of(s)[0]) for n, s in self.servers.items()
        ]
        return [Section("Servers", tuple(rows))] if rows else []

    # -- commanding ----------------------------------------------------------------------------------------------------

    def _tell_manager(self, command: str, **arguments: Any) -> None:
        # Sent without waiting for the end of it: how the server is comes with the stream.
        with self.manager as manager:
            manager.send(command, arguments)

    def _tell_each(self, command: str, calls: Sequence[dict[str, Any]]) -> None:
        """Sends a command for several servers; one that is refused does not keep the others from it."""
        refused = []
        for arguments in calls:
            try:
                self._tell_manager(command, **arguments)
            except ProcessManagerError as exc:
                refused.append(str(exc))
        if refused:
            raise CommandError("; ".join(refused))

    def start(self, name: str) -> None:
        """Starts a server, in the mode that its switch shows."""
        if name in STARTS:
            self.command(f"start {name}", lambda: self._tell_manager(f"start_{STARTS[name]}"))
            return
        simulator = self.modes.get(name, False)
        what = f"start {name}" + (" with the simulator" if simulator else "")
        self.command(what, lambda: self._tell_manager("start_cs", name=name, sim_mode=simulator))

    def switch(self, name: str) -> None:
        """Has the next start of a device server use the other one of instrument and simulator."""
        self.modes[name] = not self.modes.get(name, False)
        self._listening.wake()

    def stop(self, name: str) -> None:
        """Stops a server, when the operator agrees."""
        command = f"stop_{STARTS[name]}" if name in STARTS else "shut_down_cs"
        arguments = {} if name in STARTS else {"name": name}
        self.command(
            f"stop {name}",
            lambda: self._tell_manager(command, **arguments),
            confirm=f"Really stop {name}? Whoever uses it loses it.",
        )

    def start_all(self) -> None:
        """Starts the servers of all devices of the Setup, as hardware."""
        self.command(
            "start all devices",
            lambda: self._tell_manager("start_egse", sim_mode=False),
            confirm="Really start all device servers?",
        )

    def stop_all(self) -> None:
        """Stops all device servers, when the operator agrees."""
        self.command(
            "stop all devices",
            lambda: self._tell_manager("shut_down_egse"),
            confirm="Really stop ALL device servers?",
        )

    def _aeu(self, *states: str) -> list[str]:
        """Returns the servers of the AEU that are in one of these states.

        Raises:
            CommandError: when there are none of the AEU at all.
        """
        found = {name: server["state"] for name, server in self.servers.items() if name.startswith(AEU)}
        if not found:
            raise CommandError("the Setup names no AEU, and none of its servers runs")
        return [name for name, state in found.items() if state in states]

    def start_aeu(self) -> None:
        """Starts the servers of the AEU that do not run, in the mode that the switch of each one shows."""
        names = self._aeu("stopped", "crashed")
        calls = [{"name": name, "sim_mode": self.modes.get(name, False)} for name in names]
        self.command(
            "start AEU",
            lambda: self._tell_each("start_cs", calls),
            confirm="Really start the servers of the AEU? After its power-up: not before 3 minutes are over.",
        )

    def stop_aeu(self) -> None:
        """Stops all servers of the AEU, when the operator agrees."""
        calls = [{"name": name} for name in self._aeu("running", "starting", "not responding", "crashed")]
        self.command(
            "stop AEU",
            lambda: self._tell_each("shut_down_cs", calls),
            confirm="Really stop ALL servers of the AEU? Until they run again nobody can switch the camera off.",
        )

    def open_panel(self, name: str) -> None:
        """Shows a page, or the panel of a device server, below, once; again takes it away."""
        opened = self._opened.pop(name, None)
        if opened is None:
            self._opened[name] = page_named(name).make() if name in PAGES else panel_of_server(name)
        self._place.children = [panel.widget for panel in self._opened.values()]
        if opened is not None:
            opened.close()

    def close(self) -> None:
        try:
            for panel in self._opened.values():
                panel.close()
            super().close()
        finally:
            self.manager.disconnect_cs()


def make() -> ProcessPanel:
    """Returns a new panel, for the page."""
    return ProcessPanel()
