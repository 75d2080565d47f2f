"""All generations of names of the archive are understood."""

from __future__ import annotations

import pytest

from egse.storage.naming import (
    ObservationName,
    camera_name,
    check_mnemonic,
    check_name,
    parse_filename,
    parse_obsid,
    parse_prefix,
    utc_day,
    utc_text,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00757_CSL_00009", ObservationName(757, "CSL", 9, None)),
        ("00299_IAS", ObservationName(299, "IAS", None, None)),
        ("01151_CSL1_chimay", ObservationName(1151, "CSL1", None, "chimay")),
        ("00001_INTA_EM", ObservationName(1, "INTA", None, "EM")),
    ],
)
def test_prefix_of_each_generation(text: str, expected: ObservationName) -> None:
    assert parse_prefix(text) == expected


@pytest.mark.parametrize(
    "text", ["", "1151_CSL1", "01151", "01151_CSL1_chimay_PUNA", "x_CSL1", "01151_CSL1_"]
)
def test_other_texts_are_no_prefix(text: str) -> None:
    with pytest.raises(ValueError, match="no observation name"):
        parse_prefix(text)


@pytest.mark.parametrize(
    ("obsid", "test", "setup"),
    [
        (1151, 1151, None),
        ("1151", 1151, None),
        ("01151", 1151, None),
        ("01151_CSL1", 1151, None),
        ("01151_CSL1_chimay", 1151, None),
        ("CSL1_00084_01151", 1151, 84),
        ("IAS_00062_00299", 299, 62),
    ],
)
def test_obsid_in_any_form(obsid: int | str, test: int, setup: int | None) -> None:
    name = parse_obsid(obsid)
    assert (name.test_id, name.setup_id) == (test, setup)


@pytest.mark.parametrize("obsid", ["", "abc", -1, 100000, True, "CSL1_84_1151"])
def test_what_is_no_obsid(obsid: int | str) -> None:
    with pytest.raises(ValueError):
        parse_obsid(obsid)


def test_names_that_follow_from_an_observation() -> None:
    name = ObservationName(1151, "CSL1", 84, "chimay")
    assert name.prefix == "01151_CSL1_chimay"
    assert name.obsid == "CSL1_00084_01151"
    assert ObservationName(7, "CSL1", 84).prefix == "00007_CSL1"
    with pytest.raises(ValueError, match="full obsid"):
        _ = ObservationName(7, "CSL1").obsid


@pytest.mark.parametrize(
    ("name", "mnemonic", "test", "camera", "setup"),
    [
        ("00757_CSL_00009_PUNA_20201013_162037.csv", "PUNA", 757, None, 9),
        ("00299_IAS_SYN-HK_20220701_132613.csv", "SYN-HK", 299, None, None),
        ("01151_CSL1_chimay_DPU_20230620_095819.csv", "DPU", 1151, "chimay", None),
        ("01151_CSL1_chimay_N-FEE_CCD_00001_20230620_cube.fits", "N-FEE_CCD", 1151, "chimay", None),
        ("00299_IAS_N-FEE_CCD_00001_20220701_images.fits", "N-FEE_CCD", 299, None, None),
    ],
)
def test_files_of_observations(
    name: str, mnemonic: str, test: int, camera: str | None, setup: int | None
) -> None:
    found = parse_filename(name)
    assert found.observation is not None
    assert (found.mnemonic, found.observation.test_id) == (mnemonic, test)
    assert (found.observation.camera, found.observation.setup_id) == (camera, setup)


def test_daily_files() -> None:
    raw = parse_filename("20240329_CSL2_N-FEE_SPW_00017.hdf5")
    assert (raw.mnemonic, raw.number, raw.site_id, raw.date) == ("N-FEE_SPW", 17, "CSL2", "20240329")
    row = parse_filename("20230608_CSL_PUNA.csv")
    assert (row.mnemonic, row.number, row.observation) == ("PUNA", None, None)
    with pytest.raises(ValueError, match="no pattern"):
        parse_filename("general.log")


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", ".hidden", "a b", "x" * 300, "a..b", "-x", "a\x00b", "a\n"]
)
def test_names_that_could_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        check_name(name)


def test_mnemonics() -> None:
    for name in ("obsid", "CM", "N-FEE_SPW", "DAS-PTC10", "AEU-PSU1"):
        assert check_mnemonic(name) == name
    with pytest.raises(ValueError, match="mnemonic"):
        check_mnemonic("../PUNA")


def test_names_of_cameras() -> None:
    assert camera_name("chimay") == "chimay"
    assert camera_name("EM") == "EM"
    assert camera_name("Brigand") == "brigand"
    assert camera_name("1 A/../x") == "c1-a-x"
    assert camera_name(None) is None
    assert parse_prefix(f"00001_CSL1_{camera_name('St. Feuillien')}").camera == "st-feuillien"


def test_times() -> None:
    assert utc_text(1687255099.0429) == "2023-06-20T09:58:19.042+0000"
    assert utc_day(1687255099.0) == "20230620"
