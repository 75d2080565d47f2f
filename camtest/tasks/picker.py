"""A path with a button that opens the folders below it, on the machine where the kernel runs."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from camtest.tasks.exec import Directory, FileName
from camtest.tasks.fields import TextField
from camtest.tasks.values import EMPTY, bare

UP = ".."
MOST = 500
"""So many entries of a folder are offered."""


class PathField(TextField):
    """A path that is typed or picked.

    Args:
        hint: `Path`, `FileName`, `FilePath` or `Directory`.
        default: the default.
        patterns: of file names that are offered; all when empty.
    """

    def __init__(self, hint: Any, default: Any = EMPTY, patterns: Sequence[str] = ()) -> None:
        super().__init__(hint, default)
        self._patterns = tuple(patterns)
        self._folders_only = bare(hint) is Directory
        self._name_only = bare(hint) is FileName
        self._folder = Path.cwd()
        toggle = widgets.Button(icon="folder-open", tooltip="browse", layout=widgets.Layout(width="3em"))
        toggle.on_click(lambda _: self.browse())
        self._where = widgets.Label()
        self._entries = widgets.Select(rows=8, description="in it", layout=widgets.Layout(width="32em"))
        buttons = [("Open", self.enter), ("Choose", self.choose), ("Cancel", self.close)]
        self._panel = widgets.VBox(
            [self._where, self._entries, widgets.HBox([_button(text, act) for text, act in buttons])],
            layout=widgets.Layout(display="none"),
        )
        self.widget = widgets.VBox([widgets.HBox([self.widget, toggle]), self._panel])

    def browse(self) -> None:
        """Shows the folder of what stands in the field."""
        typed = Path(self.text.value or (self.default if self.default not in (EMPTY, None) else "."))
        folder = typed.expanduser().absolute()
        while not folder.is_dir():
            folder = folder.parent
        self._list(folder)
        self._panel.layout.display = ""

    def enter(self) -> None:
        """Opens the folder that is selected."""
        chosen = self._selected()
        if chosen.is_dir():
            self._list(chosen)
        else:
            self.choose()

    def choose(self) -> None:
        """Takes what is selected into the field."""
        chosen = self._folder if self._entries.value in (None, UP) else self._selected()
        self.text.value = chosen.name if self._name_only else str(chosen)
        self.close()

    def close(self) -> None:
        """Hides the folders."""
        self._panel.layout.display = "none"

    def _selected(self) -> Path:
        name = self._entries.value or UP
        return self._folder.parent if name == UP else self._folder / name.rstrip("/")

    def _list(self, folder: Path) -> None:
        self._folder = folder
        self._where.value = str(folder)
        try:
            found = sorted(folder.iterdir(), key=lambda path: (not path.is_dir(), path.name))
        except OSError as exc:
            self._where.value = f"{folder}: {exc.strerror}"
            found = []
        names = [f"{path.name}/" if path.is_dir() else path.name for path in found if self._is_offered(path)]
        self._entries.options = [UP, *names[:MOST]]

    def _is_offered(self, path: Path) -> bool:
        if path.name.startswith("."):
            return False
        if path.is_dir():
            return True
        if self._folders_only:
            return False
        return not self._patterns or any(fnmatch.fnmatch(path.name, pattern) for pattern in self._patterns)


def _button(text: str, action: Any) -> Any:
    button = widgets.Button(description=text)
    button.on_click(lambda _: action())
    return button
