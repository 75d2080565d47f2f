"""The Tasks GUI in a real browser: the manual's tutorial as a page, and all run modes in a notebook of JupyterLab.

What a task did is seen by files that its process writes, what the page shows by what another thread or process said.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from ..system import jupyterlab
from .conftest import assert_accessible

pytestmark = pytest.mark.skipif(
    jupyterlab.CHROMIUM is None, reason="chromium is not installed (apt install chromium)"
)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "tasks"
SCRIPTS = Path(sysconfig.get_path("scripts"))
LONG = 1e3 * jupyterlab.START
PACKAGE = """\
import os
import threading
from pathlib import Path
from gui_executor.exec import exec_ui

UI_MODULE_DISPLAY_NAME = "1 - Modes"

@exec_ui()
def note(where: str, times: int = 2):
    Path(where).write_text(f"{os.getpid()} {times}")
    print(f"\\x1b[32mnoted {times}\\x1b[0m")
    return times

@exec_ui(input_request=("Continue [Y/n]",))
def ask(where: str):
    Path(where).write_text(input("Continue [Y/n] "))

@exec_ui()
def wait(where: str):
    try:
        Path(where).write_text("waiting")
        for _ in range(6000):
            threading.Event().wait(0.02)
    finally:
        Path(where).write_text("ended")
