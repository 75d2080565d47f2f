"""Several sites on one machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from egse.site.layout import SiteError, format_exports
from egse.site.ports import release_block
from egse.site.sites import join_current_site, load_sites, new_site, sites_file, use_site
from egse.yamlfile import read_yaml


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    before = dict(os.environ)
    for name in ("PLATO_DATA_STORAGE_LOCATION", "PLATO_LOCAL_SETTINGS"):
        os.environ.pop(name, None)
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)
    for name in ("CSL1", "CSL2"):
        for folder in (tmp_path / name, tmp_path / "share/camtest/sites" / name):
            release_block(folder)


def test_two_sites_have_places_and_ports_of_their_own(home: Path) -> None:
    one, two = new_site("CSL1"), new_site("CSL2", home / "CSL2", camera="chimay")

    assert one.folder == home / "share/camtest/sites/CSL1"
    first, second = (read_yaml(layout.settings) for layout in (one, two))
    assert first["SITE"]["ID"] == "CSL1"
    assert "SPEED" not in first["SITE"]
    assert (
        first["Storage Control Server"]["COMMANDING_PORT"]
        != second["Storage Control Server"]["COMMANDING_PORT"]
    )
    assert (two.data / "conf").resolve() == two.conf
    assert len(list(two.conf.glob("SETUP_CSL2_00001_*.yaml"))) == 1


def test_use_chooses_the_site_that_a_bare_environment_joins(home: Path) -> None:
    assert join_current_site() is None
    new_site("CSL1")
    new_site("CSL2", home / "CSL2")
    assert load_sites().current == "CSL1"
    use_site("CSL2")
    assert load_sites().current == "CSL2"

    layout = join_current_site()
    assert layout is not None
    assert os.environ["SITE_ID"] == "CSL2"
    assert join_current_site() is None  # the environment names a site now


def test_refusals_say_what_to_do(home: Path) -> None:
    with pytest.raises(SiteError, match="cgse site new ID"):
        use_site("CSL1")
    layout = new_site("CSL1")
    with pytest.raises(SiteError, match="there is a site CSL1 already"):
        new_site("CSL1")
    with pytest.raises(SiteError, match="did you mean 'CSL1'"):
        use_site("CSL")
    with pytest.raises(SiteError, match="upper case"):
        new_site("csl1")
    layout.settings.unlink()
    with pytest.raises(SiteError, match="moved or removed"):
        use_site("CSL1")
    sites_file().write_text("[1, 2]")
    with pytest.raises(SiteError, match="not a list of sites"):
        load_sites()


def test_exports_are_quoted_for_the_shell() -> None:
    values = {"SITE_ID": "LAB", "PLATO_LOG_FILE_LOCATION": "/tmp/it's here"}

    assert (
        format_exports(values) == "export SITE_ID=LAB\nexport PLATO_LOG_FILE_LOCATION='/tmp/it'\"'\"'s here'"
    )
    assert format_exports(values, "fish").splitlines()[0] == "set -gx SITE_ID LAB;"
