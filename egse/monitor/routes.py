"""Calling people: webhook, command, Slack, Alertmanager; each in a thread of its own, so that a slow one delays nobody.

Where to goes by the Settings of the limit monitor (webhooks are secrets: in the local settings only):

    Limit Monitor Control Server:
      ROUTES:
        WEBHOOKS: [https://example.org/hook]      # gets a JSON object by POST
        COMMAND: [/usr/local/bin/call, --site]    # gets the same on its standard input
        SLACK: true                               # block SLACK, key WEBHOOK
        ALERTMANAGER: http://localhost:9093       # its API v2
        PRIORITY: warning                         # nobody is called for less

What happens at the same time, or while the last message is on its way, goes out as one message.
"""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from egse.monitor.alarms import PRIORITIES, AlarmEvent
from egse.settings import Settings
from egse.slack import SETTINGS as SLACK
from egse.slack import send_alert
from egse.system import format_datetime, from_unix_time

LOGGER = logging.getLogger(__name__)

GATHER = 0.1
"""So long it is waited for more events before a message goes out [s]."""
TIMEOUT = 10.0
"""So long a delivery may take [s]."""
RETRIES = (1.0, 5.0, 15.0, 30.0, 60.0)
"""Pauses before an undelivered message is tried again [s]; the last one again and again."""
CAPACITY = 2000
"""So many events wait for a route at most; the oldest are dropped beyond, and counted."""
LISTED = 20
"""So many events stand in a text at most."""
REFRESH = 60.0
"""How often Alertmanager is told again what is active [s]; it forgets what it is not told."""
CALLING = ("raised", "escalated", "cleared", "acknowledged", "unshelved")
"""The events for which somebody is called."""


class RouteError(Exception):
    """A message was not delivered."""


def concerns(event: AlarmEvent, priority: str = PRIORITIES[0]) -> bool:
    """Says whether anybody is called for an event."""
    urgent = PRIORITIES.index(event.priority) >= PRIORITIES.index(priority)
    return event.event in CALLING and urgent and not event.shelved


def as_text(events: Sequence[AlarmEvent], site: str) -> str:
    """Returns events as a text for people, one line each with what to do next."""
    lines = [f"{site}: {len(events)} events" if len(events) > 1 else site]
    for event in events[:LISTED]:
        at = format_datetime(from_unix_time(event.time))[11:19]
        what = f"{at} {event.priority.upper()} {event.event}: {event.name}"
        if event.event in ("raised", "escalated"):
            value = f"{event.value:g}" if isinstance(event.value, float) else str(event.value)
            what += (
                f" = {value} {event.unit}".rstrip()
                + f", {event.limit}. Cause: {event.cause}. Next: {event.action}"
            )
        elif event.by:
            what += f" by {event.by}" + (f": {event.comment}" if event.comment else "")
        lines.append(what)
    if len(events) > LISTED:
        lines.append(f"... and {len(events) - LISTED} more: `cgse alarm list`")
    return "\n".join(lines)


class Route(ABC, threading.Thread):
    """Delivers events to one place.

    Args:
        name: for messages and counters.
        site: of which site.
        priority: nobody is called for less.

    Attributes:
        delivered, dropped, failed: events, events, and attempts since the start.
    """

    retries = True

    def __init__(self, name: str, site: str, priority: str = PRIORITIES[0]) -> None:
        super().__init__(name=f"route-{name}", daemon=True)
        self.site = site
        self.priority = priority
        self.delivered = self.dropped = self.failed = 0
        self._waiting: deque[AlarmEvent] = deque()
        self._changed = threading.Condition()
        self._ending = False

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
            "route": self.name.removeprefix("route-"),
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
            if not self._deliver(batch):
                with self._changed:
                    self._waiting.extendleft(reversed(batch))
            if self._ending:
                return

    def _guarded_idle(self) -> float | None:
        try:
            return self.idle()
        except RouteError as exc:
            self._note(exc)
            return RETRIES[-1]

    def _deliver(self, batch: list[AlarmEvent]) -> bool:
        """Delivers a batch, trying again; returns False when it shall be tried with what has come meanwhile."""
        for pause in (*RETRIES, RETRIES[-1]):
            try:
                self.deliver(batch)
            except RouteError as exc:
                self._note(exc)
            else:
                self.delivered += len(batch)
                return True
            if not self.retries:
                return True
            with self._changed:
                if self._changed.wait_for(lambda: self._ending, pause):
                    return False
        return False

    def _note(self, error: RouteError) -> None:
        self.failed += 1
        if self.failed == 1 or self.failed % 100 == 0:
            LOGGER.error("%s does not take alarms (%d times): %s", self.name, self.failed, error)