"""


def written(path: Path, text: str = "") -> str:
    """Returns what a process has written into a file, once it has."""
    deadline = time.monotonic() + jupyterlab.START
    while not (path.exists() and path.read_text() and text in path.read_text()):
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.02)
    return path.read_text()


def button(page: Page, text: str) -> Any:
    return page.locator("button.jupyter-button", has_text=re.compile(rf"\b{re.escape(text)}$"))


def console(page: Page) -> Any:
    return page.locator(".camtest-console").first


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "CAMTEST_RUNS_LOCATION": str(tmp_path / "runs"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "PYTHONPATH": ".",
    }


def test_the_tutorial_of_the_manual(environment: dict[str, str], tmp_path: Path) -> None:
    """Section 22.2: `PYTHONPATH=. gui-executor --module-path yakka`, and what the console shows."""
    process = subprocess.Popen(
        [SCRIPTS / "gui-executor", "--module-path", "yakka", "--no-open"],
        cwd=EXAMPLES,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\S+", process.stdout.readline())
        assert address is not None
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=jupyterlab.CHROMIUM, args=jupyterlab.FLAGS)
            page = browser.new_page(viewport={"width": 1100, "height": 900})
            page.set_default_timeout(LONG)
            page.goto(address[0], wait_until="domcontentloaded")
            _follow_the_tutorial(page)
            assert_accessible(page, ".jp-OutputArea-output")
            pictures = os.environ.get("CAMTEST_SCREENSHOTS")
            if pictures:
                page.locator(".jp-OutputArea-output").first.screenshot(path=Path(pictures) / "tasks-gui.png")
            bare = browser.new_page()
            answer = bare.goto(address[0].partition("?")[0])
            assert answer is not None
            assert "/login" in bare.url  # nothing is shown without the token
            browser.close()
        _is_refused_without_the_token(address[0])
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2  # kernel of the page, kernel of the tasks
        for child in children:
            _is_out_of_reach(child)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    psutil.wait_procs(children, timeout=30)
    assert not [child for child in children if child.is_running()]
    lines = (tmp_path / "runs" / "tasks.jsonl").read_text()
    assert lines.count('"kind":"end"') == 2


def _is_out_of_reach(kernel: psutil.Process) -> None:
    """Its sockets are in a folder that only its owner can enter."""
    line = kernel.cmdline()
    file = Path(line[line.index("-f") + 1])
    connection = json.loads(file.read_text())
    assert connection["transport"] == "ipc"
    for path in (file, Path(connection["ip"])):
        assert path.parent.stat().st_mode & 0o077 == 0


class _StaysHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirections."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _is_refused_without_the_token(address: str) -> None:
    base, token = address.partition("/voila")[0], address.partition("token=")[2]
    opener = urllib.request.build_opener(_StaysHere)
    wrong = ("y" if token.startswith("x") else "x") + token[1:]
    for path in ("", "voila/render/tasks.ipynb", "voila/files/tasks.ipynb", "api/kernels", "api/contents"):
        for given in ("", f"?token={wrong}"):
            with pytest.raises(urllib.error.HTTPError) as refusal:
                opener.open(f"{base}/{path}{given}", timeout=60)
            refusal.value.close()
            assert refusal.value.code in (302, 403), path


def _follow_the_tutorial(page: Page) -> None:
    button(page, "hello_world").click()
    expect(console(page)).to_contain_text("execution finished.", timeout=LONG)
    shown = console(page).inner_text()
    start = shown[shown.index("----- Running") :]
    lines = [line.strip() for line in start.splitlines() if line.strip() and set(line.strip()) != {"─"}]
    assert lines == [
        "----- Running script 'hello_world' in kernel",
        "The code snippet:",
        "response = hello_world()",
        "Hello, World!",
        "----- function 'hello_world' execution finished.",
    ]
    expect(page.get_by_text("Hello Tasks")).to_be_visible()
    button(page, "Hello...").click()
    name = page.get_by_label("name")
    expect(name).to_have_attribute("placeholder", "John", timeout=LONG)
    expect(page.get_by_text("[str]")).to_be_visible()
    name.fill("Rik")
    button(page, "run").click()
    expect(console(page)).to_contain_text("response = hello_you(name='Rik')", timeout=LONG)
    expect(console(page)).to_contain_text("Hello, Rik!", timeout=LONG)


@pytest.mark.campaign
def test_all_run_modes_in_a_notebook(
    environment: dict[str, str], tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    root = tmp_path / "root"
    (root / "modes").mkdir(parents=True)
    (root / "modes" / "__init__.py").touch()
    (root / "modes" / "tasks.py").write_text(PACKAGE)
    cells = [
        "import os\nfrom camtest.tasks import tasks_gui\ngui = tasks_gui('modes')\ngui",
        "from pathlib import Path\nPath('kernel').write_text(str(os.getpid()))\nprint('made')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, root / "modes.ipynb")
    with jupyterlab.JupyterLab(root, environment, free_ports(1)[0]) as lab:
        opened = lab.open(root / "modes.ipynb")
        opened.run_all()
        assert opened.errors == 0
        _run_in_all_modes(opened.page, root)
        _answer_and_interrupt(opened.page, root)
        assert lab.elsewhere == []


def _run(page: Page, task: str, mode: str, **texts: str) -> None:
    button(page, task).click()
    expect(page.get_by_text(f"arguments for '{task}'")).to_be_visible(timeout=LONG)
    for name, text in texts.items():
        page.get_by_label(name).fill(text)
    page.get_by_label(mode).check()
    button(page, "run").click()


def _ended(page: Page, task: str, times: int = 1) -> None:
    """Waits until a task has ended so many times and the GUI takes the next one: what it has written is there before that."""
    ends = re.compile(rf"(?:function '{task}' execution finished[\s\S]*){{{times}}}")
    expect(console(page)).to_contain_text(ends, timeout=LONG)
    expect(page.get_by_role("status").filter(has_text="is running")).to_be_hidden(timeout=LONG)


def _run_in_all_modes(page: Page, root: Path) -> None:
    kernel = (root / "kernel").read_text()
    _run(page, "note", "Run in kernel", where="own", times="x")
    alert = page.get_by_role("alert").filter(has_text="times: expected a whole number")
    expect(alert).to_be_visible(timeout=LONG)
    assert not (root / "own").exists()
    page.get_by_label("times").fill("7")
    button(page, "run").click()
    assert written(root / "own") == f"{kernel} 7"
    expect(console(page).get_by_text("noted 7")).to_have_css("color", "rgb(0, 135, 68)", timeout=LONG)
    _ended(page, "note")
    seen = {kernel}
    for mode, where in (("Run as script", "script"), ("Run in GUI App", "app")):
        _run(page, "note", mode, where=where)
        process, times = written(root / where).split()
        assert times == "7"
        seen.add(process)
    expect(page.locator(".camtest-console").nth(1)).to_contain_text("in GUI App", timeout=LONG)
    _ended(page, "note", times=2)  # an app has a console of its own
    page.get_by_label("available kernels").select_option("python3")
    expect(console(page)).to_contain_text("----- Kernel 'python3' is running", timeout=LONG)
    _run(page, "note", "Run in kernel", where="separate")
    seen.add(written(root / "separate").split()[0])
    _ended(page, "note", times=3)
    assert len(seen) == 4  # four processes


def _answer_and_interrupt(page: Page, root: Path) -> None:
    _run(page, "ask", "Run in kernel", where="answer")
    expect(page.get_by_role("alertdialog")).to_contain_text("Continue [Y/n]", timeout=LONG)
    button(page, "No").click()
    assert written(root / "answer") == "N"
    expect(page.get_by_role("alertdialog")).to_be_hidden(timeout=LONG)
    _ended(page, "ask")
    _run(page, "wait", "Run in kernel", where="state")
    written(root / "state", "waiting")
    expect(page.get_by_role("status").filter(has_text="wait is running")).to_be_visible(timeout=LONG)
    button(page, "interrupt").click()
    assert written(root / "state", "ended") == "ended"
    expect(console(page)).to_contain_text("'wait' execution finished (interrupted)", timeout=LONG)
    button(page, "console").click()
    prompt = page.get_by_label("In:")
    prompt.fill("6 * 7")
    prompt.press("Enter")
    expect(console(page)).to_contain_text("In [1]: 6 * 7", timeout=LONG)
    expect(console(page).get_by_text("42")).to_be_visible(timeout=LONG)
