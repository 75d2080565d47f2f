"""The examples of the manual about Setup and Settings: caveats, chapters 8, 9 and 17.1 (with a real cm_cs: confman)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import rich

import egse
from egse.settings import Settings
from egse.setup import NavigableDict, Setup

PUNA = """\
Setup:
  gse:
    hexapod:
      device_name: Symetrie Puna Hexapod
      device: class//egse.dummy.DummyProxy
      ID: 172543
      firmware: 3.14
      time_request_granularity: 0.1
    stages: {}
    thorlabs: {}
    shutter: {}
    ogse: {}
    filter_wheel: {}
"""
CONFIG = {
    "server": {"host": "localhost", "port": 8080, "secure": True},
    "logging": {
        "level": "info",
        "destinations": ["console", "file"],
        "file": {"path": "/var/log/app.log", "max_size": "10MB", "backup_count": 5},
    },
}
TREE_17_1 = """\
NavigableDict
├── server
│   ├── host: localhost
│   ├── port: 8080
│   └── secure: True
└── logging
    ├── level: info
    ├── destinations: ['console', 'file']
    └── file
        ├── path: /var/log/app.log
        ├── max_size: 10MB
        └── backup_count: 5
"""


@pytest.fixture
def setup() -> Setup:
    return Setup.from_yaml_string(PUNA)


def test_caveats_1_keys_with_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    s = Setup()
    s["a key with spaces"] = 42
    print(s)
    assert capsys.readouterr().out == "NavigableDict\n└── a key with spaces: 42\n"
    assert s["a key with spaces"] == 42
    with pytest.raises(SyntaxError):
        compile("s.a key with spaces", "<input>", "eval")


def test_8_1_dots_and_keys_are_equivalent(setup: Setup) -> None:
    assert setup.gse.hexapod.ID == 172543
    assert setup["gse"]["hexapod"]["ID"] == 172543
    assert setup["gse"].hexapod["ID"] == 172543


def test_8_1_a_device_is_made_when_it_is_read(setup: Setup) -> None:
    from egse.dummy import DummyProxy

    device = setup.gse.hexapod.device
    assert isinstance(device, DummyProxy)
    device.disconnect_cs()
    assert setup.gse.hexapod.get_raw_value("device") == "class//egse.dummy.DummyProxy"


def test_8_1_keys_and_print(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    assert repr(setup.gse.keys()) == (
        "dict_keys(['hexapod', 'stages', 'thorlabs', 'shutter', 'ogse', 'filter_wheel'])"
    )
    print(setup.gse)
    assert "│   ├── device: class//egse.dummy.DummyProxy\n" in capsys.readouterr().out


def test_8_3_a_new_value_is_assigned(setup: Setup) -> None:
    setup.gse.hexapod.Firmware = 3.1415
    assert setup["gse"]["hexapod"]["Firmware"] == 3.1415
    assert setup.gse.hexapod.firmware == 3.14  # another key


def test_8_4_from_scratch(capsys: pytest.CaptureFixture[str]) -> None:
    setup = Setup({"gse": {"hexapod": {"ID": 42, "name": "PUNA"}}})
    assert setup.pretty_str() == "gse:\n    hexapod:\n        ID: 42\n        name: PUNA\n"
    setup.gse.hexapod.firmware = "2020.07"
    assert (
        setup.pretty_str()
        == "gse:\n    hexapod:\n        ID: 42\n        name: PUNA\n        firmware: 2020.07\n"
    )
    print(setup)  # print() shows the tree of chapter 17.1
    assert capsys.readouterr().out == (
        "NavigableDict\n└── gse\n    └── hexapod\n        ├── ID: 42\n        ├── name: PUNA\n"
        "        └── firmware: 2020.07\n"
    )


def test_8_4_a_local_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    setup = Setup({"gse": {"hexapod": {"ID": 42, "name": "PUNA", "firmware": "2020.07"}}})
    setup.to_yaml_file(filename="SETUP-42-FIXED.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["SETUP-42-FIXED.yaml"]
    again = Setup.from_yaml_file("SETUP-42-FIXED.yaml")
    assert again.gse.hexapod.firmware == "2020.07"
    assert again == setup


def test_10_2_1_from_a_dictionary_and_a_file(tmp_path: Path) -> None:
    my_dict = {"gse": {"hexapod": {"ID": 42}}}
    assert Setup.from_dict(my_dict).gse.hexapod.ID == 42
    assert Setup.from_yaml_file(Setup.from_dict(my_dict).to_yaml_file(tmp_path / "x.yaml")) == my_dict


def test_9_settings(tmp_path: Path, local_settings: Callable[[str], Path]) -> None:
    settings = Settings.load()
    assert settings["Common-EGSE"].VERSION
    assert settings.SITE["SSH_PORT"] == 22
    path = local_settings("SITE:\n  ID: CSL1\n  ROOM: 2\nMy Device:\n  PORT: 4711\n")
    settings = Settings.load(force=True)
    assert settings.SITE.ID == "CSL1"  # takes precedence
    assert settings.SITE.SSH_PORT == 22  # only what changes needs to stand there
    assert (settings.SITE.ROOM, settings["My Device"].PORT) == (2, 4711)  # new entries at any level
    assert Settings.get_memoized_locations()[-1] == str(path)
    path.write_text("SITE:\n  ID: CSL2\n")
    assert Settings.load().SITE.ID == "CSL1"  # remembered
    assert Settings.load(force=True).SITE.ID == "CSL2"
    assert settings.SITE.ID == "CSL1"  # who has settings keeps the old ones


def test_9_host_names_are_localhost_by_default() -> None:
    content = Settings.load(add_local_settings=False)
    assert str(Path(egse.__file__).parent / "settings.yaml") in Settings.get_memoized_locations()
    hosts = [
        block["HOSTNAME"] for block in content.values() if isinstance(block, dict) and "HOSTNAME" in block
    ]
    assert set(hosts) == {"localhost"}


def test_17_1_navigation_and_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    assert CONFIG["logging"]["file"]["path"] == "/var/log/app.log"  # type: ignore[index]
    config = NavigableDict(CONFIG)
    print(config)
    assert capsys.readouterr().out == TREE_17_1
    rich.print(config)
    assert capsys.readouterr().out == TREE_17_1
    log_file = config.logging.file.path
    assert log_file == config["logging"]["file"]["path"] == "/var/log/app.log"


def test_17_1_special_entries(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("inner:\n  table: csv//table.csv\n")
    (tmp_path / "table.csv").write_text("x;y\n1;2\n")
    config = NavigableDict(
        {
            "side": "int_enum//SIDE",
            "content": {"E": {"alias": ["E_SIDE"], "value": 1}, "F": {"alias": ["F_SIDE"], "value": 0}},
            "more": f"yaml//{tmp_path}/more.yaml",
            "numbers": f"csv//{tmp_path}/table.csv",
            "table": f"pandas//{tmp_path}/table.csv",
            "separator": ";",
        }
    )
    assert (config.side.E_SIDE.value, config.side.F.name) == (1, "F")
    assert config.more.inner.table == [["x;y"], ["1;2"]]  # relative to more.yaml
    assert config.numbers == [["x;y"], ["1;2"]]
    assert config.table["y"].tolist() == [2]
    assert config.get_raw_value("side") == "int_enum//SIDE"


def test_17_1_memoized_keys(tmp_path: Path) -> None:
    file = tmp_path / "more.yaml"
    file.write_text("a: 1\n")
    config = NavigableDict({"more": f"yaml//{file}", "plain": 1})
    assert config.get_memoized_keys() == []
    assert config.more is config.more
    assert config.get_memoized_keys() == ["more"]
    file.write_text("a: 2\n")
    assert config.more.a == 1
    assert config.del_memoized_key("more")
    assert config.more.a == 2


def test_17_1_private_attributes_and_only_text_as_keys() -> None:
    config = NavigableDict({"a": {"b": 1}})
    config.set_private_attribute("_note", "mine")
    assert config.get_private_attribute("_note") == config._note == "mine"
    assert config.has_private_attribute("_note")
    assert list(config) == ["a"]
    assert "_note" not in str(config)
    with pytest.raises(ValueError, match="begins with an underscore"):
        config.set_private_attribute("note", 1)
    with pytest.raises(TypeError, match=r"all keys must be texts \(str\): 5 in Setup\.a is of type int"):
        config.a[5] = "x"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e3", 1000.0),
        ("1.000000E-01", 0.1),
        ("-1e-3", -0.001),
        ("012345", "012345"),
        ("0123", "0123"),
        ("12:30:45", "12:30:45"),
        ("yes", True),
        ("off", False),
        ("'yes'", "yes"),
        ("1A", "1A"),
        ("1E1", 10.0),
        ("'1E1'", "1E1"),
        ("230407_091711", 230407091711),
        ("2026-11-25", "date"),
    ],
)
def test_traps_of_yaml_1_1(written: str, value: object, tmp_path: Path) -> None:
    """What is read is of the type that is documented, and stays so (and as written) when the Setup is saved."""
    setup = Setup.from_yaml_string(f"Setup:\n  x: {written}   # as written\n  no: 1\n  0: 2\n")
    if value == "date":
        assert setup.x.isoformat() == written
    else:
        assert setup.x == value
        assert type(setup.x) is type(value)
    assert list(setup) == ["x", "no", "0"]
    setup.other = 1
    text = setup.to_yaml_string()
    assert f"x: {written}   # as written\n" in text
    assert Setup.from_yaml_string(text) == setup
    assert Setup.from_yaml_string(Setup(setup.to_dict()).to_yaml_string()).digest() == setup.digest()
