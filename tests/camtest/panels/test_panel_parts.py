"""Parts of panels by themselves: images, forms, filters, charts, limits, static form, pages."""

from __future__ import annotations

import zlib
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from camtest.panels import pages
from camtest.panels.charts import Strip
from camtest.panels.forms import CommandForm, is_dangerous, is_query, parse
from camtest.panels.images import BLOCK, COLUMNS, ROWS, ImageAssembler, as_png, describe
from camtest.panels.processes import lamp_of
from camtest.panels.setups import parse_filters
from camtest.panels.static_form import Section, as_html, as_text
from camtest.panels.telemetry import verdict
from egse.command import CommandDefinition, CommandError, Range, Unit, commands_of, dynamic_interface
from egse.dummy import DummyInterface
from egse.fee.geometry import FrameLayout
from egse.spw import HEADER_SIZE
from egse.spw.packets import CCDSide, PacketType, encode_header
from egse.tmdict import Limits, Parameter


def frame_packets(code: int, counter: int, scene: np.ndarray[Any, Any]) -> list[bytes]:
    """Returns the packets of a full readout as a FEE sends them: both sides in turn, 7 rows each, overscan behind."""
    layout, packets = FrameLayout(0, ROWS - 1), []
    for kind in (0, 1):
        groups = [g for g in layout.groups() if g.kind == kind]
        for number in range(max(g.packets for g in groups)):
            for group in groups:
                first = group.first_row + number * layout.rows_per_packet
                rows = min(layout.rows_per_packet, group.first_row + group.rows - first)
                half = scene[:, :COLUMNS] if group.side is CCDSide.F else scene[:, : COLUMNS - 1 : -1]
                data = half[first : first + rows].astype(">u2").tobytes()
                last = number == group.packets - 1
                word = PacketType(5, last, int(group.side), code, code, kind).word
                packets.append(encode_header(len(data), word, counter, len(packets)) + data)
    return packets


@pytest.fixture(scope="module")
def scene() -> np.ndarray[Any, Any]:
    """A CCD with one bright pixel in each half, and one in the overscan."""
    pixels = np.full((ROWS, 2 * COLUMNS), 1000, np.uint16)
    pixels[1234, 100], pixels[4321, 4000], pixels[4530, 7] = 50_000, 60_000, 40_000
    return pixels


