"""`camtest lab` in a real browser: the launcher has panels, notebooks and procedures, and what is opened from it lives."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from camtest.run.queue import Queue
from egse.site.layout import SiteLayout

from ..system import jupyterlab
from .conftest import Pages

pytestmark = [
    pytest.mark.system,
    pytest.mark.campaign,  # a minute for one card
    pytest.mark.skipif(
        jupyterlab.CHROMIUM is None, reason="chromium is not installed (apt install chromium)"
    ),
    pytest.mark.timeout(600),
]


class Lab(Pages):
    """`camtest lab` in a process of its own, with a browser."""

    def _start(self, port: int, environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
        options = ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
        words = ["lab", "--no-browser", "--port", str(port), "--", *options]
        return self._run(words, environment, folder)


@pytest.fixture
def lab(
    site: SiteLayout, tmp_path: Path, free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lab]:
    monkeypatch.setenv("CAMTEST_RUNS_LOCATION", str(tmp_path / "runs"))
    root = tmp_path / "root"
    for path in ("notebooks/cockpit.ipynb", "procedures/short_test.ipynb"):
        (root / path).parent.mkdir(parents=True)
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Here")]), root / path)
    with Lab(dict(os.environ), free_ports(1)[0], root) as running:
        yield running
    assert running.elsewhere == []


def test_a_card_of_the_launcher_opens_a_live_panel(lab: Lab, shots: Path) -> None:
    page = lab.open("lab?reset")
    card = page.locator(".jp-LauncherCard")
    card.filter(has_text="Queue and runs").click()
    lamp = page.locator('[data-led="QUEUE"]')
    lamp.wait_for()
    Queue().set_status("paused", "lunch")  # another process
    page.locator('[data-led="QUEUE"]', has_text="paused: lunch").wait_for()
    page.locator("#camtest-session-bar").wait_for()
    page.evaluate("() => window.jupyterapp.commands.execute('launcher:create')")
    for title in ("camtest: panels", "camtest: notebooks", "camtest: procedures"):
        page.get_by_text(title, exact=True).locator("visible=true").wait_for()
    page.screenshot(path=shots / "launcher.png")
    config = json.loads(page.locator("#jupyter-config-data").text_content() or "")
    assert config["news"] == {
        "disabled": True
    }  # nobody is asked for leave to fetch something from the internet
    card.filter(has_text="short test").locator("visible=true").click()
    page.get_by_role("tab", name="short_test.ipynb").wait_for()
    page.context.close()
    assert lab.status_of("camtest/launcher.json") in (302, 403)
    assert lab.status_of("camtest/session.json") in (302, 403)
