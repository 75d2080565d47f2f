"""Device servers as units of systemd, `cgse-device@NAME`: started, stopped and looked at with `systemctl`.

The unit files are made by `egse.site.systemd`. What a server is started with besides `start` stands in a file of the
run directory, which the unit reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from egse.files import write_atomically
from egse.process import LaunchError, ProgramStatus, State, SubProcess
from egse.process.launcher import describe_exit
from egse.site.programs import Entry, Kind, script

TIMEOUT = 10.0
"""How long systemctl may take for an answer [s]."""
LINES = 12
"""How many last lines of the journal are told of a server that crashed."""
PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "MainPID",
    "Result",
    "ExecMainStatus",
    "NRestarts",
)

_STATES = {
    "active": State.RUNNING,
    "reloading": State.RUNNING,
    "activating": State.STARTING,
    "deactivating": State.STOPPING,
    "failed": State.FATAL,
    "inactive": State.STOPPED,
}


def unit_name(entry: Entry) -> str:
    """Returns the unit of a server: one of its own for a core service, an instance of the template for others."""
    return f"{entry.name}.service" if entry.kind is Kind.CORE else device_unit(entry.name)


def device_unit(name: str) -> str:
    """Returns the unit of a device server."""
    return f"cgse-device@{name}.service"


def options_folder(run_dir: Path) -> Path:
    """Returns the folder with the options of device servers, one file each."""
    return run_dir / "units"


class UnitKeeper:
    """Servers as units of systemd, see `egse.site.keepers.Keeper`.

    Args:
        run_dir: the run directory of the site.
    """

    name = "systemd"

    def __init__(self, run_dir: Path) -> None:
        self._options = options_folder(run_dir)
        self._reasons: dict[tuple[str, ...], str] = {}

    def start(self, entry: Entry, *, simulator: bool = False) -> None:
        """See `Keeper`."""
        script(entry.name)
        unit = device_unit(entry.name)
        self._options.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = "CGSE_OPTIONS=--simulator\n" if simulator else "CGSE_OPTIONS=\n"
        write_atomically(self._options / f"{entry.name}.env", options.encode(), 0o600)
        _systemctl("reset-failed", unit, check=False)
        _systemctl("start", unit)

    def stop(self, names: Iterable[str]) -> None:
        """See `Keeper`."""
        units = [device_unit(name) for name in names]
        if units:
            _systemctl("stop", "--no-block", *units)

    def states(self, entries: Iterable[Entry]) -> dict[str, ProgramStatus]:
        """See `Keeper`."""
        units = {unit_name(entry): entry.name for entry in entries}
        if not units:
            return {}
        text = _systemctl("show", f"--property={','.join(PROPERTIES)}", *units)
        found = [_properties(block) for block in text.split("\n\n") if block.strip()]
        return {
            units[unit["Id"]]: self._status(unit)
            for unit in found
            if unit.get("Id") in units and unit.get("LoadState") == "loaded"
        }

    def is_simulator(self, name: str) -> bool | None:
        """See `Keeper`."""
        try:
            options = (self._options / f"{name}.env").read_text(encoding="utf-8")
        except OSError:
            return None
        return "--simulator" in options

    def _status(self, unit: Mapping[str, str]) -> ProgramStatus:
        """Returns the state of a unit in the terms of the supervisor."""
        state = _STATES.get(unit.get("ActiveState", ""), State.STOPPED)
        if state is State.STARTING and unit.get("SubState") == "auto-restart":
            state = State.BACKOFF
        pid = int(unit.get("MainPID") or 0) or None
        crashed = state in (State.BACKOFF, State.FATAL)
        restarts = int(unit.get("NRestarts") or 0)
        return ProgramStatus(
            state=state,
            pid=pid,
            since=_started(pid),
            restarts=restarts,
            crashes=restarts + 1 if crashed else 0,
            reason=self._reason(unit) if crashed else "",
        )

    def _reason(self, unit: Mapping[str, str]) -> str:
        """Returns why a unit does not run; its journal is read once for each crash."""
        key = (
            unit["Id"],
            unit.get("NRestarts", ""),
            unit.get("ExecMainStatus", ""),
            unit.get("ActiveState", ""),
        )
        if key not in self._reasons:
            self._reasons = {known: text for known, text in self._reasons.items() if known[0] != key[0]}
            self._reasons[key] = _read_reason(unit)
        return self._reasons[key]


def _properties(block: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in block.splitlines())
    return {name: value for name, _, value in pairs}


def _started(pid: int | None) -> float:
    try:
        return psutil.Process(pid).create_time() if pid is not None else 0.0
    except psutil.Error:
        return 0.0


def _read_reason(unit: Mapping[str, str]) -> str:
    """Returns why a unit does not run, with the last lines of its journal."""
    status = int(unit.get("ExecMainStatus") or 0)
    result = unit.get("Result", "")
    text = describe_exit(-status if result in ("signal", "core-dump") else status)
    if result not in ("success", "exit-code", "signal", "core-dump"):
        text = f"{text} ({result})"
    lines = _run(["journalctl", "--quiet", "--no-pager", "-o", "cat", "-n", str(LINES), "-u", unit["Id"]])[0]
    return f"{unit['Id']} {text}" + (f":\n{lines.strip()}" if lines.strip() else "")


def _systemctl(*arguments: str, check: bool = True) -> str:
    """Runs systemctl and returns what it printed.

    Raises:
        LaunchError: when it fails, and `check`.
    """
    output, errors, code = _run(["systemctl", "--no-ask-password", *arguments])
    if code != 0 and check:
        raise LaunchError(f"systemctl {' '.join(arguments)} failed: {errors.strip() or f'exit code {code}'}")
    return output


def _run(command: list[str]) -> tuple[str, str, int]:
    try:
        with SubProcess(command[0], command) as child:
            output, errors = child.communicate(TIMEOUT)
            return output, errors, child.returncode or 0
    except FileNotFoundError:
        return "", f"there is no {command[0]} on this machine", 127
    except TimeoutError as exc:
        return "", str(exc), 124
