"""Pixels out of packets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from egse.h5 import CycleWriter, frame_layout, get_file, read_images, sides_in_frame

RNG = np.random.default_rng(4)
ROWS = RNG.integers(0, 65536, (20, 2295), dtype=np.uint16)


def as_arrays(packets: list[bytes]) -> list[np.ndarray]:
    return [np.frombuffer(packet, dtype=np.uint8) for packet in packets]


def test_layout_follows_the_registers(attributes: dict[str, int]) -> None:
    layout = frame_layout(attributes)
    assert (layout.image_rows, layout.overscan_rows, layout.columns) == (10, 10, 2295)
    assert (layout.rows_per_packet, len(layout.sides)) == (7, 2)
    assert len(frame_layout({**attributes, "sensor_sel": 1}).sides) == 1
    assert len(frame_layout({}).sides) == 1


def test_both_sides(make_side: Callable[..., list[bytes]], attributes: dict[str, int]) -> None:
    e, f = make_side(ROWS, 10, 3, 0, 2), make_side(ROWS[::-1], 10, 3, 1, 2)
    mixed = [packet for pair in zip(e, f, strict=True) for packet in pair]
    first, second = sides_in_frame(as_arrays(mixed), attributes)
    assert (first.ccd, first.side, first.frame, first.row_start) == (4, "E", 2, 4500)
    assert (second.ccd, second.side) == (4, "F")
    assert np.array_equal(first.pixels, ROWS)
    assert np.array_equal(second.pixels, ROWS[::-1])
    assert first.image.shape == (10, 2255)
    assert first.serial_prescan.shape == (20, 25)
    assert first.serial_overscan.shape == (20, 15)
    assert first.parallel_overscan.shape == (10, 2255)
    assert np.array_equal(first.image, ROWS[:10, 25:2280])
    assert not first.missing_rows.size


def test_right_half_is_mirrored_into_the_ccd_frame(
    make_side: Callable[..., list[bytes]], attributes: dict[str, int]
) -> None:
    (raw,) = sides_in_frame(as_arrays(make_side(ROWS, 10, 0, 0, 0)), attributes)
    ccd = raw.in_ccd_frame()
    assert np.array_equal(ccd.image, raw.image[:, ::-1])
    assert np.array_equal(ccd.serial_prescan, raw.serial_prescan[:, ::-1])
    assert np.array_equal(ccd.serial_overscan, raw.serial_overscan[:, ::-1])
    assert raw.in_ccd_frame(right_side="F") is raw
    assert ccd.in_ccd_frame() is ccd


def test_lost_packet_leaves_a_gap(make_side: Callable[..., list[bytes]], attributes: dict[str, int]) -> None:
    packets = make_side(ROWS, 10, 0, 0, 0)
    del packets[0]
    (image,) = sides_in_frame(as_arrays(packets), attributes)
    assert image.missing_rows.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert np.array_equal(image.pixels[7:], ROWS[7:])
    assert not image.pixels[:7].any()


def test_lost_overscan_packet_leaves_a_gap(
    make_side: Callable[..., list[bytes]], attributes: dict[str, int]
) -> None:
    packets = make_side(ROWS, 10, 0, 0, 0)
    del packets[2]
    (image,) = sides_in_frame(as_arrays(packets), attributes)
    assert image.missing_rows.tolist() == list(range(10, 17))
    assert np.array_equal(image.parallel_overscan[7:], ROWS[17:, 25:2280])


@pytest.mark.parametrize("size", [0, 5, 10, 11, 5000, 32139])
def test_truncated_packet_never_raises(
    make_side: Callable[..., list[bytes]], attributes: dict[str, int], size: int
) -> None:
    packets = make_side(ROWS, 10, 0, 0, 0)
    packets[0] = packets[0][:size]
    (image,) = sides_in_frame(as_arrays(packets), attributes)
    lost = 7 - max(0, size - 10) // (2 * 2295)
    assert image.missing_rows.size == lost


def test_em_samples_are_signed(make_side: Callable[..., list[bytes]], attributes: dict[str, int]) -> None:
    (image,) = sides_in_frame(
        as_arrays(make_side(ROWS, 10, 0, 0, 0)), attributes, ccd_bin_to_id=(3, 4, 1, 2), twos_complement=True
    )
    assert image.ccd == 3
    assert np.array_equal(image.pixels, (ROWS.view(np.int16).astype(np.int32) + 32768).astype(np.uint16))


def test_no_packets() -> None:
    assert sides_in_frame([], {}) == []


def test_one_byte_on_the_link_is_one_pixel_in_the_file(
    tmp_path: Path, make_side: Callable[..., list[bytes]], attributes: dict[str, int]
) -> None:
    packets = make_side(ROWS, 10, 1, 1, 0)
    flipped = [bytearray(packet) for packet in packets]
    flipped[1][10 + 2 * (2295 + 100)] ^= 0x80
    images = []
    for name, payloads in (("a", packets), ("b", flipped)):
        with CycleWriter(tmp_path / name) as writer:
            frame = writer.frame(0)
            frame.attributes(attributes)
            frame.packets(payloads)
        with get_file(tmp_path / name) as file:
            images += read_images(file, 0)
    difference = np.argwhere(images[0].pixels != images[1].pixels)
    assert difference.tolist() == [[8, 100]]
