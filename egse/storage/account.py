"""What the manifest of an observation says besides the list of its files: who, where, why, with what, what people said."""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from egse.version import get_software_state

if TYPE_CHECKING:
    from egse.storage.observation import ObservationInfo

LOGGER = logging.getLogger(__name__)

LOG_FILE = "log.jsonl"
"""Name, without prefix, of the extract of the log."""
REMARK, RED_LINE = "note", "red-line"
PROMPTS = frozenset(("question", "answer", "question-unanswered"))
"""Kinds of events that people cause: remarks, deviations from the procedure, and questions with what came of them."""

PATIENCE = 2.0
"""How long a seal waits for git at most [s]."""

_ROLES = {
    "setup": "setup.yaml",
    "commands": "commands.jsonl",
    "events": "events.jsonl",
    "log": LOG_FILE,
    "parameters": "parameters.json",
    "packages": "versions.json",
    "kernel": "versions.json",
    "telemetry": "telemetry.csv",
}
_INPUT = "_input.ipynb"


def describe(folder: Path, info: ObservationInfo) -> dict[str, Any]:
    """Returns the fields of the manifest that follow from the description of an observation and from its files.

    Args:
        folder: the folder of the observation, complete but for the manifest.
        info: the observation.
    """
    details = info.details
    counts: Counter[str] = Counter()
    said: dict[str, list[dict[str, Any]]] = {"remarks": [], "prompts": [], "red_lines": []}
    for event in _events(folder / f"{info.prefix}_events.jsonl"):
        kind = str(event.get("event", ""))
        counts[kind] += 1
        if kind == REMARK:
            said["remarks"].append(event)
        elif kind == RED_LINE:
            said["red_lines"].append(event)
        elif kind in PROMPTS:
            said["prompts"].append(event)
    return {
        "mode": str(details.get("mode", "")),
        "who": {
            "origin": info.origin,
            "claimed": details.get("origin") or details.get("operator", ""),
            "session": details.get("session", ""),
            "program": details.get("program", ""),
            "supervised": info.supervised,
        },
        "where": {
            "site": info.site_id,
            "camera": info.camera,
            "host": socket.gethostname(),
            "folder": str(folder),
        },
        "why": {
            "function": info.function,
            "description": info.description,
            **{key: details[key] for key in ("notebook", "continues") if details.get(key)},
        },
        "parameters": details.get("parameters") or {},
        "setup": {
            "id": info.setup_id,
            "sha256": info.setup_sha256,
            "files": details.get("setup_files") or {},
        },
        "software": {"client": _client_software(folder, info.prefix), "server": server_software()},
        "records": _records(folder, info.prefix),
        "events": dict(counts),
        **said,
        "previous": info.previous,
    }


def _events(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as lines:
            for line in lines:
                try:
                    yield msgspec.json.decode(line, type=dict[str, Any])
                except msgspec.MsgspecError as exc:
                    LOGGER.warning("%s: an event cannot be read: %s", path, exc)
    except FileNotFoundError:
        return


def _records(folder: Path, prefix: str) -> dict[str, str]:
    """Returns which file plays which part, for those that are there."""
    found = {
        role: f"{prefix}_{name}" for role, name in _ROLES.items() if (folder / f"{prefix}_{name}").is_file()
    }
    for path in sorted(folder.glob(f"{prefix}_*.ipynb")):
        found["notebook_before" if path.name.endswith(_INPUT) else "notebook_after"] = path.name
    return found


def _client_software(folder: Path, prefix: str) -> dict[str, Any]:
    """Returns what the client said that it ran, without the packages."""
    try:
        known = msgspec.json.decode((folder / f"{prefix}_versions.json").read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as exc:
        LOGGER.debug("%s: nothing is known of the software of the client: %s", prefix, exc)
        return {}
    return {name: value for name, value in known.items() if name != "packages"}


_looking: list[Future[dict[str, Any]]] = []


def look_at_software() -> None:
    """Begins to find out versions and the state of the checkout of this process; git takes a while."""
    if not _looking:
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sm-software")
        _looking.append(executor.submit(get_software_state))
        executor.shutdown(wait=False)


def server_software() -> dict[str, Any]:
    """Returns versions and state of the checkout of this process, as found when they were first looked at."""
    look_at_software()
    try:
        return _looking[0].result(PATIENCE)
    except (TimeoutError, OSError, KeyError) as exc:
        LOGGER.warning("the manifest is without the versions of the server: %s", exc or "git is too slow")
        return {}
