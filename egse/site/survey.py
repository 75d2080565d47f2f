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
    """What the child shall look at.

    Attributes:
        names: the control servers that count.
        known: those of them of which nothing needs to be told.
        all_servers: tell about all of them, not just about those of the Setup's devices.
        setup, filename: text and file of the Setup; empty for none.
        broken: what ended a child before, with the reason.
    """

    names: list[str]
    known: list[str] = []
    all_servers: bool = True
    setup: str = ""
    filename: str = ""
    broken: dict[str, str] = {}


class Note(msgspec.Struct, omit_defaults=True):
    """One line of what the child writes down."""

    looking_at: str = ""
    server: ServerInfo | None = None
    device: DeviceInfo | None = None


def server_names() -> list[str]:
    """Returns the names of all control servers that are installed, core services too."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def survey(
    setup: Setup | None = None,
    names: Iterable[str] | None = None,
    known: Iterable[str] = (),
    *,
    timeout: float = TIMEOUT,
    on_child: Callable[[SubProcess], object] | None = None,
) -> Survey:
    """Finds out about control servers without importing them here.

    Args:
        setup: find out about its devices and their servers; None for the servers themselves.
        names: which servers count; all that are installed when None.
        known: those of which nothing needs to be told, which saves time.
        timeout: how long one child may take [s].
        on_child: called with each child once it runs, for those who may have to stop it.

    Returns:
        What was found; trouble of a package or a device stands in its `problem`.
    """
    order = Order(server_names() if names is None else list(names), list(known), all_servers=setup is None)
    if setup is not None:
        order.setup = setup.to_yaml_string("survey()")
        order.filename = str(setup.get_filename() or "")
    while True:
        notes, output, reason = _ask(order, timeout, on_child)
        culprit = next((note.looking_at for note in reversed(notes) if note.looking_at), "")
        problem = f"looking at it {reason}" + (f":\n{output}" if output else "")
        if not reason or not culprit or culprit in order.broken:
            found = _collected(notes)
            return found if not reason else _with_trouble(found, problem)
        order.broken[culprit] = problem


def _collected(notes: list[Note]) -> Survey:
    servers = {note.server.name: note.server for note in notes if note.server is not None}
    devices = {note.device.place: note.device for note in notes if note.device is not None}
    return Survey(servers=dict(sorted(servers.items())), devices=tuple(devices.values()))


def _with_trouble(found: Survey, problem: str) -> Survey:
    """Adds what cannot be laid at the door of one package or device."""
    trouble = DeviceInfo(place="", device="", label="the rest of the Setup", problem=problem)
    return Survey(servers=found.servers, devices=(*found.devices, trouble))


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
