"""The N-FEE Data Inspector: what is in a raw HDF5 file of the camera."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import h5py
import ipywidgets as widgets
import numpy as np

from camtest.panels.board import BoardState, Lamp
from camtest.panels.images import BLOCK, CCDImage, as_png, reduce_into
from camtest.panels.panel import Panel
from camtest.panels.static_form import Section
from camtest.panels.threads import weak
from egse.command import CommandError
from egse.env import EnvError, get_data_storage_location
from egse.fee import decode_hk, error_flag_names
from egse.fee.geometry import LEFT_SIDE
from egse.fee.numbering import camera_model, ccd_numbering
from egse.h5 import get_file
from egse.h5.images import SideImage, read_images
from egse.h5.reader import frame_numbers, get_data, get_obsid, show_attributes
from egse.reg import RegisterMap
from egse.spw import SpaceWirePacket

PACKET = re.compile(r"/\d+/data/\d+$")
FRAME = re.compile(r"/(\d+)$")
SHOWN_BYTES = 512
MOST_NODES = 4000
"""So many nodes are listed; a frame has more than a thousand packets."""
LATEST = 50
"""So many of the newest raw files are offered."""


class HDF5Panel(Panel):
    """One raw file: a tree of its nodes, and a view that depends on the node.

    Args:
        file: path; the newest files of the site are offered when None.
    """

    name: ClassVar[str] = "hdf5"

    def __init__(self, file: str | Path | None = None) -> None:
        self.path: Path | None = None
        self.nodes: dict[str, str] = {}
        self.node = ""
        self.images: list[CCDImage] = []
        super().__init__("N-FEE Data Inspector")
        self.command("?looking for raw files", newest_files, self._offer)
        if file is not None:
            self.open(Path(file))

    # -- files ---------------------------------------------------------------------------------------------------------

    def _offer(self, files: list[Path]) -> None:
        self.files.options = [("newest raw files of the site", ""), *((p.name, str(p)) for p in files)]

    def open(self, path: Path) -> None:
        """Opens a file."""
        self.command(f"?opening {path.name}", lambda: (path, _nodes_of(path)), self._opened)

    def _opened(self, found: tuple[Path, dict[str, str]]) -> None:
        self.path, self.nodes = found
        self.tree.options = [(text, name) for name, text in self.nodes.items()]
        self.tell(f"{self.path}: {len(self.nodes)} nodes")

    def _state(self) -> BoardState:
        lamps = (Lamp("FILE", "ok" if self.path else "off", self.path.name if self.path else "none"),)
        return BoardState(self.title, str(self.path or ""), True, lamps)

    def _extra_sections(self) -> Sequence[Section]:
        return [
            Section(
                f"CCD {image.ccd}, frame {image.frame_number}",
                picture=as_png(image),
                caption=f"CCD {image.ccd}",
            )
            for image in self.images
        ]

    # -- widgets -------------------------------------------------------------------------------------------------------

    def _body(self) -> list[widgets.Widget]:
        self.file_name = widgets.Text(
            placeholder="path of a raw file", description="File", layout=widgets.Layout(width="44em")
        )
        self.files = widgets.Dropdown(
            options=[("newest raw files of the site", "")],
            description="Newest",
            layout=widgets.Layout(width="34em"),
        )
        self.files.observe(weak(self._file_chosen), "value")
        self.tree = widgets.Select(
            options=[],
            rows=24,
            description="Nodes",
            style={"description_width": "4em"},
            layout=widgets.Layout(width="38em"),
        )
        self.tree.add_class("camtest-tree")
        self.tree.observe(weak(self._node_chosen), "value")
        self.filter = widgets.Text(
            placeholder="filter registers: text or regular expression", description="Filter"
        )
        self.filter.observe(weak(self._filter_changed), "value")
        self.properties, self.attributes, self.header = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.details = widgets.Tab([self.properties, self.attributes, self.header])
        self.details.titles = ("Properties", "Attributes", "Packet Header")
        self.view = widgets.HTML()
        bar = widgets.HBox([self.file_name, self.button("Open", self._open_named), self.files])
        left = widgets.VBox([self.tree, self.details])
        return [bar, widgets.HBox([left, widgets.VBox([self.filter, self.view])])]

    def _open_named(self) -> None:
        if not self.file_name.value.strip():
            raise CommandError("type the path of a raw file, or choose one from the list")
        self.open(Path(self.file_name.value.strip()).expanduser())

    def _file_chosen(self, change: Any) -> None:
        if change["new"]:
            self.open(Path(change["new"]))

    def _node_chosen(self, change: Any) -> None:
        if change["new"] and self.path is not None:
            self.node = str(change["new"])
            self._look()

    def _filter_changed(self, _change: Any) -> None:
        if self.node.rpartition("/")[2] == "register":
            self._look()

    def _look(self) -> None:
        path, node, wanted = self.path, self.node, self.filter.value.strip()
        if path is not None:
            self.command(f"?showing {node}", lambda: _View(path, node, wanted), self._show)

    def _show(self, view: _View) -> None:
        self.properties.value, self.attributes.value = view.properties, view.attributes
        self.header.value = view.header
        if view.images:
            self.images = view.images
        if view.text:
            self.view.value = view.text


class _View:
    """What is shown of one node.

    Args:
        path: of the file.
        node: name of the node.
        wanted: filter for registers.
    """

    def __init__(self, path: Path, node: str, wanted: str) -> None:
        self.text = self.header = ""
        self.images: list[CCDImage] = []
        with get_file(path) as file:
            item = file[node]
            self.properties = _table(_properties(item))
            self.attributes = f"<pre>{escape(show_attributes(item))}</pre>" if len(item.attrs) else "none"
            frame = FRAME.match(node)
            if frame and int(frame[1]) in frame_numbers(file):
                self._show_images(file, int(frame[1]))
            elif PACKET.match(node):
                self._show_packet(bytes(np.asarray(get_data(item), np.uint8)))
            elif node.endswith(("/hk", "/hk_data")):
                self._show_housekeeping(bytes(np.asarray(get_data(item), np.uint8)))
            elif node.rpartition("/")[2] == "register":
                self._show_registers(np.asarray(get_data(item), np.uint8), wanted)
            elif isinstance(item, h5py.Dataset):
                self.text = f"<pre>{escape(str(get_data(item))[:20_000])}</pre>"

    def _show_images(self, file: h5py.File, frame: int) -> None:
        sides = read_images(file, frame, ccd_numbering().bin_to_id, camera_model() == "em")
        self.images = small_images(sides)
        parts = []
        for image in self.images:
            from base64 import b64encode

            data = b64encode(as_png(image)).decode()
            low, high = image.stretch()
            parts.append(
                f'<figure data-ccd="{image.ccd}"><figcaption>CCD {image.ccd}, frame {frame}, {low} to {high} ADU, brightest of '
                f'{BLOCK} x {BLOCK}</figcaption><img alt="CCD {image.ccd}" src="data:image/png;base64,{data}"></figure>'
            )
        self.text = "".join(parts) or "<p>no image data in this frame</p>"

    def _show_packet(self, data: bytes) -> None:
        packet = SpaceWirePacket.create_packet(data)
        self.header = f"<pre>{escape(str(packet))}</pre>"
        bits = " ".join(f"{byte:08b}" for byte in data[:10])
        pixels = getattr(packet, "pixels", np.empty(0, np.uint16))
        values = " ".join(map(str, pixels[:SHOWN_BYTES]))
        self.text = f"<p>w={len(data)} bytes</p><pre>header {bits}</pre><pre style='white-space:pre-wrap'>{values} ...</pre>"

    def _show_housekeeping(self, data: bytes) -> None:
        values = decode_hk(data)
        flags = int(values.get("NFEE_ERROR_FLAGS", 0))
        names = ", ".join(error_flag_names(flags)) or "none"
        if len(data) == 154:
            self.header = f"<pre>{escape(str(SpaceWirePacket.create_packet(data)))}</pre>"
        self.text = f"<p>Error flags <b>{flags:#06x}</b>: {escape(names)}. Raw values.</p>" + _table(
            [(name, str(value)) for name, value in values.items()]
        )

    def _show_registers(self, memory: np.ndarray[Any, np.dtype[np.uint8]], wanted: str) -> None:
        model = camera_model()
        registers = RegisterMap(source=model if model in LEFT_SIDE else "fm", memory=memory)
        try:
            pattern = re.compile(wanted, re.IGNORECASE)
        except re.error as exc:
            raise CommandError(f"{wanted!r} is no regular expression: {exc}") from exc
        rows = [
            (field.pieces[0].register, f"{name} = <b>{registers.get_value(name)}</b>")
            for name, field in registers.layout.fields.items()
            if pattern.search(name) or pattern.search(field.pieces[0].register)
        ]
        self.text = _table(rows, escaped=False)


def small_images(sides: Sequence[SideImage]) -> list[CCDImage]:
    """Returns the images of whole CCDs, made small for a screen.

    Args:
        sides: in the order of transmission, see `egse.h5.images`.
    """
    left = LEFT_SIDE.get(camera_model(), "F")
    found: dict[int, CCDImage] = {}
    for side in sides:
        image = found.setdefault(
            side.ccd, CCDImage(side.ccd, 0, side.frame, complete=not side.missing_rows.size)
        )
        for first in range(0, len(side.pixels), 700):
            reduce_into(
                image.small, side.pixels[first : first + 700], side.row_start + first, side.side == left
            )
    return [found[ccd] for ccd in sorted(found)]


def newest_files() -> list[Path]:
    """Returns the newest raw files of the site, newest first; none where the data disk is not at hand."""
    try:
        folder = get_data_storage_location()
    except EnvError:
        return []
    days = sorted((folder / "daily").glob("[0-9]*"), reverse=True)
    found: list[Path] = []
    for day in days[:7]:
        found += sorted(day.glob("*.hdf5"), reverse=True)
        if len(found) >= LATEST:
            break
    return found[:LATEST]


def _nodes_of(path: Path) -> dict[str, str]:
    nodes: dict[str, str] = {}

    def visit(name: str, item: Any) -> int | None:
        depth = name.count("/")
        last = name.rpartition("/")[2]
        if isinstance(item, h5py.Group):
            about = f"{len(item)} items"
        else:
            about = f"{item.shape} {item.dtype}"
        nodes[f"/{name}"] = "\u00a0\u00a0" * depth + f"{last}  {about}"
        return 1 if len(nodes) >= MOST_NODES else None

    with get_file(path) as file:
        nodes["/"] = f"{path.name}  {get_obsid(file) if 'obsid' in file else ''}"
        file.visititems(visit)
    return nodes


def _properties(item: Any) -> list[tuple[str, str]]:
    rows = [("Name", str(item.name)), ("Id", str(item.id.id))]
    if isinstance(item, h5py.Dataset):
        rows += [
            ("Shape", str(item.shape)),
            ("Type", str(item.dtype)),
            ("Chunks", str(item.chunks)),
            ("Dimensions", str(item.ndim)),
            ("Size", str(item.size)),
            ("Bytes", str(item.nbytes)),
        ]
    else:
        rows.append(("Items", str(len(item))))
    return rows


def _table(rows: Sequence[tuple[str, str]], escaped: bool = True) -> str:
    cells = ((escape(name), escape(value) if escaped else value) for name, value in rows)
    return (
        "<table>" + "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in cells) + "</table>"
    )


def make(file: str | None = None) -> HDF5Panel:
    """Returns a new panel, for the page."""
    return HDF5Panel(file)
