"""The N-FEE Data Inspector: what is in a raw HDF5 file of the camera."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import h5py
import ipywidgets as widgets
import numpy as np

from camtest.panels.board import BoardState, Lamp
from camtest.panels.images import BLOCK, CCDImage, as_png, reduce_into
from camtest.panels.panel import Panel
from camtest.panels.static_form import COLOURS, Section
from camtest.panels.threads import weak
from egse.command import CommandError
from egse.env import EnvError, get_data_storage_location
from egse.fee import decode_hk, error_flag_names, load_hk_map
from egse.fee.geometry import COLUMNS_TRANSMITTED, LEFT_SIDE
from egse.fee.numbering import camera_model, ccd_numbering
from egse.h5 import get_file
from egse.h5.images import SideImage, read_images
from egse.h5.packed import PacketGroup, PacketItem
from egse.h5.reader import frame_numbers, get_attributes, get_data, get_obsid, show_attributes
from egse.reg import RegisterMap
from egse.spw import SpaceWirePacket
from egse.spw.packets import CCDSide, DataPacket, PacketKind, PacketType

PACKET = re.compile(r"/(\d+)/data/\d+$")
FRAME = re.compile(r"/(\d+)$")
SHOWN_BYTES = 512
MOST_NODES = 4000
"""So many nodes are listed; a frame has more than a thousand packets."""
LATEST = 50
"""So many of the newest raw files are offered."""
ERROR_LAMPS = (
    "Wrong X", "Wrong Y", "E SRAM full", "F SRAM full", "AWLA", "SRAM EDAC correct", "SRAM EDAC uncorrect", "Disconnect",
    "Escape", "Credit", "Parity", "Lock",
)  # fmt: skip
"""Lamps of the error flags, bit 0 first, as `egse.fee.hk.ERROR_FLAGS`."""
SPW_LAMPS = {
    "Running": "SPW_LINK_RUNNING", "Disconnect": "SPW_LINK_DISCONNECT", "Parity": "SPW_LINK_PARITY_ERROR",
    "Credit": "SPW_LINK_CREDIT_ERROR", "Escape": "SPW_LINK_ESCAPE_ERROR", "RMAP target indicate": "RMAP_TARGET_INDICATE",
}  # fmt: skip
"""Lamps of the SpaceWire link, and the bits of the housekeeping they tell."""
GOOD = ("Running", "RMAP target indicate")
"""Lamps that are green when they are lit; the others are red."""
CCD_VOLTAGES = {
    "VOD_E": "VOD_MON_E", "VOD_F": "VOD_MON_F", "VOG": "VOG_MON", "VDD": "VDD_MON", "VGD": "VGD_MON",
    "VRD_E": "VRD_MON_E", "VRD_F": "VRD_MON_F",
}  # fmt: skip
"""Lines of the table of CCD voltages, and the ends of their names in the housekeeping."""


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
            self.properties = _table(_properties(node, item))
            self.attributes = f"<pre>{escape(show_attributes(item))}</pre>" if len(item.attrs) else "none"
            frame = FRAME.match(node)
            if frame and int(frame[1]) in frame_numbers(file):
                self._show_images(file, int(frame[1]))
            elif PACKET.match(node):
                columns = (
                    get_attributes(file, int(node.split("/")[1])).get("h_end", COLUMNS_TRANSMITTED - 1) + 1
                )
                self._show_packet(bytes(np.asarray(get_data(item), np.uint8)), columns)
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

    def _show_packet(self, data: bytes, columns: int) -> None:
        packet = SpaceWirePacket.create_packet(data)
        self.header = f"<pre>{escape(str(packet))}</pre>"
        bits = " ".join(f"{byte:08b}" for byte in data[:10])
        about, values = f"w={len(data)} bytes", ""
        if isinstance(packet, DataPacket):
            pixels = packet.pixels
            about = f"w={width_text(pixels.size, columns)} pixels, {len(data)} bytes"
            values = " ".join(map(str, pixels[:SHOWN_BYTES])) + (" ..." if pixels.size > SHOWN_BYTES else "")
            self.text = _table(type_rows(packet.type))
        self.text += f"<p>{about}</p><pre>header {bits}</pre><pre style='white-space:pre-wrap'>{values}</pre>"

    def _show_housekeeping(self, data: bytes) -> None:
        model = camera_model()
        values = decode_hk(data, load_hk_map(model if model in LEFT_SIDE else "fm"))
        if len(data) == 154:
            self.header = f"<pre>{escape(str(SpaceWirePacket.create_packet(data)))}</pre>"
        self.text = housekeeping_html(values)

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


def width_text(pixels: int, columns: int) -> str:
    """Returns the width of a packet in pixels, as rows of so many columns where it has whole ones: `16065 = 7 x 2295`."""
    rows, rest = divmod(pixels, columns)
    return f"{pixels} = {rows} x {columns}" if rows and not rest else str(pixels)


def type_rows(kind: PacketType) -> list[tuple[str, str]]:
    """Returns the decoded type of a packet, with the CGSE number of its CCD."""
    known = kind.packet_type in tuple(PacketKind)
    return [
        ("type", f"{kind.word:#06x}"),
        ("packet type", PacketKind(kind.packet_type).name.lower() if known else str(kind.packet_type)),
        ("frame number", str(kind.frame_number)),
        ("CCD", f"{ccd_numbering().bin_to_id[kind.ccd_number]} (code {kind.ccd_number})"),
        ("side", CCDSide(kind.ccd_side).name),
        ("last packet", "yes" if kind.last_packet else "no"),
        ("mode", str(kind.mode)),
    ]


def housekeeping_html(values: Mapping[str, int]) -> str:
    """Returns N-FEE housekeeping, raw values: lamps of the error flags and of the link, CCD voltages, all others."""
    flags = int(values.get("NFEE_ERROR_FLAGS", 0))
    names = ", ".join(error_flag_names(flags)) or "none"
    errors = {name: bool(flags >> bit & 1) for bit, name in enumerate(ERROR_LAMPS)}
    link = {
        lamp: bool(values[f"NFEE_{name}"]) for lamp, name in SPW_LAMPS.items() if f"NFEE_{name}" in values
    }
    voltages = {line: [f"NFEE_CCD{ccd}_{end}" for ccd in (1, 2, 3, 4)] for line, end in CCD_VOLTAGES.items()}
    in_table = {name for line in voltages.values() for name in line}
    rest = [(name, str(value)) for name, value in values.items() if name not in in_table]
    return (
        f"<p>Error flags <b>{flags:#06x}</b>: {escape(names)}. Raw values.</p>"
        f"{_lamps('Error flags', errors)}{_lamps('SpW status', link)}"
        f"{_voltages(voltages, values)}{_table(rest)}"
    )


def _lamps(title: str, lamps: Mapping[str, bool]) -> str:
    cells = []
    for name, is_set in lamps.items():
        state = ("ok" if name in GOOD else "bad") if is_set else "off"
        text = f"{name}: {'yes' if is_set else 'no'}"
        cells.append(
            f'<span data-led="{name}" data-state="{state}" aria-label="{text}" style="margin-right:1em">'
            f'<span style="color:{COLOURS[state]}">{"●" if is_set else "○"}</span> {text}</span>'
        )
    return f'<div role="group" aria-label="{title}"><b>{title}</b> {"".join(cells)}</div>'


def _voltages(lines: Mapping[str, Sequence[str]], values: Mapping[str, int]) -> str:
    head = "".join(f"<th>CCD{ccd}</th>" for ccd in (1, 2, 3, 4))
    rows = []
    for line, names in lines.items():
        cells = "".join(f"<td>{values.get(name, '-')}</td>" for name in names)
        rows.append(f"<tr><th>{line}</th>{cells}</tr>")
    return f'<table class="camtest-ccd-voltages"><tr><th>CCD voltages</th>{head}</tr>{"".join(rows)}</table>'


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
        if isinstance(item, PacketGroup):  # of format 3.0: the packets are no datasets of their own
            for number, size in enumerate(item.table["size"][: MOST_NODES - len(nodes)]):
                nodes[f"/{name}/{number}"] = "\u00a0\u00a0" * (depth + 1) + f"{number}  ({size},) uint8"
        return 1 if len(nodes) >= MOST_NODES else None

    with get_file(path) as file:
        nodes["/"] = f"{path.name}  {get_obsid(file) if 'obsid' in file else ''}"
        file.visititems(visit)
    return nodes


def _properties(node: str, item: Any) -> list[tuple[str, str]]:
    if isinstance(item, PacketItem):  # no dataset of its own
        return [
            ("Name", node),
            ("Shape", str(item.shape)),
            ("Type", str(item.dtype)),
            ("Bytes", str(item.size)),
        ]
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
