"""Calling people: webhook, command, Slack, Alertmanager; each in a thread of its own, so that a slow one delays nobody.

Where to goes by the Settings of the limit monitor (webhooks are secrets: in the local settings only):

    Limit Monitor Control Server:
      ROUTES:
        WEBHOOKS: [https://example.org/hook]      # gets a JSON object by POST
        COMMAND: [/usr/local/bin/call, --site]    # gets the same on its standard input
        SLACK: true                               # block SLACK, key WEBHOOK
        ALERTMANAGER: http://localhost:9093       # its API v2
        PRIORITY: warning                         # nobody is called for less

What happens at the same time, or while the last message is on its way, goes out as one message. What the monitor has not told
when it ends is told by its next life: each route keeps in a file how far it has come.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from egse.advice import or_meant
from egse.monitor.alarms import PRIORITIES, AlarmEvent
from egse.monitor.journal import read_alarm_events
from egse.monitor.telling import as_text, concerns, read_mark, still_to_tell, write_mark
from egse.settings import Settings
from egse.slack import LONGEST
from egse.slack import SETTINGS as SLACK
from egse.system import format_datetime, from_unix_time

T = TypeVar("T")

LOGGER = logging.getLogger(__name__)

GATHER = 0.1
"""So long it is waited for more events before a message goes out [s]."""
TIMEOUT = 10.0
"""So long a delivery may take [s]."""
RETRIES = (1.0, 5.0, 15.0, 30.0, 60.0)
"""Pauses before an undelivered message is tried again [s]; the last one again and again."""
REFUSALS = 3
"""A message that is refused so many times in a row is dropped."""
NOT_NOW = (408, 429)
"""HTTP answers among the 4xx that are no refusal: try again later."""
CAPACITY = 2000
"""So many events wait for a route at most; the oldest are dropped beyond, and counted."""
REFRESH = 60.0
"""How often Alertmanager is told again what is active [s]; it forgets what it is not told."""
KEYS = ("PRIORITY", "WEBHOOKS", "COMMAND", "SLACK", "ALERTMANAGER")
"""What may stand in the settings."""
FOLDER = "routes"
"""Name of the folder, below that of the journal, where routes keep how far they have come."""
PAST = 86_400.0
"""What is older than this is not told by the next life of the monitor [s]."""


class RouteError(Exception):
    """A message was not delivered, or a route cannot be made."""


class RefusedError(RouteError):
    """A message was refused; there is little hope that it will be taken later."""


class Route(ABC, threading.Thread):
    """Delivers events to one place.

    Args:
        name: for messages and counters.
        site: of which site.
        priority: nobody is called for less.

    Attributes:
        delivered, dropped, failed: events, events, and attempts since the start.
    """

    keeps = True
    """It keeps how far it has come."""

    def __init__(self, name: str, site: str, priority: str = PRIORITIES[0]) -> None:
        super().__init__(name=f"route-{name}", daemon=True)
        self.title = name
        self.site = site
        self.priority = priority
        self.delivered = self.dropped = self.failed = 0
        self._waiting: deque[AlarmEvent] = deque()
        self._changed = threading.Condition()
        self._ending = False
        self._mark: Path | None = None

    def take_up(self, journal: Path, newest: int, now: float) -> None:
        """Takes what former lives have not told, and keeps from now on how far it has come; to be called before `start`.

        A route that is new does not tell the past.

        Args:
            journal: `<data>/<SITE>/alarms`.
            newest: number of the last event in it.
            now: Unix time [s].
        """
        if not self.keeps:
            return
        self._mark = journal / FOLDER / f"{self.title}.json"
        number = read_mark(self._mark)
        if number is not None:
            told = min(number, newest)
            missed = [event for event in read_alarm_events(journal, now - PAST) if event.number > told]
            self.put(still_to_tell(missed, self.priority))
        if not self._waiting:
            write_mark(self._mark, newest)

    def put(self, events: Iterable[AlarmEvent]) -> None:
        """Takes events; returns at once."""
        chosen = [event for event in events if concerns(event, self.priority)]
        if not chosen:
            return
        with self._changed:
            self._waiting.extend(chosen)
            while len(self._waiting) > CAPACITY:
                self._waiting.popleft()
                self.dropped += 1
            self._changed.notify_all()

    def end(self) -> None:
        """Ends the thread after what it is doing."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def describe(self) -> dict[str, Any]:
        """Returns the figures of the route."""
        return {
            "route": self.title,
            "delivered": self.delivered,
            "waiting": len(self._waiting),
            "dropped": self.dropped,
            "failed": self.failed,
        }

    @abstractmethod
    def deliver(self, events: Sequence[AlarmEvent]) -> None:
        """Delivers events as one message.

        Raises:
            RouteError: when that was not possible.
        """

    def idle(self) -> float | None:
        """Does what is to be done between events; returns when again [s], None for never."""
        return None

    def run(self) -> None:
        while True:
            pause = self._guarded_idle()
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending, pause)
                if not self._waiting and self._ending:
                    return
                if not self._waiting:
                    continue
                if not self._ending:
                    self._changed.wait_for(lambda: self._ending, GATHER)
                batch = list(self._waiting)
                self._waiting.clear()
            if self._deliver(batch):
                self._keep(batch)
            else:
                with self._changed:
                    self._waiting.extendleft(reversed(batch))
            if self._ending:
                return

    def _guarded(self, action: Callable[[], T]) -> T:
        """Does something; whatever goes wrong is a RouteError, because a thread that ends calls nobody any more."""
        try:
            return action()
        except RouteError:
            raise
        except Exception as exc:
            LOGGER.exception("%s has stumbled", self.name)
            raise RefusedError(f"{type(exc).__name__}: {exc}") from exc

    def _guarded_idle(self) -> float | None:
        try:
            return self._guarded(self.idle)
        except RouteError as exc:
            self._note(exc)
            return RETRIES[-1]

    def _deliver(self, batch: list[AlarmEvent]) -> bool:
        """Delivers or drops a batch; returns False when it shall be tried with what has come meanwhile."""
        refusals = 0
        for pause in (*RETRIES, RETRIES[-1]):
            try:
                self._guarded(lambda: self.deliver(batch))
            except RouteError as exc:
                self._note(exc)
                refusals = refusals + 1 if isinstance(exc, RefusedError) else 0
                if refusals == REFUSALS:
                    self.dropped += len(batch)
                    LOGGER.error(
                        "%s: %d events are dropped, they were refused: %s", self.name, len(batch), exc
                    )
                    return True
            else:
                self.delivered += len(batch)
                return True
            with self._changed:
                if self._changed.wait_for(lambda: self._ending, pause):
                    return False
        return False

    def _keep(self, batch: list[AlarmEvent]) -> None:
        if self._mark is not None:
            write_mark(self._mark, max(event.number for event in batch))

    def _note(self, error: RouteError) -> None:
        self.failed += 1
        if self.failed == 1 or self.failed % 100 == 0:
            LOGGER.error("%s does not take alarms (%d times): %s", self.name, self.failed, error)


