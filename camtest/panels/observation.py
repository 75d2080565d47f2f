"""The observation panel: what is running and how far it is, start and end, and what an operator wants of it."""

from __future__ import annotations

import getpass
import socket
import time
from typing import Any, ClassVar

import ipywidgets as widgets

from camtest.panels.board import BoardState, Lamp, Value
from camtest.panels.panel import Panel, fresh, monitoring_endpoint
from camtest.panels.progress import progress_of
from camtest.panels.telemetry import Telemetry
from camtest.panels.threads import Subscription, weak
from camtest.panels.verbs import VerbBar
from egse.confman import ConfigurationManagerProxy
from egse.tmdict import TMDictionary

SETTINGS = "Configuration Manager Control Server"
LOOK = 1.0
"""The desk is looked at as often as the configuration manager publishes [s]."""
STATES = {
    "running": "ok",
    "paused": "warn",
    "failed": "bad",
    "held": "bad",
    "making-safe": "warn",
    "ending": "info",
}
INTERACTIVE_LEASE = 0.0
"""An observation that is started by hand lives until somebody ends it [s]."""


class ObservationPanel(Panel):
    """The running observation of the site, whoever has started it.

    Args:
        proxy: of the server; one from the Settings by default.
    """

    name: ClassVar[str] = "observation"

    def __init__(self, proxy: ConfigurationManagerProxy | None = None) -> None:
        self.telemetry = Telemetry("cm_cs", TMDictionary([]))
        self.manager = fresh(proxy or ConfigurationManagerProxy(), 10.0)
        self.desk: dict[str, Any] = {}
        self.progress: dict[str, str] = {}
        self._looked = 0.0
        super().__init__("Observation")

    # -- what comes in -------------------------------------------------------------------------------------------------

    def _subscriptions(self) -> list[Subscription]:
        topics = (b"status",)
        return [Subscription(monitoring_endpoint(SETTINGS), topics, weak(self._receive))]

    def _receive(self, frames: list[bytes]) -> None:
        self.telemetry.receive(frames)
        if not self.observation:
            self.desk, self.progress = {}, {}
        elif time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            self.command("?looking at the desk", self._look, self._looked_at)

    def _look(self) -> tuple[dict[str, Any], dict[str, str]]:
        run_id = self.observation.get("run_id", "")
        with self.manager as manager:
            desk = manager.get_desk(run_id=run_id) if self.observation.get("state") == "open" else {}
        return desk, progress_of(run_id, self.observation.get("folder", ""))

    def _looked_at(self, found: tuple[dict[str, Any], dict[str, str]]) -> None:
        self.desk, self.progress = found

    @property
    def observation(self) -> dict[str, Any]:
        """The running observation as the configuration manager tells it; empty when there is none."""
        return dict(self.telemetry.status.get("observation") or {})

    # -- what is shown -------------------------------------------------------------------------------------------------

    def _lamps(self) -> list[Lamp]:
        lamps = self.telemetry.lamps()
        observation = self.observation
        if not observation:
            return [*lamps, Lamp("OBSERVATION", "off", "none")]
        lamps.append(Lamp("OBSERVATION", "ok", str(observation.get("state", ""))))
        state = self.desk.get("state", "")
        if state:
            lamps.append(Lamp("RUN", STATES.get(state, "info"), state))
        verbs = self.desk.get("verbs", [])
        if verbs:
            text = verbs[-1]["verb"] + ("" if verbs[-1]["reached"] else ", not reached yet")
            lamps.append(Lamp("WANTED", "warn", text))
        return lamps

    def _values(self) -> list[Value]:
        observation, status = self.observation, self.telemetry.status
        found = [
            Value("site", str(status.get("site", ""))),
            Value("Setup", str(status.get("setup") or "none")),
            Value("control", str(status.get("control", ""))),
        ]
        if not observation:
            return found
        for name in ("obsid", "function", "description", "start"):
            found.append(Value(name, str(observation.get(name, ""))))
        if self.desk.get("detail"):
            found.append(Value("now", str(self.desk["detail"])))
        found += [Value(name, str(value)) for name, value in self.progress.items()]
        for question in self.desk.get("questions", []):
            if question["answer"] is None:
                found.append(Value("question", question["text"], "/".join(question["choices"]), "warn"))
        return found

    def _state(self) -> BoardState:
        telemetry = self.telemetry
        return BoardState(
            self.title, telemetry.note, telemetry.alive, tuple(self._lamps()), tuple(self._values())
        )

    def _refresh(self) -> None:
        running = bool(self.observation)
        for button, enabled in ((self.start_button, not running), (self.end_button, running)):
            if button.disabled is enabled:
                button.disabled = not enabled
        asked = any(q["answer"] is None for q in self.desk.get("questions", []))
        display = None if asked else "none"
        if self.answer_box.layout.display != display:
            self.answer_box.layout.display = display

    # -- what operators do ---------------------------------------------------------------------------------------------

    def _body(self) -> list[widgets.Widget]:
        self.verbs = VerbBar(weak(self._give))
        self.description = widgets.Text(
            placeholder="what is this observation for?",
            description="Description",
            layout=widgets.Layout(width="32em"),
        )
        self.start_button = self.button("Start observation", self.start, style="success")
        self.end_button = self.button("End observation", self.end, style="warning")
        self.answer = widgets.Text(description="Answer", placeholder="to the question above")
        self.answer_box = widgets.HBox(
            [self.answer, self.button("Send answer", self.send_answer, style="info")],
            layout=widgets.Layout(display="none"),
        )
        line = widgets.HBox([self.description, self.start_button, self.end_button])
        return [self.verbs, line, self.answer_box]

    def _give(self, verb: str, reason: str) -> None:
        self.command(verb, lambda: self._manage(lambda m: m.give_verb(verb=verb, reason=reason)))

    def _manage(self, action: Any) -> Any:
        with self.manager as manager:
            return action(manager)

    def start(self) -> None:
        """Starts an observation that lives until somebody ends it: what is commanded meanwhile is recorded under it."""
        description = self.description.value.strip()
        details = {"started_by": f"observation panel of {getpass.getuser()}@{socket.gethostname()}"}
        run_id = f"panel-{time.time_ns():x}"
        self.command(
            "start observation",
            lambda: self._manage(
                lambda m: m.start_observation(
                    run_id=run_id,
                    function="",
                    description=description,
                    supervised=False,
                    lease=INTERACTIVE_LEASE,
                    details=details,
                )["obsid"]
            ),
        )

    def end(self) -> None:
        """Ends the observation: one that was started by hand is closed, a running procedure is told to stop."""
        observation = self.observation
        run_id = observation.get("run_id", "")
        if run_id.startswith("panel-"):
            self.command(
                f"end of {observation.get('obsid')}",
                lambda: self._manage(lambda m: m.end_observation(run_id=run_id, status="done"))["status"],
            )
            return
        self.command(
            "stop",
            lambda: self._manage(
                lambda m: m.give_verb(verb="stop", reason="ended in the panel", run_id=run_id)
            ),
            confirm=f"Really end {observation.get('obsid')}? A procedure is running; it stops at its next checkpoint.",
        )

    def send_answer(self) -> None:
        """Answers the question of the procedure."""
        text = self.answer.value
        self.command(f"answer {text!r}", lambda: self._manage(lambda m: m.answer_question(answer=text)))
        self.answer.value = ""

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.manager.disconnect_cs()


def make() -> ObservationPanel:
    """Returns a new panel, for the page."""
    return ObservationPanel()
