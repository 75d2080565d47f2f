from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from egse.setup import (
    Directive,
    DirectiveError,
    NavigableDict,
    Setup,
    SetupError,
    UntrustedClassError,
    directives,
)

WriteLocal = Callable[[str], Path]

DEVICES = """
from egse.device import DeviceFactoryInterface
from subprocess import Popen

class PSUProxy:
    def __init__(self, number=0, *, simulator=False):
        if number == 99:
            raise ConnectionError("nobody there")
        if number == 98:
            self.nothing
        self.name, self.simulator = f"PSU{number}", simulator

class PunaController: pass
class PunaPlusController: pass

class ControllerFactory(DeviceFactoryInterface):
    def create(self, device_name, *, device_id=None, **_ignored):
        return PunaController() if device_id == "1A" else PunaPlusController()

def function():
    pass
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An importable package `lab_devices` that nothing has imported yet."""
    folder = tmp_path / "lib" / "lab_devices"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "devices.py").write_text(DEVICES)
    (folder / "broken.py").write_text("import sys\nsys.exit('libximc.so: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    yield "lab_devices"
    for name in [name for name in sys.modules if name.split(".")[0] == "lab_devices"]:
        del sys.modules[name]


@pytest.fixture
def trusted(package: str, local_settings: WriteLocal) -> str:
    local_settings(f"TRUSTED_PACKAGES: [{package}]\n")
    return package


def test_class_with_device_args_of_the_manual(trusted: str) -> None:
    setup = Setup(
        {"gse": {"aeu": {"psu2": {"device": f"class//{trusted}.devices.PSUProxy", "device_args": [2]}}}}
    )
    psu = setup.gse.aeu.psu2.device
    assert psu.name == "PSU2"
    assert setup.gse.aeu.psu2.device is not psu  # objects are made anew
    setup.gse.aeu.psu2.device_args = {"number": 3, "simulator": True}
    assert (setup["gse"].aeu.psu2["device"].name, setup.gse.aeu.psu2.get("device").simulator) == (
        "PSU3",
        True,
    )
    del setup.gse.aeu.psu2.device_args
    assert setup.gse.aeu.psu2.device.name == "PSU0"
    setup.gse.aeu.psu2.device_args = "2"
    with pytest.raises(
        DirectiveError, match=r"gse\.aeu\.psu2\.device: device_args must be a list or a mapping"
    ):
        _ = setup.gse.aeu.psu2.device


def test_factory_follows_its_arguments_as_in_the_manual(trusted: str) -> None:
    setup = Setup(
        {
            "gse": {
                "hexapod": {
                    "device": f"factory//{trusted}.devices.ControllerFactory",
                    "device_args": {"device_name": "PUNA Hexapod", "device_id": "1A"},
                }
            }
        }
    )
    assert type(setup.gse.hexapod.device).__name__ == "PunaController"
    setup.gse.hexapod.device_args.device_id = "1B"
    assert type(setup.gse.hexapod.device).__name__ == "PunaPlusController"
    setup.gse.hexapod.device_args = ["PUNA Hexapod"]
    assert type(setup.gse.hexapod.device).__name__ == "PunaPlusController"
    setup.gse.hexapod.device = f"factory//{trusted}.devices.PSUProxy"
    with pytest.raises(DirectiveError, match=r"is no factory: it has no method create\(\)"):
        _ = setup.gse.hexapod.device


def test_what_a_device_raises_keeps_its_type_and_says_where(trusted: str) -> None:
    setup = Setup({"gse": {"psu": {"device": f"class//{trusted}.devices.PSUProxy", "device_args": [99]}}})
    with pytest.raises(ConnectionError, match="nobody there") as caught:
        _ = setup.gse.psu.device
    assert caught.value.__notes__ == [f"while reading gse.psu.device: class//{trusted}.devices.PSUProxy"]
    setup.gse.psu.device_args = [98]
    with pytest.raises(DirectiveError, match="has no attribute 'nothing'"):  # not as if the key were missing
        _ = setup.gse.psu.device


@pytest.mark.parametrize("prefix", ["class", "factory"])
def test_untrusted_classes_are_refused_before_import(package: str, prefix: str) -> None:
    setup = Setup({"gse": {"dev": f"{prefix}//{package}.devices.PSUProxy"}})
    with pytest.raises(
        UntrustedClassError, match=r"gse\.dev: .* is refused.*TRUSTED_PACKAGES in the local settings"
    ):
        _ = setup.gse.dev
    assert not any(name.startswith(package) for name in sys.modules)


@pytest.mark.parametrize("name", ["os.system", "subprocess.Popen", "egsex.clock.RealClock", "builtins.eval"])
def test_the_standard_library_is_not_trusted(name: str) -> None:
    with pytest.raises(UntrustedClassError):
        _ = Setup({"x": f"class//{name}"}).x


def test_a_trusted_module_does_not_pass_on_untrusted_classes(trusted: str) -> None:
    with pytest.raises(UntrustedClassError, match="subprocess is none"):
        _ = Setup({"x": f"class//{trusted}.devices.Popen"}).x


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("devices.Nothing", "there is no class Nothing in lab_devices.devices"),
        ("devices.function", "there is no class function"),
        ("nowhere.Nothing", "cannot import lab_devices.nowhere"),
        ("broken.Wheel", r"cannot import lab_devices\.broken: libximc\.so: cannot open"),
    ],
)
def test_classes_that_are_not_there(trusted: str, name: str, problem: str) -> None:
    with pytest.raises(DirectiveError, match=problem):
        _ = Setup({"x": f"class//{trusted}.{name}"}).x


