"""CCD numbering, modes, geometry, timing, housekeeping: the examples of the references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import egse.fee
from egse.fee import (
    EM_NUMBERING,
    FM_NUMBERING,
    NUMBERINGS,
    CCDNumbering,
    FrameLayout,
    HKMapError,
    ReadoutConfig,
    ccd_numbering,
    decode_ccd_order,
    decode_hk,
    encode_ccd_order,
    error_flag_names,
    is_dump_mode,
    is_legal_transition,
    load_hk_map,
    locate_pixel,
    n_fee_mode,
    pixel_to_readout,
    readout_time,
    readout_to_pixel,
    sides_of,
)
from egse.fee.geometry import COLUMNS, ROWS
from egse.fee.timing import internal_period
from egse.reg import RegisterMap
from egse.spw import CCDSide, PacketKind

# --- numbering ------------------------------------------------------------------------------------------------------


def test_orders_of_the_engineering_model() -> None:
    assert decode_ccd_order(228, EM_NUMBERING) == [3, 4, 1, 2]
    assert decode_ccd_order(78, EM_NUMBERING) == [1, 2, 3, 4]
    assert encode_ccd_order([1, 2, 3, 4], EM_NUMBERING) == 0x4E == EM_NUMBERING.default_readout_order


def test_orders_of_flight_models() -> None:
    assert encode_ccd_order([1, 2, 3, 4], FM_NUMBERING) == 228
    assert encode_ccd_order([2, 2, 2, 2], FM_NUMBERING) == 0b01010101
    assert decode_ccd_order(0b01010101, FM_NUMBERING) == [2, 2, 2, 2]


@pytest.mark.parametrize("numbering", NUMBERINGS.values())
def test_every_order_survives(numbering: CCDNumbering) -> None:
    for order in range(256):
        assert numbering.encode_order(numbering.decode_order(order)) == order
    assert all(numbering.id_to_bin[numbering.bin_to_id[code]] == code for code in range(4))


@pytest.mark.parametrize("order", [[1, 2, 3], [0, 1, 2, 3], [1, 2, 3, 5]])
def test_bad_orders(order: list[int]) -> None:
    with pytest.raises(ValueError, match="four numbers"):
        encode_ccd_order(order, FM_NUMBERING)
    with pytest.raises(ValueError, match="8 bits"):
        decode_ccd_order(256)


def test_tables_of_the_module_follow_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLATO_CAMERA_IS_EM", raising=False)
    assert list(egse.fee.CCD_BIN_TO_ID) == [1, 2, 3, 4]
    assert egse.fee.DEFAULT_CCD_READOUT_ORDER == 228
    monkeypatch.setenv("PLATO_CAMERA_IS_EM", "TRUE")
    assert list(egse.fee.CCD_BIN_TO_ID) == [3, 4, 1, 2]
    assert list(egse.fee.CCD_BIN_TO_IDX) == [2, 3, 0, 1]
    assert list(egse.fee.CCD_ID_TO_BIN) == [0, 0b10, 0b11, 0b00, 0b01]
    assert egse.fee.DEFAULT_CCD_READOUT_ORDER == 78
    with pytest.raises(AttributeError, match="CCD_IDX_TO_BIN"):
        _ = egse.fee.CCD_IDX_TO_BIN


@pytest.mark.parametrize("upper", [False, True])
def test_the_setup_has_the_last_word(upper: bool) -> None:
    tables: dict[str, Any] = {"ccd_bin_to_id": [4, 3, 2, 1], "default_ccd_readout_order": 27}
    if upper:
        tables = {key.upper(): value for key, value in tables.items()}
    numbering = ccd_numbering({"camera": {"fee": {"ccd_numbering": tables}}})
    assert numbering.id_to_bin == (0, 3, 2, 1, 0)
    assert numbering.encode_order([1, 2, 3, 4]) == numbering.default_readout_order == 27
    assert ccd_numbering({"camera": {}}) in NUMBERINGS.values()


@pytest.mark.parametrize(
    "tables",
    [{"a": 1}, {"ccd_bin_to_id": [1, 1, 2, 3]}, {"ccd_bin_to_id": [1, 2, 3, 4], "ccd_id_to_bin": [0] * 5}],
)
def test_tables_that_contradict_themselves(tables: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ccd_"):
        CCDNumbering.from_mapping(tables)


# --- modes ----------------------------------------------------------------------------------------------------------


def test_transitions() -> None:
    m = n_fee_mode
    assert is_legal_transition(m.ON_MODE, m.STANDBY_MODE)
    assert is_legal_transition(m.STANDBY_MODE, m.FULL_IMAGE_MODE)
    assert not is_legal_transition(m.ON_MODE, m.FULL_IMAGE_MODE)
    assert not is_legal_transition(m.FULL_IMAGE_MODE, m.WINDOWING_MODE)
    assert not is_legal_transition(m.STANDBY_MODE, m.FULL_IMAGE_PATTERN_MODE)
    for mode in m:
        assert is_legal_transition(mode, mode)
        assert is_legal_transition(mode, m.IMMEDIATE_ON)


def test_dump_needs_all_three() -> None:
    assert is_dump_mode(n_fee_mode.FULL_IMAGE_MODE, 1, 0)
    assert not is_dump_mode(n_fee_mode.FULL_IMAGE_MODE, 1, 1)
    assert not is_dump_mode(n_fee_mode.FULL_IMAGE_MODE, 0, 0)
    assert not is_dump_mode(n_fee_mode.STANDBY_MODE, 1, 0)


# --- geometry and timing --------------------------------------------------------------------------------------------


def test_a_full_frame_has_the_published_numbers() -> None:
    both = FrameLayout(0, 4539)
    assert (both.columns, both.rows_per_packet, both.packets, both.size) == (2295, 7, 1300, 41_690_200)
    one = FrameLayout(0, 4539, sides=(CCDSide.E,))
    assert (one.packets, one.size) == (650, 20_845_100)
    assert [(group.kind, group.packets, group.rows) for group in one.groups()] == [
        (PacketKind.DATA, 645, 4510),
        (PacketKind.OVERSCAN, 5, 30),
    ]
    assert FrameLayout(0, 4509).packets == 2 * 645


@pytest.mark.parametrize(
    ("start", "end", "image", "overscan"),
    [
        (500, 1000, 501, 0),
        (4500, 4519, 10, 10),
        (4510, 4539, 0, 30),
        (0, 0, 1, 0),
        (10, 9, 0, 0),
        (4600, 4610, 0, 11),
    ],
)
def test_partial_readouts(start: int, end: int, image: int, overscan: int) -> None:
    layout = FrameLayout(start, end)
    assert (layout.image_rows, layout.overscan_rows) == (image, overscan)
    assert sum(group.rows for group in layout.groups()) == 2 * (image + overscan)


def test_a_packet_too_small_for_a_row_sends_nothing() -> None:
    assert FrameLayout(0, 4539, packet_size=4599).packets == 0


def test_sides() -> None:
    assert [sides_of(value) for value in range(4)] == [(), (CCDSide.F,), (CCDSide.E,), (CCDSide.E, CCDSide.F)]


def test_corners_of_the_ccd() -> None:
    assert pixel_to_readout(0, 0) == (CCDSide.F, 0, 25)
    assert pixel_to_readout(2254, 4509) == (CCDSide.F, 4509, 2279)
    assert pixel_to_readout(4509, 7) == (CCDSide.E, 7, 25)
    assert pixel_to_readout(2255, 7) == (CCDSide.E, 7, 2279)
    assert pixel_to_readout(0, 0, "em") == (CCDSide.E, 0, 25)
    with pytest.raises(ValueError, match="not on the CCD"):
        pixel_to_readout(COLUMNS, 0)


@pytest.mark.parametrize("camera", ["em", "fm"])
def test_pixels_there_and_back(camera: str) -> None:
    for x in range(0, COLUMNS, 7):
        side, row, column = pixel_to_readout(x, ROWS - 1, camera)
        assert readout_to_pixel(side, row, column, camera) == (x, ROWS - 1)
    assert readout_to_pixel(CCDSide.E, 0, 24) is None
    assert readout_to_pixel(CCDSide.E, 0, 2280) is None
    assert readout_to_pixel(CCDSide.E, 4510, 100) is None


def test_a_byte_of_a_packet_is_a_pixel() -> None:
    layout = FrameLayout(100, 4539)
    assert locate_pixel(layout, 0, 10) == (CCDSide.E, 100, 0)
    assert locate_pixel(layout, 1, 11) == (CCDSide.F, 100, 0)
    assert locate_pixel(layout, 2, 10 + 2 * 2295) == (CCDSide.E, 108, 0)
    assert locate_pixel(layout, layout.packets - 1, 10) == (CCDSide.F, 4538, 0)
    for packet, byte in ((0, 9), (layout.packets, 10), (0, 32140), (-1, 10), (layout.packets - 1, 9190)):
        with pytest.raises(IndexError):
            locate_pixel(layout, packet, byte)


@pytest.mark.parametrize(
    ("start", "end", "dump", "seconds"), [(0, 4539, 0, 4.04), (500, 1000, 4510, 0.90), (0, 9, 4510, 0.41)]
)
def test_readout_times_of_the_reference(start: int, end: int, dump: int, seconds: float) -> None:
    assert readout_time(start, end, dump) == pytest.approx(seconds, abs=0.006)


def test_internal_period() -> None:
    assert internal_period(2500) == pytest.approx(2.9)


def test_readout_config_from_registers() -> None:
    registers = RegisterMap()
    for name, value in {"ccd_mode_config": 5, "v_end": 4539, "sensor_sel": 3}.items():
        registers[name] = value
    config = ReadoutConfig.from_registers(registers)
    assert config.sends_images
    assert config.layout.packets == 1300
    assert config.codes == [0, 1, 2, 3]
    assert not config.is_dump
    registers["digitise_en"], registers["DG_en"] = 0, 1
    dump = ReadoutConfig.from_registers(registers)
    assert dump.is_dump
    assert not dump.sends_images
    em = ReadoutConfig.from_registers(RegisterMap(source="em"))
    assert em.ccd_read_en == 1


# --- housekeeping ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("camera", ["em", "pfm", "fm"])
def test_offsets_of_the_icd(camera: str) -> None:
    data = bytearray(144)
    for offset in range(0, 128, 2):
        data[offset : offset + 2] = (offset + 1).to_bytes(2, "big")
    data[128:132] = bytes((0, 42, 0, 1))
    data[132:136] = bytes((0x01, 0x05, 0, 5 << 2 | 3))
    data[136:140] = bytes((0, 0, 0x08, 0x01))
    data[143] = 24
    values = decode_hk(bytes(data), load_hk_map(camera))
    expected = {
        "TOU_SENSE_1": 1, "CCD2_TS": 13, "CCD1_TS": 19, "ZERO_DIFF_AMP": 31, "CCD2_VOD_MON_F": 33, "VCCD": 57,
        "CCD3_VOD_MON_E": 65, "VAN3_NEG_MON": 87, "VAN2_POS_RAW": 89, "CCD4_VOD_MON_E": 95, "CCD1_VGD_MON": 119,
        "TSENSEB": 127, "SPW_TIMECODE": 42, "SPW_LINK_RUNNING": 1, "FRAMECOUNTER": 0x105, "OP_MODE": 5,
        "FRAME_NUMBER": 3, "ERROR_FLAGS": 0x801, "FPGA_MINOR_VERSION": 24,
    }  # fmt: skip
    assert {name: values[f"NFEE_{name}"] for name in expected} == expected
    assert all(name.startswith("NFEE_") for name in values)
    assert decode_hk(bytes(10) + bytes(data), load_hk_map(camera)) == values


def test_names_of_error_flags() -> None:
    assert error_flag_names(0) == []
    assert error_flag_names(0x801) == ["window x-coordinate outside CCD", "PLL lock lost, sync problem"]
    assert error_flag_names(1 << 15) == ["bit 15"]


def test_housekeeping_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(HKMapError, match="144 bytes"):
        decode_hk(bytes(100))
    with pytest.raises(HKMapError, match="takes 0 to"):
        load_hk_map().encode({"NFEE_OP_MODE": 16})
    with pytest.raises(HKMapError, match="does not fit"):
        load_hk_map({"size": 4, "fields": {"A": [4, 0, 15]}})
    with pytest.raises(HKMapError, match="not a housekeeping map"):
        load_hk_map({"size": 4})
    with pytest.raises(HKMapError, match="cannot read"):
        load_hk_map(tmp_path / "absent.yaml")
