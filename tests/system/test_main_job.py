"""The main job, looked at from outside: what the command says, and what is on disk for people with other tools."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import nbformat
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

pytestmark = pytest.mark.system

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%f%z"
OBSID_LINE = re.compile(
    r"^(?P<test>\d{5}) (?P<site>\S+) (?P<setup>\d{5}) (?P<time>\S+) (?P<function>\w+\(.*\))(?: \[(?P<text>.*)\])?$"
)
ATTRIBUTES = {
    *("DG_en", "ccd_mode_config", "ccd_read_en", "ccd_readout_order", "digitise_en", "h_end"),
    *("int_sync_period", "n_final_dump", "sensor_sel", "sync_sel", "v_end", "v_start"),
}
COLUMNS, ROWS, PER_PACKET = 2295, 100, 7
BLOCKS = [
    *("n_fee_to_standby_mode", "n_fee_to_dump_mode", "ogse_swon", "set_attenuation"),
    *("n_cam_acquire_and_dump", "ogse_swoff"),
]


def transmitted(frame: h5py.Group, side: int) -> np.ndarray[Any, Any]:
    """Returns the pixels of one side as they came over the link, decoded by hand from the bytes of the packets."""
    packets = [frame["data"][name][()] for name in sorted(frame["data"], key=int)]
    mine = [packet for packet in packets if packet[5] >> 6 & 1 == side]
    return np.concatenate([packet[10:].view(">u2") for packet in mine]).reshape(-1, COLUMNS)


def image_files(run: Any) -> list[Path]:
    found = []
    for path in run.record.raw_files:
        with h5py.File(path) as file:
            if any(len(file[f"{frame}/data"]) for frame in "0123" if frame in file):
                found.append(path)
    return found


def test_the_command_tells_what_it_did(main_run: Any) -> None:
    assert main_run.code == 0, main_run.output
    record = main_run.record
    assert f"Observation {record.obsid} started: short_functional_test.ipynb" in main_run.output
    cells = re.findall(r"^\[ ?(\d+)/14\] .+  passed  \d+\.\d s$", main_run.output, re.MULTILINE)
    assert cells == [str(number) for number in range(1, 15)]
    assert re.search(r"^Status +done$", main_run.output, re.MULTILINE)
    for path in (record.folder, main_run.executed):
        assert str(path) in main_run.output


def test_the_obsid_table_has_its_line(main_run: Any) -> None:
    lines = (main_run.record.site_folder / "obsid-table.txt").read_text().splitlines()
    rows = [match for match in map(OBSID_LINE.match, lines) if match]
    assert len(rows) == len(lines)
    assert [int(row["test"]) for row in rows] == list(range(1, len(rows) + 1))
    (row,) = (row for row in rows if row["test"] == main_run.record.obsid[-5:])
    assert main_run.record.obsid == f"{row['site']}_{row['setup']}_{row['test']}"
    assert row["function"] == (
        'short_functional_test(num_cycles="2", row_start="0", row_end="99", ccd_order="[1, 2, 3, 4]", '
        'ccd_side="BOTH", attenuation="0.1")'
    )
    assert (
        pd.to_datetime(row["time"], format=TIME_FORMAT).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] in row["time"]
    )


def test_raw_files_open_with_plain_h5py(main_run: Any) -> None:
    paths = image_files(main_run)
    assert len(paths) == 2
    for path in main_run.record.raw_files:
        assert re.fullmatch(r"\d{8}_LAB_N-FEE_SPW_\d{5}\.hdf5", path.name)
        with h5py.File(path) as file:
            assert file["obsid"][()] == main_run.record.obsid.encode()
            assert file["obsid"].shape == ()
            assert {"dpu", "fee", "register", "versions"} <= set(file)
            assert (file["register"].dtype, file["register"].shape) == (np.uint8, (2048,))
            assert file["fee"].attrs["type"] == "N-FEE"
            version = file["versions/format_version"].attrs
            assert (int(version["major_version"]), int(version["minor_version"])) == (2, 6)
            assert {"num_cycles", "slicing_num_cycles"} == set(file["dpu"].attrs)
    remaining = []
    for path in paths:
        with h5py.File(path) as file:
            assert {"0", "1", "2", "3"} <= set(file)
            remaining.append(int(file["dpu"].attrs["num_cycles"]))
            for number in range(4):
                check_frame(file[str(number)], number)
    assert remaining == [2, 1]


def check_frame(frame: h5py.Group, number: int) -> None:
    timecode = frame["timecode"]
    assert (timecode.dtype, timecode.shape) == (np.int64, ())
    assert 0 <= timecode[()] <= 63
    pd.to_datetime(timecode.attrs["timestamp"], format=TIME_FORMAT)
    assert (frame["hk"].dtype, frame["hk"].shape) == (np.uint8, (154,))
    assert (frame["hk_data"].dtype, frame["hk_data"].shape) == (np.uint8, (144,))
    data = frame["data"]
    assert set(data.attrs) == ATTRIBUTES
    assert {name: int(data.attrs[name]) for name in ("v_start", "v_end", "h_end", "ccd_mode_config")} == {
        "v_start": 0,
        "v_end": ROWS - 1,
        "h_end": COLUMNS - 1,
        "ccd_mode_config": 5,
    }
    packets = [data[str(index)][()] for index in range(len(data))]
    assert [packet.size for packet in packets] == 2 * 14 * [32140] + 2 * [10 + 2 * 2 * COLUMNS]
    headers = np.array([packet[:10] for packet in packets]).view(">u2").astype(int)
    assert set(headers[:, 0]) == {0x50F0}
    assert [*headers[:, 1]] == [packet.size - 10 for packet in packets]
    kinds = headers[:, 2]
    assert set(kinds >> 8) == {5}
    assert set(kinds >> 4 & 3) == {number}
    assert set(kinds >> 2 & 3) == {number}
    assert set(kinds & 3) == {0}
    assert {side: int(np.sum(kinds >> 6 & 1 == side)) for side in (0, 1)} == {0: 15, 1: 15}
    assert np.flatnonzero(kinds >> 7 & 1).size == 2, "the last packet of each side says so"
    assert len(set(headers[:, 3])) == 1
    assert [*headers[:, 4]] == list(range(30))


def test_cubes_open_with_plain_astropy(main_run: Any) -> None:
    path = main_run.record.file("N-FEE_CCD_00001_*_cube.fits")
    sides = [(ccd, side) for ccd in "1234" for side in "EF"]
    with fits.open(path) as cube:
        cube.verify("exception")
        names = [f"{kind}_{c}_{s}" for c, s in sides for kind in ("SPRE", "SOVER", "IMAGE", "WCS-TAB")]
        assert [hdu.name for hdu in cube] == ["PRIMARY", *names]
        check_primary(cube[0].header, main_run.record)
        for number, path in enumerate(image_files(main_run)):
            with h5py.File(path) as file:
                for ccd, side in sides:
                    pixels = transmitted(file[str(int(ccd) - 1)], "EF".index(side))
                    check_side(cube, f"{ccd}_{side}", number, pixels)
        times = cube["WCS-TAB_3_F"].data["TIME"]
        assert times[0] > 0, "relative to the first exposure of any CCD"
        assert times[1] - times[0] == pytest.approx(cube["WCS-TAB_1_E"].data["TIME"][1], abs=0.1)


def check_primary(header: fits.Header, record: Any) -> None:
    expected = {
        "LEVEL": 2,
        "V_START": 0,
        "V_END": 99,
        "H_END": 2294,
        "ROWS_FINAL_DUMP": 0,
        "TELESCOP": "PLATO",
        "INSTRUME": "achel",
        "SITENAME": "LAB",
        "SETUP": 1,
        "CCD_READOUT_ORDER": "[1, 2, 3, 4]",
        "CYCLETIME": 25.0,
        "OBSID": record.obsid,
    }
    assert {name: header[name] for name in expected} == expected
    assert header["READTIME"] > 0
    assert {"DATE-OBS", "CGSE"} <= set(header)


def check_side(cube: fits.HDUList, name: str, layer: int, pixels: np.ndarray[Any, Any]) -> None:
    """One exposure in the cube is what came over the link; E is the mirrored half of a flight CCD."""
    areas = {"SPRE": slice(0, 25), "IMAGE": slice(25, 2280), "SOVER": slice(2280, 2295)}
    for product, columns in areas.items():
        hdu = cube[f"{product}_{name}"]
        width = columns.stop - columns.start
        assert [hdu.header[f"NAXIS{axis}"] for axis in (1, 2, 3)] == [width, ROWS, 2]
        assert (hdu.header["CTYPE3"], hdu.header["PS3_0"]) == ("TIMETAB", f"WCS-TAB_{name}")
        expected = pixels[:, columns]
        assert np.array_equal(hdu.data[layer], expected[:, ::-1] if name.endswith("E") else expected)
    image = cube[f"IMAGE_{name}"].header
    assert (image["CTYPE1"], image["CUNIT1"], image["CDELT1"]) == ("LINEAR", "MM", 0.018)
    assert image["CD1_1"] ** 2 + image["CD1_2"] ** 2 == pytest.approx(0.018**2)


def test_housekeeping_opens_with_pandas(main_run: Any) -> None:
    record = main_run.record
    start, end = (pd.to_datetime(record.manifest[key], format=TIME_FORMAT) for key in ("start", "end"))
    stamp = start.strftime("%Y%m%d_%H%M%S")
    for mnemonic in ("DPU", "OGSE", "LSCI336", "N-FEE-HK"):
        table = pd.read_csv(record.file(f"{mnemonic}_{stamp}.csv"))
        times = pd.to_datetime(table.timestamp, format=TIME_FORMAT)
        assert times.is_monotonic_increasing
        assert times.between(start - pd.Timedelta("2s"), end).all()
        daily = record.site_folder / "daily" / stamp[:8] / f"{stamp[:8]}_LAB_{mnemonic}.csv"
        assert set(table.timestamp) <= set(pd.read_csv(daily).timestamp)
    camera = pd.read_csv(record.file(f"N-FEE-HK_{stamp}.csv"))
    assert {0, 4, 5} <= set(camera.NFEE_OP_MODE), "ON, STANDBY and FULL IMAGE show in the housekeeping"
    assert len(camera) >= 2 * 4 * 2, "two rows for each readout"
    source = pd.read_csv(record.file(f"OGSE_{stamp}.csv"))
    assert source.GOGSE_ATT_LVL.max() == pytest.approx(0.1, abs=0.02)
    assert source.GOGSE_LDLS_LAMP.any()
    assert set(pd.read_csv(record.file(f"LSCI336_{stamp}.csv")).columns) >= {
        "timestamp",
        "GLAB_LSCI336_TEMPA",
    }


def test_commands_are_those_of_the_journals(main_run: Any) -> None:
    commands = {command["id"]: command for command in main_run.record.lines("commands.jsonl")}
    journal = main_run.record.journal()
    assert set(commands) == set(journal)
    for number, (begin, end) in journal.items():
        command = commands[number]
        assert (begin["event"], end["event"]) == ("begin", "end")
        assert begin["time"] <= end["time"]
        assert (command["command"], command["args"]) == (begin["command"], begin["args"])
        assert command["server"] == begin["source"]["server"]
        assert command["block"] == begin["context"].get("block", "")
        assert (command["status"], command["error"]) == (end["status"], end.get("error", "")) == ("done", "")
    assert {command["server"] for command in commands.values()} == {"dpu_cs", "ogse_cs", "lsci336_cs"}


def test_events_tell_what_happened(main_run: Any) -> None:
    events = main_run.record.lines("events.jsonl")
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert (events[0]["event"], events[-1]["event"]) == ("observation-start", "observation-end")
    started = {event["call"]: event for event in events if event["event"] == "start"}
    ended = {event["call"]: event for event in events if event["event"] == "end"}
    assert [event["block"].rpartition(".")[2] for event in started.values()] == BLOCKS
    assert set(started) == set(ended)
    cells = [event for event in events if event["event"] == "cell-end"]
    assert [(event["cell"], event["status"]) for event in cells] == [(n, "passed") for n in range(1, 15)]

    spans = {
        started[call]["block"].rpartition(".")[2]: (started[call]["t"], ended[call]["t"]) for call in started
    }
    for begin, end in main_run.record.journal().values():
        if block := begin["context"].get("block"):
            first, last = spans[block]
            assert first <= begin["time"] <= end["time"] <= last


def test_the_executed_notebook_shows_the_images(main_run: Any) -> None:
    stored = nbformat.read(main_run.record.file("short_functional_test.ipynb"), as_version=4)
    assert stored.metadata.camtest["status"] == "done"
    assert stored.metadata.camtest["obsid"] == main_run.record.obsid
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert {cell.metadata.camtest["status"] for cell in code} == {"passed"}
    pictures = [o for cell in code for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 3
    injected = next(cell for cell in code if "injected-parameters" in cell.metadata.get("tags", []))
    assert "row_end = 99" in injected.source
    copy = nbformat.read(main_run.executed, as_version=4)
    banner, *cells = [cell.source for cell in stored.cells]
    assert banner == f"> **SIMULATOR · {main_run.record.obsid} · done**"
    assert [cell.source for cell in copy.cells] == cells
    parameters = json.loads(main_run.record.file("parameters.json").read_text())
    assert parameters["given"] == {"num_cycles": 2, "row_end": 99}


def test_the_archive_lists_and_shows_it(main_run: Any, shell: Any) -> None:
    obsid = main_run.record.obsid
    code, output = shell.run("camtest", "obs", "list", "--json", "-n", "0")
    (row,) = (row for row in json.loads(output) if row["obsid"] == obsid)
    assert (code, row["status"], row["state"]) == (0, "done", "closed")
    code, output = shell.run("camtest", "obs", "show", obsid[-5:].lstrip("0"))
    assert code == 0
    assert "6 start, 6 end" in output
    for path in [*main_run.record.folder.glob("*.csv"), *main_run.record.raw_files]:
        assert str(path.relative_to(main_run.record.site_folder)) in output
    assert shell.run("camtest", "verify", obsid) == (0, f"{obsid} is as recorded.\n")


def test_the_mode_stands_in_every_record(main_run: Any) -> None:
    """Somebody who finds one file of the observation sees that no camera was there."""
    record = main_run.record
    assert record.manifest["mode"] == "simulator"
    assert {command["mode"] for command in record.lines("commands.jsonl")} == {"simulator"}
    assert {begin["source"]["mode"] for begin, _ in record.journal().values()} == {"simulator"}
    logged = record.lines("log.jsonl")
    assert len(logged) > 10
    assert {line["mode"] for line in logged} == {"simulator"}
    for path in record.raw_files:
        with h5py.File(path) as file:
            assert file.attrs["mode"] == "simulator"
    for path in record.folder.glob("*_cube.fits"):
        assert fits.getheader(path)["RUNMODE"] == "simulator"
    stored = nbformat.read(record.file("short_functional_test.ipynb"), as_version=4)
    for notebook in (stored, nbformat.read(main_run.executed, as_version=4)):
        assert notebook.metadata.camtest["mode"] == "simulator"
    text = (record.site_folder.parent.parent / "log" / "general.log").read_text()
    assert re.search(rf"obsid={record.obsid} .*mode=simulator", text)
    lines = [line for line in text.splitlines() if line.startswith("level=")]
    assert [line for line in lines if "mode=simulator]" not in line] == []


def test_the_mode_stands_in_what_is_exported_afterwards(main_run: Any, shell: Any, tmp_path: Path) -> None:
    obsid = main_run.record.obsid
    names = [tmp_path / f"as_run.{suffix}" for suffix in ("json", "csv", "yaml", "md", "html")]
    options = [word for path in names for word in ("--export", path)]
    code, output = shell.run("camtest", "obs", "sequence", obsid, *options)
    assert code == 0, output
    for path in names:
        text = path.read_text()
        assert "simulator" in (text.partition("</style>")[2] or text), path
    code, output = shell.run("camtest", "obs", "report", obsid, "-o", tmp_path / "report.html")
    assert code == 0, output
    assert '<div class="mode simulator">simulator</div>' in (tmp_path / "report.html").read_text()
