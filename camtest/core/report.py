"""The as-run report of an observation: one HTML page that stands alone, made from the files of the archive."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from camtest.core.notes import Note
from camtest.core.page import page, pairs, rows
from camtest.core.sequence import CommandSequence
from camtest.core.sequence.exports import table_html
from camtest.core.sequence.views import timeline_svg
from camtest.core.values import as_text

if TYPE_CHECKING:
    from egse.archive import Observation, Problem
    from egse.storage.manifest import FileEntry, Supplement

_LEVELS = ("WARNING", "ERROR", "CRITICAL")
_MOST_LOG = 500
_SAID = frozenset(("question", "answer", "question-unanswered", "verb", "held", "decided", "undecided"))
"""What was asked of operators and what they wanted, besides remarks and red lines."""
_NOT_TOLD = frozenset(("event", "t", "pid", "seq", "by", "key", "number"))


def make_report(
    observation: Observation, problems: Iterable[Problem] | None = None, plan: CommandSequence | None = None
) -> str:
    """Returns the report of an observation as HTML.

    Args:
        observation: closed or running.
        problems: what `verify` found; None: it was not asked.
        plan: sequence of a dry run, with which the as-run sequence is compared.
    """
    sequence = CommandSequence.of_observation(observation.folder)
    sections = {
        "Summary": _summary(observation, problems),
        "Deviations from the procedure (red lines)": _red_lines(observation),
        "Questions, verbs, decisions and remarks": _said(observation),
        "Plan against as-run": "" if plan is None else plan.diff(sequence).to_html(),
        "Parameters": pairs({name: as_text(value) for name, value in _parameters(observation).items()}),
        "Steps of the notebook": _cells(observation),
        "What failed": _failures(sequence),
        "Timeline": timeline_svg(sequence),
        "As-run sequence": table_html(sequence) if sequence else "<p>Nothing was commanded.</p>",
        "Log: warnings and errors": _log(observation),
        "Setup and software": _software(observation),
        "Files": _files(observation),
    }
    body = f"<h1>Observation {escape(observation.obsid)}</h1>"
    body += "".join(f"<h2>{escape(title)}</h2>{html}" for title, html in sections.items() if html)
    return page(f"Observation {observation.obsid}", body, mode=sequence.mode)


def _parameters(observation: Observation) -> Mapping[str, Any]:
    manifest = observation.manifest
    if manifest is not None and manifest.parameters:
        return manifest.parameters
    found = (observation.info.details if observation.info else {}).get("parameters")
    return found if isinstance(found, Mapping) else {}


def _summary(observation: Observation, problems: Iterable[Problem] | None) -> str:
    manifest = observation.manifest
    details = observation.info.details if observation.info else {}
    who = manifest.who if manifest else {}
    facts = {
        "status": observation.status or observation.state,
        "reason": observation.reason,
        "started": observation.start,
        "ended": observation.end,
        "procedure": observation.function,
        "description": observation.description,
        "notebook": details.get("notebook"),
        "operator": who.get("origin") or (observation.info.origin if observation.info else ""),
        "session": who.get("session") or details.get("session"),
        "site": observation.name.site_id,
        "camera": observation.name.camera,
        "Setup": f"{observation.name.setup_id:05d}" if observation.name.setup_id is not None else "",
        "continues": details.get("continues"),
        "before it": manifest.previous.obsid if manifest and manifest.previous else "",
    }
    return pairs(facts) + _verdict(problems)


def _verdict(problems: Iterable[Problem] | None) -> str:
    if problems is None:
        return ""
    found = [problem for problem in problems if problem.kind not in ("pruned", "open")]
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    if not found:
        return f'<p class="good">Verified at {when}: every file is as recorded.</p>'
    items = "".join(f"<li>{escape(str(problem))}</li>" for problem in found)
    return f'<p class="bad"><b>Verified at {when}: NOT as recorded</b></p><ul class="bad">{items}</ul>'


def _red_lines(observation: Observation) -> str:
    parts = []
    for event in observation.events.where(event="red-line"):
        values = "".join(
            f"{escape(str(event[key]))} {arrow} " for key, arrow in (("planned", "&rarr;"),) if key in event
        )
        values += escape(str(event["actual"])) if "actual" in event else ""
        parts.append(
            f'<div class="redline"><b>RED LINE {escape(str(event.get("number", "")))}: '
            f"{escape(str(event.get('kind', '')))} {escape(str(event.get('what', '')))}</b> {values}<br>"
            f"Reason: {escape(str(event.get('reason', '')))}<br>"
            f"By {escape(str(event.get('by', '')))}, agreed by {escape(str(event.get('second', '')))}, "
            f"{_clock(event.get('t'))}</div>"
        )
    return "".join(parts)


def _said(observation: Observation) -> str:
    lines: list[tuple[str, str, str, str]] = []
    for event in observation.events:
        kind = str(event.get("event", ""))
        if kind in _SAID:
            known = {k: v for k, v in event.items() if k not in _NOT_TOLD and v not in (None, "", [])}
            told = "; ".join(f"{key}: {as_text(value)}" for key, value in known.items())
            lines.append((_clock(event.get("t")), kind, str(event.get("by", "")), told))
    for record in observation.notes:
        if "file" in record:
            note = Note.from_text(str(record["text"]))
            lines.append((note.time, f"note {note.quality}".strip(), note.by, note.text))
        else:
            told = str(record.get("text", record.get("message", "")))
            lines.append((_clock(record.get("t")), "remark", str(record.get("by", "")), told))
    return rows(("time", "kind", "by", "text"), lines) if lines else ""


def _clock(seconds: Any) -> str:
    if not isinstance(seconds, (int, float)):
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def _cells(observation: Observation) -> str:
    ended = observation.events.where(event="cell-end")
    lines = [
        (
            e.get("cell", ""),
            e.get("title", ""),
            e.get("status", ""),
            f"{float(e.get('duration') or 0.0):.1f} s",
        )
        for e in ended
    ]
    return rows(("cell", "title", "status", "took"), lines) if lines else ""


def _failures(sequence: CommandSequence) -> str:
    failed = [(f"{entry.start:.3f}", entry.call, entry.error) for entry in sequence if entry.error]
    return rows(("time [s]", "call", "error"), failed) if failed else ""


def _log(observation: Observation) -> str:
    path = observation.folder / f"{observation.prefix}_log.jsonl"
    lines = []
    try:
        with path.open("rb") as file:
            for line in file:
                record = msgspec.json.decode(line, type=dict[str, Any])
                if record.get("level") in _LEVELS:
                    lines.append([record.get(key, "") for key in ("ts", "level", "process", "message")])
    except (OSError, msgspec.MsgspecError):
        return ""  # none was taken, or it is damaged, which `verify` says
    left = len(lines) - _MOST_LOG
    more = f"<p>... and {left} more in {escape(path.name)}</p>" if left > 0 else ""
    return rows(("time", "level", "process", "message"), lines[:_MOST_LOG]) + more if lines else ""


def _software(observation: Observation) -> str:
    manifest = observation.manifest
    if manifest is None:
        return ""
    facts: dict[str, Any] = {"Setup": f"{manifest.setup_id:05d} SHA-256 {manifest.setup.get('sha256', '')}"}
    for side in ("client", "server"):
        known = manifest.software.get(side) or {}
        git = known.get("git") or {}
        state = (
            f"{git.get('describe') or git.get('hash', '')}{' (changed)' if git.get('dirty') else ''}"
            if git
            else ""
        )
        facts[side] = (
            ", ".join(
                str(text)
                for text in (
                    known.get("cgse"),
                    known.get("ts"),
                    state,
                    f"Python {known.get('python', '?')}",
                    known.get("platform"),
                )
                if text
            )
            if known
            else ""
        )
    kernel = (manifest.software.get("client") or {}).get("kernel") or {}
    facts["kernel"] = f"{kernel.get('name', '')} {kernel.get('version', '')}".strip()
    facts["packages"] = manifest.records.get("packages", "")
    return pairs(facts)


def _files(observation: Observation) -> str:
    manifest = observation.manifest
    if manifest is None:
        return rows(("file",), [(path.name,) for path in observation.files])
    listed: list[FileEntry | Supplement] = [*manifest.files, *manifest.external, *observation.supplements]
    lines = [(entry.path, f"{entry.size:,}", entry.sha256) for entry in listed]
    return rows(("file", "bytes", "SHA-256"), lines)


def write_report(observation: Observation, path: Path, **given: Any) -> Path:
    """Writes the report of an observation into a file; see `make_report`."""
    path.write_text(make_report(observation, **given), encoding="utf-8")
    return path
