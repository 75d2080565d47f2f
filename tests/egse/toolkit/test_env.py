from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from egse import env

GETTERS = {
    "PLATO_DATA_STORAGE_LOCATION": env.get_data_storage_location,
    "PLATO_CONF_DATA_LOCATION": env.get_conf_data_location,
    "PLATO_CONF_REPO_LOCATION": env.get_conf_repo_location,
    "PLATO_LOG_FILE_LOCATION": env.get_log_file_location,
    "PLATO_LOCAL_SETTINGS": env.get_local_settings,
    "PLATO_INSTALL_LOCATION": env.get_install_location,
    "PLATO_COMMON_EGSE_PATH": env.get_common_egse_path,
}


@pytest.mark.parametrize("variable", GETTERS)
def test_a_missing_variable_is_named_with_the_remedy(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "KUL")
    with pytest.raises(EnvironmentError, match=f"{variable} is not set .*: export {variable}=") as caught:
        GETTERS[variable]()
    assert isinstance(caught.value, env.EnvError)
    assert caught.value.variable == variable


@pytest.mark.parametrize(
    ("root", "location"),
    [
        ("/data", "/data/KUL"),
        ("/data/", "/data/KUL"),
        ("/data/KUL", "/data/KUL"),
        ("/data/KUL/", "/data/KUL"),
    ],
)
def test_site_id_is_appended_once(root: str, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "KUL")
    monkeypatch.setenv("PLATO_DATA_STORAGE_LOCATION", root)
    assert env.get_data_storage_location() == Path(location)
    assert env.get_data_storage_location("CSL1") == Path(root) / "CSL1"


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATO_LOG_FILE_LOCATION", "~/log")
    assert env.get_log_file_location() == Path.home() / "log"


def test_site_id(monkeypatch: pytest.MonkeyPatch, local_settings: Callable[[str], Path]) -> None:
    with pytest.raises(env.EnvError, match=r"SITE_ID is not set.*or set SITE: ID in the local settings"):
        env.get_site_id()
    local_settings("SITE:\n  ID: CSL2\n")
    assert env.get_site_id() == "CSL2"
    monkeypatch.setenv("SITE_ID", "KUL")
    assert env.get_site_id() == "KUL"
    monkeypatch.setenv("SITE_ID", "../x")
    with pytest.raises(env.EnvError, match="letters, digits"):
        env.get_site_id()


def test_camera_is_em(monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.camera_is_em() is False
    monkeypatch.setenv("PLATO_CAMERA_IS_EM", "True")
    assert env.camera_is_em() is True
    monkeypatch.setenv("PLATO_CAMERA_IS_EM", "perhaps")
    with pytest.raises(env.EnvError, match="must be True or False"):
        env.camera_is_em()


def test_describe_env(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "KUL")
    described = env.describe_env()
    assert described["SITE_ID"] == "KUL"
    assert described["PLATO_CONF_DATA_LOCATION"] == "(not set)"
