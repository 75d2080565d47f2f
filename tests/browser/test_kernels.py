"""The kernels in a real JupyterLab: the sandbox kernel from nothing, what is shown, TAB, pictures, and its end."""

from __future__ import annotations

import os
import re
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from ..system import jupyterlab

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        jupyterlab.CHROMIUM is None, reason="chromium is not installed (apt install chromium)"
    ),
]

MARK = "CAMTEST_TEST_MARK"
CELLS = (
    "setup.camera.ID",
    "from egse.ogse import OGSEProxy\nlamp = OGSEProxy()\nlamp.att_set_level_factor(factor=0.2)",
    "%dryrun on",
    """import numpy as np
from camtest.display import focal_plane
from egse.h5 import SideImage
pixels = np.full((60, 2295), 1100, np.uint16)
pixels[:, 2280:] = 1000
pixels[10, 45] = 40_000
focal_plane([SideImage(1, side, 0, 0, 60, pixels) for side in "EF"], "one CCD")""",
    "lamp.att_g",
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has set up nothing."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PLATO", "SITE", "CAMTEST"))
    }
    return {
        **clean,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "CAMTEST_SANDBOX_SPEED": "20",
        MARK: uuid.uuid4().hex,
    }


def processes(environment: dict[str, str]) -> list[psutil.Process]:
    """Returns all living processes that come of this JupyterLab."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == environment[MARK] and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture
def lab(
    environment: dict[str, str], tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> Iterator[jupyterlab.JupyterLab]:
    with jupyterlab.JupyterLab(tmp_path, environment, free_ports(1)[0]) as running:
        yield running
    assert running.elsewhere == [], "the page has asked for something outside of this machine"
    deadline = time.monotonic() + jupyterlab.START
    while processes(environment):
        assert time.monotonic() < deadline, "processes are left behind"
        psutil.wait_procs(processes(environment), timeout=1)


def test_a_sandbox_kernel_from_nothing(
    lab: jupyterlab.JupyterLab, environment: dict[str, str], tmp_path: Path
) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    spec = {"name": "camtest-sandbox", "display_name": "camtest sandbox", "language": "python"}
    path = tmp_path / "first.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells[:-1], metadata={"kernelspec": spec}), path)
    notebook = lab.open(path)
    page = notebook.page
    notebook.run_all()
    assert notebook.errors == 0
    assert "camtest sandbox" in page.locator(".jp-KernelName").first.inner_text()

    # the state of the session, in colours that differ
    banners = page.locator("[data-camtest-mode]")
    assert [banners.nth(n).get_attribute("data-camtest-mode") for n in range(banners.count())] == [
        "sandbox",
        "dry-run",
    ]
    colours = [
        banners.nth(n).locator("b").last.evaluate("(e) => getComputedStyle(e).backgroundColor")
        for n in range(2)
    ]
    assert colours == ["rgb(106, 63, 160)", "rgb(179, 107, 0)"]
    assert page.locator('[data-camtest-mode="sandbox"]', has_text="private sandbox").is_visible()

    # effects seen by another process: the journal of the control server
    journals = (tmp_path / "cache").glob("camtest/kernels/*/site/data/*/journal/ogse_cs/*")
    assert any("att_set_level_factor" in journal.read_text() for journal in journals)

    look_at_the_picture(page)
    complete_a_proxy(page)
    if folder := os.environ.get("CAMTEST_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / "kernel-sandbox.png"))

    # the kernel is killed: its sandbox goes with it, and the page gets a new one
    (kernel,) = [p for p in processes(environment) if "ipykernel_launcher" in p.cmdline()]
    servers = [p for p in processes(environment) if any("_cs" in word for word in p.cmdline())]
    assert len(servers) > 5
    kernel.send_signal(signal.SIGKILL)
    assert not psutil.wait_procs(servers, timeout=jupyterlab.START)[1], "servers are left behind"
    page.close()


def look_at_the_picture(page: Any) -> None:
    """The canvas tells the value under the pointer, zooms by the wheel, and takes another stretch."""
    image = page.locator('.camtest-image[data-ready="yes"]')
    image.scroll_into_view_if_needed()
    canvas, readout = image.locator("canvas"), image.locator("output")
    canvas.hover(position={"x": 5, "y": 3})
    found = re.fullmatch(r"CCD 1 F row (\d+)\.\.\d+ column (\d+)\.\.\d+: ([\d.]+) ADU", readout.inner_text())
    assert found, readout.inner_text()
    assert float(found[3]) == pytest.approx(100.0, abs=1.0)
    page.mouse.wheel(0, -300)
    page.wait_for_function("(e) => Number(e.dataset.zoom) > 1", arg=image.element_handle())
    before = canvas.evaluate("(e) => e.toDataURL()")
    image.locator("select").select_option("linear")
    image.get_by_label("Black [ADU]").fill("-20000")
    image.get_by_label("Black [ADU]").press("Enter")
    assert canvas.evaluate("(e) => e.toDataURL()") != before


def complete_a_proxy(page: Any) -> None:
    """TAB behind a proxy offers its commands."""
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:insert-cell-below')")
    page.keyboard.press("Enter")
    page.keyboard.type(CELLS[-1])
    page.keyboard.press("Tab")
    page.wait_for_function("""() => document.querySelector('.jp-NotebookPanel').innerText.includes('att_get_level')
        || [...document.querySelectorAll('.jp-Completer-item')].some((i) => i.textContent.includes('att_get_level'))""")
