"""`camtest ui`: the server of all pages of panels, and how other commands of this user find it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from camtest.jupyter.serving import (
    LOOPBACK,
    VOILA,
    PageServer,
    Running,
    has_voila,
    private_folders,
    show_in_browser,
)
from camtest.panels import pages
from camtest.run.journal import runs_location
from egse.files import create_file, make_folder

RECORD = "ui.json"
"""Where address and token of the running server stand, readable for its user only."""


class NoVoilaError(RuntimeError):
    """Voila is not installed."""


def record_file() -> Path:
    """Returns where the running server of this site and user is noted."""
    return runs_location() / RECORD


def find_running() -> Running | None:
    """Returns the server of this site and user that answers, None when there is none."""
    try:
        running = Running(**json.loads(record_file().read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return running if running.answers() else None


def _note(running: Running) -> None:
    make_folder(record_file().parent, 0o700)
    record_file().unlink(missing_ok=True)
    descriptor = create_file(record_file(), 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(running), file)


def serve(
    port: int = 0,
    ip: str = LOOPBACK,
    theme: str = "light",
    path: str = "camtest",
    open_browser: bool = False,
    **options: str,
) -> None:
    """Serves all pages until SIGTERM or Ctrl-C.

    Args:
        port: where; 0 for any free one.
        ip: address; anything else than loopback lets others in who have the token, unencrypted.
        theme: light or dark.
        path: the page that is shown at first.
        open_browser: open it in the browser of this desktop.
        options: of that page.

    Raises:
        NoVoilaError: when Voila is not installed.
    """
    if not has_voila():
        raise NoVoilaError("the pages need Voila, which is not installed: pip install 'camtest[kiosk]'")
    with private_folders() as folder:
        pages.write_notebooks(folder / "pages")
        server = PageServer(
            folder / "pages", extensions=(VOILA, "camtest.panels.server"), ip=ip, port=port, theme=theme
        )
        _note(server.running)
        address = server.running.address(path, **options)
        print(f"camtest pages: {address}", flush=True)  # noqa: T201  (the address is what the operator needs)
        show_in_browser(address, open_browser)
        try:
            server.serve()
        finally:
            if record_file().exists() and f'"pid": {os.getpid()}' in record_file().read_text():
                record_file().unlink(missing_ok=True)
