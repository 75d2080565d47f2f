"""Which control servers are installed, and which of them serve the devices of a Setup: found out in another process.

Who wants to know must not import the packages of instruments: one whose shared library is missing may end the process
that imports it, or crash it (manual ch. 28.1). So a child process imports them one after the other and writes down what
it finds; when one ends it, the next child goes on behind that one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from egse.process import SubProcess
from egse.process.launcher import describe_exit

if TYPE_CHECKING:
    from egse.setup import Setup

GROUP = "egse.control_server"
SURVEYOR = "egse.site.surveyor"
"""The module that the child runs; it imports what is not imported here."""
TIMEOUT = 60.0
"""How long one child may take [s]."""
LINES = 12
"""How many lines of what a package prints are kept when it cannot be imported."""


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An installed control server.

    Attributes:
        name: its name, `ogse_cs`.
        title: what it is, for people; its name when it cannot be imported.
        settings: name of its block in the Settings; empty when it cannot be imported.
        device: True for a device server, False for a service.
        problem: why it cannot be imported, with what it printed; empty when it can.
    """

    name: str
    title: str
    settings: str = ""
    device: bool = True
    problem: str = ""


class DeviceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A device of a Setup.

    Attributes:
        place: key path in the Setup, `gse.aeu.psu2`.
        device: what the Setup says, `class//...` or `factory//...`.
        label: `device_name` of the Setup, or the place.
        server: name of its control server; empty when none was found.
        problem: why none was found.
    """

    place: str
    device: str
    label: str
    server: str = ""
    problem: str = ""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    Attributes:
        servers: all installed control servers, by name.
        devices: the devices of the Setup, in its order.
    """

    servers: dict[str, ServerInfo] = {}
    devices: tuple[DeviceInfo, ...] = ()


class Order(msgspec.Struct):
    """What the child shall look at; `broken` are those that ended a child before."""

    names: list[str]
    broken: list[str]
    setup: str = ""
    filename: str = ""


class Note(msgspec.Struct, omit_defaults=True):
    """One line of what the child writes down."""

    loading: str = ""
    server: ServerInfo | None = None
    device: DeviceInfo | None = None


def server_names() -> list[str]:
    """Returns the names of all control servers that are installed, core services too."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def survey(
    setup: Setup | None = None,
    names: Iterable[str] | None = None,
    *,
    timeout: float = TIMEOUT,
    on_child: Callable[[SubProcess], object] | None = None,
) -> Survey:
    """Finds out about control servers without importing them here.

    Args:
        setup: whose devices are looked at.
        names: which servers; all that are installed when None.
        timeout: how long one child may take [s].
        on_child: called with each child once it runs, for those who may have to stop it.

    Returns:
        What was found; trouble of a package or a device stands in its `problem`.
    """
    order = Order(server_names() if names is None else list(names), [])
    if setup is not None:
        order.setup = setup.to_yaml_string("survey()")
        order.filename = str(setup.get_filename() or "")
    servers: dict[str, ServerInfo] = {}
    while True:
        notes, output, reason = _ask(order, timeout, on_child)
        servers.update({note.server.name: note.server for note in notes if note.server is not None})
        if not reason:
            devices = tuple(note.device for note in notes if note.device is not None)
            return Survey(servers=dict(sorted(servers.items())), devices=devices)
        culprit = next((note.loading for note in reversed(notes) if note.loading), "")
        if not culprit or culprit in order.broken:
            # Not one of the packages: the Setup names something that ends whoever imports it.
            devices = tuple(note.device for note in notes if note.device is not None)
            return Survey(servers=servers, devices=(*devices, _unfinished(reason, output)))
        order.broken.append(culprit)
        problem = f"its import {reason}" + (f":\n{output}" if output else "")
        servers[culprit] = ServerInfo(name=culprit, title=culprit, problem=problem)


def _unfinished(reason: str, output: str) -> DeviceInfo:
    problem = f"looking at the devices of the Setup {reason}" + (f":\n{output}" if output else "")
    return DeviceInfo(place="", device="", label="the rest of the Setup", problem=problem)


def _ask(
    order: Order, timeout: float, on_child: Callable[[SubProcess], object] | None
) -> tuple[list[Note], str, str]:
    """Has a child do the work; returns its notes, what was printed last, and how it ended when that was too early."""
    with TemporaryDirectory(prefix="survey-") as folder:
        path = Path(folder)
        (path / "order").write_bytes(msgspec.json.encode(order))
        with SubProcess("survey", [sys.executable, "-m", SURVEYOR, folder]) as child:
            if on_child is not None:
                on_child(child)
            try:
                _, errors = child.communicate(timeout)
                reason = "" if child.returncode == 0 else describe_exit(child.returncode)
            except TimeoutError:
                errors, reason = "", f"did not end within {timeout:g} s"
        printed = read_text(path / "output") or errors
        lines = read_text(path / "notes").splitlines(keepends=True)
        notes = [msgspec.json.decode(line, type=Note) for line in lines if line.endswith("\n")]
    return notes, last_part(printed), reason


def read_text(path: Path) -> str:
    """Returns the content of a file, an empty text when there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def last_part(text: str) -> str:
    """Returns the last lines of a text."""
    return "\n".join(text.strip().splitlines()[-LINES:])
