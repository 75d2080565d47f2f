"""Checks that the links between the pages of the documentation lead somewhere: `python -m docs`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


def broken_links() -> list[str]:
    """Returns `page: target` for each relative link that leads nowhere."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in LINK.findall(page.read_text())
        if not (page.parent / target).exists()
    ]


if __name__ == "__main__":
    problems = broken_links()
    print(*problems, sep="\n")  # noqa: T201
    if problems:
        sys.exit(f"{len(problems)} link(s) lead nowhere")
    print(f"Start reading at {ROOT / 'docs' / 'README.md'}; all links lead somewhere.")  # noqa: T201
