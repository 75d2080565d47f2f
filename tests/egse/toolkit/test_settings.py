from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from egse.settings import AttributeDict, Settings, SettingsError

CONTROL_SERVERS = {
    "Configuration Manager Control Server": (6000, 6001, 6002),
    "Storage Control Server": (6100, 6101, 6102),
    "Process Manager Control Server": (6200, 6201, 6202),
    "Synoptics Manager Control Server": (6204, 6205, 6206),
    "PUNA Control Server": (6700, 6701, 6702),
}
GLOBAL = str(Path(sys.modules["egse.settings"].__file__ or "").with_name("settings.yaml"))

WriteLocal = Callable[[str], Path]


def test_ports_of_the_manual() -> None:
    for name, ports in CONTROL_SERVERS.items():
        block = Settings.load(name)
        assert (block.COMMANDING_PORT, block.MONITORING_PORT, block["SERVICE_PORT"]) == ports
    assert Settings.load("DPU Control Server").DPU_PROCESSOR_MONITORING_PORT == 30102
    assert Settings.load("AEU PSU2 Control Server").COMMANDING_PORT == 30010
    assert Settings.load("DSI").DEVICE_PORT == 4949
    assert Settings.load("OGSE Control Server").DEVICE_PORT == 4181


def test_global_settings_are_consistent() -> None:
    settings = Settings.load()
    ports: dict[int, str] = {}
    for name, block in settings.items():
        if not isinstance(block, AttributeDict):
            continue
        for key, value in block.items():
            if key.endswith("HOSTNAME"):
                assert value == "localhost", name
            if key.endswith("_PORT") and not key.startswith(("DEVICE", "SSH", "EXTERN")):
                assert value < 32768
                assert ports.setdefault(value, name) == name
        if name.endswith("Control Server"):
            assert {"METRICS_PORT", "PROTOCOL"} <= set(block), name
            if name not in (
                "N-FEE-HK Control Server",
                "Watchdog Control Server",
                "Reaction Control Server",
            ):  # no housekeeping of their own
                assert {"STORAGE_MNEMONIC", "HK_DELAY"} <= set(block), name


def test_memoised_and_forced(local_settings: WriteLocal) -> None:
    path = local_settings("SITE:\n  ID: CSL1\n")
    settings = Settings.load()
    assert settings.SITE.ID == "CSL1"
    assert Settings.load() is settings
    assert {GLOBAL, str(path)} <= set(Settings.get_memoized_locations())
    path.write_text("SITE:\n  ID: CSL2\n")
    assert Settings.load("SITE").ID == "CSL1"
    assert Settings.load("SITE", force=True).ID == "CSL2"
    assert settings.SITE.ID == "CSL1"  # who has settings keeps them


def test_local_settings_extend_the_hierarchy(local_settings: WriteLocal) -> None:
    local_settings(
        "Storage Control Server:\n  HOSTNAME: egse-server\nSITE:\nLab:\n  lamp: {COLOUR: [1, 2]}\nTHRESHOLD: 1e3\n"
    )
    block = Settings.load("Storage Control Server")
    assert (block.HOSTNAME, block.COMMANDING_PORT) == ("egse-server", 6100)
    assert Settings.load("Lab").lamp.COLOUR == [1, 2]
    assert Settings.load().THRESHOLD == 1000.0
    assert Settings.load("SITE").SSH_PORT == 22  # an empty block changes nothing
    assert dict(Settings.load(add_local_settings=False)["Storage Control Server"])["HOSTNAME"] == "localhost"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SITE: CSL1", "SITE is a block, it cannot become 'CSL1'"),
        ("- a\n- b", "expected blocks at the top level, not a list"),
        ("A: [1\nB: 2", "line 2"),
        (
            "OGSE Control Server:\n  COMMANDING_PORT: '6000'",
            r"OGSE Control Server.COMMANDING_PORT must be a port",
        ),
        ("X:\n  SPW_PORT: 70000", r"X.SPW_PORT must be a port \(0 to 65535\), not 70000"),
        ("A: 1\nA: 2", "the key 'A' was already given in line 1"),
    ],
)
def test_bad_local_settings(local_settings: WriteLocal, text: str, problem: str) -> None:
    path = local_settings(text)
    with pytest.raises(SettingsError, match=problem) as caught:
        Settings.load()
    assert str(path) in str(caught.value)


def test_missing_file_and_block(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="did you mean 'Storage Control Server'") as caught:
        Settings.load("Storage Control Sever")
    assert GLOBAL in str(caught.value)
    with pytest.raises(SettingsError, match="is a value, not a block"):
        Settings.load("TRUSTED_PACKAGES")
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(tmp_path / "nothing.yaml"))
    with pytest.raises(SettingsError, match=r"nothing\.yaml cannot be read.*PLATO_LOCAL_SETTINGS"):
        Settings.load()


def test_other_settings_files(tmp_path: Path) -> None:
    (tmp_path / "device.yaml").write_text("LIMITS:\n  low: -1e-3\n")
    assert Settings.load("LIMITS", location=tmp_path, filename="device.yaml").low == -0.001


def _python(*arguments: str, local: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", **({"PLATO_LOCAL_SETTINGS": str(local)} if local else {})}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=env, check=False)


def test_settings_module(local_settings: WriteLocal) -> None:
    path = local_settings("SITE:\n  ID: CSL1\n")
    shown = _python("-m", "egse.settings", local=path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("AttributeDict\n├── Common-EGSE\n│   ├── VERSION: ")
    assert "│   ├── ID: CSL1\n│   ├── SSH_SERVER: localhost\n│   ├── SSH_PORT: 22\n" in shown.stdout
    assert shown.stdout.endswith(f"Memoized locations:\n['{GLOBAL}', '{path}']\n")
    only_local = _python("-m", "egse.settings", "--local", local=path)
    assert (
        only_local.stdout == f"AttributeDict\n└── SITE\n    └── ID: CSL1\nMemoized locations:\n['{path}']\n"
    )
    assert _python("-m", "egse.settings", "--wrong").returncode == 2
    path.write_text("SITE: 3\n")
    broken = _python("-m", "egse.settings", local=path)
    assert broken.returncode == 1
    assert "SITE is a block" in broken.stderr


@pytest.mark.parametrize("module", ["egse.settings", "egse.setup", "egse.env", "egse.version"])
def test_imports_stay_light(module: str) -> None:
    heavy = "{'pandas', 'rich', 'numpy', 'click', 'zmq', 'matplotlib'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    assert _python("-c", code).stdout.strip() == "[]"
