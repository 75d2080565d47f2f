"""The table of the programs of a site: what they are called, what they need, in which order they stop.

A device package that registers its control server under the entry point group `egse.control_server` is known here
without further ado; only what a sandbox starts is listed.
"""

from __future__ import annotations

import enum
import shutil
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path

from egse.advice import or_meant
from egse.process import Program
from egse.site.layout import SiteError


class Kind(enum.Enum):
    """What a program is; programs stop in the reverse of this order."""

    CORE = 0
    SIMULATOR = 1
    DEVICE = 2
    CONSUMER = 3


@dataclass(frozen=True)
class Entry:
    """One program of the table.

    Attributes:
        name: name of the program and of its console script.
        kind: what it is.
        title: what it does, for people.
        needs: programs that must be ready before it is started.
        settings: name of its block in the Settings; empty when it has none.
        options: which options of a sandbox it takes: `speed`, `seed`, `scene`.
        stage: the place among the core services: higher ones stop earlier.
    """

    name: str
    kind: Kind
    title: str
    settings: str = ""
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    stage: int = 0

    def program(self, options: dict[str, str] | None = None, *, simulator: bool = False) -> Program:
        """Returns the program as a launcher runs it.

        Args:
            options: values of the options, e.g. `{"speed": "20"}`; what it does not take is left out.
            simulator: start a device server with `--simulator`.

        Raises:
            SiteError: when it is not installed.
        """
        arguments = ["--simulator"] if simulator else []
        for option in self.options:
            if options and option in options:
                arguments += [f"--{option}", options[option]]
        return Program(
            name=self.name,
            command=(script(self.name), "start", *arguments),
            needs=self.needs,
            stage=10 * self.kind.value + self.stage,
        )


SIMULATED = ("speed", "seed")

TABLE: tuple[Entry, ...] = (
    Entry("log_cs", Kind.CORE, "log manager", "Logging Control Server"),
    Entry("sm_cs", Kind.CORE, "storage manager", "Storage Control Server", stage=1),
    Entry("cm_cs", Kind.CORE, "configuration manager", "Configuration Manager Control Server", stage=2),
    Entry("syn_cs", Kind.CORE, "synoptics manager", "Synoptics Manager Control Server", stage=3),
    Entry("n_fee_sim", Kind.SIMULATOR, "camera simulator", options=(*SIMULATED, "scene")),
    Entry("ogse_sim", Kind.SIMULATOR, "OGSE simulator", options=SIMULATED),
    Entry("lsci336_sim", Kind.SIMULATOR, "LakeShore 336 simulator", options=SIMULATED),
    Entry("dpu_cs", Kind.DEVICE, "camera data", "DPU Control Server", needs=("cm_cs", "n_fee_sim")),
    Entry("ogse_cs", Kind.DEVICE, "optical source", "OGSE Control Server", needs=("ogse_sim",)),
    Entry("lsci336_cs", Kind.DEVICE, "LakeShore 336", "LSCI336 Control Server", needs=("lsci336_sim",)),
    Entry("fitsgen", Kind.CONSUMER, "FITS generation", "FITS Generator Control Server"),
)
"""What a sandbox starts; a real site starts the core services from here, and devices by name."""


def script(name: str) -> str:
    """Returns the path of a console script.

    Raises:
        SiteError: when there is none of this name.
    """
    beside = Path(sysconfig.get_path("scripts")) / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise SiteError(
            f"the command {name} is not installed in {beside.parent}: install the package that brings it"
        )
    return found


def core_entries() -> list[Entry]:
    """Returns the core services of a site, in the order of their start."""
    return [entry for entry in TABLE if entry.kind is Kind.CORE]


def sandbox_entries(only_core: bool = False) -> list[Entry]:
    """Returns what a sandbox starts."""
    return core_entries() if only_core else list(TABLE)


def server_names() -> list[str]:
    """Returns the names of all control servers that are installed, core services too."""
    return sorted({point.name for point in entry_points(group="egse.control_server")})


def device_names() -> list[str]:
    """Returns the names of all device servers that are installed."""
    core = {entry.name for entry in core_entries()}
    return [name for name in server_names() if name not in core]


def device_entry(name: str) -> Entry:
    """Finds a device server by its name, with or without `_cs`.

    Raises:
        SiteError: when there is none, with the names there are.
    """
    devices = device_names()
    for candidate in (name, f"{name}_cs"):
        if candidate in devices:
            known = next((entry for entry in TABLE if entry.name == candidate), None)
            return replace(known, needs=()) if known else _third_party(candidate)
    core = {entry.name for entry in core_entries()}
    if name in core or f"{name}_cs" in core:
        raise SiteError(f"{name} is a core service: use `cgse core start`")
    names = ", ".join(devices) or "none"
    raise SiteError(f"no device server {name!r} is installed (there are: {names}){or_meant(name, devices)}")


def _third_party(name: str) -> Entry:
    """Returns the entry of a device server that some other package brings."""
    (point, *_) = entry_points(group="egse.control_server", name=name)
    try:
        declaration = point.load()
    except (ImportError, AttributeError) as exc:
        brought_by = point.dist.name if point.dist is not None else point.value
        raise SiteError(f"the device server {name} cannot be loaded (package {brought_by}): {exc}") from exc
    return Entry(name, Kind.DEVICE, declaration.title, declaration.settings)


def programs_of(entries: Sequence[Entry], options: dict[str, str] | None = None) -> list[Program]:
    """Returns the programs of table entries; the errors of `Entry.program` apply."""
    return [entry.program(options) for entry in entries]
