"""Submitting with a real configuration manager: killed in between, with a remote, from the command line."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from egse.confman import ConfigurationManagerProxy, ObservationError
from egse.confman.failpoints import SUBMIT_FAIL_POINTS
from egse.proxy import OutcomeUnknownError

from .gitsites import Upload, configure, git, setup_text

if TYPE_CHECKING:
    from .conftest import PrivateSite


def submit(site: PrivateSite, camera: str = "achel") -> dict[str, Any]:
    with site.cm() as cm:
        return cm.submit_setup(setup_text(camera), f"camera {camera}")


def wait_for_push(cm: ConfigurationManagerProxy, state: str) -> dict[str, Any]:
    pause = threading.Event()
    for _ in range(1200):
        outcome = cm.sync_setups(start=False)
        if outcome["state"] == state:
            return outcome
        pause.wait(0.05)
    raise AssertionError(outcome)


@pytest.mark.parametrize("name", SUBMIT_FAIL_POINTS)
def test_killed_while_submitting_nothing_is_lost_nor_half_done(private_site: PrivateSite, name: str) -> None:
    site = private_site
    site.start("cm_cs", fail_point=name)
    with site.cm() as cm:
        cm.load_setup(84)
        with pytest.raises((ConnectionError, OutcomeUnknownError)):
            cm.submit_setup(setup_text("achel"), "camera achel")
    site.killed("cm_cs")
    site.start("cm_cs")
    is_there = SUBMIT_FAIL_POINTS[name][1]
    with site.cm() as cm:
        listed = [row[0] for row in cm.list_setups({"camera__ID": "achel"})]
        assert listed == (["00085"] if is_there else [])
        assert cm.get_setup()["setup_id"] == (85 if name == "cm.submit.after_load" else 84)
        assert cm.check_setups() == []
    assert git(site.repository, "status", "--porcelain") == ""
    assert submit(site)["setup_id"] == (86 if is_there else 85)


def test_a_remote_that_refuses_and_then_does_not(private_site: PrivateSite) -> None:
    site = private_site
    configure(site.repository)
    upload = Upload(site.repository, site.root)
    upload.refuse()
    site.start("cm_cs")
    with site.cm() as cm:
        cm.load_setup(84)
        assert submit(site)["setup_id"] == 85
        refused = wait_for_push(cm, "remote-refuses")
        assert "deploy key is read-only" in refused["text"]
        (found,) = cm.check_setups()
        assert (found["name"], found["text"]) == ("remote-refuses", refused["text"])
    assert "  ATTENTION remote-refuses: git push" in site.run("cm_cs", "status").stdout
    assert "write access to" in site.run("cm_cs", "sync").stderr
    site.kill("cm_cs")  # what is to be pushed survives
    upload.accept()
    upload.push("data/CSL1/conf/SETUP_CSL1_00086_260101_000000.yaml", setup_text("brigand"))
    site.start("cm_cs")
    with site.cm() as cm:
        wait_for_push(cm, "done")
        assert [row[0] for row in cm.list_setups({})] == ["00084", "00085", "00086"]
        assert cm.check_setups() == []
    assert upload.tip() == git(site.repository, "rev-parse", "HEAD")
    assert submit(site)["setup_id"] == 87
    assert site.run("cm_cs", "sync").stdout == "Setups and remote: done\n"


def test_from_the_command_line(private_site: PrivateSite) -> None:
    site = private_site
    site.start("cm_cs")
    assert site.run("cm_cs", "check").stdout == "The Setups are in order.\n"
    mine = site.root / "mine.yaml"
    mine.write_text("# of mine\n" + setup_text("duvel").replace("duvel", "duvel   # the third"))
    done = site.run("cm_cs", "submit", str(mine), "-d", "camera duvel")
    assert done.stdout.startswith("Setup submitted: 00085 (/"), done.stderr
    (path,) = (site.repository / "data/CSL1/conf").glob("SETUP_CSL1_00085_*.yaml")
    text = path.read_text()
    assert "# of mine\nSetup:\n" in text
    assert "ID: duvel   # the third\n" in text
    assert "'0': begin\n    1: camera duvel\n" in text
    assert text.startswith("# Submitted to the configuration manager as Setup 00085, 20")
    assert git(site.repository, "log", "-1", "--format=%s") == "Setup 00085 CSL1: camera duvel"
    path.write_text(setup_text("chimay"))
    loaded = site.run("cm_cs", "load-setup", "85")
    assert loaded.stdout.startswith("Setup loaded: 00085")
    assert f"ATTENTION changed-by-hand: {path.name} was changed by hand" in loaded.stderr
    checked = site.run("cm_cs", "check")
    assert checked.returncode == 1
    assert checked.stdout.startswith(f"changed-by-hand: {path.name}")
    mine.write_text("Setup:\n  a: [\n")
    assert "mine.yaml, line 3" in site.run("cm_cs", "submit", str(mine), "-d", "bad").stderr


def test_nothing_is_submitted_during_an_observation(private_site: PrivateSite) -> None:
    site = private_site
    site.start_core()
    with site.cm() as cm:
        cm.start_observation("r1", "x()", "a test", True, 30.0, {})
        with pytest.raises(ObservationError, match="an observation is running"):
            cm.submit_setup(setup_text(), "a change")
        cm.end_observation("r1", "done")
        assert cm.submit_setup(setup_text(), "a change")["setup_id"] == 85
