"""The Tasks GUI as a page of its own: `camtest tasks PACKAGE`, `gui-executor --module-path PACKAGE`.

A Jupyter server on loopback, with a token, serves one page; its kernel makes the GUI when it starts. With Voila (extra
`kiosk`) the page shows nothing else, and each visitor has a GUI of his own. Without it the page is a notebook in
JupyterLab, as a single document, whose one GUI all visitors share. Everything that the server writes is in a folder of
its own, which is removed at the end.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import nbformat
from nbformat.sign import NotebookNotary

from camtest.run.journal import runs_location
from camtest.tasks.catalogue import TaskPackageError, read_catalogue
from camtest.tasks.running import search_path
from egse.clock import system_clock

START = 300.0
"""Longest time for the server to answer [s]."""
GRACE = 15.0
"""How long the server has to end its kernels [s]."""
KERNEL = "camtest-tasks-page"
MODEL_ID = "camtest-tasks-gui"
"""Id of the widget: the page knows it before the kernel has made it."""
OPTIONS_VARIABLE = "CAMTEST_TASKS_PAGE"
SETTINGS = {"apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}


class PageError(RuntimeError):
    """The page cannot be shown."""


@dataclass(frozen=True)
class PageOptions:
    """What the page shows.

    Attributes:
        packages: task packages.
        kernel: kernel in which tasks run.
        title: of the GUI.
        logo: picture beside the title.
        command_log: folder of the command log.
        save_output: file that gets the output as plain text.
        port: of the server; a free one when 0.
        browser: open one; where there is a display when None.
        single: refuse to start when the GUI is running already.
    """

    packages: Sequence[str]
    kernel: str = "camtest"
    title: str = ""
    logo: Path | None = None
    command_log: Path | None = None
    save_output: Path | None = None
    port: int = 0
    browser: bool | None = None
    single: bool = False


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (the address is what the command is for)


def serve(options: PageOptions, announce: Callable[[str], None] = _say) -> int:
    """Shows the page until Ctrl-C, SIGTERM, or the end of the server.

    Args:
        options: what it shows.
        announce: is told the address.

    Returns:
        The exit code.

    Raises:
        PageError: when it cannot be shown.
    """
    for folder in filter(None, (options.command_log,)):
        if not folder.is_dir():
            raise PageError(f"there is no folder {folder}")
    try:
        read_catalogue(options.packages)
    except TaskPackageError as exc:
        raise PageError(str(exc)) from exc
    lock = _lock(options)
    folder = Path(tempfile.mkdtemp(prefix="camtest-tasks-"))
    try:
        with _Server(folder, options) as server:
            announce(f"Tasks GUI of {', '.join(options.packages)}: {server.address}")
            if options.browser or (options.browser is None and _has_display()):
                webbrowser.open(server.address)
            return server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def start_tasks_gui(*packages: str, title: str = "", kernel: str = "camtest") -> subprocess.Popen[bytes]:
    """Starts the page in the background and returns at once: for the start function in `__init__.py`.

        def yakka_ui():
            start_tasks_gui("yakka")

    Args:
        packages: task packages.
        title: of the GUI.
        kernel: kernel in which tasks run.
    """
    code = "from camtest.cli import main; main()"
    command = [sys.executable, "-c", code, "tasks", *packages, "--kernel", kernel]
    command += ["--title", title] if title else []
    return subprocess.Popen(command, env=_environment(), stdin=subprocess.DEVNULL, start_new_session=True)


def _has_display() -> bool:
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _lock(options: PageOptions) -> int | None:
    if not options.single:
        return None
    name = "-".join(options.packages)
    descriptor = os.open(runs_location() / f"tasks-{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(descriptor)
        raise PageError(f"the Tasks GUI of {name} is running already, and was to run once only") from exc
    return descriptor


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(search_path())}


class _Server:
    """The Jupyter server of the page; a context manager."""

    def __init__(self, folder: Path, options: PageOptions) -> None:
        self._folder = folder
        self._options = options
        self._token = secrets.token_hex(24)
        self._port = options.port or _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._with_voila = find_spec("voila") is not None
        self._ended = threading.Event()

    @property
    def address(self) -> str:
        """Where the page is, with the token."""
        path = "" if self._with_voila else "doc/tree/tasks.ipynb"
        return f"http://127.0.0.1:{self._port}/{path}?token={self._token}"

    def __enter__(self) -> _Server:
        self._before = {
            number: signal.signal(number, self._terminate) for number in (signal.SIGTERM, signal.SIGHUP)
        }
        try:
            self._write_files()
            self._log = (self._folder / "server.log").open("wb")
            self._process = subprocess.Popen(
                self._command(),
                env=self._variables(),
                cwd=Path.cwd(),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()  # it ends its kernels first
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def wait(self) -> int:
        """Waits for the end; Ctrl-C and SIGTERM are one."""
        assert self._process is not None
        try:
            code = self._process.wait()
        except KeyboardInterrupt:
            return 0
        if code:
            raise PageError(f"the server has ended with exit code {code}:\n{self._said()}")
        return 0

    def _said(self) -> str:
        return (self._folder / "server.log").read_text(errors="replace")[-3000:]

    def _wait_until_it_answers(self) -> None:
        deadline = system_clock().monotonic() + START
        process = self._process
        assert process is not None
        while not self._ended.wait(0.1):
            if process.poll() is not None:
                raise PageError(f"the server does not start:\n{self._said()}")
            try:
                with urllib.request.urlopen(self._probe, timeout=5.0):
                    return
            except urllib.error.HTTPError:
                return  # it answers
            except OSError:
                pass
            if system_clock().monotonic() > deadline:
                raise PageError(f"the server does not answer within {START:g} s:\n{self._said()}")

    @property
    def _probe(self) -> str:
        path = "voila/static/" if self._with_voila else "api/status"  # no page: each would start a kernel
        return f"http://127.0.0.1:{self._port}/{path}?token={self._token}"

    # Files -------------------------------------------------------------------------------------------------------

    def _write_files(self) -> None:
        self._write_kernelspec()
        for name, content in SETTINGS.items():
            path = self._folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(content))
        notebook = make_notebook(self._options, with_output=not self._with_voila)
        path = self._folder / "root" / "tasks.ipynb"
        path.parent.mkdir()
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        if not self._with_voila:
            self._sign(path)

    def _write_kernelspec(self) -> None:
        folder = self._folder / "data" / "kernels" / KERNEL
        folder.mkdir(parents=True)
        extension = "camtest.tasks.pagekernel"
        argv = [
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
            "--IPCompleter.use_jedi=False",
        ]
        argv.append(f"--IPKernelApp.extra_extensions=['{extension}']")
        spec = {
            "argv": argv,
            "display_name": "Tasks GUI",
            "language": "python",
            "metadata": {"supported_encryption": ["curve"]},
        }
        (folder / "kernel.json").write_text(json.dumps(spec))

    def _sign(self, path: Path) -> None:
        """Signs the notebook, with a key in the server's own folder: its output is shown at once."""
        notary = NotebookNotary(data_dir=str(self._folder / "data"))  # type: ignore[no-untyped-call]
        notary.sign(nbformat.read(path, as_version=4))  # type: ignore[no-untyped-call]
        notary.store.close()

    def _variables(self) -> dict[str, str]:
        home = self._folder
        chosen = {
            "JUPYTER_CONFIG_DIR": home / "config",
            "JUPYTER_DATA_DIR": home / "data",
            "JUPYTER_RUNTIME_DIR": home / "runtime",
            "JUPYTERLAB_SETTINGS_DIR": home / "settings",
            "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        }
        options = {
            "packages": list(self._options.packages),
            "kernel": self._options.kernel,
            "title": self._options.title,
            "logo": _absolute(self._options.logo),
            "command_log": _absolute(self._options.command_log),
            "save_output": _absolute(self._options.save_output),
            "folder": str(Path.cwd()),
        }
        return {
            **_environment(),
            **{name: str(path) for name, path in chosen.items()},
            "JUPYTER_TOKEN": self._token,
            OPTIONS_VARIABLE: json.dumps(options),
        }

    def _command(self) -> list[str]:
        root = self._folder / "root"
        if self._with_voila:
            return [
                *(sys.executable, "-m", "voila", str(root / "tasks.ipynb"), "--no-browser"),
                *(f"--port={self._port}", "--Voila.ip=127.0.0.1", f"--token={self._token}"),
                "--MappingKernelManager.cull_idle_timeout=600",
            ]
        return [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1"),
            *(f"--ServerApp.port={self._port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"),
            *("--LabApp.extension_manager=readonly", "--ServerApp.terminals_enabled=False"),
            *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        ]


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_notebook(options: PageOptions, *, with_output: bool) -> Any:
    """Returns the notebook of the page.

    Args:
        options: what it shows.
        with_output: the GUI is its saved output, which comes to life when the kernel has made the widget.
    """
    cell = nbformat.v4.new_code_cell("tasks  # the Tasks GUI, made when the kernel has started")  # type: ignore[no-untyped-call]
    cell.metadata["jupyter"] = {"source_hidden": True}
    if with_output:
        data = {
            "application/vnd.jupyter.widget-view+json": {
                "model_id": MODEL_ID, "version_major": 2, "version_minor": 0,
            },
            "text/plain": f"Tasks GUI of {', '.join(options.packages)}: its kernel is starting",
        }  # fmt: skip
        cell.outputs = [nbformat.v4.new_output("display_data", data=data)]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=[cell])  # type: ignore[no-untyped-call]
    notebook.metadata["kernelspec"] = {"name": KERNEL, "display_name": "Tasks GUI", "language": "python"}
    notebook.metadata["title"] = options.title or f"Tasks: {', '.join(options.packages)}"
    return notebook