def test_every_pixel_finds_its_place(scene: np.ndarray[Any, Any]) -> None:
    assembler = ImageAssembler()
    assembler.wanted_in_full = {2}
    packets = frame_packets(1, 77, scene)
    done = [image for packet in packets if (image := assembler.add(packet, "t"))]
    (image,) = done
    assert image is assembler.images[2]  # code 1 of the flight models is CCD 2
    assert image.complete
    assert image.packets == len(packets)
    assert image.full is not None
    np.testing.assert_array_equal(image.full, scene)
    width = image.small.shape[1]
    assert image.small[1234 // BLOCK, 100 // BLOCK] == 50_000
    assert image.small[4321 // BLOCK, width - 1 - (2 * COLUMNS - 1 - 4000) // BLOCK] == 60_000
    assert image.small[4530 // BLOCK, 7 // BLOCK] == 40_000
    assert (image.small > 1000).sum() == 3
    cut = image.cut_out()
    assert cut is not None
    pixels, row, column = cut
    assert pixels[4321 - row, 4000 - column] == 60_000
    assert describe(image)["complete"] is True


def test_lost_packets_shift_nothing(scene: np.ndarray[Any, Any]) -> None:
    assembler = ImageAssembler()
    packets = frame_packets(0, 5, scene)
    for number, packet in enumerate(packets):
        if number % 10 or packet[4] & 0x80:
            assembler.add(packet)
    (image,) = assembler.images.values()
    assert image.small[1234 // BLOCK, 100 // BLOCK] in (0, 50_000)
    assert (image.small > 1000).sum() <= 3
    again = ImageAssembler()
    for packet in reversed(packets):  # the place is that of the sequence counter, not of the order
        again.add(packet)
    assert again.images[image.ccd].small[4321 // BLOCK].max() == 60_000


def test_nonsense_on_the_data_stream_is_dropped() -> None:
    assembler = ImageAssembler()
    for packet in (b"", b"x" * HEADER_SIZE, bytes(20), bytes([80, 0xF0, 0, 4, 0, 3, 0, 0, 0, 0, 1, 2, 3, 4])):
        assert assembler.add(packet) is None
    assert all(not image.small.any() for image in assembler.images.values())


def test_png_is_a_picture(scene: np.ndarray[Any, Any]) -> None:
    assembler = ImageAssembler()
    for packet in frame_packets(0, 1, scene):
        assembler.add(packet)
    data = as_png(next(iter(assembler.images.values())))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    body = data[data.index(b"IDAT") + 4 :]
    assert len(zlib.decompressobj().decompress(body)) == 649 * (656 + 1)


class _Interface:
    @dynamic_interface
    def configure(
        self,
        level: Annotated[float, Range(0, 5), Unit("V")],
        mode: Literal["slow", "fast"],
        channels: list[int],
        label: str = "none",
        loud: bool = False,
    ) -> None:
        """Sets everything."""


def test_forms_know_types_ranges_and_defaults() -> None:
    form = CommandForm(commands_of(_Interface)["configure"])
    fields = {name: field.widget for name, field in form.fields.items()}
    assert list(fields["mode"].options) == ["slow", "fast"]
    fields["level"].value, fields["channels"].value = "3", "[1, 2]"
    assert form.values() == {"level": 3.0, "mode": "slow", "channels": [1, 2], "loud": False}
    fields["label"].value = "12"
    assert form.values()["label"] == "12"
    fields["level"].value = "6"
    with pytest.raises(CommandError, match=r"must be in \[0, 5\] V"):
        form.values()
    fields["level"].value = "__import__('os')"
    with pytest.raises(CommandError, match="expected a number"):
        form.values()


def test_what_is_asked_before() -> None:
    commands = commands_of(DummyInterface)
    assert is_dangerous(commands["output_on"])
    assert not is_dangerous(commands["set_voltage"])
    assert is_query(commands["get_voltage"])
    definition: CommandDefinition = commands["set_voltage"]
    assert parse(" 4 ", definition.parameters[0], "set_voltage") == 4.0


def test_filters_of_setups() -> None:
    wanted = 'site_id="CSL", gse.hexapod.ID=2'
    assert parse_filters(wanted) == {"site_id": "CSL", "gse__hexapod__ID": 2}
    assert parse_filters("camera.ID = achel,") == {"camera__ID": "achel"}
    assert parse_filters("") == {}
    with pytest.raises(CommandError, match="is no filter"):
        parse_filters("CSL")


def test_limits_are_judged() -> None:
    parameter = Parameter("T", ops=Limits(-10, 10), nonops=Limits(-50, 50))
    found = [verdict(parameter, value) for value in (0.0, 20, -60, float("nan"), True, "x")]
    assert found == ["", "warn", "bad", "warn", "", ""]


def test_charts_keep_what_broke_its_limits() -> None:
    strip = Strip(Parameter("T", ops=Limits(0, 10)), span=600.0)
    for at, value in enumerate([1, 99, 2, 3]):
        strip.add(value, at * 0.1)  # all of them within one step of a second
    count, *_, last = strip.as_floats(1.0)
    assert (count, last) == (1.0, 99.0)
    strip.add("no number", 5.0)
    assert np.isnan(strip.as_floats(5.0)[-1])


def test_lamps_of_servers() -> None:
    base = {"kind": "device", "connected": True, "simulator": False}
    assert lamp_of({**base, "state": "running"}) == ("ok", "running")
    assert lamp_of({**base, "state": "running", "connected": False})[0] == "warn"
    assert lamp_of({**base, "state": "stopped"}) == ("bad", "stopped")
    assert lamp_of({**base, "kind": "core", "state": "stopped"})[0] == "bad"
    assert lamp_of({**base, "state": "crashed"})[0] == "bad"


def test_static_form_escapes_what_it_shows() -> None:
    sections = [Section("a <b>", (("name", "<script>", "K", "bad"),), b"png", "picture")]
    html = as_html(sections, "now")
    assert "<script>" not in html
    assert "data:image/png;base64," in html
    assert "BAD" in as_text(sections)


def test_each_page_has_a_command_and_a_maker() -> None:
    from importlib import import_module

    from camtest.cli import ui

    for name, page in pages.PAGES.items():
        module, _, function = page.maker.partition(":")
        assert callable(getattr(import_module(module), function))
        assert getattr(ui, name).name == name
    assert 'lang="en"' in pages.index_page("/")
    assert "camtest/verb" in pages.status_page("/", "dark")
