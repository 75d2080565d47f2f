"""The survey of control servers: what it finds, and what takes it down, without harm to who asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from egse.settings import Settings
from egse.setup import Setup
from egse.site.layout import SiteLayout
from egse.site.programs import device_entries, device_entry
from egse.site.survey import survey

SETUP = """
Setup:
  gse:
    wheel: {device: class//bench_units.wheel.WheelProxy}
    crash: {device: class//bench_units.crashing.CrashingProxy, device_name: Crashing}
    lakeshore: {device: class//egse.tempcontrol.lsci336.LakeShore336Proxy}
    calibrated:
      device: class//egse.ogse.OGSEProxy
      calibration: yaml//no_such_file.yaml
    lost: yaml//no_such_branch.yaml
    table: pandas//no_such_file.csv
    parts: yaml//parts.yaml
  camera:
    dpu: {device: class//egse.dpu.DPUProxy}
    fee: {device: class//egse.fee.NotADeviceHere}
"""


@pytest.fixture(autouse=True)
def _joined(site: SiteLayout, packages: Path) -> None:
    Settings.load(force=True)


def test_servers_that_cannot_be_imported_say_why() -> None:
    found = survey(names=["wheel_cs", "exiting_cs", "crashing_cs", "twin1_cs", "no_cs"]).servers

    assert "OSError: libximc.so: cannot open shared object file" in found["wheel_cs"].problem
    assert "System Exit with code None." in found["exiting_cs"].problem
    assert found["crashing_cs"].problem.startswith("looking at it killed by SIGSEGV")
    assert "built for another machine" in found["crashing_cs"].problem
    assert (found["twin1_cs"].title, found["twin1_cs"].problem) == ("Twin 1", "")
    assert found["no_cs"].problem == "it is not installed"


def test_devices_of_a_setup_one_of_which_ends_the_child(tmp_path: Path) -> None:
    (tmp_path / "parts.yaml").write_text("dummy: {device: class//egse.dummy.DummyProxy}\n")
    setup = Setup.from_yaml_string(SETUP, tmp_path / "SETUP_LAB_00007_260101_000000.yaml")
    devices = {device.place: device for device in survey(setup).devices}

    assert {place: device.server for place, device in devices.items()} == {
        "gse.wheel": "wheel_cs",
        "gse.crash": "crashing_cs",
        "gse.lakeshore": "lsci336_cs",
        "gse.calibrated": "ogse_cs",
        "gse.lost": "",
        "gse.parts.dummy": "dummy_cs",
        "camera.dpu": "dpu_cs",
    }
    assert devices["gse.crash"].label == "Crashing"
    assert "killed by SIGSEGV" in devices["gse.crash"].problem
    assert "libximc.so" in devices["gse.wheel"].problem
    assert "no_such_branch.yaml" in devices["gse.lost"].problem
    assert not any(devices[place].problem for place in ("gse.lakeshore", "gse.parts.dummy", "camera.dpu"))


def test_a_child_that_hangs_is_ended(tmp_path: Path, packages: Path) -> None:
    (packages / "bench_units" / "hanging.py").write_text("import signal\nsignal.pause()\n")
    setup = Setup.from_yaml_string("Setup: {gse: {x: {device: class//bench_units.hanging.X}}}")
    devices = survey(setup, timeout=3.0).devices

    assert "did not end within 3 s" in devices[0].problem


def test_the_command_line_lives_with_packages_that_cannot_be_imported() -> None:
    assert device_entry("wheel").settings == ""
    entries = {entry.name: entry for entry in device_entries()}
    assert entries["twin2_cs"].settings == "Twin 2 Control Server"
    assert {"wheel_cs", "exiting_cs", "crashing_cs", "ogse_cs"} <= set(entries)
