"""`from gui_executor.gui import IconLabel`: a small picture, an ipywidget here."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import ipywidgets

SIDE = 16
"""Width and height [pixels]."""
_KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg"}


class IconLabel(ipywidgets.HTML):  # type: ignore[misc]
    """A picture from a file; nothing is shown when there is no such file.

    Args:
        icon_path: the file (SVG, PNG or JPG).
        size: of no effect; that of the original is one of Qt.
    """

    def __init__(self, icon_path: Path | str, size: Any = None) -> None:
        super().__init__()
        self.set_icon_path(icon_path)

    def set_icon_path(self, icon_path: Path | str) -> None:
        """Shows another picture."""
        self.icon_path = str(icon_path)
        path = Path(icon_path)
        kind = _KINDS.get(path.suffix.lower(), "image/png")
        self.value = (
            f'<img alt="" width="{SIDE}" height="{SIDE}" '
            f'src="data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}">'
            if path.is_file()
            else ""
        )
