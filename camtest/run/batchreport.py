"""The summary of a batch: one HTML page for people, one JUnit XML file for programs."""

from __future__ import annotations

import html
import time
from pathlib import Path
from xml.etree import ElementTree

from camtest.run.attempts import Attempt
from camtest.run.batch import BatchState
from camtest.run.plan import Item
from egse.files import write_atomically

_COLOURS = {"done": "#1a6e3c", "skipped": "#b36b00", "not-run": "#777"}
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%}td,th{padding:.35em .6em;border-bottom:1px solid #ddd;text-align:left;
vertical-align:top}th{background:#f4f4f4}td.n{text-align:right;font-variant-numeric:tabular-nums}
.s{font-weight:600}code{font-size:90%}.r{color:#555}
"""


def write_reports(state: BatchState) -> list[Path]:
    """Writes both reports into the output folder of the batch; a later call replaces them."""
    page = state.output_dir / f"batch_{state.batch_id}.html"
    junit = state.output_dir / f"batch_{state.batch_id}.xml"
    write_atomically(page, html_report(state).encode(), durable=False)
    write_atomically(junit, junit_report(state), durable=False)
    return [page, junit]


def counts(state: BatchState) -> dict[str, int]:
    """Returns how many items have each status, in the order in which they appear."""
    found: dict[str, int] = {}
    for item in state.items:
        status = state.status_of(item)
        found[status] = found.get(status, 0) + 1
    return found


def html_report(state: BatchState) -> str:
    """Returns the page; it stands alone."""
    summary = ", ".join(f"{count} {status}" for status, count in counts(state).items())
    rows = "".join(_row(state, item) for item in state.items)
    heads = "".join(
        f"<th>{head}</th>"
        for head in ("#", "procedure", "status", "observation", "start (UTC)", "took", "expected", "why")
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(state.title)}</title>"
        f"<style>{_STYLE}</style><h1>{html.escape(state.title)}</h1>"
        f"<p>Batch <code>{state.batch_id}</code> of <code>{html.escape(state.plan)}</code>, begun "
        f"{_time(state.start)} UTC: <b>{state.status}</b> ({summary}).</p>"
        f"<table><tr>{heads}</tr>{rows}</table></html>\n"
    )


def _row(state: BatchState, item: Item) -> str:
    status = state.status_of(item)
    attempts = state.attempts.get(item.number) or []
    last = attempts[-1] if attempts else Attempt(status=status)
    estimate = state.estimates.get(item.number)
    expected = last.duration if estimate is None else estimate.duration
    notes = [a.reason for a in attempts if a.reason]
    if len(attempts) > 1:
        notes.insert(0, f"{len(attempts)} attempts")
    obsids = "<br>".join(html.escape(a.obsid) for a in attempts if a.obsid)
    name = html.escape(item.name) if not last.notebook else _link(item, last, state)
    values = "<br>".join(html.escape(f"{key} = {value!r}") for key, value in item.parameters.items())
    mode = "" if item.mode == "run" else f" <span class=r>({item.mode})</span>"
    return (
        f"<tr><td class=n>{item.number}<td>{name}{mode}<br><code class=r>{values}</code>"
        f'<td class=s style="color:{_COLOURS.get(status, "#b00020")}">{status}<td>{obsids}'
        f"<td>{_time(attempts[0].start) if attempts else ''}<td class=n>{_duration(last.end - last.start if last.end else None)}"
        f"<td class=n>{_duration(expected)}<td>{'<br>'.join(map(html.escape, notes))}</tr>"
    )


def _link(item: Item, attempt: Attempt, state: BatchState) -> str:
    path = Path(attempt.notebook)
    target = path.name if path.parent == state.output_dir else path.as_uri()
    return f'<a href="{html.escape(target, quote=True)}">{html.escape(item.name)}</a>'


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) if seconds else ""


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    return f"{rest:.1f} s" if not minutes else f"{int(minutes)} min {rest:02.0f} s"


def junit_report(state: BatchState) -> bytes:
    """Returns the JUnit XML: a failed item is a failure, one that was lost or could not start an error."""
    statuses = [state.status_of(item) for item in state.items]
    failures = [status for status in statuses if status in ("failed", "aborted")]
    skipped = [status for status in statuses if status in ("skipped", "not-run")]
    passed = statuses.count("done")
    suite = ElementTree.Element(
        "testsuite",
        name=state.title,
        tests=str(len(statuses)),
        failures=str(len(failures)),
        skipped=str(len(skipped)),
        errors=str(len(statuses) - passed - len(failures) - len(skipped)),
        timestamp=time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(state.start)),
        time=f"{sum(a.end - a.start for many in state.attempts.values() for a in many if a.end):.3f}",
    )
    for item, status in zip(state.items, statuses, strict=True):
        _case(suite, state, item, status)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(suite: ElementTree.Element, state: BatchState, item: Item, status: str) -> None:
    attempts = state.attempts.get(item.number) or []
    took = attempts[-1].end - attempts[-1].start if attempts and attempts[-1].end else 0.0
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=item.name,
        name=_printable(f"{item.number:03d} {item.label}"),
        time=f"{took:.3f}",
    )
    reason = _printable(attempts[-1].reason if attempts else "")
    if status in ("failed", "aborted"):
        ElementTree.SubElement(case, "failure", type=status, message=reason).text = reason
    elif status in ("skipped", "not-run"):
        ElementTree.SubElement(case, "skipped", message=status)
    elif status != "done":
        ElementTree.SubElement(case, "error", type=status, message=reason).text = reason
    properties = [("obsid", a.obsid) for a in attempts if a.obsid]
    if properties:
        ElementTree.SubElement(case, "system-out").text = "\n".join(f"{k}: {v}" for k, v in properties)


def _printable(text: str) -> str:
    """Returns text without the control characters that XML does not know."""
    return "".join(c for c in text if c in "\t\n\r" or c >= " ")
