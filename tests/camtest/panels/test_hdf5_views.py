"""What the data inspector makes of a packet and of housekeeping, from a file that is made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from camtest.panels.hdf5 import (
    ERROR_LAMPS,
    SPW_LAMPS,
    _nodes_of,
    _View,
    housekeeping_html,
    type_rows,
    width_text,
)
from egse.fee import load_hk_map
from egse.fee.hk import ERROR_FLAGS
from egse.h5 import CycleWriter
from egse.spw.packets import HEADER_SIZE, PacketType, encode_header

BOTH = ((2, 6), (3, 0))


@pytest.fixture(params=BOTH, ids=["2.6", "3.0"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A raw file with one packet of 7 rows of 2295 pixels and one of 2 rows, and housekeeping."""
    path = tmp_path / "20260102_LAB_N-FEE_SPW_00001.hdf5"
    packets = []
    for number, rows in enumerate((7, 2)):
        data = np.arange(rows * 2295, dtype=">u2").tobytes()
        word = PacketType(5, bool(number), 1, 1, 0, 0).word
        packets.append(encode_header(len(data), word, 1000, number) + data)
    area = load_hk_map().encode(
        {"NFEE_CCD3_VOG_MON": 4711, "NFEE_ERROR_FLAGS": 1 << 7, "NFEE_SPW_LINK_RUNNING": 1}
    )
    with CycleWriter(path, version=request.param) as writer:
        writer.obsid, writer.num_cycles, writer.register = "CSL1_00084_01151", 3, bytes(2048)
        frame = writer.frame(0)
        frame.attributes({"v_start": 0, "v_end": 8, "h_end": 2294, "ccd_mode_config": 5, "sensor_sel": 3})
        frame.timecode(10, 1_700_000_000.0)
        frame.hk(bytes(HEADER_SIZE) + area)
        frame.packets(packets)
        frame.hk_data(area)
    return path


def test_the_tree_lists_each_packet(file: Path) -> None:
    nodes = _nodes_of(file)
    assert {"/", "/0", "/0/data", "/0/data/0", "/0/data/1", "/0/hk", "/register"} <= set(nodes)
    assert nodes["/0/data/1"].strip() == "1  (9190,) uint8"
    assert "<td>/0/data/1</td>" in _View(file, "/0/data/1", "").properties


def test_a_packet_tells_its_width_and_its_type(file: Path) -> None:
    view = _View(file, "/0/data/0", "")
    assert "w=16065 = 7 x 2295 pixels, 32140 bytes</p><pre>header" in view.text
    for name, value in (("packet type", "data"), ("CCD", "2 (code 1)"), ("side", "F"), ("last packet", "no")):
        assert f"<tr><td>{name}</td><td>{value}</td></tr>" in view.text
    assert ">0 1 2 3 " in view.text
    last = _View(file, "/0/data/1", "")
    assert "w=4590 = 2 x 2295 pixels" in last.text
    assert "<tr><td>last packet</td><td>yes</td></tr>" in last.text


def test_width_of_packets_that_hold_no_whole_rows() -> None:
    assert width_text(16065, 2295) == "16065 = 7 x 2295"
    assert width_text(100, 50) == "100 = 2 x 50"
    assert width_text(101, 50) == "101"
    assert width_text(0, 50) == "0"


def test_a_type_that_nobody_knows_is_a_number() -> None:
    assert ("packet type", "3") in type_rows(PacketType(0, False, 0, 0, 0, 3))


@pytest.mark.parametrize("node", ["/0/hk", "/0/hk_data"])
def test_housekeeping_has_lamps_and_a_table_of_the_ccds(file: Path, node: str) -> None:
    text = _View(file, node, "").text
    assert "Error flags <b>0x0080</b>: link disconnect" in text
    assert 'data-led="Disconnect" data-state="bad"' in text
    assert 'data-led="Running" data-state="ok"' in text
    assert 'data-led="Wrong X" data-state="off"' in text
    assert "<tr><th>VOG</th><td>0</td><td>0</td><td>4711</td><td>0</td></tr>" in text
    assert "NFEE_CCD3_VOG_MON" not in text  # it stands in the table
    assert "<td>NFEE_PRT1</td>" in text


def test_each_flag_has_its_lamp() -> None:
    assert len(ERROR_LAMPS) == len(ERROR_FLAGS)
    text = housekeeping_html({"NFEE_ERROR_FLAGS": 0})  # a map without SpaceWire and voltages
    assert text.count("data-led=") == len(ERROR_LAMPS)
    assert set(SPW_LAMPS) >= {"Running", "RMAP target indicate"}
