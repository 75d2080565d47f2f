"""What a notebook shows: HTML that needs nothing from elsewhere, and text for log files, of every object."""

from __future__ import annotations

import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from nbconvert import HTMLExporter

from camtest.core.sequence import CommandSequence
from camtest.display import focal_plane, housekeeping, install_formatters, log_view, remove_formatters, zoom
from camtest.display.canvas import MISSING, png
from camtest.display.ccds import reduced, stretch_for
from camtest.panels.housekeeping import plot_past
from egse.fee.geometry import COLUMNS_SIDE, SERIAL_OVERSCAN, SERIAL_PRESCAN
from egse.h5 import SideImage
from egse.monitor.alarms import AlarmEvent
from egse.monitor.journal import FOLDER, AlarmJournal
from egse.ogse import OGSEProxy
from egse.reg import RegisterMap
from egse.report.charts import COLUMNS, Series, line_chart, thin_out
from egse.setup import Setup
from egse.site.layout import SiteLayout
from egse.spw import SpaceWirePacket, encode_header
from egse.system import format_datetime, from_unix_time, unix_time


@pytest.fixture
def shown() -> Any:
    """Returns what a session with the extension shows of an object, by type."""
    formatter = DisplayFormatter()
    install_formatters(formatter)

    def show(value: Any) -> dict[str, Any]:
        data, _ = formatter.format(value)
        html = re.sub(
            r"<svg [^>]*xmlns=\"[^\"]*\"|data:image/png;base64,[^\"]*", "", str(data.get("text/html", ""))
        )
        assert not re.search(r"https?://|src=\"(?!\")|<link", html), "something is fetched from elsewhere"
        return dict(data)

    return show


def side(ccd: int, name: str, rows: int = 60, level: int = 100, lost: tuple[int, ...] = ()) -> SideImage:
    """A side with offset 1000, a level above it, and one star in row 10, column 20 as transmitted."""
    width = SERIAL_PRESCAN + COLUMNS_SIDE + SERIAL_OVERSCAN
    pixels = np.full((rows, width), 1000, np.uint16)
    pixels[:, SERIAL_PRESCAN : SERIAL_PRESCAN + COLUMNS_SIDE] += level
    pixels[10, SERIAL_PRESCAN + 20] = 40_000
    pixels[list(lost)] = 0
    return SideImage(ccd, name, 0, 200, rows, pixels, np.array(lost, dtype=np.intp))


# -- Setup, sequence, registers, packets -------------------------------------------------------------------------------


def test_a_setup_is_a_tree(shown: Any) -> None:
    data = shown(Setup({"gse": {"ogse": {"device": "class//egse.ogse.OGSEProxy", "note": "<b>"}}}))
    assert "│   " in data["text/plain"] or "└── ogse" in data["text/plain"]
    assert "<details" in data["text/html"]
    assert "&lt;b&gt;" in data["text/html"]
    assert "OGSEProxy object" not in data["text/plain"], "nothing special is read for a display"


def test_a_sequence_is_timeline_and_tree(shown: Any) -> None:
    sequence = CommandSequence("test")
    outer = sequence.add(None, "block", "expose", start=0.0, arguments={"time": 2.0})
    inner = sequence.add(outer, "command", "operate_on", start=0.5, device="ogse_cs")
    inner.end, outer.end, inner.error = 1.0, 3.0, "ValueError: <bad>"
    data = shown(sequence)
    assert "ogse_cs.operate_on()" in data["text/plain"]
    assert "expose(time=2.0)" in data["text/plain"]
    html = data["text/html"]
    assert html.count("<details") == 2, "the whole, and the building block with what is below it"
    assert "<svg" in html
    assert "&lt;bad&gt;" in html
    assert "<bad>" not in html


def test_a_register_map_tells_what_differs(shown: Any) -> None:
    registers = RegisterMap()
    before = registers["v_end"]
    data = shown(registers)
    assert "all as after power-on" in data["text/plain"]
    assert " open" not in data["text/html"]
    registers["v_end"] = 1234
    data = shown(registers)
    assert f"v_end: {before:#x} after power-on, 0x4d2 now" in data["text/plain"]
    assert data["text/html"].count("<details open") == 1
    assert "1 fields differ" in data["text/html"]


def test_packets_show_fields_and_bytes(shown: Any) -> None:
    pixels = np.array([1000, 1010, 1020], ">u2").tobytes()
    packet = SpaceWirePacket.create_packet(encode_header(len(pixels), 0x0500, 7, 3) + pixels)
    data = shown(packet)
    for text in ("DataDataPacket", "frame counter:   7", "3, 1000 to 1020 ADU", "000000  50 f0 00 06"):
        assert text in data["text/plain"]
    for text in ("<th", "frame counter", "mean 1010.0 ADU"):
        assert text in data["text/html"]
    assert "40000 more bytes" in shown(SpaceWirePacket(bytes(40_256)))["text/plain"]


