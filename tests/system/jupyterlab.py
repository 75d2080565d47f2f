"""JupyterLab in a real browser, for tests: everything that it writes stays in one folder, nothing is fetched from elsewhere."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import Page, Route, sync_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
]
START = 120.0
"""Longest time for the server to answer, and for anything on a page [s]."""

KERNEL_IDLE = """() => { const w = window.jupyterapp?.shell?.currentWidget;
  return w?.sessionContext?.isReady && w.sessionContext.session?.kernel?.status === 'idle'; }"""
CELLS_DONE = """() => [...document.querySelectorAll('.jp-InputArea-prompt')].every((e) => !e.innerText.includes('[*]'))"""
SETTINGS = {
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells off screen are in the page as well
}


class Notebook:
    """A notebook that is open in the browser."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.path = path

    def run_all(self, *, wait: bool = True) -> None:
        """Executes all cells; without waiting the page goes on meanwhile."""
        command = "window.jupyterapp.commands.execute('notebook:run-all-cells')"
        self.page.evaluate(f"() => {command}" if wait else f"() => {{ {command}; }}")

    def wait_done(self) -> None:
        """Waits until no cell is running or queued; the status of the kernel alone is that of any of its channels."""
        self.page.wait_for_function(CELLS_DONE)
        self.page.wait_for_function(KERNEL_IDLE)

    def save(self) -> None:
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    @property
    def errors(self) -> int:
        """How many outputs are errors."""
        return self.page.locator('[data-mime-type="application/vnd.jupyter.error"]').count()


class JupyterLab:
    """A JupyterLab server and a browser; a context manager.

    Args:
        root: folder of the notebooks.
        environment: of the server, and so of its kernels.
        port: free port.
    """

    def __init__(self, root: Path, environment: dict[str, str], port: int) -> None:
        self.root = root
        self.elsewhere: list[str] = []
        self._url = f"http://127.0.0.1:{port}"
        self._token = secrets.token_hex(16)
        self._home = root / ".jupyter-home"
        folders = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        self._environment = {
            **environment,
            **{name: str(self._home / folder) for name, folder in folders.items()},
            "JUPYTER_TOKEN": self._token,
        }
        self._command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
            *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"),
            *("--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"),
            "--ServerApp.terminals_enabled=False",
        ]

    def __enter__(self) -> Self:
        for name, content in SETTINGS.items():
            path = self._home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        self._log = (self._home / "jupyter.log").open("w")
        self._server = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait_for_server()
            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        except BaseException:
            self._end_server()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._browser.close()
            self._playwright.stop()
        finally:
            self._end_server()

    def _end_server(self) -> None:
        self._server.terminate()  # it ends its kernels first
        try:
            self._server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._server.pid, 9)
            self._server.wait()
        self._log.close()

    def _wait_for_server(self) -> None:
        deadline, pause = time.monotonic() + START, threading.Event()
        while True:
            try:
                with urllib.request.urlopen(f"{self._url}/api/status?token={self._token}", timeout=5):
                    return
            except OSError:
                said = (self._home / "jupyter.log").read_text()
                assert self._server.poll() is None, said
                assert time.monotonic() < deadline, said
                pause.wait(0.1)

    def open(self, notebook: Path) -> Notebook:
        """Opens a notebook of the root folder in a window of its own; returns when its kernel is idle."""
        page = self._browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
        page.set_default_timeout(1e3 * START)
        page.route("**/*", self._only_here)
        path = notebook.relative_to(self.root)
        page.goto(
            f"{self._url}/doc/tree/{path}?token={self._token}&reset",
            wait_until="domcontentloaded",
        )
        page.wait_for_selector(".jp-NotebookPanel .jp-Notebook .jp-Cell")
        page.wait_for_function(KERNEL_IDLE)
        return Notebook(page, notebook)

    def _only_here(self, route: Route) -> None:
        url: Any = route.request.url
        if url.startswith((self._url, "data:", "blob:")):
            route.continue_()
        else:
            self.elsewhere.append(url)
            route.abort()
