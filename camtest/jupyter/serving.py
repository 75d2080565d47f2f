"""One Jupyter server for pages: panels and the Tasks GUI. On loopback, behind a token, its kernels out of reach of others.

Voila renders the pages; each has a kernel of its own, which is ended when nobody looks at the page any more. All that the
server writes is in a folder of its own that only its owner can enter, and is removed at the end; there are also the local
sockets of the kernels (ipc), so that no kernel listens on a port which every user of this machine could read.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from egse.clock import system_clock
from egse.files import make_folder

LOOPBACK = "127.0.0.1"
ORPHANED = 45.0
"""A kernel that no page is connected to any more for so long is ended [s]; a reload of a page takes a few seconds."""
UNUSED = 240.0
"""A kernel that no page has ever been connected to is ended after this time [s]; a slow machine takes its time."""
CULL_INTERVAL = 5.0
"""How often it is looked for such kernels [s]."""
FAREWELL = 4.0
"""How long a server that has ended its kernels waits for its threads [s]."""
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: wss: data: blob:; frame-ancestors 'self'"
"""What a page may load: nothing from elsewhere, where a laboratory without internet would wait for it in vain."""
NO_NEWS = {"news_url": None, "check_for_updates_class": "jupyterlab.NeverCheckForUpdate"}
"""Settings of JupyterLab: nothing is asked for outside of the laboratory, nor the operator whether it may be."""
NOT_NEEDED = (
    "jupyterlab",
    "jupyter_lsp",
    "jupyter_server_terminals",
    "notebook_shim",
    "voila.server_extension",
)
"""Server extensions that are left out unless they are asked for."""
VOILA = "voila.server_extension"
LAB = "jupyterlab"
LONGEST_FOLDER = 45
"""A folder of local sockets with a longer path [characters] is put elsewhere: names of sockets have 107 at most."""


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
    token: str = field(repr=False)
    base: str = "/"

    def address(self, path: str = "camtest", **options: str) -> str:
        """Returns the address of a page with the token in it."""
        return f"http://{LOOPBACK}:{self.port}{self.base}{path}?{urlencode({**options, 'token': self.token})}"

    def answers(self, timeout: float = 1.0) -> bool:
        """True when the server is there and takes the token."""
        try:
            with urllib.request.urlopen(self.address("api/status"), timeout=timeout) as reply:
                return bool(reply.status == 200)
        except (OSError, ValueError):
            return False


def has_voila() -> bool:
    """Says whether pages can be rendered here."""
    return find_spec("voila") is not None


@contextmanager
def private_folders(variables: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Gives a folder for a server; this process and those that it starts keep all files of Jupyter in it.

    Settings of the user for Jupyter do not count inside: they might open what is guarded here. Kernels that the user has
    installed do.

    Args:
        variables: further variables of the environment, for the kernels of the pages.
    """
    from jupyter_core.paths import jupyter_data_dir

    folder = _make_folder()
    before = dict(os.environ)
    names = ("config", "data", "runtime")
    own = {f"JUPYTER_{name.upper()}_DIR": str(folder / name) for name in names}
    own |= {f"JUPYTERLAB_{name.upper()}_DIR": str(folder / name) for name in ("settings", "workspaces")}
    searched = filter(None, (os.environ.get("JUPYTER_PATH", ""), jupyter_data_dir()))
    try:
        os.environ.update({**own, "JUPYTER_PATH": os.pathsep.join(searched), **(variables or {})})
        for name in names:
            make_folder(folder / name, 0o700)
        yield folder
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def _make_folder() -> Path:
    usual = tempfile.gettempdir()
    short = usual if len(usual) <= LONGEST_FOLDER or not os.access("/tmp", os.W_OK) else "/tmp"
    return Path(tempfile.mkdtemp(prefix="camtest-ui-", dir=short))


