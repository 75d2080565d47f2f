"""The table of the programs of a site: what they are called, what they need, in which order they stop.

A device package that registers its control server under the entry point group `egse.control_server` is known here
without further ado; only what a sandbox starts is listed.
"""

from __future__ import annotations

import enum
import shutil
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from egse.advice import or_meant
from egse.process import Program
from egse.settings import Settings
from egse.site.layout import SiteError
from egse.site.survey import server_names, survey


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
        options: which options of a sandbox it takes: `speed`, `seed`, `scene`, `ogse`, `admin-port`.
        stage: the place among the core services: higher ones stop earlier.
        extra: a sandbox starts it only when asked for this; empty: always.
    """

    name: str
    kind: Kind
    title: str
    settings: str = ""
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    stage: int = 0
    extra: str = ""

    @property
    def command(self) -> str:
        """Its console script: `COMMAND` of its block in the Settings where that names one (of the test scripts), else its name."""
        return str((Settings.load().get(self.settings) or {}).get("COMMAND", self.name) or "")

    def program(self, options: dict[str, str] | None = None, *, simulator: bool = False) -> Program:
        """Returns the program as a launcher runs it.

        Args:
            options: values of the options, e.g. `{"speed": "20"}`; what it does not take is left out. `NAME:OPTION` is for
                one program only.
            simulator: start a device server with `--simulator`.

        Raises:
            SiteError: when it is not installed.
        """
        arguments = ["--simulator"] if simulator else []
        for option in self.options:
            value = (options or {}).get(f"{self.name}:{option}", (options or {}).get(option))
            if value is not None:
                arguments += [f"--{option}", value]
        return Program(
            name=self.name,
            command=(script(self.command), "start", *arguments),
            needs=self.needs,
            stage=10 * self.kind.value + self.stage,
            tries=0 if self.kind is Kind.CORE else DEVICE_TRIES,
        )


DEVICE_TRIES = 8
"""A device server that crashes so often in a row is given up; a core service never is, once it was up."""

SIMULATED = ("speed", "seed")

EQUIPMENT: tuple[tuple[str, str, str], ...] = (
    ("puna", "PUNA hexapod", "PUNA Control Server"),
    ("puna_plus", "PUNA hexapod with Alpha+ controller", "PUNA PLUS Control Server"),
    ("zonda", "ZONDA hexapod", "ZONDA Control Server"),
    ("joran", "JORAN hexapod", "JORAN Control Server"),
    ("smc9300", "HUBER stages", "SMC9300 Control Server"),
    ("tcs", "TCS EGSE", "TCS Control Server"),
    ("lsci336_1", "LakeShore 336, unit 1", "LSCI336 1 Control Server"),
    ("lsci336_2", "LakeShore 336, unit 2", "LSCI336 2 Control Server"),
    ("lsci336_3", "LakeShore 336, unit 3", "LSCI336 3 Control Server"),
    ("daq6510", "Keithley DAQ6510 data acquisition", "DAQ6510 Control Server"),
    ("pm100a", "Thorlabs PM100 power meter", "PM100A Control Server"),
    ("ksc101", "Thorlabs KSC101 shutter", "KSC101 Control Server"),
    ("gimbal", "gimbal with two axes", "GIMBAL Control Server"),
    ("fw8smc4", "Eksma filter wheels (8SMC4)", "FW8SMC4 Control Server"),
    ("fw8smc5", "Eksma filter wheels (8SMC5)", "FW8SMC5 Control Server"),
    ("eq99", "Energetiq EQ-99 lamp", "EQ99 Control Server"),
    ("aimtti1", "Aim-TTi bench supply 1", "AIMTTI 1 Control Server"),
    ("aimtti2", "Aim-TTi bench supply 2", "AIMTTI 2 Control Server"),
)
"""Instruments of the test houses: NAME_cs behind NAME_sim; what it is, name of its settings block."""


def _instrument(name: str, title: str, settings: str, extra: str = "") -> tuple[Entry, Entry]:
    """Returns the rows of an instrument with a simulator and a control server."""
    options = (*SIMULATED, "admin-port")
    simulator = Entry(f"{name}_sim", Kind.SIMULATOR, f"{title} simulator", options=options, extra=extra)
    server = Entry(f"{name}_cs", Kind.DEVICE, title, settings, needs=(simulator.name,), extra=extra)
    return simulator, server


TABLE: tuple[Entry, ...] = (
    Entry("log_cs", Kind.CORE, "log manager", "Logging Control Server"),
    Entry("sm_cs", Kind.CORE, "storage manager", "Storage Control Server", stage=1),
    Entry("cm_cs", Kind.CORE, "configuration manager", "Configuration Manager Control Server", stage=2),
    Entry("pm_cs", Kind.CORE, "process manager", "Process Manager Control Server", stage=3),
    Entry("syn_cs", Kind.CORE, "synoptics manager", "Synoptics Manager Control Server", stage=3),
    Entry("wd_cs", Kind.CORE, "watchdog of observations", "Watchdog Control Server", stage=4),  # in camtest
    Entry("mon_cs", Kind.CORE, "limit monitor", "Limit Monitor Control Server", stage=4, extra="monitor"),
    Entry("fdir_cs", Kind.CORE, "automatic reactions", "Reaction Control Server", stage=5, extra="monitor"),
    Entry(
        "n_fee_sim",
        Kind.SIMULATOR,
        "camera simulator",
        options=(*SIMULATED, "scene", "ogse", "stages", "hexapod"),
    ),
    Entry("ogse_sim", Kind.SIMULATOR, "OGSE simulator", options=(*SIMULATED, "admin-port")),
    Entry("lsci336_sim", Kind.SIMULATOR, "LakeShore 336 simulator", options=SIMULATED),
    Entry("aeu_sim", Kind.SIMULATOR, "AEU simulator", options=SIMULATED, extra="aeu"),
    *(_instrument(*row, extra="equipment")[0] for row in EQUIPMENT),
    Entry("fw8smc5_2_sim", Kind.SIMULATOR, "second wheel simulator", options=SIMULATED, extra="equipment"),
    Entry("dpu_cs", Kind.DEVICE, "camera data", "DPU Control Server", needs=("cm_cs", "n_fee_sim")),
    Entry("ogse_cs", Kind.DEVICE, "optical source", "OGSE Control Server", needs=("ogse_sim",)),
    Entry("lsci336_cs", Kind.DEVICE, "LakeShore 336", "LSCI336 Control Server", needs=("lsci336_sim",)),
    *(
        Entry(
            f"aeu_{unit.lower()}_cs",
            Kind.DEVICE,
            f"AEU {unit}",
            f"AEU {unit} Control Server",
            needs=("aeu_sim",),
            extra="aeu",
        )
        for unit in ("CRIO", "PSU1", "PSU2", "PSU3", "PSU4", "PSU5", "PSU6", "AWG1", "AWG2")
    ),
    *(_instrument(*row, extra="equipment")[1] for row in EQUIPMENT),
    Entry("n_fee_hk", Kind.CONSUMER, "N-FEE housekeeping", "N-FEE-HK Control Server", needs=("cm_cs",)),
    Entry(
        "fov_hk",
        Kind.CONSUMER,
        "source position",
        "FOV Control Server",
        needs=("cm_cs", "smc9300_cs"),
        extra="equipment",
    ),
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


def is_installed(name: str) -> bool:
    """Says whether there is a console script of this name."""
    try:
        return bool(name and script(name))
    except SiteError:
        return False


def core_entries() -> list[Entry]:
    """Returns the core services of a site that are installed, in the order of their start; a sandbox may have less."""
    return [entry for entry in TABLE if entry.kind is Kind.CORE and is_installed(entry.command)]


def sandbox_entries(only_core: bool = False, extras: Iterable[str] = ()) -> list[Entry]:
    """Returns what a sandbox starts.

    Args:
        only_core: the core services and nothing else.
        extras: what is started besides what every sandbox has, `["aeu", "monitor"]`.
    """
    wanted = ("", *extras)
    core = [entry for entry in core_entries() if entry.extra in wanted]
    rest = [entry for entry in TABLE if entry.kind is not Kind.CORE and entry.extra in wanted]
    return core if only_core else core + rest


def known_entry(name: str) -> Entry | None:
    """Returns the row of the table with this name, None when there is none."""
    return next((entry for entry in TABLE if entry.name == name), None)


def device_names() -> list[str]:
    """Returns the names of all device servers that are installed."""
    return [name for name in server_names() if not _is_core(name)]


def device_entries(names: Iterable[str] | None = None) -> list[Entry]:
    """Returns the entries of device servers, without what they need in a sandbox.

    What is not in the table is imported in another process, which is slow; a package that cannot be imported has no
    title and no ports, and starting its server tells why.

    Args:
        names: full names of installed device servers; all of them when None.
    """
    wanted = device_names() if names is None else list(names)
    others = [name for name in wanted if known_entry(name) is None]
    found = survey(names=others).servers if others else {}
    entries = []
    for name in wanted:
        known = known_entry(name)
        if known is not None:
            entries.append(replace(known, needs=()))
        else:
            entries.append(Entry(name, Kind.DEVICE, found[name].title, found[name].settings))
    return entries


def device_entry(name: str) -> Entry:
    """Finds a device server by its name, with or without `_cs`.

    Raises:
        SiteError: when there is none, with the names there are.
    """
    return device_entries([full_name(name)])[0]


def device_group(name: str) -> list[Entry]:
    """Finds a device server, or all servers of a device with several: `aeu` is aeu_crio_cs, aeu_psu1_cs and so on.

    Raises:
        SiteError: when there is none, with the names there are.
    """
    group = [one for one in device_names() if one.startswith(f"{name}_") and one != f"{name}_cs"]
    if not group or f"{name}_cs" in device_names():
        return [device_entry(name)]
    return device_entries(group)


def full_name(name: str, also: Iterable[str] = ()) -> str:
    """Returns the name of an installed device server, which was given with or without `_cs`.

    Args:
        name: the name.
        also: further names that are accepted.

    Raises:
        SiteError: when there is none, with the names there are.
    """
    devices = [*device_names(), *also]
    for candidate in (name, f"{name}_cs"):
        if candidate in devices:
            return candidate
    if _is_core(name) or _is_core(f"{name}_cs"):
        raise SiteError(f"{name} is a core service: use `cgse core start`")
    names = ", ".join(devices) or "none"
    raise SiteError(f"no device server {name!r} is installed (there are: {names}){or_meant(name, devices)}")


def _is_core(name: str) -> bool:
    known = known_entry(name)
    return known is not None and known.kind is Kind.CORE


def programs_of(entries: Sequence[Entry], options: dict[str, str] | None = None) -> list[Program]:
    """Returns the programs of table entries; the errors of `Entry.program` apply."""
    return [entry.program(options) for entry in entries]
