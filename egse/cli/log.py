"""`cgse log`: reads the log files of a site in a terminal."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from egse.cli.common import tells_errors
from egse.clock import system_clock
from egse.env import EnvError, get_log_file_location
from egse.logger.reading import LogFolder, RecordFilter, parse_moment
from egse.logger.records import LEVELS, LogMessage, console_text
from egse.settings import Settings
from egse.site.layout import SiteError
from egse.site.sites import join_current_site

LAST = 50
"""How many records are shown when nothing else is asked for."""
INTERVAL = 0.2
"""How often new records are looked for [s]."""

_STYLES = {
    "DEBUG": "dim",
    "INFO": "green",
    "WARNING": "yellow",
    "ERROR": "red",
    "CRITICAL": "bold white on red",
}


class Moment(click.ParamType):  # type: ignore[type-arg]
    """A moment on the command line."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the moment as log records have it."""
        try:
            return parse_moment(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


class Regex(click.ParamType):  # type: ignore[type-arg]
    """A regular expression on the command line."""

    name = "regex"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> re.Pattern[str]:
        """Returns the compiled expression."""
        try:
            return re.compile(value)
        except re.error as exc:
            self.fail(f"{value!r} is no regular expression: {exc}", param, ctx)


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on, and show records as they come.")
@click.option(
    "--level", type=click.Choice(LEVELS, case_sensitive=False), default="DEBUG", help="Lowest level."
)
@click.option(
    "--process", "processes", multiple=True, metavar="GLOB", help="Name of the process, e.g. '*_cs'."
)
@click.option("--since", type=Moment(), help="Earliest moment: 10m, 2h, today, 07:30, 2026-11-25T07:30.")
@click.option("--until", type=Moment(), help="Latest moment.")
@click.option("--obsid", default="", help="Observation: the full obsid or its number.")
@click.option("--grep", type=Regex(), help="Regular expression that occurs in the message.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with all fields.")
@click.option(
    "-n", "count", type=click.IntRange(0), help=f"The last N records. [default: {LAST}, or all since a time]"
)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Folder of the log files.")
@tells_errors
def log(
    follow: bool,
    level: str,
    processes: tuple[str, ...],
    since: str | None,
    until: str | None,
    obsid: str,
    grep: re.Pattern[str] | None,
    as_json: bool,
    count: int | None,
    folder: Path | None,
) -> None:
    """Show the log records of all processes, from the files; no service need run. Times are UTC.

    Example: cgse log --follow --level WARNING
    """
    files = _log_folder(folder)
    wanted = RecordFilter(level.upper(), processes, since or "", until or "", obsid, grep)
    show = _show_json if as_json else _show_text()
    if count is None and not since and not until:
        count = LAST
    with contextlib.ExitStack() as stack:
        end = files.end()
        if end is not None:
            stack.callback(end.close)
        for message in files.records(wanted, end) if count is None else files.last(wanted, count, end):
            show(message)
        if follow:
            stack.enter_context(contextlib.suppress(KeyboardInterrupt))
            for message in files.follow(wanted, _wait, end):
                show(message)


def _wait() -> bool:
    sys.stdout.flush()
    system_clock().sleep(INTERVAL)
    return True


def _log_folder(folder: Path | None) -> LogFolder:
    try:
        if folder is None:
            join_current_site()
            folder = get_log_file_location()
        return LogFolder(folder, Settings.load("Logging Control Server").get("FILENAME", "general.log"))
    except (FileNotFoundError, EnvError) as exc:
        raise SiteError(f"{exc}; --folder names the folder of the log files") from exc


def _show_json(message: LogMessage) -> None:
    fields = msgspec.to_builtins(message) | {"mode": message.mode}
    fields.pop("at", None)
    click.echo(msgspec.json.encode(fields))


def _show_text() -> Callable[[LogMessage], None]:
    if not sys.stdout.isatty():
        return lambda message: click.echo(console_text(message))
    from rich.console import Console  # only for a terminal: it takes time to import
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)

    def show(message: LogMessage) -> None:
        first, *rest = console_text(message).split("\n")
        console.print(Text("\n".join([first + _about(message), *rest]), style=_STYLES[message.level]))

    return show


def _about(message: LogMessage) -> str:
    mode = "" if message.mode == "operations" else message.mode
    about = " ".join(word for word in (message.obsid, message.block, mode) if word)
    return f"  [{about}]" if about else ""