def post_json(url: str, value: Any) -> None:
    """Posts a value as JSON; what is no finite number becomes null.

    Raises:
        RefusedError: when it is not wanted.
        RouteError: when it was not taken.
    """
    host = urlsplit(url).hostname  # the rest of the address may be a secret
    body = msgspec.json.encode(value)
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:
            reply.read(1000)
    except urllib.error.HTTPError as exc:
        exc.close()
        is_refused = 400 <= exc.code < 500 and exc.code not in NOT_NOW
        raise (RefusedError if is_refused else RouteError)(f"{host}: {exc}") from exc
    except (OSError, ValueError, HTTPException) as exc:
        raise RouteError(f"{host}: {type(exc).__name__} {exc}") from exc


def web_address(wanted: object, what: str) -> str:
    """Returns the address of a setting.

    Args:
        wanted: what the settings say.
        what: the setting, for people; its value, which may be a secret, is not told.

    Raises:
        RouteError: when it is no web address.
    """
    url = str(wanted)
    try:
        parts = urlsplit(url)
        is_fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine or not (url.isascii() and url.isprintable()) or " " in url:
        raise RouteError(f"{what} is no web address (http://... or https://...)")
    return url


class Webhook(Route):
    """Posts `{"version": 1, "site", "text", "events": [...]}` to an address.

    Args:
        url: the address.
    """

    def __init__(self, url: str, site: str, priority: str = PRIORITIES[0], number: int = 1) -> None:
        super().__init__(f"webhook-{number}", site, priority)
        self._url = web_address(url, f"ROUTES: WEBHOOKS: number {number}")

    def deliver(self, events: Sequence[AlarmEvent]) -> None:
        post_json(self._url, message(events, self.site))


def message(events: Sequence[AlarmEvent], site: str) -> dict[str, Any]:
    """Returns what webhooks and commands get."""
    return {
        "version": 1,
        "site": site,
        "text": as_text(events, site),
        "events": [msgspec.to_builtins(event) for event in events],
    }


