"""Makes small real notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat

PARAMETERS = "# parameters\n"


def write_notebook(path: Path, *cells: str, kernel: str = "python3") -> Path:
    """Writes a notebook; a source that begins with `# TAG:` for a known tag gets that tag, `# Title` is text."""
    made = []
    for source in cells:
        if source.startswith("## "):
            made.append(nbformat.v4.new_markdown_cell(source))
            continue
        cell = nbformat.v4.new_code_cell(source)
        for tag in ("parameters", "analysis"):
            if source.startswith(f"# {tag}\n"):
                cell.metadata["tags"] = [tag]
        made.append(cell)
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec}), path)
    return path


def printed(cell: Any) -> str:
    """Returns what a cell of an executed notebook printed on stdout; a kernel sends it in any number of parts."""
    parts = [output for output in cell["outputs"] if output.get("name") == "stdout"]
    return "".join("".join(part["text"]) for part in parts)