def post_json(url: str, value: Any) -> None:
    """Posts a value as JSON.

    Raises:
        RouteError: when it was not taken.
    """
    body = json.dumps(value).encode()
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:
            reply.read(1000)
    except (OSError, ValueError) as exc:  # URLError and HTTPError are OSErrors
        if isinstance(exc, urllib.error.HTTPError):
            exc.close()
        host = urlsplit(url).netloc  # the rest of the address may be a secret
        raise RouteError(f"{host}: {exc}") from exc


class Webhook(Route):
    """Posts `{"version": 1, "site", "text", "events": [...]}` to an address.

    Args:
        url: the address.
    """

    def __init__(self, url: str, site: str, priority: str = PRIORITIES[0], number: int = 1) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise RouteError("a WEBHOOK in the settings is no web address")
        super().__init__(f"webhook-{number}", site, priority)
        self._url = url

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
        command: program and arguments.
    """

    def __init__(self, command: Sequence[str], site: str, priority: str = PRIORITIES[0]) -> None:
        super().__init__("command", site, priority)
        self._command = [str(part) for part in command]

    def deliver(self, events: Sequence[AlarmEvent]) -> None:
        text = json.dumps(message(events, self.site))
        try:
            done = subprocess.run(
                self._command, input=text, text=True, capture_output=True, timeout=3 * TIMEOUT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise RouteError(f"{self._command[0]}: {exc}") from exc
        if done.returncode:
            raise RouteError(f"{self._command[0]} ended with {done.returncode}: {done.stderr[-500:]}")


class Slack(Route):
    """Tells the Slack channel of the site."""

    def __init__(self, site: str, priority: str = PRIORITIES[0]) -> None:
        super().__init__("slack", site, priority)

    def deliver(self, events: Sequence[AlarmEvent]) -> None:
        if not send_alert(as_text(events, self.site), timeout=TIMEOUT):
            raise RouteError("Slack did not take it, see the log")


class Alertmanager(Route):
    """Keeps Alertmanager informed of what is active, by its API v2.

    Args:
        url: of Alertmanager.
        active: returns the alarms, as plain values, at any time.
    """

    def __init__(
        self,
        url: str,
        site: str,
        active: Callable[[], Iterable[Mapping[str, Any]]],
        priority: str = PRIORITIES[0],
    ) -> None:
        super().__init__("alertmanager", site, priority)
        self._url = f"{url.rstrip('/')}/api/v2/alerts"
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
) -> list[Route]:
    """Returns the routes of the settings of the limit monitor, not started.

    Args:
        settings: of the limit monitor.
        site: site id.
        active: returns the alarms, as plain values, at any time.

    Raises:
        RouteError: when they make no sense.
    """
    wanted = settings.get("ROUTES") or {}
    priority = str(wanted.get("PRIORITY") or PRIORITIES[0])
    if priority not in PRIORITIES:
        raise RouteError(f"ROUTES: PRIORITY is {priority!r}: choose {', '.join(PRIORITIES)}")
    hooks = wanted.get("WEBHOOKS") or []
    routes: list[Route] = [
        Webhook(str(url), site, priority, number)
        for number, url in enumerate([hooks] if isinstance(hooks, str) else hooks, 1)
    ]
    command = wanted.get("COMMAND") or []
    if command:
        routes.append(Command([command] if isinstance(command, str) else command, site, priority))
    if wanted.get("SLACK", True) and (Settings.load().get(SLACK) or {}).get("WEBHOOK"):
        routes.append(Slack(site, priority))
    if wanted.get("ALERTMANAGER"):
        routes.append(Alertmanager(str(wanted["ALERTMANAGER"]), site, active, priority))
    return routes
