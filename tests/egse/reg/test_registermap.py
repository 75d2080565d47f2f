"""Register maps: fields against the printed words of real cameras, files, writing to a FEE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egse.reg import REGISTER_MAP_FILES, RegisterMap, RegisterMapError, load_layout
from egse.rmap import RMAPError, RMAPTarget
from egse.spw import RMAPLink

# FPGA defaults of one flight camera, and the values it displays for them (FEE operations reference, section 6).
BRIGAND = {
    "v_end": 4509, "v_start": 0, "parallel_toi_period": 0x36B, "parallel_clk_overlap": 0xFA, "ccd_readout_order": 228,
    "h_end": 2294, "n_final_dump": 0, "packet_size": 32140, "int_sync_period": 6250, "Trap_Pumping_Dwell_counter": 12500,
    "sync_sel": 0, "sensor_sel": 1, "digitise_en": 1, "DG_en": 0, "ccd_read_en": 1, "conv_dly": 15,
    "High_precision_HK_en": 0, "ccd_vod_config": 0xF16, "ccd1_vrd_config": 0xE7E, "ccd2_vrd_config": 0xE7F,
    "ccd3_vrd_config": 0xE7F, "ccd4_vrd_config": 0xE7E, "ccd_vgd_config": 0xCDF, "ccd_vog_config": 0x19B,
    "ccd_ig_hi_config": 0, "ccd_ig_lo_config": 0, "trk_hld_hi": 5, "trk_hld_lo": 15, "cont_cdsclp_on": 1,
    "cont_rst_on": 0, "ccd_mode_config": 0, "cont_rowclp_on": 0, "clear_error_flag": 0, "r_cfg1": 9, "r_cfg2": 14,
    "cdsclp_lo": 10, "adc_pwrdn_en": 1, "cdsclp_hi": 4, "rowclp_hi": 2, "rowclp_lo": 4,
    "Surface_Inversion_counter": 100, "Readout_pause_counter": 2000, "Trap_Pumping_Shuffle_counter": 1000,
}  # fmt: skip

# The printed dump of another flight camera.
DUMP = {
    "v_end": 4539, "charge_injection_width": 100, "charge_injection_gap": 100, "int_sync_period": 2500, "sensor_sel": 3,
    "ccd_vod_config": 0xEEF, "ccd1_vrd_config": 0xE65, "ccd2_vrd_config": 0xE65, "ccd3_vrd_config": 0xE65,
    "ccd4_vrd_config": 0xE65, "ccd_vgd_config": 0xB19, "ccd_vog_config": 0x19A, "ccd_ig_hi_config": 0xFFF,
    "trk_hld_hi": 4, "trk_hld_lo": 14, "ccd_mode_config": 5, "clear_error_flag": 1, "r_cfg1": 7, "r_cfg2": 11,
    "cdsclp_lo": 9, "cdsclp_hi": 0, "rowclp_hi": 0, "rowclp_lo": 2,
}  # fmt: skip


class FakeLink(RMAPLink):
    """A link that ends in a memory, in this thread."""

    def __init__(self, memory: bytearray) -> None:
        super().__init__(rmap_timeout=0.5)
        self.target = RMAPTarget(memory)
        self.replies: list[bytes] = []
        self.writes: list[int] = []
        self.target.on_write = lambda address, data: self.writes.append(address)

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def configure(self) -> None: ...
    def flush(self) -> None: ...
    def send_timecode(self, timecode: int) -> None: ...

    def write_packet(self, data: bytes | memoryview) -> None:
        reply = self.target.handle(bytes(data))
        if reply is not None:
            self.replies.append(reply)

    def _receive(self, timeout: int | None) -> tuple[int, bytes]:
        return 0, self.replies.pop(0)


@pytest.mark.parametrize("camera", ["pfm", "fm"])
def test_fpga_defaults_decode_to_the_displayed_values(camera: str) -> None:
    registers = RegisterMap("N-FEE", camera)
    assert {name: registers[name] for name in BRIGAND} == BRIGAND


def test_values_of_the_dump_survive() -> None:
    registers = RegisterMap()
    for name, value in DUMP.items():
        registers[name] = value
    assert {name: registers[name] for name in DUMP} == DUMP
    assert registers.get_data(0) == bytes.fromhex("11BB0000")
    again = RegisterMap.from_array(registers.as_array())
    assert again.values() == registers.values()


@pytest.mark.parametrize("camera", sorted(REGISTER_MAP_FILES))
def test_every_bit_of_every_register_belongs_to_one_field(camera: str) -> None:
    layout = load_layout(camera)
    if camera == "f-fee":  # assumed, see its file
        assert list(layout.addresses.values()) == sorted({*layout.addresses.values()})
        assert not [address for address in layout.addresses.values() if address % 4]
    else:
        assert layout.addresses == {f"reg_{n}_config": 4 * n for n in range(27)}
    bits = dict.fromkeys(layout.addresses, 0)
    for field in layout.fields.values():
        for piece in field.pieces:
            bits[piece.register] |= piece.mask << piece.shift
    assert all(word == 0xFFFFFFFF for word in bits.values()), {k: hex(v) for k, v in bits.items()}


@pytest.mark.parametrize("camera", sorted(REGISTER_MAP_FILES))
def test_each_field_takes_its_largest_value_and_touches_no_other(camera: str) -> None:
    registers = RegisterMap(source=camera)
    registers.set_array(bytes(registers.size))
    for name, field in registers.layout.fields.items():
        registers[name] = field.max_value
        assert [other for other, value in registers.values().items() if value] == [name]
        with pytest.raises(RegisterMapError, match=name):
            registers[name] = field.max_value + 1
        registers[name] = 0


def test_ways_to_name_a_field() -> None:
    registers = RegisterMap()
    registers["ccd2_vrd_config"] = 0xABC
    assert registers["reg_18_config", "ccd2_vrd_config"] == 0xBC
    assert registers["reg_19_config", "ccd2_vrd_config"] == 0xA
    registers["reg_19_config", "ccd2_vrd_config"] = 1
    assert registers["ccd2_vrd_config"] == 0x1BC
    registers["sensor_sel"] = "E"
    assert registers["sensor_sel"] == 2
    assert registers.value_name("sensor_sel") == "E"
    assert registers.value_name("v_end") is None
    registers.set_register("reg_0_config", 0x00050001)
    assert (registers["v_end"], registers["v_start"]) == (5, 1)
    assert registers.get_register("reg_0_config") == 0x00050001
    assert "v_start" in registers
    assert len(registers) == len(list(registers)) == len(registers.fields)


def test_what_does_not_exist_is_named() -> None:
    registers = RegisterMap()
    cases: list[tuple[type[Exception], Any, str]] = [
        (KeyError, lambda: registers["v_stop"], "v_stop"),
        (KeyError, lambda: registers["reg_1_config", "v_end"], "reg_1_config"),
        (KeyError, lambda: registers.get_register("reg_99_config"), "reg_99_config"),
        (RegisterMapError, lambda: registers.set_value("sensor_sel", "LEFT"), "LEFT"),
        (RegisterMapError, lambda: registers.set_value("v_end", -1), "v_end"),
        (RegisterMapError, lambda: registers.set_register("reg_0_config", 1 << 32), "32 bits"),
        (RegisterMapError, lambda: registers.get_data(2046, 4), "outside"),
        (RegisterMapError, lambda: registers.set_array(bytes(10)), "2048"),
    ]
    for error, call, message in cases:
        with pytest.raises(error, match=message):
            call()


def test_array_and_memory() -> None:
    registers = RegisterMap()
    array = registers.as_array()
    assert (array.dtype, array.shape) == (np.uint8, (2048,))
    array[:] = 0
    assert registers["v_end"] == 4509, "the array is a copy"
    registers.memory[0:4] = bytes.fromhex("00010002")
    assert registers["v_end"] == 1
    registers.reset()
    assert registers["v_end"] == 4509


def test_differences() -> None:
    old, new = RegisterMap(), RegisterMap()
    assert old == new
    new["v_end"], new["ccd2_vrd_config"] = 100, 0x123
    changes = {change.name: (change.old, change.new, change.registers) for change in old.diff(new)}
    assert changes == {
        "v_end": (4509, 100, ("reg_0_config",)),
        "ccd2_vrd_config": (0xE7F, 0x123, ("reg_18_config", "reg_19_config")),
    }
    assert old != new


def test_a_plan_writes_each_register_once_and_changes_nothing() -> None:
    registers = RegisterMap()
    writes = registers.plan({"v_end": 1000, "v_start": 500, "ccd2_vrd_config": 0xABC, "clear_error_flag": 0})
    assert [write.register for write in writes] == [
        "reg_0_config",
        "reg_18_config",
        "reg_19_config",
        "reg_21_config",
    ]
    assert writes[0].data == bytes.fromhex("03E801F4")
    assert registers == RegisterMap()


def test_writing_and_reading_through_a_link() -> None:
    fee = RegisterMap()
    link = FakeLink(fee.memory)
    mirror = RegisterMap()
    mirror.write(link, {"v_start": 10, "v_end": 20, "ccd_mode_config": "STANDBY_MODE"})
    assert link.writes == [0, 0x54]
    assert fee == mirror
    fee["sensor_sel"] = 3
    assert [(change.name, change.new) for change in mirror.read(link)] == [("sensor_sel", 3)]
    assert fee == mirror


def test_a_refused_write_leaves_the_mirror_as_the_fee_is() -> None:
    fee = RegisterMap()
    link = FakeLink(fee.memory)
    mirror = RegisterMap()
    link.target.key = 0
    with pytest.raises(RMAPError, match="invalid key"):
        mirror.write(link, {"v_start": 10})
    assert mirror == fee == RegisterMap()


def test_the_table_shows_every_field() -> None:
    registers = RegisterMap()
    text = str(registers)
    assert all(name in text for name in registers.fields)
    assert "reg_26_config" in text
    assert "ON_MODE" in text
    assert "N-FEE" in repr(registers)


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "not a register map"),
    ({"size": 8, "registers": {"r": {"address": 8, "fields": {}}}}, "does not fit"),
    ({"size": 8, "registers": {"r": {"address": 2, "fields": {}}}}, "does not fit"),
    ({"size": 8, "registers": {"r": {"address": 0, "fields": {"a": [0, 32]}}}}, "not a register map"),
    ({"size": 8, "registers": {"r": {"address": 0, "fields": {"a": [0, 4], "b": [4, 5]}}}}, "overlap"),
    (
        {"size": 8, "registers": {"r": {"address": 0, "fields": {"a": {"bits": [0, 3], "part": [4, 7]}}}}},
        "join",
    ),
    (
        {"size": 8, "registers": {"r": {"address": 0, "fields": {}}, "s": {"address": 0, "fields": {}}}},
        "same address",
    ),
]


@pytest.mark.parametrize(("content", "message"), BAD)
def test_bad_maps_are_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(RegisterMapError, match=message):
        load_layout(content)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RegisterMapError, match="cannot read"):
        load_layout(tmp_path / "absent.yaml")
    (tmp_path / "list.yaml").write_text("[1, 2]\n")
    with pytest.raises(RegisterMapError):
        load_layout(tmp_path / "list.yaml")


def test_a_setup_may_hold_the_map_itself() -> None:
    content = {
        "name": "mine",
        "size": 8,
        "registers": {"r": {"address": 4, "reset": 7, "fields": {"a": [0, 31]}}},
    }
    assert RegisterMap("X", content)["a"] == 7
