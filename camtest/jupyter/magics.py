"""Magics of a camtest session: short words for what operators look at all day.

Whatever can be asked with a magic is a function too; magics only find the words for the usual case.
"""

from __future__ import annotations

import re
import shlex
import sys
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_cell_magic, line_magic, magics_class
from IPython.display import display

from camtest.core.exec import ObservationError, current_obsid, observation
from camtest.core.services import configuration_manager
from camtest.display import ServerTable, device_status, housekeeping, log_view
from camtest.display.parameters import RECENT
from camtest.jupyter.cells import awaits, dry_run_of_cell, run_inner_cell
from camtest.jupyter.errors import full_errors, server_tracebacks
from camtest.jupyter.servers import all_servers, proxy_of
from camtest.jupyter.status import StatusLine
from camtest.state import GlobalState, is_dry_run_only
from egse.archive import Observation
from egse.archive.query import parse_moment, parse_until
from egse.setup import diff_setups, get_setup, list_setups, load_setup

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|)")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@magics_class
class CamtestMagics(Magics):
    """The magics.

    Args:
        shell: the interactive shell.
        status: the line of the session's state.
    """

    def __init__(self, shell: Any, status: StatusLine) -> None:
        super().__init__(shell)
        self.shell: Any = shell
        self._status = status
        self._full_tb = shell.find_line_magic("tb")

    @line_magic
    def status(self, line: str) -> None:
        """%status: site, Setup, observation, and whether commands reach hardware."""
        _no_arguments("%status", line)
        self._status.show()

    @line_magic
    def setup(self, line: str) -> Any:
        """%setup: the Setup. `%setup 12` loads number 12, `%setup list` lists them, `%setup diff 11 [12]` compares."""
        words = _words(line)
        if not words:
            if GlobalState.setup is None:
                raise UsageError(
                    "no Setup is loaded: `%setup list` shows what there is, `%setup ID` loads one"
                )
            return GlobalState.setup
        if words == ["list"]:
            return list_setups()
        if words[0] == "diff" and len(words) in (2, 3):
            return diff_setups(get_setup(words[1]), get_setup(words[2] if len(words) == 3 else None))
        if len(words) == 1 and words[0].isdigit():
            before = GlobalState.setup
            loaded = load_setup(words[0])
            return loaded if before is None else diff_setups(before, loaded)
        raise UsageError("%setup | %setup ID | %setup list | %setup diff ID [ID]")

    @line_magic
    def obs(self, line: str) -> Any:
        """%obs: the card of the running observation, or of the last one. `%obs 1151`: of that one."""
        words = _words(line)
        if len(words) > 1:
            raise UsageError("%obs [OBSID]")
        return Observation(words[0] if words else _running_or_last())

    @cell_magic
    def observation(self, line: str, cell: str) -> None:
        """%%observation "description": the cell runs as an observation, closed with how it ended."""
        description = " ".join(_words(line))
        if awaits(self.shell, cell):
            raise UsageError(
                "%%observation cannot run a cell that awaits something. In a cell without the magic write:\n"
                f"    with observation({description!r}) as obsid:\n        await ..."
            )
        with observation(description) as obsid:
            print(f"Observation {obsid}")  # noqa: T201
            run_inner_cell(self.shell, cell, f"observation {obsid}")

    @line_magic
    def hk(self, line: str) -> Any:
        """%hk NAME [NAME ...] [--last 1h | --obsid 1151 | --day 20261125 | --since T [--until T]]: last values, limits, plots.

        Alarms, observations and building blocks are drawn into the plots. Without a time: the running observation, else the
        last 10 minutes. T is a UTC time (2026-11-25T07:30), today, yesterday, or how long ago (12h, 3d).
        """
        options, names = _options(line, ("--last", "--obsid", "--day", "--since", "--until"))
        if (
            not names
            or (len(options) > 1 and set(options) != {"--since", "--until"})
            or set(options) == {"--until"}
        ):
            raise UsageError(
                "%hk NAME [NAME ...] [--last 10m | --obsid OBSID | --day YYYYMMDD | --since T [--until T]]"
            )
        when: dict[str, Any] = {}
        if "--last" in options:
            when["time_window"] = _seconds(options["--last"])
        elif "--obsid" in options:
            when["obsid"] = options["--obsid"]
        elif "--day" in options:
            when["od"] = options["--day"]
        elif "--since" in options:
            when["time_window"] = (
                _moment(options["--since"]),
                _moment(options.get("--until", "0min"), until=True),
            )
        elif not GlobalState.dry_run and current_obsid():
            when["obsid"] = current_obsid()
        else:
            when["time_window"] = RECENT
        return housekeeping(*names, setup=None if "obsid" in when else GlobalState.setup, **when)

    @line_magic
    def cs(self, line: str) -> Any:
        """%cs: all control servers of the site. `%cs ogse_cs`: one of them, with the last housekeeping of its device."""
        words = _words(line)
        if len(words) > 1:
            raise UsageError("%cs [NAME]")
        return device_status(proxy_of(words[0])) if words else ServerTable(*all_servers())

    @line_magic
    def log(self, line: str) -> Any:
        """%log [N] [LEVEL] [PROCESS]: the last N log records (20) of LEVEL (INFO) and above, of processes like `*_cs`."""
        count, level, process = 20, "INFO", ""
        for word in _words(line):
            if word.isdigit():
                count = int(word)
            elif word.isupper() or word.lower() in ("debug", "info", "warning", "error", "critical"):
                level = word.upper()
            else:
                process = word
        return log_view(count, level, process=process)

    @line_cell_magic
    def dryrun(self, line: str, cell: str | None = None) -> Any:
        """%dryrun on|off: all commands of this session go to models, or to the devices again. %%dryrun: those of a cell."""
        words = _words(line)
        if cell is not None:
            if awaits(self.shell, cell):
                raise UsageError(
                    "%%dryrun cannot run a cell that awaits something. Without the magic, in three cells:\n"
                    "    %dryrun on\n    await ...\n    %dryrun off"
                )
            return dry_run_of_cell(self.shell, cell, " ".join(words) or "cell")
        if words and words not in (["on"], ["off"]):
            raise UsageError("%dryrun [on|off], or %%dryrun at the top of a cell")
        if words == ["on"]:
            GlobalState.dry_run = True
        elif words == ["off"]:
            if is_dry_run_only():
                raise UsageError("this kernel is for dry runs only; choose the kernel camtest for operations")
            finished = GlobalState.command_sequence if GlobalState.dry_run else None
            GlobalState.dry_run = False
            if finished:
                display(finished)  # type: ignore[no-untyped-call]
        return None

    @line_magic
    def tb(self, line: str) -> Any:
        """%tb: the last exception in full. `%tb server`: where it happened in the control server."""
        if line.strip() != "server":
            vars(getattr(sys, "last_value", None) or self).pop("_render_traceback_", None)
            with full_errors(self.shell):
                return self._full_tb(line)
        found = server_tracebacks(getattr(sys, "last_value", None))
        if not found:
            raise UsageError("the last exception here does not come from a control server")
        print("\n".join(found))  # noqa: T201
        return None


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as exc:
        raise UsageError(f"{line}: {exc}") from exc