def test_a_proxy_shows_its_commands_and_asks_nobody(shown: Any) -> None:
    proxy = OGSEProxy(endpoint="tcp://127.0.0.1:9")  # nobody is there: any question would raise
    data = shown(proxy)
    assert "att_set_level_factor(factor)" in data["text/plain"]
    assert "factor [0, 1]" in data["text/html"]
    assert proxy._channel is None


def test_displays_can_be_taken_back() -> None:
    formatter = DisplayFormatter()
    install_formatters(formatter)
    proxy = OGSEProxy(endpoint="tcp://127.0.0.1:9")
    assert "text/html" in formatter.format(proxy)[0]
    remove_formatters(formatter)
    assert "text/html" not in formatter.format(proxy)[0]


# -- housekeeping and log ----------------------------------------------------------------------------------------------


def write_housekeeping(site: SiteLayout, values: list[float]) -> None:
    now = unix_time(format_datetime())
    lines = ["timestamp,GOGSE_ATT_LVL"]
    lines += [
        f"{format_datetime(from_unix_time(now - len(values) + n))},{value}" for n, value in enumerate(values)
    ]
    for day in {format_datetime("today"), lines[1][:10].replace("-", "")}:
        folder = site.data / "daily" / day
        folder.mkdir(parents=True)
        (folder / f"{day}_{site.site_id}_OGSE.csv").write_text("\n".join(lines) + "\n")


def test_what_happened_is_drawn_into_the_plots(site: SiteLayout, shown: Any) -> None:
    write_housekeeping(site, [0.2, 0.4, 0.5])
    times = housekeeping("GOGSE_ATT_LVL").samples[0].times
    journal = AlarmJournal(site.data / FOLDER)
    for number, at in enumerate((times.mean(), times[-1] + 60.0)):
        event = AlarmEvent(
            number=number, time=float(at), name="GOGSE_ATT_LVL", event="raised", limit="above 1"
        )
        journal.write([event])
    journal.close()
    view = housekeeping("GOGSE_ATT_LVL")
    assert [mark.label.partition(" ")[2] for mark in view.marks] == ["GOGSE_ATT_LVL raised (warning) above 1"]
    assert shown(view)["text/html"].count("<path") == 1
    assert plot_past(["GOGSE_ATT_LVL"], "1h").count("<svg") == 1
    with pytest.raises(LookupError):
        plot_past(["NO_SUCH_NAME"], "1h")


def test_housekeeping_with_limits(site: SiteLayout, shown: Any) -> None:
    write_housekeeping(site, [0.2, 0.4, 1.5])
    data = shown(housekeeping("GOGSE_ATT_LVL"))
    assert "Housekeeping of the last 600 s" in data["text/plain"]
    assert re.search(r"GOGSE_ATT_LVL +1.5 +0..1 +OUT +3 ", data["text/plain"])
    assert "beyond the limit 1" in data["text/html"]
    assert "<polyline" in data["text/html"]
    with pytest.raises(LookupError, match="NO_SUCH_NAME"):
        housekeeping("NO_SUCH_NAME")
    with pytest.raises(ValueError, match="which housekeeping"):
        housekeeping()


def test_thinning_keeps_every_peak() -> None:
    times = np.arange(100_000.0)
    values = np.zeros(100_000)
    values[77_777], values[3] = 9.0, -5.0
    thin = thin_out(Series(times, values, "x"))
    assert len(thin.times) <= 2 * COLUMNS
    assert (thin.values.max(), thin.values.min()) == (9.0, -5.0)
    assert np.all(np.diff(thin.times) > 0)


def test_a_chart_has_a_gap_where_values_are_missing() -> None:
    values = np.array([1.0, 2.0, np.nan, 3.0, 4.0])
    assert line_chart(Series(np.arange(5.0), values, "x")).count("<polyline") == 2
    assert line_chart(Series(np.arange(5.0), np.full(5, np.nan), "x")) == ""


