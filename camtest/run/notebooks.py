"""Notebook files: reading, titles of cells, atomic writing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from papermill.iorw import papermill_io

from egse.files import write_atomically

ANALYSIS_TAG = "analysis"
"""Cells with this tag look at the data of the observation; a dry run skips them."""
_LONGEST_TITLE = 72
_WORD = re.compile(r"\W+")


def read_notebook(path: str | Path) -> NotebookNode:
    """Returns the notebook in the current format.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is no notebook.
    """
    try:
        notebook: NotebookNode = nbformat.v4.upgrade(nbformat.read(path, as_version=4))  # type: ignore[no-untyped-call]
    except nbformat.reader.NotJSONError as exc:
        raise ValueError(f"{path} is not a notebook: {exc}") from exc
    return notebook


def write_notebook(notebook: NotebookNode, path: str | Path, *, durable: bool = True) -> None:
    """Writes the notebook atomically: a reader sees the old or the new one, whole.

    Args:
        durable: wait until it is on disk.
    """
    target = where_papermill_means(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, notebook_parts(notebook), 0o644, durable=durable)


def where_papermill_means(path: str | Path) -> Path:
    """Returns the path as papermill takes it: relative to where it was started, also with `--cwd`."""
    handler = papermill_io.get_handler("local")
    return Path(getattr(handler, "_cwd", None) or "", path)


def notebook_bytes(notebook: NotebookNode) -> bytes:
    """Returns the notebook as the bytes of its file."""
    return b"".join(notebook_parts(notebook))


def notebook_parts(notebook: NotebookNode) -> Iterator[bytes]:
    """Yields the bytes of the file of a notebook, cell by cell: one with large outputs is never in memory twice."""
    without = nbformat.from_dict({**notebook, "cells": []})  # type: ignore[no-untyped-call]
    head, tail = _text_of(without).split("[]", 1)
    if not notebook.cells:
        yield f"{head}[]{tail}".encode()
        return
    yield f"{head}[".encode()
    separator = "\n"
    for cell in notebook.cells:
        alone = nbformat.from_dict({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})  # type: ignore[no-untyped-call]
        alone.cells = [cell]
        yield (separator + _text_of(alone)[len(_BEFORE_CELL) : -len(_AFTER_CELL)]).encode()
        separator = ",\n"
    yield f"\n ]{tail}".encode()


_BEFORE_CELL = '{\n "cells": [\n'
_AFTER_CELL = '\n ],\n "metadata": {},\n "nbformat": 4,\n "nbformat_minor": 5\n}'


def _text_of(notebook: NotebookNode) -> str:
    """Returns what nbformat writes, without its validation: outputs are as they came from a kernel."""
    text: str = nbformat.v4.writes(notebook)  # type: ignore[no-untyped-call]
    return text


def function_name(path: str | Path) -> str:
    """Returns the name of a notebook as it stands in the obsid table: letters, digits and underscores."""
    return _WORD.sub("_", Path(path).stem).strip("_") or "notebook"


def cell_titles(notebook: NotebookNode) -> list[str]:
    """Returns a title for every cell: the heading above it, or its first comment, or its first line."""
    titles: list[str] = []
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = _heading(cell.source)
            heading = found or heading
            titles.append(found or "text")
        else:
            titles.append(heading or _code_title(cell.source))
            heading = ""
    return titles


def _heading(source: str) -> str:
    headings = [line for line in source.splitlines() if line.startswith("#")]
    return headings[-1].lstrip("# ").strip() if headings else ""


def _code_title(source: str) -> str:
    for line in source.splitlines():
        text = line.strip()
        if text:
            return text.lstrip("# ")[:_LONGEST_TITLE]
    return "empty cell"


def has_tag(cell: NotebookNode, tag: str) -> bool:
    """Returns True when the cell has the tag."""
    return tag in cell.metadata.get("tags", ())


def has_error_output(notebook: NotebookNode) -> bool:
    """Returns True when a cell shows an error."""
    return any(
        output.output_type == "error"
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