def _seconds(text: str) -> float:
    """Returns a span of time as operators type it, `90`, `10m`, `2h`, in seconds."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no span of time: 90 (seconds), 10m, 2h, 1d")
    return float(match[1]) * _UNITS[match[2]]


def _moment(text: str, *, until: bool = False) -> float:
    """Returns a moment as operators type it as Unix time [s]."""
    try:
        return parse_until(text) if until else parse_moment(text)
    except ValueError as exc:
        raise UsageError(str(exc)) from exc


def _no_arguments(name: str, line: str) -> None:
    if line.strip():
        raise UsageError(f"{name} takes no arguments")


def _options(line: str, names: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """Returns options with their values, and all other words."""
    options: dict[str, str] = {}
    others: list[str] = []
    words = iter(_words(line))
    for word in words:
        if not word.startswith("--"):
            others.append(word)
        elif word in names:
            options[word] = next(words, "")
            if not options[word]:
                raise UsageError(f"{word} needs a value")
        else:
            raise UsageError(f"there is no {word}: {', '.join(names)}")
    return options, others


def _running_or_last() -> str:
    """Returns the observation of this session, else that of the site, else the last one."""
    if GlobalState.dry_run:
        raise UsageError("a dry run leaves no observation; `%obs OBSID` shows one of the archive")
    try:
        running = current_obsid()
    except ObservationError:
        running = None
    if running:
        return running
    with configuration_manager() as manager:
        found = manager.list_observations(last=1)
    if not found:
        raise UsageError("there is no observation at this site yet")
    return str(found[0]["obsid"])