class PageServer:
    """A Jupyter server in this process, ready to serve; its socket is bound when this returns.

    Args:
        root: folder of the notebooks of the pages.
        extensions: which server extensions it has; Voila by default.
        ip: address; anything else than loopback lets others in who have the token, unencrypted.
        port: where; 0 for any free one.
        theme: light or dark.
        home: where somebody is led who asks for no page.
        orphaned: how long a kernel may be without its page [s].

    Attributes:
        running: where it is, with its token.
    """

    def __init__(
        self,
        root: Path,
        *,
        extensions: tuple[str, ...] = (VOILA,),
        ip: str = LOOPBACK,
        port: int = 0,
        theme: str = "light",
        home: str = "/camtest",
        orphaned: float = ORPHANED,
    ) -> None:
        token = os.environ.get("JUPYTER_TOKEN") or secrets.token_urlsafe(24)
        self._app = _make_app(root, extensions, ip, port or _free_port(), token, theme, home)
        self._culler = _Culler(self._app, orphaned)
        self.running = Running(os.getpid(), self._app.port, token, self._app.base_url)

    def serve(self) -> None:
        """Serves until SIGTERM, SIGHUP or Ctrl-C; ends its kernels then. The process has to end soon after."""
        before = signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
        try:
            self._culler.start()
            self._app.start()
        finally:
            self._culler.stop()
            signal.signal(signal.SIGHUP, before)
            # a page that was just being rendered leaves threads of Voila behind that wait for ever for its kernel
            end = threading.Timer(FAREWELL, os._exit, (0,))
            end.daemon = True
            end.start()


def show_in_browser(address: str, wanted: bool | None = None) -> None:
    """Opens an address in the browser of this desktop.

    Args:
        address: which.
        wanted: do it, or do not; None: where there is a desktop.
    """
    has_desktop = sys.platform == "darwin" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if has_desktop if wanted is None else wanted:
        import webbrowser

        webbrowser.open(address)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


def _make_app(
    root: Path, extensions: tuple[str, ...], ip: str, port: int, token: str, theme: str, home: str
) -> Any:
    from jupyter_server.serverapp import ServerApp
    from jupyter_server.utils import JupyterServerAuthWarning
    from traitlets.config import Config

    config = Config()
    config.ServerApp.ip = ip
    config.ServerApp.port = port
    config.ServerApp.port_retries = 0
    config.ServerApp.root_dir = str(root)
    config.ServerApp.open_browser = False
    config.ServerApp.terminals_enabled = False
    config.ServerApp.allow_root = True
    config.ServerApp.answer_yes = True  # one Ctrl-C ends it
    config.ServerApp.default_url = home
    # Voila's own handlers ask nobody for a token: with this, everything that is not said to be open is refused.
    config.ServerApp.allow_unauthenticated_access = False
    config.ServerApp.tornado_settings = {"headers": {"Content-Security-Policy": POLICY}}
    config.ServerApp.jpserver_extensions = {
        **dict.fromkeys(NOT_NEEDED, False),
        **dict.fromkeys(extensions, True),
    }
    config.IdentityProvider.token = token
    config.KernelManager.transport = "ipc"
    config.LabApp.extension_manager = "readonly"
    config.LabApp.update(NO_NEWS)
    config.VoilaConfiguration.theme = theme
    config.VoilaConfiguration.show_tracebacks = True
    config.ServerApp.log_level = "WARN"
    app = ServerApp(config=config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JupyterServerAuthWarning)  # refused, see above
        app.initialize(argv=[])
    return app


class _Culler:
    """Ends kernels whose pages are closed. (Those of Jupyter go by messages, and a panel always sends some.)"""

    def __init__(self, app: Any, orphaned: float) -> None:
        from tornado.ioloop import PeriodicCallback

        self._app = app
        self._orphaned = orphaned
        self._since: dict[str, float] = {}
        self._used: set[str] = set()
        self._timer = PeriodicCallback(self._look, 1000 * CULL_INTERVAL)

    def start(self) -> None:
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    async def _look(self) -> None:
        manager, now = self._app.kernel_manager, system_clock().monotonic()
        living = list(manager.list_kernel_ids())
        self._used.intersection_update(living)
        for kernel_id in living:
            if kernel_id not in manager:
                continue  # it has ended while others were looked at
            limit = self._orphaned if kernel_id in self._used else max(UNUSED, self._orphaned)
            if manager.kernel_model(kernel_id)["connections"]:
                self._used.add(kernel_id)
                self._since.pop(kernel_id, None)
            elif now - self._since.setdefault(kernel_id, now) > limit:
                self._since.pop(kernel_id, None)
                self._app.log.info("camtest: no page uses kernel %s any more; it is ended", kernel_id)
                await manager.shutdown_kernel(kernel_id, now=False)
