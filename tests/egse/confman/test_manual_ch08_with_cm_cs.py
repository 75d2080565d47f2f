"""The examples of chapters 5.2, 7.7, 8 and 10.2.1 of the manual, with a real configuration manager."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from egse.settings import Settings
from egse.setup import (
    Setup,
    get_setup,
    list_setups,
    load_setup,
    on_active_setup,
    set_provider,
    submit_setup,
)

from .gitsites import git

if TYPE_CHECKING:
    from .conftest import PrivateSite

HEXAPOD = """\
# In the first room.
Setup:
  site_id: CSL1
  gse:
    hexapod:
      device: class//egse.hexapod.symetrie.puna.PunaProxy
      ID: 172543       # engraved
      firmware: 3.14
  camera: {ID: achel}
  history:
    0: first
"""


@pytest.fixture
def site(private_site: PrivateSite, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateSite]:
    """A site with a running configuration manager, joined by this process."""
    for name, value in private_site.environment.items():
        if name == "SITE_ID" or name.startswith("PLATO_"):
            monkeypatch.setenv(name, value)
    Settings.load(force=True)
    set_provider(None)
    private_site.start("cm_cs")
    yield private_site
    set_provider(None)
    monkeypatch.undo()
    Settings.load(force=True)


def test_setups_are_listed_loaded_changed_and_submitted(site: PrivateSite) -> None:
    seen: list[str | None] = []
    unsubscribe = on_active_setup(lambda setup: seen.append(setup.get_id()))
    try:
        load_setup(84)
        setup = submit_setup(Setup.from_yaml_string(HEXAPOD), description="PUNA Hexapod")
        assert (setup.get_id(), setup.is_dirty()) == ("00085", False)

        setup = load_setup()
        setup.gse.hexapod.firmware = 3.1415
        assert setup.is_dirty()
        setup = submit_setup(setup, description="Updated firmware of PUNA Hexapod")
        assert (setup.get_id(), setup.gse.hexapod.firmware) == ("00086", 3.1415)
        assert setup.get_history() == {
            "0": "first",
            "1": "PUNA Hexapod",
            "2": "Updated firmware of PUNA Hexapod",
        }

        assert repr(list_setups()).splitlines() == [
            "id     site  description                       camera",
            "00084  CSL1  the first one                     chimay",
            "00085  CSL1  PUNA Hexapod                      achel",
            "00086  CSL1  Updated firmware of PUNA Hexapod  achel",
        ]
        assert [row[0] for row in list_setups(gse__hexapod__ID=172543)] == ["00085", "00086"]
        assert [row[0] for row in list_setups(gse__hexapod__firmware=3.1415, camera__ID="achel")] == ["00086"]
        assert list_setups(camera__ID="duvel") == []

        setup_85 = get_setup(85)  # the active one stays
        assert (setup_85.get_id(), load_setup().get_id()) == ("00085", "00086")
        assert load_setup(85).digest() == setup_85.digest()
        assert load_setup().get_id() == "00085"
        assert seen == ["00084", "00085", "00085", "00086", "00086", "00085", "00085"]
    finally:
        unsubscribe()
    with site.cm() as cm:
        assert cm.get_setup(85)["digest"] == setup_85.digest()
    (path,) = (site.repository / "data/CSL1/conf").glob("SETUP_CSL1_00086_*")
    text = path.read_text()
    assert "# In the first room.\nSetup:\n" in text
    assert "ID: 172543       # engraved\n      firmware: 3.141500E+00\n" in text
    assert git(site.repository, "log", "-1", "--format=%s") == (
        "Setup 00086 CSL1: Updated firmware of PUNA Hexapod"
    )
    author = git(site.repository, "log", "-1", "--format=%ae")
    assert "@" in author


def test_status_as_in_section_7_7(site: PrivateSite) -> None:
    load_setup(84)
    lines = site.run("cm_cs", "status").stdout.splitlines()
    port = {
        name: site.endpoint("cm_cs", f"{name.upper()}_PORT").rpartition(":")[2]
        for name in ("monitoring", "commanding", "service")
    }
    assert lines[:5] == [
        "Configuration manager:",
        "  Status: active",
        "  Site ID: CSL1",
        "  No observation running",
        "  Setup loaded: 00084",
    ]
    assert lines[5].startswith("  Hostname: ")
    assert lines[6:] == [
        f"  Monitoring port: {port['monitoring']}",
        f"  Commanding port: {port['commanding']}",
        f"  Service port: {port['service']}",
        "  Listeners: none",
    ]


def test_python_m_egse_setup(site: PrivateSite) -> None:
    load_setup(84)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "egse.setup", *arguments]
        return subprocess.run(command, env=site.environment, capture_output=True, text=True, check=False)

    tree = "NavigableDict\n├── camera\n│   └── ID: chimay\n└── history\n    └── 0: the first one\n"
    for arguments in ((), ("--use-cm",)):
        shown = run(*arguments)
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.startswith("Setup 00084 from /")
        assert shown.stdout.endswith(tree)
    submit_setup(Setup({"camera": {"ID": "achel"}, "history": {"0": "the first one"}}), description="achel")
    compared = run("--use-cm", "--diff", "84")
    assert compared.stdout.splitlines() == [
        "Setup 00084 -> Setup 00085: 2 differences",
        "~ camera.ID: 'chimay' -> 'achel'",
        "+ history['1']: 'achel'",
    ]
    site.stop("cm_cs")
    away = run("--use-cm")
    assert away.returncode == 1
    assert "cm_cs" in away.stderr
