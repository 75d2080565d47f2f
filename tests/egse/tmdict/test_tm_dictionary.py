"""The TM dictionary: reading, looking up, translating (manual, sections 5.6.1 to 5.6.4)."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from egse.aeu.aeu_cs import APPS as AEU_APPS
from egse.clock import VirtualClock
from egse.confman.cm_cs import ConfigurationManagerProtocol
from egse.dpu.dpu_cs import APP as DPU_APP
from egse.dpu.protocol import DPUProtocol
from egse.dummy.dummy_cs import APP as DUMMY_APP
from egse.dummy.protocol import DummyProtocol
from egse.fee.hk import load_hk_map
from egse.ogse.ogse_cs import APP as OGSE_APP
from egse.ogse.protocol import OGSEProtocol
from egse.setup import Setup
from egse.stages.huber.smc9300.smc9300_cs import APP as SMC9300_APP
from egse.tempcontrol.lsci336.lsci336_cs import APP as LSCI336_APP
from egse.tempcontrol.lsci336.protocol import LakeShore336Protocol
from egse.tmdict import (
    COLUMNS,
    TEMPLATE,
    Parameter,
    PrefixError,
    TMDictionary,
    TMDictionaryError,
    check_prefix,
    dictionary_of,
    find_dictionary,
    read_dictionary,
    site_prefix,
    template_dictionary,
)

HEADER = ";".join(COLUMNS)


def row(**cells: str) -> str:
    names = {"mnemonic": "Storage mnemonic", "name": "CAM EGSE mnemonic", "original": "Original name in EGSE"}
    named = {names.get(key, key): value for key, value in cells.items()}
    return ";".join(named.get(column, "") for column in COLUMNS)


@pytest.fixture
def dictionary_file(tmp_path: Path) -> Path:
    path = tmp_path / "tm-dictionary-brigand.csv"
    lines = [
        HEADER,
        row(mnemonic="OGSE", name="GOGSE_PWR", original="power", **{"unit cal1": "Ampère", "MAX ops": "5"}),
        row(
            mnemonic="DAQ", name="GCSL1_T1", original="t1", **{"slope a cal1": "2.5", "offset b cal1": "-10"}
        ),
        row(mnemonic="DAQ", name="GSRON_T1", original="t1"),
        row(mnemonic="DAQ", name="GSRON_T2", original="t2"),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_columns_are_those_of_the_manual() -> None:
    with TEMPLATE.open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file, delimiter=";")) == [
            "TM source",
            "Storage mnemonic",
            "CAM EGSE mnemonic",
            "Original name in EGSE",
            "Name of corresponding timestamp",
            "Origin of synoptics at CSL",
            "Origin of synoptics at SRON",
            "Origin of synoptics at IAS",
            "Origin of synoptics at INTA",
            "Description",
            "MON screen",
            "unit cal1",
            "offset b cal1",
            "slope a cal1",
            "calibration function",
            "MAX nonops",
            "MIN nonops",
            "MAX ops",
            "MIN ops",
            "Comment",
        ]


def test_rows_are_typed_and_found_by_name_producer_and_original_name(dictionary_file: Path) -> None:
    dictionary = read_dictionary(dictionary_file)
    power = dictionary["GOGSE_PWR"]
    assert (power.mnemonic, power.original, power.unit, power.ops.high, power.ops.low, power.line) == (
        "OGSE",
        "power",
        "Ampère",
        5.0,
        None,
        2,
    )
    assert 4.9 in power.ops
    assert 5.1 not in power.ops
    assert dictionary.mnemonics == ["OGSE", "DAQ"]
    assert [parameter.name for parameter in dictionary.of("DAQ")] == ["GCSL1_T1", "GSRON_T1", "GSRON_T2"]
    assert [parameter.name for parameter in dictionary.find_original("t1")] == ["GCSL1_T1", "GSRON_T1"]
    assert dictionary["GCSL1_T1"].calibrate(8.0) == 10.0
    assert power.calibrate(8.0) == 8.0
    assert dictionary.get("NOTHING") is None
    with pytest.raises(TMDictionaryError, match=r"tm-dictionary-brigand.*did you mean 'GOGSE_PWR'"):
        dictionary["GOGSE_PWRR"]
    with pytest.raises(TMDictionaryError, match="there are: OGSE, DAQ"):
        dictionary.of("PUNA")


@pytest.mark.parametrize(("encoding", "separator"), [("utf-8-sig", ";"), ("cp1252", ","), ("latin-1", "\t")])
def test_other_encodings_and_separators(dictionary_file: Path, encoding: str, separator: str) -> None:
    text = dictionary_file.read_text(encoding="utf-8").replace(";", separator)
    dictionary_file.write_text(text, encoding=encoding)
    assert read_dictionary(dictionary_file)["GOGSE_PWR"].unit == "Ampère"


def test_a_file_is_read_again_when_it_has_changed(dictionary_file: Path) -> None:
    first = read_dictionary(dictionary_file)
    assert read_dictionary(dictionary_file) is first
    with dictionary_file.open("a") as file:
        file.write(row(mnemonic="OGSE", name="GOGSE_NEW") + "\n")
    assert "GOGSE_NEW" in read_dictionary(dictionary_file)


def test_what_is_no_dictionary_is_said_to_be_none(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(TMDictionaryError, match="no column Storage mnemonic"):
        read_dictionary(other)
    with pytest.raises(TMDictionaryError, match="there is no TM dictionary"):
        read_dictionary(tmp_path / "missing.csv")
    other.write_text("")
    with pytest.raises(TMDictionaryError, match="no column"):
        read_dictionary(other)


def test_the_dictionary_of_a_setup(tmp_path: Path, dictionary_file: Path) -> None:
    conf = tmp_path / "data/CSL1/conf"
    conf.mkdir(parents=True)
    setup_file = conf / "SETUP_CSL1_00084_230407_091711.yaml"
    setup_file.write_text(
        'Setup:\n  telemetry:\n    dictionary: pandas//../../../tm-dictionary-brigand.csv\n    separator: ";"\n'
    )
    setup = Setup.from_yaml_file(setup_file)
    assert dictionary_of(setup)["GOGSE_PWR"].unit == "Ampère"
    frame = setup.telemetry.dictionary  # as the manual has it
    assert list(frame.columns) == list(COLUMNS)
    setup_file.write_text("Setup:\n  telemetry:\n    dictionary: pandas//nowhere.csv\n")
    with pytest.raises(TMDictionaryError, match=r"TM dictionary of Setup.*nowhere\.csv"):
        find_dictionary(Setup.from_yaml_file(setup_file))
    with pytest.raises(TMDictionaryError, match="names no TM dictionary"):
        dictionary_of(Setup.from_dict({"telemetry": {"separator": ";"}}))
    assert find_dictionary(Setup.from_dict({"camera": {"ID": "achel"}})) is template_dictionary()
    assert find_dictionary() is template_dictionary()


def test_a_data_frame_in_a_setup_of_a_program(dictionary_file: Path) -> None:
    setup = Setup.from_dict({"telemetry": {"dictionary": pd.read_csv(dictionary_file, sep=";")}})
    dictionary = dictionary_of(setup)
    assert dictionary["GCSL1_T1"].slope == 2.5
    assert dictionary["GOGSE_PWR"].original == "power"


# -- names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "mnemonic"),
    [
        ("CM_SITE_ID", "CM"),
        ("GAEU_PSU1_CURRENT", "AEU-PSU1"),
        ("NFEE_VCCD", "N-FEE-HK"),
        ("GTCS_TOU_RTD_1", "TCS-HK"),
        ("FOV_ACT_THETA", "FOV"),
        ("GSYN_TRP1", "SYN-HK"),
        ("GCSL_X", ""),
        ("GCSL1_HEX_HOMED", "PUNA"),
        ("GCSL2_HEX_HOMED", "PUNA"),
        ("GSRON_X", ""),
        ("GIAS_X", ""),
        ("GINTA_X", ""),
    ],
)
def test_prefixes_of_the_manual(name: str, mnemonic: str) -> None:
    assert check_prefix(name, mnemonic) == name


@pytest.mark.parametrize(
    ("name", "mnemonic", "said"),
    [
        ("HEX_HOMED", "PUNA", "begins with none of the prefixes"),
        ("GCLS1_HEX_HOMED", "PUNA", "did you mean 'GCSL1_'"),
        ("GCSL1_VCCD", "N-FEE-HK", "must begin with NFEE_"),
    ],
)
def test_other_prefixes_are_refused(name: str, mnemonic: str, said: str) -> None:
    with pytest.raises(PrefixError, match=said):
        check_prefix(name, mnemonic)


def test_the_prefix_of_a_site() -> None:
    assert site_prefix("CSL1") == "GCSL1_"
    assert check_prefix("GMYLAB_T1", sites=("MYLAB",)) == "GMYLAB_T1"


# -- translation tables --------------------------------------------------------------------------------------------------


def test_translation_of_device_names(dictionary_file: Path) -> None:
    dictionary = read_dictionary(dictionary_file)
    assert dictionary.conversion("OGSE") == {"power": "GOGSE_PWR"}
    assert dictionary.conversion("DAQ", "SRON") == {"t1": "GSRON_T1", "t2": "GSRON_T2"}
    assert dictionary.conversion("DAQ", "CSL1") == {"t1": "GCSL1_T1"}
    assert dictionary.conversion("DAQ") == {"t1": "GCSL1_T1", "t2": "GSRON_T2"}
    assert dictionary.conversion("OGSE", "SRON") == {}


def synoptic(name: str, original: str = "", **origins: str) -> Parameter:
    return Parameter(name, "SYN-HK", original=original, origins=origins)


def test_translation_into_synoptics() -> None:
    dictionary = TMDictionary(
        [
            synoptic("GSYN_CCD1", "NFEE_CCD1_TS"),
            synoptic(
                "NFEE_CCD2_TS", "GSYN_CCD2"
            ),  # the manual's wording: the original name stands in the column
            synoptic("GSYN_TRP1", CSL="GCSL_DAQ_1", SRON="GSRON_LSCI_A"),
            synoptic("GSYN_LAMP", CSL="GOGSE_LAMP", IAS="GIAS_EQ99_LAMP"),
        ]
    )
    assert dictionary.conversion("SYN-HK") == {"NFEE_CCD1_TS": "GSYN_CCD1", "NFEE_CCD2_TS": "GSYN_CCD2"}
    assert dictionary["GSYN_CCD2"].common_origin == "NFEE_CCD2_TS"
    assert dictionary.conversion("SYN-HK", "SRON") == {"GSRON_LSCI_A": "GSYN_TRP1"}
    assert dictionary.conversion("SYN-HK", "INTA") == {}
    at_csl1 = dictionary.conversion("SYN-HK", "CSL1")
    assert at_csl1 == {"GCSL_DAQ_1": "GSYN_TRP1", "GCSL1_DAQ_1": "GSYN_TRP1", "GOGSE_LAMP": "GSYN_LAMP"}
    assert dictionary.conversion("SYN-HK", "LAB") == {  # a site without a column
        "GLAB_DAQ_1": "GSYN_TRP1",
        "GLAB_LSCI_A": "GSYN_TRP1",
        "GOGSE_LAMP": "GSYN_LAMP",
        "GLAB_EQ99_LAMP": "GSYN_LAMP",
    }


def test_a_column_of_a_site_of_its_own_comes_before_that_of_its_test_house() -> None:
    dictionary = TMDictionary([synoptic("GSYN_TRP1", CSL="GCSL_DAQ_1", CSL2="GCSL2_DAQ_7")])
    assert dictionary.conversion("SYN-HK", "CSL2") == {"GCSL2_DAQ_7": "GSYN_TRP1"}
    assert "GCSL_DAQ_1" in dictionary.conversion("SYN-HK", "CSL1")


# -- the dictionary of this package is complete --------------------------------------------------------------------------


def dry_row(app: Any, protocol: type) -> dict[str, Any]:
    controller = app.make_dry_controller(VirtualClock(), {})
    row: dict[str, Any] = protocol(SimpleNamespace(name=app.name), controller).get_housekeeping()
    return row


@pytest.mark.parametrize("site", ["CSL1", "CSL2", "SRON", "IAS", "INTA", "LAB"])
def test_devices_and_camera_are_complete(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", site)
    rows = {
        "OGSE": dry_row(OGSE_APP, OGSEProtocol),
        "LSCI336": dry_row(LSCI336_APP, LakeShore336Protocol),
        "SMC9300": dry_row(SMC9300_APP, SMC9300_APP.protocol),
        "DUMMY-HK": dry_row(DUMMY_APP, DummyProtocol),
        "DPU": dry_row(DPU_APP, DPUProtocol),
        **{f"AEU-{unit.upper()}": dry_row(app, app.protocol) for unit, app in AEU_APPS.items()},
        "N-FEE-HK": {name: 0 for model in ("em", "pfm", "fm") for name in load_hk_map(model).fields},
    }
    dictionary = template_dictionary()
    for mnemonic, names in rows.items():
        assert names, mnemonic
        known = {parameter.name for parameter in dictionary.of(mnemonic)}
        assert names.keys() - known - {"timestamp"} == set(), mnemonic


def test_the_configuration_manager_is_complete() -> None:
    setups = SimpleNamespace(current=None)
    manager = SimpleNamespace(setups=setups, site_id="LAB", get_obsid=lambda: None)
    protocol = ConfigurationManagerProtocol(SimpleNamespace(), manager)  # type: ignore[arg-type]
    names = {parameter.name for parameter in template_dictionary().of("CM")}
    assert set(protocol.get_housekeeping()) == names


def test_the_synoptics_of_the_manual_are_complete() -> None:
    """Section 5.5.1: temperatures of FEE, TCS and facility DAQs, OGSE information, source position."""
    dictionary = template_dictionary()
    common, names = dictionary.common_synoptics(), set(dictionary)
    for origin in (
        *(f"NFEE_TOU_SENSE_{n}_CAL" for n in range(1, 7)),
        *(f"NFEE_CCD{n}_TS_CAL" for n in range(1, 5)),
    ):
        assert common[origin].startswith("GSYN_NFEE_")
    assert {
        "NFEE_PRT1_CAL",
        "NFEE_TSENSEA_CAL",
        "GTCS_TOU_RTD_1",
        "FOV_ACT_THETA",
        "FOV_CMD_PHI",
    } <= common.keys()
    for site in ("CSL1", "SRON", "IAS", "INTA", "LAB"):
        found = set(dictionary.site_synoptics(site).values())
        assert {"GSYN_OGSE_INTENSITY", "GSYN_OGSE_POWER_1", "GSYN_OGSE_LAMP", "GSYN_OGSE_LASER"} <= found
        assert {"GSYN_TRP1", "GSYN_TRP2", "GSYN_TRP3", "GSYN_TRP4", "GSYN_TEB_SKY"} <= found
    assert "GSYN_OGSE_SHUTTER" in dictionary.site_synoptics("IAS").values()
    assert set(common.values()) <= names
    for parameter in dictionary.synoptics:  # every origin is a parameter itself
        for origin in (parameter.common_origin, *parameter.origins.values()):
            assert not origin or origin in dictionary, (parameter.name, origin)