class Command(Route):
    """Runs a program, without a shell, with the message on its standard input.

    Args:
        command: program and arguments, or the program alone.
    """

    def __init__(self, command: str | Sequence[str], site: str, priority: str = PRIORITIES[0]) -> None:
        super().__init__("command", site, priority)
        parts = [command] if isinstance(command, str) else command
        is_line = isinstance(command, str) and " " in command and shutil.which(command) is None
        if is_line or not isinstance(parts, list | tuple):
            raise RouteError("ROUTES: COMMAND is no list of program and arguments: [/usr/bin/call, --site]")
        self._command = [str(part) for part in parts]

    def deliver(self, events: Sequence[AlarmEvent]) -> None:
        body = msgspec.json.encode(message(events, self.site))
        try:
            done = subprocess.run(
                self._command, input=body, capture_output=True, timeout=3 * TIMEOUT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise RouteError(f"{self._command[0]}: {exc}") from exc
        if done.returncode:
            said = done.stderr[-500:].decode(errors="replace")
            raise RouteError(f"{self._command[0]} ended with {done.returncode}: {said}")


class Slack(Route):
    """Tells a Slack channel.

    Args:
        url: its incoming webhook.
    """

    def __init__(self, url: str, site: str, priority: str = PRIORITIES[0]) -> None:
        super().__init__("slack", site, priority)
        self._url = web_address(url, f"{SLACK}: WEBHOOK")

    def deliver(self, events: Sequence[AlarmEvent]) -> None:
        post_json(self._url, {"text": as_text(events, self.site)[:LONGEST]})


class Alertmanager(Route):
    """Keeps Alertmanager informed of what is active, by its API v2.

    Args:
        url: of Alertmanager.
        active: returns the alarms, as plain values, at any time.
    """

    keeps = False  # it is told all that is active again and again

    def __init__(
        self,
        url: str,
        site: str,
        active: Callable[[], Iterable[Mapping[str, Any]]],
        priority: str = PRIORITIES[0],
    ) -> None:
        super().__init__("alertmanager", site, priority)
        self._url = f"{web_address(url, 'ROUTES: ALERTMANAGER').rstrip('/')}/api/v2/alerts"
        self._active = active
        self._told: dict[str, dict[str, Any]] = {}
        self._next = 0.0

    def deliver(self, events: Sequence[AlarmEvent]) -> None:
        self._refresh()

    def idle(self) -> float | None:
        left = self._next - time.monotonic()
        if left > 0:
            return left
        self._next = time.monotonic() + REFRESH
        self._refresh()
        return REFRESH

    def _refresh(self) -> None:
        """Posts all that is active, and what was told before and is not active any more as ended."""
        now = format_datetime(from_unix_time(time.time())).replace("+0000", "Z")
        alerts = {}
        for alarm in self._active():
            urgent = PRIORITIES.index(alarm["priority"]) >= PRIORITIES.index(self.priority)
            if alarm["active"] and not alarm["shelved_until"] and urgent:
                alert = self._alert(alarm)
                alerts[json.dumps(alert["labels"], sort_keys=True)] = alert
        ended = [{**alert, "endsAt": now} for key, alert in self._told.items() if key not in alerts]
        if alerts or ended:
            post_json(self._url, [*alerts.values(), *ended])
        self._told = alerts

    def _alert(self, alarm: Mapping[str, Any]) -> dict[str, Any]:
        started = format_datetime(from_unix_time(alarm["last_raised"])).replace("+0000", "Z")
        return {
            "labels": {
                "alertname": alarm["name"],
                "severity": alarm["priority"],
                "site": self.site,
                "source": alarm["source"] or "mon_cs",
                "acknowledged": "yes" if alarm["acknowledged"] else "no",
            },
            "annotations": {
                "summary": f"{alarm['name']} = {alarm['value']} {alarm['unit']}: {alarm['limit']}",
                "cause": alarm["cause"],
                "action": alarm["action"],
                "acknowledged_by": alarm["acknowledged_by"],
            },
            "startsAt": started,
        }


def routes_of(
    settings: Mapping[str, Any],
    site: str,
    active: Callable[[], Iterable[Mapping[str, Any]]] = lambda: (),
) -> tuple[list[Route], list[str]]:
    """Returns the routes of the settings of the limit monitor, not started, and what makes no sense in the settings.

    What is wrong is left out; the others are made nevertheless.

    Args:
        settings: of the limit monitor.
        site: site id.
        active: returns the alarms, as plain values, at any time.
    """
    problems: list[str] = []
    wanted = settings.get("ROUTES") or {}
    if not isinstance(wanted, Mapping):
        problems.append(f"ROUTES is no block with the keys {', '.join(KEYS)}")
        wanted = {}
    problems += [f"ROUTES: unknown key {key}{or_meant(str(key), KEYS)}" for key in wanted if key not in KEYS]
    priority = wanted.get("PRIORITY") or PRIORITIES[0]
    if priority not in PRIORITIES:
        meant = or_meant(str(priority), PRIORITIES) or f": choose {', '.join(PRIORITIES)}"
        problems.append(f"ROUTES: PRIORITY is {priority!r}, {PRIORITIES[0]} counts{meant}")
        priority = PRIORITIES[0]
    routes: list[Route] = []
    for make in _makers(wanted, site, priority, active):
        try:
            routes.append(make())
        except RouteError as exc:
            problems.append(str(exc))
    return routes, problems


def _makers(
    wanted: Mapping[str, Any],
    site: str,
    priority: str,
    active: Callable[[], Iterable[Mapping[str, Any]]],
) -> Iterator[Callable[[], Route]]:
    """Yields what makes each of the routes, or refuses to."""
    hooks = wanted.get("WEBHOOKS") or []
    for number, url in enumerate(hooks if isinstance(hooks, list | tuple) else [hooks], 1):
        yield partial(Webhook, url, site, priority, number)
    if command := wanted.get("COMMAND"):
        yield partial(Command, command, site, priority)
    slack = Settings.load().get(SLACK)
    if wanted.get("SLACK", True) and isinstance(slack, Mapping) and slack.get("WEBHOOK"):
        yield partial(Slack, slack["WEBHOOK"], site, priority)
    if url := wanted.get("ALERTMANAGER"):
        yield partial(Alertmanager, url, site, active, priority)
