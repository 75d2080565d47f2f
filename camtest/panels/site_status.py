"""How the site is, for the status page: what is running, what is wrong, and the next action for it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from camtest.jupyter.status import OPERATIONS, SIMULATOR, SessionStatus
from camtest.panels.errors import one_line
from camtest.run.queue import Queue
from egse import mode
from egse.confman import ConfigurationManagerProxy
from egse.env import EnvError, get_data_storage_location, get_log_file_location, get_site_id
from egse.logger.reading import LogFolder, RecordFilter, parse_moment
from egse.mode import site_mode
from egse.procman import ProcessManagerProxy
from egse.procman.interface import CORE, ServerState, ServerStatus
from egse.settings import SettingsError
from egse.system import format_datetime

TIMEOUT = 4.0
"""How long a core service may take to answer [s]."""
MAX_AGE = 2.0
"""A status that is younger is not looked up again [s], however many pages are open."""
FULL = 0.95
"""A data disk that is fuller than this is told."""
ERRORS = 5
"""So many of the newest errors in the log are shown, of the last hour."""
PATIENCE = 200
"""So many records in a row that are older than an hour end the search for errors."""

TROUBLE = (OSError, LookupError, EnvError, SettingsError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Wrong:
    """Something that is wrong.

    Attributes:
        what: in one line.
        action: what to do next.
        grave: somebody should act now.
        detail: more about it.
    """

    what: str
    action: str
    grave: bool = True
    detail: str = ""


@dataclass
class SiteStatus:
    """How the site is.

    Attributes:
        at: UTC time.
        site: id of the site.
        setup: id of the loaded Setup; empty when none is, or that is not known.
        observation: of the running one: obsid, function, description, start, state, detail; empty when there is none.
        questions: what a procedure asks.
        servers: state of each server, by name.
        queue: what is in the queue, in words.
        wrong: what is wrong, the gravest first.
        errors: newest errors in the log.
    """

    at: str = field(default_factory=format_datetime)
    site: str = ""
    setup: str = ""
    observation: dict[str, Any] = field(default_factory=dict)
    questions: list[dict[str, Any]] = field(default_factory=list)
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    queue: str = ""
    wrong: list[Wrong] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """The state of the site in a sentence."""
        grave = [w for w in self.wrong if w.grave]
        if grave:
            return f"{len(grave)} thing{'s' if len(grave) > 1 else ''} need{'' if len(grave) > 1 else 's'} action"
        running = self.observation.get("obsid")
        return (
            f"all is well, observation {running} is running" if running else "all is well, nothing is running"
        )

    def as_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        wrong = [
            {"what": w.what, "action": w.action, "grave": w.grave, "detail": w.detail} for w in self.wrong
        ]
        return {**vars(self), "wrong": wrong, "verdict": self.verdict}


def look() -> SiteStatus:
    """Looks at the site; whoever does not answer is told as wrong, and delays it by no more than `TIMEOUT`."""
    status = SiteStatus()
    for part in (_site, _observation, _servers, _queue, _disk, _log):
        part(status)
    status.wrong.sort(key=lambda w: not w.grave)
    return status


_lock = threading.Lock()
_last: tuple[float, SiteStatus] = (float("-inf"), SiteStatus())


def recent() -> SiteStatus:
    """Returns a status that is at most `MAX_AGE` old; several pages share it."""
    global _last
    with _lock:
        if time.monotonic() - _last[0] > MAX_AGE:
            found = look()
            _last = (time.monotonic(), found)
        return _last[1]


_session_lock = threading.Lock()
_session: tuple[float, dict[str, Any]] = (float("-inf"), {})


def session() -> dict[str, Any]:
    """Returns `SessionStatus.as_dict()` of the site, and `observing`; at most `MAX_AGE` old, several pages share it."""
    global _session
    with _session_lock:
        if time.monotonic() - _session[0] > MAX_AGE:
            found = SiteStatus()
            _site(found)
            _observation(found)
            obsid = str(found.observation.get("obsid", ""))
            away = "unknown" if any("configuration manager" in w.what for w in found.wrong) else ""
            status = SessionStatus(
                site=found.site or "unknown",
                setup=found.setup or away or "none",
                obsid=obsid or away or "no observation",
                mode=SIMULATOR if site_mode() == mode.SIMULATOR else OPERATIONS,
            )
            _session = (time.monotonic(), {**status.as_dict(), "observing": bool(obsid)})
        return _session[1]


def _trying(status: SiteStatus, action: Callable[[], None], what: str, advice: str) -> None:
    try:
        action()
    except TROUBLE as exc:
        status.wrong.append(Wrong(f"{what}: {one_line(exc)}", advice))


def _site(status: SiteStatus) -> None:
    def ask() -> None:
        status.site = get_site_id()

    _trying(status, ask, "the site is not known", "start this server with the environment of the site")


def _observation(status: SiteStatus) -> None:
    def ask() -> None:
        with ConfigurationManagerProxy(timeout=TIMEOUT) as manager:
            observation = manager.get_observation()
            status.setup = _setup_id(manager)
            if not observation:
                return
            desk = manager.get_desk(run_id=observation["run_id"]) if observation["state"] == "open" else {}
        names = ("obsid", "function", "description", "start", "state", "run_id", "message")
        status.observation = {n: observation[n] for n in names if n in observation}
        status.observation["desk"] = desk.get("state", observation["state"])
        status.observation["detail"] = desk.get("detail", "")
        status.questions = [q for q in desk.get("questions", []) if q["answer"] is None]
        status.wrong += _troubles_of(observation, desk, status.questions)

    _trying(
        status,
        ask,
        "the configuration manager does not answer",
        "cgse core status, then cgse core start",
    )


def _setup_id(manager: ConfigurationManagerProxy) -> str:
    with manager.get_service_proxy() as services:
        return str(services.get_server_status().get("setup") or "")


def _troubles_of(
    observation: dict[str, Any], desk: dict[str, Any], questions: list[dict[str, Any]]
) -> Iterator[Wrong]:
    obsid = observation.get("obsid", "")
    if desk.get("state") in ("failed", "held"):
        detail = desk.get("detail", "")
        yield Wrong(
            f"observation {obsid} has failed and waits for a decision",
            "camtest decide retry | continue | abort",
            detail=detail,
        )
    if desk.get("state") == "paused":
        yield Wrong(f"observation {obsid} is paused", "camtest resume, when whoever paused it agrees", False)
    if desk.get("holder"):
        yield Wrong(
            f"observation {obsid} was taken over by {desk['holder']}: its client is gone",
            "camtest obs list; it is made safe and closed by itself",
            False,
        )
    if observation.get("message"):
        yield Wrong(f"observation {obsid} is being closed: {observation['message']}", "sm_cs status", False)
    for question in questions:
        choices = f" [{'/'.join(question['choices'])}]" if question.get("choices") else ""
        yield Wrong(f"the procedure asks: {question['text']}{choices}", "camtest answer ...")


def _servers(status: SiteStatus) -> None:
    def ask() -> None:
        with ProcessManagerProxy(timeout=TIMEOUT) as manager:
            found: dict[str, ServerStatus] = manager.get_all_status()
        for name, server in found.items():
            status.servers[name] = {
                "title": server.title,
                "kind": server.kind,
                "state": str(server.state),
                "simulator": server.simulator,
                "connected": server.connected,
                "uptime": server.uptime,
                "restarts": server.restarts,
            }
            status.wrong += _troubles_of_server(server)

    _trying(
        status,
        ask,
        "the process manager does not answer",
        "cgse core status, then cgse core start",
    )


def _troubles_of_server(server: ServerStatus) -> Iterator[Wrong]:
    name, core = server.name, server.kind == CORE
    start = "cgse core start" if core else f"cgse device {name} start, or the play button of pm_ui"
    if server.state is ServerState.CRASHED:
        action = "wait, it is started again by itself" if not server.settled else start
        yield Wrong(
            f"{name} ({server.title}) has crashed: {server.reason}", action, detail=server.explanation
        )
    elif server.state is ServerState.NOT_RESPONDING:
        yield Wrong(
            f"{name} ({server.title}) does not answer",
            f"look at its log (cgse log), then {name} stop and start",
        )
    elif server.state is ServerState.STOPPED and core:
        yield Wrong(f"{name} ({server.title}) does not run", start)
    elif server.up and server.connected is False:
        yield Wrong(
            f"{name} runs but is not connected to its device", "is the device on? cable, network, address?"
        )


def _queue(status: SiteStatus) -> None:
    def ask() -> None:
        state = Queue().state()
        running = state.running
        waiting = len(state.waiting)
        names = f"{running.item.label} is running, " if running is not None else ""
        status.queue = f"{state.status}: {names}{waiting} waiting"
        if state.status == "paused" and waiting:
            what = f"the queue is paused ({state.reason or 'no reason given'}), {waiting} waiting"
            status.wrong.append(Wrong(what, "look at what failed, then camtest queue resume", False))

    _trying(status, ask, "the queue cannot be read", "camtest queue list")


def _disk(status: SiteStatus) -> None:
    def ask() -> None:
        usage = shutil.disk_usage(get_data_storage_location())
        if usage.used / usage.total > FULL:
            free = usage.free / 2**30
            status.wrong.append(
                Wrong(
                    f"the data disk is nearly full: {free:.1f} GiB left",
                    "cgse archive status, cgse archive prune",
                )
            )

    _trying(status, ask, "the data disk cannot be read", "is it mounted?")


def _log(status: SiteStatus) -> None:
    def ask() -> None:
        folder = LogFolder(get_log_file_location())
        wanted = RecordFilter(level="ERROR", since=parse_moment("1h"))
        found = folder.last(wanted, ERRORS, patience=PATIENCE)
        status.errors = [f"{m.ts[:19]} {m.process}: {m.message}"[:300] for m in found]

    _trying(status, ask, "the log cannot be read", "log_cs status")
