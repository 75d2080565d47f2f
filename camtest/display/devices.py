"""Devices and control servers: what a Proxy can do, and how a device is."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from html import escape
from typing import Any

from camtest.display.markup import BAD, DIM, GOOD, Cell, badge, block, columns, fold, pairs, table
from egse.catalogue import describe_command
from egse.command import CommandDefinition, commands_of
from egse.env import get_data_storage_location
from egse.proxy import Proxy
from egse.settings import Settings
from egse.system import format_datetime

_BASE = frozenset(commands_of(Proxy))


def as_text(proxy: Proxy) -> str:
    """Returns what the proxy is and its commands with their arguments; nothing is asked."""
    lines = [
        f"  {name}({arguments})" + (f"  # {about}" if about else "")
        for name, arguments, _, about in _commands(proxy)
    ]
    return "\n".join([repr(proxy), *lines])


def as_html(proxy: Proxy) -> str:
    """Returns the commands of a proxy with units, ranges and what they do; nothing is asked."""
    rows: list[list[str | Cell]] = [
        [Cell(name, "font-weight:bold"), Cell(arguments, "font-family:monospace"), limits, about]
        for name, arguments, limits, about in _commands(proxy)
    ]
    shown = table(("command", "arguments", "units and ranges", "what it does"), rows, left=4)
    note = "" if rows else "<p>Its commands are not loaded yet: load_commands()</p>"
    return block(
        f"<code>{escape(repr(proxy))}</code>", fold(f"{len(rows)} commands", shown) if rows else note
    )


def definitions_of(proxy: Proxy) -> dict[str, CommandDefinition]:
    """Returns the commands of a proxy by name: of its interface, and those that were loaded from its server."""
    loaded = {name: command.definition for name, command in proxy._commands.items()}
    return dict(sorted({**commands_of(type(proxy)), **loaded}.items()))


def _commands(proxy: Proxy) -> list[tuple[str, str, str, str]]:
    rows = []
    for name, definition in definitions_of(proxy).items():
        if name in _BASE:
            continue
        described = describe_command(definition)
        limits = [
            f"{p['name']} {p['range']} {p['unit']}".rstrip()
            for p in described["parameters"]
            if p["range"] or p["unit"]
        ]
        about = (definition.doc or "").strip().partition("\n")[0]
        arguments = [
            p["name"] if p["required"] else f"{p['name']}={p.get('default', '...')!r}"
            for p in described["parameters"]
        ]
        rows.append((name, ", ".join(arguments), "; ".join(limits), about))
    return rows


class DeviceStatus:
    """How a control server and its device are, at one moment; see `device_status`.

    Args:
        name: of the control server.
        server: its status, empty when it does not answer.
        housekeeping: its last row, by name.
        problem: why something is missing.
    """

    def __init__(
        self, name: str, server: Mapping[str, Any], housekeeping: Mapping[str, Any], problem: str = ""
    ) -> None:
        self.name = name
        self.server = dict(server)
        self.housekeeping = dict(housekeeping)
        self.problem = problem

    @property
    def state(self) -> str:
        """`running` or `no answer`."""
        return "running" if self.server else "no answer"

    def _facts(self) -> list[tuple[str, str]]:
        facts = []
        for key, value in self.server.items():
            text = (
                ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
            )
            facts.append((key, text))
        return facts

    def __repr__(self) -> str:
        lines = [f"{self.name} is {self.state}" + (f": {self.problem}" if self.problem else "")]
        lines += [f"  {name}: {value}" for name, value in self._facts()]
        if self.housekeeping:
            lines.append(
                columns(("housekeeping", "value"), [(k, str(v)) for k, v in self.housekeeping.items()])
            )
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        colour = GOOD if self.server and not self.problem else BAD
        problem = f'<p style="color:{BAD}">{escape(self.problem)}</p>' if self.problem else ""
        facts = pairs((name, escape(value)) for name, value in self._facts())
        rows: list[list[str | Cell]] = [
            [name, Cell(str(value), "font-family:monospace")] for name, value in self.housekeeping.items()
        ]
        values = table(("housekeeping", "value"), rows)
        html = block(
            f"<b>{escape(self.name)}</b> {badge(self.state, colour)}",
            problem,
            values if rows else "",
            fold("control server", facts) if self.server else "",
        )
        return {"text/plain": repr(self), "text/html": html}


def device_status(proxy: Proxy) -> DeviceStatus:
    """Asks a control server how it is; the housekeeping is the last row in the archive, so that the device is not asked.

    Args:
        proxy: of the device.

    Returns:
        What can be known; a server that does not answer is told, not raised.
    """
    name = proxy.server_name or type(proxy).__name__
    try:
        with proxy.get_service_proxy() as services:
            server = services.get_server_status()
    except (ConnectionError, TimeoutError) as exc:
        return DeviceStatus(name, {}, {}, str(exc))
    mnemonic = Settings.load(proxy.settings_name).get("STORAGE_MNEMONIC", "") if proxy.settings_name else ""
    return DeviceStatus(name, server, last_row(str(mnemonic)) if mnemonic else {})


def last_row(mnemonic: str) -> dict[str, str]:
    """Returns the last housekeeping row of a producer in the daily files of today, empty when there is none.

    Args:
        mnemonic: storage mnemonic, `OGSE`.
    """
    from egse.hk.files import daily_files  # loads numpy, which a session may never need

    day = format_datetime("today")
    for path in daily_files(get_data_storage_location(), day, mnemonic):
        with path.open("rb") as file:
            head = file.readline().decode()
            size = file.seek(0, os.SEEK_END)
            file.seek(max(len(head), size - 65_536))
            lines = file.read().decode(errors="replace").splitlines(keepends=True)
        whole = [line for line in lines[-2:] if line.endswith("\n")]
        if whole:
            names, values = next(csv.reader([head])), next(csv.reader([whole[-1]]))
            if len(names) == len(values):
                return dict(zip(names, values, strict=True))
    return {}


class ServerTable:
    """All control servers of a site with their states.

    Args:
        rows: name, state, simulator ("yes" or ""), process id, endpoint, remark.
        note: who was asked.
    """

    _HEAD = ("control server", "state", "simulator", "process", "endpoint", "remark")

    def __init__(self, rows: list[tuple[str, ...]], note: str = "") -> None:
        self.rows = rows
        self.note = note

    def __repr__(self) -> str:
        return "\n".join(filter(None, (columns(self._HEAD, self.rows, left=6), self.note)))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        shown: list[list[str | Cell]] = []
        for name, state, *others in self.rows:
            colour = GOOD if state == "running" else DIM if state in ("stopped", "not running") else BAD
            shown.append(
                [Cell(name, "font-weight:bold"), Cell(state, f"color:{colour};font-weight:bold"), *others]
            )
        note = f'<p style="color:{DIM}">{escape(self.note)}</p>' if self.note else ""
        return {
            "text/plain": repr(self),
            "text/html": block(table(self._HEAD, shown, left=6), note),
        }