def test_own_classes_are_trusted() -> None:
    setup = Setup({"clock": "class//egse.clock.VirtualClock", "clock_args": [5.0], "bad": "class//Clock"})
    assert setup.clock.now() == 5.0
    with pytest.raises(DirectiveError, match="'Clock' is no full name of a class"):
        _ = setup.bad


def test_entry_points_make_a_package_trusted(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from egse.setup import trust

    info = tmp_path / "lib" / "lab_devices-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-devices\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[egse.trusted]\nlab = lab_devices\n")
    trust._installed_packages.cache_clear()
    try:
        assert Setup({"x": "class//lab_devices.devices.PSUProxy"}).x.name == "PSU0"
    finally:
        trust._installed_packages.cache_clear()


def test_int_enum_of_published_setups() -> None:
    setup = Setup(
        {
            "ccd_sides": {
                "enum": "int_enum//FEE_SIDES",
                "content": {
                    "E": {"alias": ["E_SIDE", "RIGHT_SIDE"], "value": 1},
                    "F": {"alias": "F_SIDE", "value": 0},
                },
            },
            "plain": {"enum": "int-enum//MODE", "content": {"ON": 1, "OFF": 0}},
        }
    )
    sides = setup.ccd_sides.enum
    assert issubclass(sides, enum.IntEnum)
    assert (sides.__name__, sides.E, sides.RIGHT_SIDE, sides["F_SIDE"].name) == ("FEE_SIDES", 1, sides.E, "F")
    assert setup.ccd_sides.enum is sides
    setup.ccd_sides.content.E.value = 7
    assert setup.ccd_sides.enum.E == 7
    assert setup.plain.enum.ON == 1
    setup.plain.content.ON = "x"
    with pytest.raises(DirectiveError, match=r"plain\.enum: content\.ON must have an integer value, not 'x'"):
        _ = setup.plain.enum
    with pytest.raises(DirectiveError, match="needs a sibling `content`"):
        _ = Setup({"e": "int_enum//X"}).e


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """The layout of a configuration repository: Setups of a site beside common files."""
    folder = tmp_path / "data" / "CSL1" / "conf"
    folder.mkdir(parents=True)
    common = tmp_path / "data" / "common"
    (common / "camera").mkdir(parents=True)
    (common / "coeff.csv").write_text("a,b\n1.0,2.0\n3.0,\n")
    (common / "numbers.csv").write_text("# no header\n1,2e-3\n\n3,4\n")
    (common / "names.csv").write_text("name,unit\nT1,K\n")
    (common / "tm.csv").write_text("Storage mnemonic;Name\nCM;GCM_A\n")
    (common / "camera" / "fm01.yaml").write_text(
        "serial: 01\nccd: yaml//ccd.yaml\nlimits: csv//../numbers.csv\n"
    )
    (common / "camera" / "ccd.yaml").write_text("rows: 4510\nbad: x//y\n")
    return folder


def load(folder: Path, text: str) -> Setup:
    path = folder / "SETUP_CSL1_00042_260101_120000.yaml"
    path.write_text("Setup:\n" + text)
    return Setup.from_yaml_file(path)


def test_csv_tables(conf: Path) -> None:
    setup = load(
        conf,
        "  a: csv//../../common/coeff.csv\n  b: csv//../../common/numbers.csv\n  c: csv//../../common/names.csv\n",
    )
    assert setup.a.shape == (2, 2)
    assert setup.a[0, 1] == 2.0
    assert np.isnan(setup.a[1, 1])
    np.testing.assert_array_equal(setup.b, [[1, 0.002], [3, 4]])
    assert setup.c == [["name", "unit"], ["T1", "K"]]


