"""Log records of a site, the last ones, from the files."""

from __future__ import annotations

from html import escape
from pathlib import Path

from camtest.display.markup import STATUS_COLOURS, block, code
from egse.env import get_log_file_location
from egse.logger.reading import LogFolder, RecordFilter
from egse.logger.records import LEVELS, LogMessage, console_text
from egse.settings import Settings


class LogView(list[LogMessage]):
    """Log records, oldest first, to be shown."""

    def __repr__(self) -> str:
        return "\n".join(map(console_text, self)) or "no log records"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        rows = "".join(map(_row, self))
        text = f"<table>{rows}</table>" if self else "no log records"
        return {"text/plain": repr(self), "text/html": block(text)}


def _row(message: LogMessage) -> str:
    colour = STATUS_COLOURS.get(message.level, "inherit")
    more = (
        f"<details><summary>traceback</summary>{code(message.traceback)}</details>"
        if message.traceback
        else ""
    )
    cells = (
        f"<td>{escape(message.ts[11:23])}</td>",
        f'<td style="color:{colour}"><b>{escape(message.level)}</b></td>',
        f"<td>{escape(message.process)}</td>",
        f'<td style="text-align:left;white-space:pre-wrap">{escape(message.message)}{more}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"


def log_view(
    count: int = 20, level: str = "INFO", *, obsid: str = "", process: str = "", folder: Path | None = None
) -> LogView:
    """Returns the last log records of the site.

    Args:
        count: how many.
        level: lowest level.
        obsid: of this observation only.
        process: of processes with such a name only, `*_cs`.
        folder: of the log files; that of this site when None.

    Raises:
        FileNotFoundError: when there is no log file.
        ValueError: when there is no such level.
    """
    if level.upper() not in LEVELS:
        raise ValueError(f"{level!r} is no level of the log: {', '.join(LEVELS)}")
    name = Settings.load("Logging Control Server").get("FILENAME", "general.log")
    files = LogFolder(get_log_file_location() if folder is None else folder, name)
    wanted = RecordFilter(level.upper(), (process,) if process else (), obsid=obsid)
    return LogView(files.last(wanted, count))
