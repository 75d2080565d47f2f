"""The pages of `camtest ui` beside the running sandbox, and a browser that asks nothing outside of this machine."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from egse.site.sandbox import Sandbox

from ..system import jupyterlab

SCRIPTS = Path(sysconfig.get_path("scripts"))
LONG = float(os.environ.get("CAMTEST_BROWSER_LIMIT", "120"))
"""Longest time for anything on a page [s]."""


def eventually(condition: Callable[[], Any], what: str, timeout: float = LONG) -> Any:
    """Returns the first true value of `condition()`."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(0.05)
    return value


def assert_accessible(page: Any, within: str | None = None) -> None:
    """Fails when something on a page keeps people from using it: contrast, names for screen readers, keyboard (WCAG 2).

    Args:
        page: which.
        within: only the parts with this selector, of a page whose rest is not ours.
    """
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if within is not None:
        options["rules"] = {"region": {"enabled": False}}

    def barriers() -> list[str]:
        violations = Axe().run(page, context=within, options=options).response["violations"]
        return [f"{v['id']}: {node['html'][:200]}" for v in violations for node in v["nodes"]]

    deadline = time.monotonic() + 5.0
    while found := barriers():  # colours change slowly
        assert time.monotonic() < deadline, "\n".join(found)
        time.sleep(0.2)


class _StaysHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirections."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Pages:
    """`camtest ui` in a process of its own, with a browser; a context manager.

    Args:
        environment: of the site.
        port: free port.
        folder: for its log and its Jupyter files.
    """

    def __init__(self, environment: dict[str, str], port: int, folder: Path) -> None:
        self.elsewhere: list[str] = []
        self.shots = Path(os.environ.get("CAMTEST_SCREENSHOTS") or folder)
        self.token = secrets.token_hex(16)
        self.base = f"http://127.0.0.1:{port}"
        self._log = folder / "ui.log"
        names = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
        own = {name: str(folder / name.lower()) for name in names}
        self.process = self._start(port, {**environment, **own, "JUPYTER_TOKEN": self.token}, folder)

    def _start(self, port: int, environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
        return self._run(["ui", "--no-browser", "--port", str(port)], environment, folder)

    def _run(self, words: list[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
        with self._log.open("w") as log:
            return subprocess.Popen(
                [str(SCRIPTS / "camtest"), *words],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Pages:
        def answers() -> bool:
            assert self.process.poll() is None, self._log.read_text()
            try:
                return self.status_of("api/status", self.token) == 200
            except OSError:
                return False

        try:
            eventually(answers, "the server of the pages")
            self._playwright = jupyterlab.sync_playwright().start()
            self._browser = self._playwright.chromium.launch(
                executable_path=jupyterlab.CHROMIUM, args=jupyterlab.FLAGS
            )
        except BaseException:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for number, context in enumerate(self._browser.contexts):  # tests that passed have closed theirs
            for page in context.pages:
                page.screenshot(path=self.shots / f"failed-{number}.png", full_page=True)
        self._browser.close()
        self._playwright.stop()
        self.process.terminate()
        try:
            code = self.process.wait(30)
            print(self._log.read_text()[-6000:])
            assert code in (0, -signal.SIGTERM), "the server did not end well"
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def status_of(self, path: str, token: str = "", data: bytes | None = None) -> int:
        """Returns the HTTP status of an answer."""
        request = urllib.request.Request(f"{self.base}/{path}", data=data)
        if token:
            request.add_header("Authorization", f"token {token}")
        try:
            with urllib.request.build_opener(_StaysHere).open(request, timeout=60) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as exc:
            with exc:
                return int(exc.code)

    def open(self, path: str, token: str | None = None, **options: Any) -> Any:
        """Opens a page in a window, and with cookies, of its own."""
        page = self._browser.new_context(viewport={"width": 1280, "height": 1000}, **options).new_page()
        page.set_default_timeout(1e3 * LONG)
        page.route("**/*", self._only_here)
        page.on("pageerror", lambda error: print("page error:", error))
        page.on("console", lambda message: message.type == "error" and print("console:", message.text))
        mark = "&" if "?" in path else "?"
        page.goto(
            f"{self.base}/{path}{mark}token={self.token if token is None else token}",
            wait_until="domcontentloaded",
        )
        return page

    def _only_here(self, route: Any) -> None:
        if route.request.url.startswith((self.base, "data:", "blob:")):
            route.continue_()
        else:
            self.elsewhere.append(route.request.url)
            route.abort()


@pytest.fixture(scope="module")
def ui(
    sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Pages]:
    """The pages of the running sandbox."""
    with Pages(sandbox.environ(), free_ports(1)[0], tmp_path_factory.mktemp("ui")) as pages:
        yield pages


@pytest.fixture
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: `CAMTEST_SCREENSHOTS`, or a temporary folder."""
    folder = os.environ.get("CAMTEST_SCREENSHOTS")
    path = Path(folder) if folder else tmp_path_factory.getbasetemp() / "screenshots"
    path.mkdir(parents=True, exist_ok=True)
    return path
