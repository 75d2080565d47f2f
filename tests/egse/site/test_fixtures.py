"""The fixtures that all tests stand on."""

from __future__ import annotations

import os

from egse.env import get_data_storage_location
from egse.settings import Settings
from egse.site.layout import SiteLayout
from egse.storage.naming import LAST_SETUP_ID


def test_the_site_is_joined_and_empty(site: SiteLayout) -> None:
    assert get_data_storage_location() == site.data
    assert [path.name for path in site.data.iterdir()] == [LAST_SETUP_ID]
    assert len(list(site.conf.glob("SETUP_LAB_00001_*.yaml"))) == 1
    assert Settings.local_file() == site.settings
    assert Settings.load("SITE")["SPEED"] == 20


def test_the_site_of_the_caller_is_left() -> None:
    assert "PLATO_LOCAL_SETTINGS" not in os.environ