def test_pandas_with_separator(conf: Path) -> None:
    setup = load(conf, "  telemetry:\n    dictionary: pandas//../../common/tm.csv\n    separator: ';'\n")
    frame = setup.telemetry.dictionary
    assert list(frame["Name"]) == ["GCM_A"]
    assert setup.telemetry.dictionary is frame
    setup.telemetry.separator = ","
    assert list(setup.telemetry.dictionary.columns) == ["Storage mnemonic;Name"]


def test_yaml_is_relative_to_the_file_it_stands_in(conf: Path) -> None:
    setup = load(conf, "  camera: yaml//../../common/camera/fm01.yaml\n")
    assert setup.camera.serial == "01"
    assert setup.camera.ccd.rows == setup["camera"]["ccd"]["rows"] == 4510
    np.testing.assert_array_equal(setup.camera.limits, [[1, 0.002], [3, 4]])
    assert setup.to_dict() == {"camera": "yaml//../../common/camera/fm01.yaml"}
    with pytest.raises(
        SetupError, match=r"common/camera/ccd\.yaml, line 2, camera\.ccd\.bad: unknown special value"
    ):
        _ = setup.camera.ccd.bad


def test_included_files_are_read_only(conf: Path) -> None:
    setup = load(conf, "  camera: yaml//../../common/camera/fm01.yaml\n")
    for change in (
        lambda: setattr(setup.camera, "serial", "02"),
        lambda: setup.camera.ccd.update(rows=1),
        lambda: setup.camera.pop("serial"),
    ):
        with pytest.raises(SetupError, match=r"is read from .*\.yaml and would not be saved with the Setup"):
            change()
    setup.camera = setup.camera.copy()
    setup.camera.serial = "02"
    assert (setup.camera.serial, setup.camera.ccd.rows) == ("02", 4510)


def test_cycles_and_missing_files_name_file_line_and_key(conf: Path) -> None:
    (conf / "a.yaml").write_text("x: 1\nb: yaml//b.yaml\n")
    (conf / "b.yaml").write_text("a: yaml//a.yaml\n")
    (conf / "bad.yaml").write_text("x: 1\ny: [1\nz: 2\n")
    setup = load(
        conf,
        "  a: yaml//a.yaml\n  gone: yaml//gone.yaml\n  bad: yaml//bad.yaml\n  me: yaml//SETUP_CSL1_00042_260101_120000.yaml\n",
    )
    with pytest.raises(
        SetupError, match=r"b\.yaml, line 1, a\.b\.a: yaml// files include each other in a circle: .*a\.yaml"
    ):
        _ = setup.a.b.a
    with pytest.raises(
        SetupError, match=r"SETUP_CSL1_00042_260101_120000\.yaml, line 3, gone: there is no file .*gone\.yaml"
    ):
        _ = setup.gone
    with pytest.raises(SetupError, match=r"line 4, bad: .*bad\.yaml, line 3"):
        _ = setup.bad
    with pytest.raises(SetupError, match="in a circle"):
        _ = setup.me


def test_the_configuration_folder_is_the_second_place_to_look(
    conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATO_CONF_DATA_LOCATION", str(conf))
    elsewhere = tmp_path / "elsewhere" / "deep"
    elsewhere.mkdir(parents=True)
    assert load(elsewhere, "  b: csv//../../common/numbers.csv\n").b.shape == (2, 2)
    assert Setup({"b": "csv//../../common/numbers.csv"}).b.shape == (2, 2)


def test_no_table(conf: Path) -> None:
    (conf / "binary.csv").write_bytes(b"\xff\xfe\x00")
    (conf / "empty.csv").write_text("")
    setup = load(conf, "  a: csv//binary.csv\n  b: pandas//empty.csv\n  c: csv//empty.csv\n")
    with pytest.raises(DirectiveError, match=r"line 2, a: .*binary\.csv is no CSV file"):
        _ = setup.a
    with pytest.raises(DirectiveError, match=r"line 3, b: .*empty\.csv is no table"):
        _ = setup.b
    assert setup.c == []


def test_own_directives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directives, "_DIRECTIVES", dict(directives._DIRECTIVES))
    upper = directives.register_directive(Directive("upper", lambda node, key, text: text.upper()))
    assert NavigableDict({"a": "upper//x"}).a == "X"
    directives.register_directive(upper)
    with pytest.raises(ValueError, match="upper// is already defined"):
        directives.register_directive(Directive("upper", lambda node, key, text: text))