def test_the_log(tmp_path: Path, shown: Any) -> None:
    records = [
        {"ts": "2026-01-01T00:00:00.000000Z", "level": level, "levelno": number, "process": process}
        | {"pid": 1, "caller": "egse.x", "line": 1, "message": f"<{level}>", "traceback": trace}
        for level, number, process, trace in (
            ("INFO", 20, "a_cs", ""),
            ("ERROR", 40, "b_cs", "Traceback: here"),
        )
    ]
    (tmp_path / "general.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    data = shown(log_view(folder=tmp_path))
    assert "<INFO>" in data["text/plain"]
    assert "&lt;ERROR&gt;" in data["text/html"]
    assert "<summary>traceback" in data["text/html"]
    assert [message.process for message in log_view(5, "warning", folder=tmp_path)] == ["b_cs"]
    with pytest.raises(ValueError, match="no level"):
        log_view(5, "LOUD", folder=tmp_path)


# -- images ------------------------------------------------------------------------------------------------------------


def test_reducing_keeps_stars_and_marks_lost_rows() -> None:
    values, step = reduced(side(1, "F", rows=60, lost=(0, 1, 2)), screen=400)
    assert step == 12
    assert values.shape == (5, 188)
    assert values.max() == 39_000.0
    assert values[0, 20 // step] == 39_000.0
    assert values[1, 0] == 100.0
    lost, step = reduced(side(1, "F", rows=24, lost=tuple(range(12, 24))))
    assert np.isnan(lost[1]).all()
    assert not np.isnan(lost[0]).any()


def test_the_right_half_is_mirrored() -> None:
    values, step = reduced(side(1, "E"))
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    assert (row, column) == (10 // step, (COLUMNS_SIDE - 1 - 20) // step)


def decoded(picture: bytes) -> np.ndarray:
    """Reads the PNG without our code."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, rows = struct.unpack(">II", picture[16:24])
    start = picture.index(b"IDAT")
    size = struct.unpack(">I", picture[start - 4 : start])[0]
    lines = np.frombuffer(zlib.decompress(picture[start + 4 : start + 4 + size]), np.uint8)
    return lines.reshape(rows, width + 1)[:, 1:]


def test_a_png_is_read_back() -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert np.array_equal(decoded(png(picture)), picture)


def test_the_focal_plane(shown: Any) -> None:
    view = focal_plane([side(1, "E"), side(1, "F"), side(3, "F", lost=(5,))], "cycle <1>")
    data = shown(view)
    assert re.search(r"^1 +E +60 +0 +1000.0", data["text/plain"], re.MULTILINE)
    assert "cycle &lt;1&gt;" in data["text/html"]
    assert [(layer.name, layer.left) for layer in view.layers] == [
        ("CCD 1 F", 0),
        ("CCD 1 E", 189),
        ("CCD 3 F", 383),
    ]
    picture = decoded(data["image/png"])
    assert picture.shape == (5, 383 + 188)
    assert picture[4, 1] == 255, "the star of CCD 1 side F: first row at the bottom"
    packed = json.loads(re.search(r'getElementById\("[^"]*"\), (\{.*\})\);</script>', data["text/html"])[1])  # type: ignore[index]
    assert packed["missing"] == MISSING
    assert [layer["step"] for layer in packed["layers"]] == [12, 12, 12]
    assert "nothing" not in data["text/html"]
    with pytest.raises(ValueError, match="no stretch"):
        focal_plane([], stretch="square")


def test_zoom_is_pixel_by_pixel(shown: Any) -> None:
    view = zoom(side(2, "F"), rows=(205, 215), columns=(15, 25))
    (layer,) = view.layers
    assert (layer.values.shape, layer.step, layer.row, layer.column) == ((11, 11), 1, 205, 15)
    assert layer.values[5, 5] == 39_000.0, "row 210 of the CCD is row 10 of the image"
    assert "CCD 2 side F" in shown(view)["text/plain"]
    with pytest.raises(ValueError, match="rows 200 to 259"):
        zoom(side(2, "F"), rows=(1000, 1100), columns=(0, 10))


def test_stretches_keep_the_order() -> None:
    values = np.linspace(0, 1000, 50, dtype=np.float32).reshape(5, 10)
    for kind in ("linear", "asinh", "log"):
        bright = stretch_for([values], kind)(values).ravel()
        assert np.all(np.diff(bright.astype(int)) >= 0)
        assert (bright[0], bright[-1]) == (0, 255)


def test_everything_is_there_in_a_page_of_nbconvert(shown: Any) -> None:
    outputs = [
        nbformat.v4.new_output("display_data", {k: v for k, v in shown(value).items() if k != "image/png"})
        for value in (focal_plane([side(1, "E")]), RegisterMap(), Setup({"gse": {"a": 1}}))
    ]
    cell = nbformat.v4.new_code_cell("x", outputs=outputs)
    body, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    for text in ("data:image/png;base64,", "reg_5_config", "<summary><b>"):
        assert text in body
    assert "camtest-image" in body
