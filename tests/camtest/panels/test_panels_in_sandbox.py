"""Panels of the camera's processes: the data inspector with a raw file just written, the FITS generator."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from camtest.panels import DevicePanel
from camtest.panels.hdf5 import HDF5Panel
from camtest.panels.pages import PAGES
from egse.dpu import DPUProxy
from egse.dpu.errors import SlotOverrunError
from egse.site.sandbox import Sandbox

from .conftest import eventually

pytestmark = pytest.mark.system


@pytest.fixture
def raw_file(in_sandbox: Sandbox) -> Path:
    """A raw file of one cycle, read out now: 4 CCDs, both sides, 100 rows."""
    folder = in_sandbox.layout.data / "daily"
    before = set(folder.rglob("*.hdf5"))
    with DPUProxy(timeout=60.0) as camera:
        if not camera.n_fee_is_dump_mode():
            eventually(lambda: _sent(camera.n_fee_set_standby_mode), "the command")
            eventually(lambda: camera.get_status_summary()["mode_name"] == "STANDBY_MODE", "STANDBY mode")
            eventually(lambda: _sent(camera.n_fee_set_dump_mode), "the command")
            eventually(camera.n_fee_is_dump_mode, "DUMP mode")
        camera.n_fee_set_full_image_mode(
            num_cycles=1, row_start=0, row_end=99, rows_final_dump=0, ccd_order=[1, 2, 3, 4], ccd_side="BOTH"
        )

        def with_images() -> list[Path]:
            return [path for path in set(folder.rglob("*.hdf5")) - before if _packets(path) > 100]

        found: list[Path] = eventually(with_images, "the raw file")
    return found[0]


def _sent(command: Callable[[], object]) -> bool:
    """Sends a command; False when the slot between two pulses was too short for it: the machine is busy with other tests."""
    try:
        command()
    except SlotOverrunError:
        return False
    return True


def _packets(path: Path) -> int:
    with h5py.File(path) as file:
        return sum(len(file[f"{frame}/data"]) for frame in "0123" if f"{frame}/data" in file)


def test_each_kind_of_node_has_its_view(raw_file: Path) -> None:
    with HDF5Panel() as panel:
        eventually(lambda: raw_file.name in [name for name, _ in panel.files.options], "it among the newest")
        panel.files.value = str(raw_file)
        eventually(lambda: panel.nodes, "the tree")
        nodes = set(panel.nodes)
        assert {"/0", "/0/data", "/register"} <= nodes, sorted(nodes)[:40]

        def look(node: str, expected: str) -> str:
            panel.tree.value = node
            eventually(lambda: expected in panel.view.value, f"{expected} in the view of {node}")
            eventually(lambda: f"<td>{node}</td>" in panel.properties.value, f"the properties of {node}")
            return str(panel.view.value)

        for frame in range(4):
            shown = look(f"/{frame}", f"frame {frame},")
            assert "data:image/png;base64," in shown
        assert {image.ccd for image in panel.images} <= {1, 2, 3, 4}
        packet = sorted(node for node in nodes if re.fullmatch(r"/0/data/\d+", node))[0]
        look(packet, "bytes</p><pre>header")
        assert "packet" in panel.header.value.lower()
        housekeeping = sorted(node for node in nodes if node.endswith(("/hk", "/hk_data")))
        assert housekeeping
        look(housekeeping[0], "Error flags <b>0x")
        look("/register", "v_end")
        panel.filter.value = "^v_(start|end)$"
        eventually(lambda: "ccd_readout_order" not in panel.view.value, "the filter")
        with h5py.File(raw_file) as file:
            assert int(file["0/data"].attrs["v_end"]) == 99
        assert "v_end = <b>99</b>" in panel.view.value
        panel.filter.value = "("
        eventually(lambda: "is no regular expression" in panel.message.value, "the refusal")
        look("/timecode" if "/timecode" in nodes else "/0/timecode", "")
        assert "CCD" in panel.to_html()
        assert "<img" in panel.to_html()
        panel.file_name.value = str(raw_file.parent)
        panel.button("Open", panel._open_named).click()
        eventually(lambda: 'data-message="bad"' in panel.message.value, "a folder is no file")
        assert panel.errors == []


def test_the_page_of_the_fits_generator(in_sandbox: Sandbox) -> None:
    with PAGES["fitsgen_ui"].make() as panel:
        assert isinstance(panel, DevicePanel)
        eventually(lambda: "GFITS_QUEUE_DONE" in repr(panel), "its housekeeping")
        panel.chooser.value = "make_cubes"
        assert panel.form is not None
        panel.form.fields["obsid"].widget.value = "99999"
        panel.run_button.click()
        eventually(lambda: 'data-message="bad"' in panel.message.value, "the refusal")
        assert "99999" in panel.message.value
        assert panel.errors == []
