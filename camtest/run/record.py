"""What a run leaves in its observation besides the data: notebooks, parameters, versions."""

from __future__ import annotations

import json
import logging
import tempfile
from itertools import chain
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from camtest.core import services
from camtest.core.handle import VERSIONS_FILE, ObservationHandle, software
from camtest.core.values import plain
from camtest.run.notebooks import notebook_bytes, notebook_parts, where_papermill_means
from egse.env import get_data_storage_location
from egse.files import make_folder, write_atomically
from egse.storage.disk import full_disk_is_named

LOGGER = logging.getLogger(__name__)

PARAMETERS_FILE = "parameters.json"
LARGEST_MESSAGE = 64_000_000
"""A file larger than this [bytes] is handed over on disk; the storage manager must be on this machine then."""
STAGING_FOLDER = "spool/notebooks"
"""Where such a file is written, below the data folder of the site."""
ADOPTION_PATIENCE = 120.0
"""How long the storage manager may take for a file on disk [s]."""


BANNER = "camtest-banner"
"""Tag of the cell that says which observation a notebook shows, and in which mode."""


def with_banner(notebook: NotebookNode) -> NotebookNode:
    """Returns a notebook whose first cell says mode, obsid and how the run ended; an earlier banner is replaced."""
    known = notebook.metadata.get("camtest", {})
    facts = [str(known.get("mode", "")).upper(), known.get("obsid", ""), known.get("status", "")]
    text = "> **" + " · ".join(str(fact) for fact in facts if fact) + "**"
    cell = new_markdown_cell(text, metadata={"tags": [BANNER]})  # type: ignore[no-untyped-call]
    others = [each for each in notebook.cells if BANNER not in each.metadata.get("tags", ())]
    copy = NotebookNode(notebook)  # type: ignore[no-untyped-call]
    copy.cells = [cell, *others]
    return copy


def kernel_of(notebook: NotebookNode) -> dict[str, Any]:
    """Returns what an executed notebook says about its kernel: name, language and version."""
    spec, language = notebook.metadata.get("kernelspec", {}), notebook.metadata.get("language_info", {})
    return {
        "name": spec.get("name", ""),
        "title": spec.get("display_name", ""),
        "language": language.get("name", spec.get("language", "")),
        "version": language.get("version", ""),
    }


def store_record(
    handle: ObservationHandle,
    *,
    name: str,
    source: bytes,
    executed: NotebookNode,
    parameters: dict[str, Any],
    given: dict[str, Any],
) -> list[str]:
    """Puts the record of a run into the observation's folder.

    Args:
        handle: the observation.
        name: name of the notebook, without suffix.
        source: the notebook as it was before the run.
        executed: the notebook with its outputs.
        parameters: all parameters with which it ran.
        given: the parameters that the operator gave.

    Returns:
        What could not be stored, one line each; empty when all is well.
    """
    files: dict[str, bytes | NotebookNode] = {
        f"{name}_input.ipynb": source,
        f"{name}.ipynb": with_banner(executed),
        PARAMETERS_FILE: _json({"parameters": plain(parameters), "given": plain(given)}),
        VERSIONS_FILE: _json(software() | {"kernel": kernel_of(executed)}),
    }
    problems = []
    for file_name, data in files.items():
        try:
            _store(handle, file_name, data)
        except Exception as exc:  # the observation is closed whatever happens to its files
            LOGGER.exception("%s could not be stored in observation %s", file_name, handle.obsid)
            problems.append(f"{file_name} could not be stored: {type(exc).__name__}: {exc}")
    return problems


def _store(handle: ObservationHandle, name: str, content: bytes | NotebookNode) -> None:
    """Puts a file into the observation; a notebook that is too large for a message goes through a file."""
    if isinstance(content, bytes):
        handle.add_file(name, content)
        return
    services.patiently(
        lambda: _store_notebook(handle, name, content), f"storing {name}", room=handle.wait_for_room
    )


def _store_notebook(handle: ObservationHandle, name: str, content: NotebookNode) -> None:
    parts = notebook_parts(content)
    beginning, size = [], 0
    for part in parts:
        beginning.append(part)
        size += len(part)
        if size > LARGEST_MESSAGE:
            break
    else:
        handle.add_file(name, b"".join(beginning))
        return
    staging = get_data_storage_location() / STAGING_FOLDER
    with full_disk_is_named(get_data_storage_location()):
        make_folder(staging)
        with tempfile.TemporaryDirectory(dir=staging) as folder:
            path = Path(folder) / name
            write_atomically(path, chain(beginning, parts), 0o640)
            with services.storage_manager(timeout=ADOPTION_PATIENCE) as storage:
                storage.adopt_file(obsid=handle.obsid, name=name, path=str(path))


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n").encode()


def read_source(path: str | Path | None, notebook: NotebookNode) -> bytes:
    """Returns the notebook file as it is, or the notebook as text when it does not come from a local file."""
    if path is not None:
        local = where_papermill_means(str(path))
        if local.is_file():
            return local.read_bytes()
    return notebook_bytes(notebook)
