"""`camtest ui` in a real browser: tokens, the status page, live panels, commands, images, a server that is killed."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.confman import ConfigurationManagerProxy
from egse.dpu import DPUProxy
from egse.proxy import is_control_server_active
from egse.site.sandbox import Sandbox
from egse.tempcontrol.lsci336 import LakeShore336Proxy

from ..system import jupyterlab
from .conftest import Pages, assert_accessible, eventually

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        jupyterlab.CHROMIUM is None, reason="chromium is not installed (apt install chromium)"
    ),
    pytest.mark.timeout(900),
]


@pytest.fixture(autouse=True, scope="module")
def voila() -> None:
    pytest.importorskip("voila")


@pytest.fixture
def controller(in_sandbox: Sandbox) -> Iterator[LakeShore336Proxy]:
    """Another client of the temperature controller."""
    with LakeShore336Proxy() as proxy:
        yield proxy


def value_of(page: Any, name: str) -> str:
    return str(page.locator(f'tr[data-name="{name}"] td.value').first.inner_text())


def test_nothing_without_the_token(ui: Pages) -> None:
    paths = ("camtest", "camtest/status", "camtest/status.json", "voila/render/pm_ui.ipynb", "voila/tree")
    apis = ("api/kernels", "api/contents", "api/sessions")
    for path in paths:
        assert ui.status_of(path, ui.token) == 200 or path.startswith("voila/render"), path
    for path in (*paths, *apis):
        assert ui.status_of(path) in (302, 403), path
        assert ui.status_of(path, "wrong" + ui.token[5:]) in (302, 403), path
    verb = b'{"verb": "abort"}'
    assert ui.status_of("camtest/verb", data=verb) == 403
    assert ui.status_of("camtest/verb", "wrong", data=verb) == 403
    assert ui.status_of("camtest/verb", ui.token, data=verb) == 409  # nothing is running
    assert ui.status_of("camtest/verb", ui.token, data=b'{"verb": "dance"}') == 400
    page = ui.open("camtest", token="wrong")
    assert page.locator("[data-page]").count() == 0
    page.context.close()


def test_the_status_page_names_what_is_wrong_and_what_to_do(
    ui: Pages, in_sandbox: Sandbox, shots: Path
) -> None:
    page = ui.open("camtest/status")
    page.locator('[data-server="ogse_cs"][data-state="running"]').wait_for()
    with ConfigurationManagerProxy() as manager:
        run = manager.start_observation(
            run_id="status-page", function="", description="", supervised=False, lease=0.0, details={}
        )
        page.locator(f'#running[data-obsid="{run["obsid"]}"]').wait_for()
        page.screenshot(path=shots / "status.png")
        assert_accessible(page)
        page.get_by_label("Reason").fill("it is late")
        stop = page.locator('[data-verb="stop"]')
        stop.press("Enter")  # with the keyboard
        stop.press("Enter")
        page.locator('[data-result="accepted"]').wait_for()
        (verb,) = manager.get_desk(run_id="status-page")["verbs"]
        assert (verb["verb"], verb["reason"]) == ("stop", "it is late")
        manager.end_observation(run_id="status-page", status="done")
    page.locator('#running[data-obsid=""]').wait_for()
    page.context.close()


def brightness(page: Any, style: str, of: str = "body") -> int:
    """Returns how bright (0 to 255) a colour is on a page: the dimmest of red, green and blue."""
    colour = page.locator(of).first.evaluate(
        "(e, style) => getComputedStyle(e).getPropertyValue(style)", style
    )
    return min(int(part) for part in re.findall(r"\d+", colour)[:3])


def test_a_live_panel_for_two_operators(ui: Pages, controller: LakeShore336Proxy, shots: Path) -> None:
    first, second = (
        ui.open("voila/render/lsci336_ui.ipynb"),
        ui.open("voila/render/lsci336_ui.ipynb?theme=dark"),
    )
    for page in (first, second):
        page.locator('[data-led="SERVER"][data-state="ok"]').wait_for()
    assert brightness(first, "background-color") > 200 > 100 > brightness(second, "background-color")
    assert (
        brightness(first, "color", ".camtest-board")
        < 100
        < 200
        < brightness(second, "color", ".camtest-board")
    )
    controller.set_temperature_setpoint(output=1, value=281.0)
    eventually(lambda: value_of(second, "GLAB_LSCI336_SETPOINT_1") == "281", "what another client has set")

    first.get_by_role("tab", name="Commands").click()
    first.get_by_placeholder("filter").fill("set_temperature_setpoint")
    commands = first.locator(".camtest-commands select")
    eventually(lambda: commands.locator("option").count() == 1, "the filter")  # the kernel renews the choices
    commands.select_option(label="set_temperature_setpoint")
    first.get_by_label("output").select_option("2") if first.get_by_label("output").first.evaluate(
        "e => e.tagName"
    ) == "SELECT" else first.get_by_label("output").first.fill("2")
    first.get_by_label("value").first.fill("277.5")
    first.get_by_role("button", name="Run set_temperature_setpoint").click()
    eventually(lambda: controller.get_temperature_setpoint(output=2) == 277.5, "the command at the device")
    eventually(lambda: value_of(second, "GLAB_LSCI336_SETPOINT_2") == "277.5", "it in the other window")

    first.get_by_role("tab", name="Charts").click()
    chart = first.locator('[data-chart="GLAB_LSCI336_TEMPA"]')
    before = int(chart.get_attribute("data-points") or 0)
    eventually(lambda: int(chart.get_attribute("data-points") or 0) > before, "a chart that moves")
    for page in (first, second):
        assert_accessible(page)
    first.screenshot(path=shots / "lsci336.png")
    second.screenshot(path=shots / "lsci336-dark.png")
    for page in (first, second):
        page.context.close()


def test_a_server_that_is_killed_is_told_and_comes_back(ui: Pages, in_sandbox: Sandbox) -> None:
    page = ui.open("voila/render/lsci336_ui.ipynb")
    page.locator('[data-led="SERVER"][data-state="ok"]').wait_for()
    in_sandbox.kill(
        "lsci336_cs", signal.SIGSTOP
    )  # it hangs; when it is killed, it is back before anybody misses it
    page.locator('[data-led="SERVER"][data-state="bad"]').wait_for()
    page.locator(".note.bad", has_text="lsci336_cs has been silent").wait_for()
    in_sandbox.kill("lsci336_cs")
    in_sandbox.wait_for("lsci336_cs")
    page.locator('[data-led="SERVER"][data-state="ok"]').wait_for()
    page.context.close()


def test_images_appear_while_another_client_reads_out(ui: Pages, in_sandbox: Sandbox, shots: Path) -> None:
    page = ui.open("voila/render/dpu_ui.ipynb")
    page.locator('[data-led="N-FEE MODE"]').wait_for()
    with DPUProxy(timeout=60.0) as camera:
        if not camera.n_fee_is_dump_mode():
            camera.n_fee_set_standby_mode()
            eventually(lambda: camera.get_status_summary()["mode_name"] == "STANDBY_MODE", "STANDBY mode")
            camera.n_fee_set_dump_mode()
            eventually(camera.n_fee_is_dump_mode, "DUMP mode")
        camera.n_fee_set_full_image_mode(
            num_cycles=2, row_start=0, row_end=699, rows_final_dump=0, ccd_order=[1, 2, 3, 4], ccd_side="BOTH"
        )
        for ccd in (1, 2, 3, 4):
            page.locator(f'.ccd[data-ccd="{ccd}"][data-complete="true"]').wait_for()
        page.locator('[data-ccd="2"] canvas').first.hover()
        assert "flux=" in page.locator('[data-ccd="2"] .bar').inner_text()
        page.screenshot(path=shots / "dpu.png", full_page=True)
        assert_accessible(page)
        page.locator('[data-ccd="3"] button.clear').click()
        page.locator('.ccd[data-ccd="3"] .when', has_text="no image").wait_for()
        page.get_by_role("tab", name="Register map").click()
        page.get_by_placeholder("text or regular expression").fill("v_end")
        eventually(lambda: page.locator("[data-register]").count() in (1, 2), "one register")
        eventually(lambda: camera.get_num_cycles() == 0, "the end of the cycles")
    page.context.close()


@pytest.mark.campaign
def test_the_process_manager_starts_and_stops_servers(ui: Pages, in_sandbox: Sandbox, shots: Path) -> None:
    page = ui.open("voila/render/pm_ui.ipynb")
    row = page.locator('[data-server="lsci336_cs"]')
    row.and_(page.locator('[data-state="running"]')).wait_for()
    page.screenshot(path=shots / "pm.png", full_page=True)
    assert_accessible(page)
    page.get_by_title("Stop lsci336_cs").click()
    page.get_by_role("button", name="Yes, do it").click()
    eventually(
        lambda: not is_control_server_active(in_sandbox.endpoint("lsci336_cs")), "the end of the server"
    )
    row.and_(page.locator('[data-state="stopped"]')).wait_for()
    page.get_by_title("Start lsci336_cs").click()
    row.and_(page.locator('[data-state="running"]')).wait_for()
    eventually(lambda: is_control_server_active(in_sandbox.endpoint("lsci336_cs")), "the server")
    page.context.close()


def test_nothing_was_asked_of_the_world(ui: Pages) -> None:
    assert ui.elsewhere == []
