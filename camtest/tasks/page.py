"""The Tasks GUI as a page of its own: `camtest tasks PACKAGE`, `gui-executor --module-path PACKAGE`.

The server of pages (`camtest.jupyter.serving`) serves one page; its kernel makes the GUI when it starts. With Voila (extra
`kiosk`) the page shows nothing else, and each visitor has a GUI of his own. Without it the page is a notebook in
JupyterLab, as a single document, whose one GUI all visitors share.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat.sign import NotebookNotary

from camtest.jupyter.serving import LAB, VOILA, PageServer, has_voila, private_folders, show_in_browser
from camtest.run.journal import runs_location
from camtest.tasks.catalogue import TaskPackageError, read_catalogue
from camtest.tasks.running import search_path
from egse.files import make_folder

ORPHANED = 600.0
"""How long the kernel of a page that nobody looks at goes on [s]: a task that was started may still be running."""
KERNEL = "camtest-tasks-page"
NOTEBOOK = "tasks.ipynb"
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
    """Shows the page until Ctrl-C or SIGTERM.

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
    try:
        with private_folders(_variables(options)) as folder:
            server = _make_server(folder, options)
            address = server.running.address(_path())
            announce(f"Tasks GUI of {', '.join(options.packages)}: {address}")
            show_in_browser(address, options.browser)
            server.serve()
    finally:
        if lock is not None:
            os.close(lock)
    return 0


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
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(search_path())},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


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


def _variables(options: PageOptions) -> dict[str, str]:
    """Returns what the kernel of the page finds in its environment."""
    given = {
        "packages": list(options.packages),
        "kernel": options.kernel,
        "title": options.title,
        "logo": _absolute(options.logo),
        "command_log": _absolute(options.command_log),
        "save_output": _absolute(options.save_output),
        "folder": str(Path.cwd()),
    }
    return {"PYTHONPATH": os.pathsep.join(search_path()), OPTIONS_VARIABLE: json.dumps(given)}


def _make_server(folder: Path, options: PageOptions) -> PageServer:
    _write_kernelspec(folder / "data" / "kernels" / KERNEL)
    for name, content in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    path = folder / "pages" / NOTEBOOK
    path.parent.mkdir()
    nbformat.write(make_notebook(options, with_output=not has_voila()), path)  # type: ignore[no-untyped-call]
    if not has_voila():
        _sign(path, folder / "data")
    extensions = (VOILA,) if has_voila() else (LAB,)
    return PageServer(
        path.parent, extensions=extensions, port=options.port, home=f"/{_path()}", orphaned=ORPHANED
    )


def _path() -> str:
    return f"voila/render/{NOTEBOOK}" if has_voila() else f"doc/tree/{NOTEBOOK}"


def _write_kernelspec(folder: Path) -> None:
    make_folder(folder)
    argv = [
        *(sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"),
        *("--IPCompleter.use_jedi=False", "--IPKernelApp.extra_extensions=['camtest.tasks.pagekernel']"),
    ]
    spec = {
        "argv": argv,
        "display_name": "Tasks GUI",
        "language": "python",
        "metadata": {"supported_encryption": ["curve"]},
    }
    (folder / "kernel.json").write_text(json.dumps(spec))


def _sign(path: Path, data: Path) -> None:
    """Signs the notebook, with a key in the server's own folder: its output is shown at once."""
    notary = NotebookNotary(data_dir=str(data))  # type: ignore[no-untyped-call]
    notary.sign(nbformat.read(path, as_version=4))  # type: ignore[no-untyped-call]
    notary.store.close()


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())


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
