"""`camtest ui`: one Jupyter server for all pages, on loopback, with a token; Voila renders the panels."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from camtest.panels import pages
from camtest.run.journal import runs_location
from egse.files import create_file, make_folder

LOOPBACK = "127.0.0.1"
RECORD = "ui.json"
"""Where address and token of the running server stand, readable for its user only."""
ORPHANED = 45.0
"""A kernel that no page is connected to any more for so long is ended [s]; a reload of a page takes a few seconds."""
UNUSED = 240.0
"""A kernel that no page has ever been connected to is ended after this time [s]; a slow machine takes its time."""
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: wss: data: blob:; frame-ancestors 'self'"
"""What a page may load: nothing from elsewhere, where a laboratory without internet would wait for it in vain."""
EXTENSIONS = {
    "voila.server_extension": True,
    "camtest.panels.server": True,
    **dict.fromkeys(("jupyterlab", "jupyter_lsp", "jupyter_server_terminals", "notebook_shim"), False),
}
"""What the server is made of: nothing that the pages do not need."""
CULL_INTERVAL = 5.0
"""How often it is looked for such kernels [s]."""


class NoVoilaError(RuntimeError):
    """Voila is not installed."""


@dataclass(frozen=True)
class Running:
    """A server that runs.

    Attributes:
        pid: its process.
        port: on loopback.
        token: of the server.
        base: base address, `/`.
    """

    pid: int
    port: int
    token: str
    base: str = "/"

    def address(self, path: str = "camtest", **options: str) -> str:
        """Returns the address of a page with the token in it."""
        from urllib.parse import urlencode

        return f"http://{LOOPBACK}:{self.port}{self.base}{path}?{urlencode({**options, 'token': self.token})}"

    def answers(self, timeout: float = 1.0) -> bool:
        """True when the server is there and takes the token."""
        try:
            with urllib.request.urlopen(self.address("api/status"), timeout=timeout) as reply:
                return bool(reply.status == 200)
        except (OSError, ValueError):
            return False


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
        json.dump(vars(running), file)


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
    if find_spec("voila") is None:
        raise NoVoilaError("the pages need Voila, which is not installed: pip install 'camtest[kiosk]'")
    with tempfile.TemporaryDirectory(prefix="camtest-ui-") as folder:
        pages.write_notebooks(Path(folder))
        token = os.environ.get("JUPYTER_TOKEN") or secrets.token_urlsafe(24)
        app = _make_app(Path(folder), ip, port or _free_port(), token, theme)
        running = Running(os.getpid(), app.port, token, app.base_url)
        _note(running)
        address = running.address(path, **options)
        print(f"camtest pages: {address}", flush=True)  # noqa: T201  (the address is what the operator needs)
        if open_browser:
            import webbrowser

            webbrowser.open(address)
        culler = _Culler(app)
        try:
            culler.start()
            app.start()
        finally:
            culler.stop()
            if record_file().exists() and f'"pid": {os.getpid()}' in record_file().read_text():
                record_file().unlink(missing_ok=True)


def _free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


def _make_app(folder: Path, ip: str, port: int, token: str, theme: str) -> Any:
    from jupyter_server.serverapp import ServerApp
    from traitlets.config import Config

    config = Config()
    config.ServerApp.ip = ip
    config.ServerApp.port = port
    config.ServerApp.port_retries = 0
    config.ServerApp.root_dir = str(folder)
    config.ServerApp.open_browser = False
    config.ServerApp.terminals_enabled = False
    config.ServerApp.allow_root = True
    config.ServerApp.default_url = "/camtest"
    # Voila's own handlers ask nobody for a token: with this, everything that is not said to be open is refused.
    config.ServerApp.allow_unauthenticated_access = False
    config.ServerApp.tornado_settings = {"headers": {"Content-Security-Policy": POLICY}}
    config.ServerApp.jpserver_extensions = EXTENSIONS
    config.IdentityProvider.token = token
    config.VoilaConfiguration.theme = theme
    config.VoilaConfiguration.show_tracebacks = True
    app = ServerApp(config=config)
    app.initialize(argv=[])
    return app


class _Culler:
    """Ends kernels whose pages are closed. (Those of Jupyter go by messages, and a panel always sends some.)"""

    def __init__(self, app: Any) -> None:
        from tornado.ioloop import PeriodicCallback

        self._app = app
        self._since: dict[str, float] = {}
        self._used: set[str] = set()
        self._timer = PeriodicCallback(self._look, 1000 * CULL_INTERVAL)

    def start(self) -> None:
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    async def _look(self) -> None:
        manager, now = self._app.kernel_manager, time.monotonic()
        living = list(manager.list_kernel_ids())
        self._used.intersection_update(living)
        for kernel_id in living:
            limit = ORPHANED if kernel_id in self._used else UNUSED
            if manager.kernel_model(kernel_id)["connections"]:
                self._used.add(kernel_id)
                self._since.pop(kernel_id, None)
            elif now - self._since.setdefault(kernel_id, now) > limit:
                self._since.pop(kernel_id, None)
                self._app.log.info("camtest: no page uses kernel %s any more; it is ended", kernel_id)
                await manager.shutdown_kernel(kernel_id, now=False)
