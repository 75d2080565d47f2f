"""A readable report on raw files, as text or HTML; `create_hdf5_report` is also a command.

The HTML page stands alone: no script, no file beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from egse.h5.check import ERROR, FileReport, FrameReport
from egse.version import VERSION

_STYLE = """
body { font-family: sans-serif; margin: 2em; color: #222; }
table { border-collapse: collapse; margin: .6em 0 1.2em; }
th, td { border: 1px solid #ccc; padding: .2em .6em; text-align: right; font-variant-numeric: tabular-nums; }
th { background: #f0f0f0; } td.text, th.text { text-align: left; }
.error { color: #b00020; } .warning { color: #8a6100; } .good { color: #1b6e2e; }
"""

_COLUMNS = (
    "frame",
    "timecode",
    "received (UTC)",
    "packets",
    "lost",
    "spoiled",
    "MB",
    "rows",
    "CCD order",
    "mode",
)


def create_hdf5_report(reports: Sequence[FileReport], html: bool = False) -> str:
    """Returns the report on raw files.

    Args:
        reports: as from `check_hdf5_files`.
        html: as an HTML page instead of text.
    """
    return _html(reports) if html else _text(reports)


def summary(reports: Sequence[FileReport]) -> str:
    """Returns the totals in one sentence."""
    frames = [frame for report in reports for frame in report.frames]
    bad = sum(not report.is_good for report in reports)
    verdict = "all are good" if not bad else f"{bad} have errors"
    return (
        f"{len(reports)} files, {len(frames)} frames, {sum(frame.packets for frame in frames)} packets, "
        f"{sum(frame.lost for frame in frames)} lost, {sum(frame.bad for frame in frames)} spoiled: {verdict}"
    )


def _row(frame: FrameReport) -> list[str]:
    fields = frame.attributes
    rows = f"{fields['v_start']}-{fields['v_end']}" if {"v_start", "v_end"} <= set(fields) else "-"
    return [
        str(frame.number),
        "-" if frame.timecode is None else str(frame.timecode),
        frame.timestamp or "-",
        str(frame.packets),
        str(frame.lost),
        str(frame.bad),
        f"{frame.size / 1e6:.2f}",
        rows,
        str(fields.get("ccd_readout_order", "-")),
        str(fields.get("ccd_mode_config", "-")),
    ]


def _title(report: FileReport) -> str:
    return f"{report.path.name}, format {report.version or '?'}, observation {report.obsid or '-'}"


def _text(reports: Sequence[FileReport]) -> str:
    lines = []
    for report in reports:
        lines.append(f"{'good ' if report.is_good else 'ERROR'} {_title(report)}")
        table = [list(_COLUMNS), *(_row(frame) for frame in report.frames)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        if report.frames:
            lines += [
                "      " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
                for row in table
            ]
        lines += [f"      {finding}" for finding in report.findings]
    lines.append(summary(reports))
    return "\n".join(lines)


def _html(reports: Sequence[FileReport]) -> str:
    body = "\n".join(_section(report) for report in reports)
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><title>Raw camera files</title>"
        f"<style>{_STYLE}</style></head><body>\n<h1>Raw camera files</h1>\n<p>{escape(summary(reports))}</p>\n"
        f"{body}\n<p>CGSE {escape(VERSION)}</p></body></html>\n"
    )


def _section(report: FileReport) -> str:
    verdict = "<span class='good'>good</span>" if report.is_good else "<span class='error'>errors</span>"
    head = "".join(f"<th>{escape(column)}</th>" for column in _COLUMNS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _row(frame)) + "</tr>\n"
        for frame in report.frames
    )
    findings = "".join(
        f"<li class='{'error' if finding.level == ERROR else 'warning'}'>{escape(str(finding))}</li>\n"
        for finding in report.findings
    )
    return (
        f"<h2>{escape(_title(report))}: {verdict}</h2>\n<p>{escape(str(report.path))}</p>\n"
        f"<table><tr>{head}</tr>\n{rows}</table>\n<ul>\n{findings}</ul>"
    )
