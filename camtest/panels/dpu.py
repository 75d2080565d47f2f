"""The panel of the camera: images of the four CCDs as they come, housekeeping, registers, error flags, N-FEE commands."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import ipywidgets as widgets
import msgspec
import numpy as np

from camtest.panels.board import Board, BoardState, Lamp, Value
from camtest.panels.ccds import CCDDisplay
from camtest.panels.device import DevicePanel
from camtest.panels.images import ImageAssembler, as_png
from camtest.panels.panel import monitoring_endpoint
from camtest.panels.static_form import Section
from camtest.panels.threads import Subscription, weak
from egse.dpu import DPUProxy
from egse.fee import decode_hk, error_flag_names
from egse.fee.geometry import LEFT_SIDE
from egse.fee.numbering import camera_model, ccd_numbering
from egse.proxy import Proxy
from egse.reg import RegisterMap
from egse.zmq import MessageIdentifier

SETTINGS = "DPU Control Server"
DATA = (MessageIdentifier.SYNC_DATA_PACKET.frame, MessageIdentifier.N_FEE_REGISTER_MAP.frame)
MONITORING = (
    MessageIdentifier.SYNC_ERROR_FLAGS.frame,
    MessageIdentifier.N_FEE_HK.frame,
    MessageIdentifier.N_FEE_RESYNC.frame,
)
SIDES = {1: "F-side", 2: "E-side", 3: "BOTH_SIDES"}
LATE = 3.0
"""An image whose last packet has not come is shown as it is after so long without another one [s]."""


class DPUPanel(DevicePanel):
    """The camera, through the DPU Processor.

    Args:
        proxy: of `dpu_cs`; one from the Settings by default.
    """

    name: ClassVar[str] = "dpu"

    def __init__(self, proxy: Proxy | None = None) -> None:
        model = camera_model()
        left = LEFT_SIDE.get(model, "F")
        self.assembler = ImageAssembler(left, ccd_numbering().bin_to_id, signed=model == "em")
        self.ccds = CCDDisplay([left, "E" if left == "F" else "F"], weak(self._requested))
        self.registers = RegisterMap(source=model if model in LEFT_SIDE else "fm")
        self.flags = 0
        """Error flags since they were cleared here: what was set once stays."""
        self._base = "hexadecimal"
        self._area: bytes = b""
        self._shown: dict[int, int] = {}
        self._newest = 0.0
        self._map_changed = False
        self._zoomed = 0
        self._map_seen = False
        super().__init__(proxy or DPUProxy(), "Camera (N-FEE and DPU)")

    # -- streams -------------------------------------------------------------------------------------------------------

    def _subscriptions(self) -> list[Subscription]:
        data = monitoring_endpoint(SETTINGS, "DATA_DISTRIBUTION_PORT")
        monitoring = monitoring_endpoint(SETTINGS, "DPU_PROCESSOR_MONITORING_PORT")
        return [
            *super()._subscriptions(),
            Subscription(data, DATA, weak(self._take_data)),
            Subscription(monitoring, MONITORING, weak(self._take_news)),
        ]

    def _take_data(self, frames: list[bytes]) -> None:
        payload = msgspec.msgpack.decode(frames[1])
        if frames[0][0] == MessageIdentifier.N_FEE_REGISTER_MAP:
            memory = np.frombuffer(payload, np.uint8)
            if not self._map_seen or memory.tobytes() != self.registers.as_array().tobytes():
                self.registers.set_array(memory)
                self.assembler.follow_registers(self.registers)
                self._map_changed = self._map_seen = True
            return
        self._newest = time.monotonic()
        self.assembler.add(payload[0], payload[1])

    def _take_news(self, frames: list[bytes]) -> None:
        payload = msgspec.msgpack.decode(frames[1])
        if frames[0][0] == MessageIdentifier.SYNC_ERROR_FLAGS:
            self.flags |= int(payload[0])
        elif frames[0][0] == MessageIdentifier.N_FEE_HK:
            self._area = bytes(payload[0])
        else:
            self.tell(f"the FEE was not as its mirror was: {payload[1]}", bad=True)

    def _refresh(self) -> None:
        super()._refresh()
        late = time.monotonic() - self._newest > LATE
        for ccd, image in list(self.assembler.images.items()):
            if (image.complete or late) and self._shown.get(ccd) != image.frame_counter:
                self._shown[ccd] = image.frame_counter
                self.ccds.show(image)
                if ccd == self._zoomed:
                    self.ccds.show_zoom(ccd, image)
        if self._map_changed:
            self._map_changed = False
            self._show_registers()
        if self._area:
            self.hk_board.show(BoardState("N-FEE housekeeping, raw values", values=tuple(self._hk_values())))
        self.hk_board.beat += 1
        self._show_flags()

    # -- what is shown -------------------------------------------------------------------------------------------------

    @property
    def _dpu(self) -> dict[str, Any]:
        return dict(self.telemetry.status.get("dpu") or {})

    def _lamps(self) -> list[Lamp]:
        dpu, lamps = self._dpu, super()._lamps()
        known = (
            bool(dpu.get("known"))
            and self.telemetry.alive
            and self.telemetry.status.get("device_connected") is not False
        )
        mode = str(dpu.get("mode_name", "")) if known else "CONNECTION LOST"
        lamps.append(Lamp("N-FEE MODE", "ok" if known else "bad", mode))
        if known:
            lamps.append(Lamp("SYNC", "info", "internal" if dpu.get("internal_sync") else "external"))
            lamps.append(
                Lamp("DUMP MODE", "info" if dpu.get("dump_mode") else "off", str(bool(dpu.get("dump_mode"))))
            )
        lamps.append(Lamp("ERROR FLAGS", "bad" if self.flags else "ok", f"{self.flags:#06x}"))
        return lamps

    def _values(self) -> list[Value]:
        dpu = self._dpu
        if not dpu:
            return []
        registers = self.registers
        period = registers.get_value("int_sync_period") / 1000.0 + 0.4 if dpu.get("internal_sync") else 6.25
        period = period if self._map_seen else float("nan")
        counters = dpu.get("counters", {})
        columns = registers.get_value("h_end") + 1 if self._map_seen else ""
        return [
            Value("N-FEE cycle time", f"{period:.2f}", "s", hint="between two pulses"),
            Value("row start / end", f"{dpu.get('v_start')} / {dpu.get('v_end')}"),
            Value("number of columns", str(columns)),
            Value("readout order", str(dpu.get("ccd_order"))),
            Value("CCD side", SIDES.get(int(dpu.get("sensor_sel", 0)), "none")),
            Value("number of cycles", str(dpu.get("num_cycles")), hint="image cycles still to come"),
            Value("cycle / frame", f"{dpu.get('cycle_count')} / {dpu.get('frame_number')}"),
            Value("timecode", str(dpu.get("timecode"))),
            Value("unfinished files", str(dpu.get("unfinished_files"))),
            Value(
                "suspect packets",
                str(counters.get("suspect_packets")),
                state="warn" if counters.get("suspect_packets") else "",
            ),
            Value(
                "missing packets",
                str(counters.get("missing_packets")),
                state="warn" if counters.get("missing_packets") else "",
            ),
            Value("notice", str(dpu.get("fee_notice") or ""), state="warn" if dpu.get("fee_notice") else ""),
        ]

    def _hk_values(self) -> list[Value]:
        return [Value(name, str(value)) for name, value in decode_hk(self._area).items()]

    def _extra_sections(self) -> Sequence[Section]:
        images = [
            Section(
                f"CCD {ccd}, frame {image.frame_number}, {image.timestamp}",
                picture=as_png(image),
                caption=f"image of CCD {ccd}",
            )
            for ccd, image in sorted(self.assembler.images.items())
        ]
        flags = [(name, "set", "", "bad") for name in error_flag_names(self.flags)]
        return [
            *([Section("Error flags", tuple(flags))] if flags else []),
            *images,
            *super()._extra_sections(),
        ]

    # -- widgets -------------------------------------------------------------------------------------------------------

    def _controls(self) -> list[widgets.Widget]:
        self.flag_text = widgets.HTML()
        base = self.button("hex / bin / dec", self._next_base, hint="Show the error flags in another base")
        clear = self.button(
            "Clear", self._clear_flags, hint="Forget the flags that were shown; the FEE is not commanded"
        )
        self._show_flags()
        return [widgets.HBox([self.flag_text, base, clear])]

    def _further_tabs(self) -> dict[str, widgets.Widget]:
        if not hasattr(self, "hk_board"):
            self.hk_board = Board()
            self.register_filter = widgets.Text(
                placeholder="text or regular expression, e.g. reg_3_config, win.*size",
                description="Filter",
                layout=widgets.Layout(width="34em"),
            )
            self.register_table = widgets.HTML()
            self.register_filter.observe(weak(self._filter_changed), "value")
            self._register_box = widgets.VBox([self.register_filter, self.register_table])
        return {"CCD display": self.ccds, "HK packet": self.hk_board, "Register map": self._register_box}

    def _body(self) -> list[widgets.Widget]:
        body = super()._body()
        self.tabs.selected_index = self.tabs.titles.index("CCD display")
        return body

    def _filter_changed(self, _change: Any) -> None:
        self._show_registers()

    def _show_registers(self) -> None:
        wanted = self.register_filter.value.strip()
        try:
            pattern = re.compile(wanted, re.IGNORECASE)
        except re.error as exc:
            self.register_table.value = f"<p>{wanted!r} is no regular expression: {exc}</p>"
            return
        layout, rows = self.registers.layout, []
        for name, field in layout.fields.items():
            register = field.pieces[0].register
            if pattern.search(name) or pattern.search(register):
                value = self.registers.get_value(name)
                rows.append(
                    f"<tr data-register='{name}'><td>{register}</td><td>{name}</td><td><b>{value}</b></td><td>{value:#x}</td></tr>"
                )
        head = "<tr><th>register</th><th>parameter</th><th>value</th><th>hex</th></tr>"
        self.register_table.value = (
            f"<table>{head}{''.join(rows)}</table>"
            if self._map_seen
            else "no register map yet: it comes with the next cycle"
        )

    def _show_flags(self) -> None:
        text = {
            "hexadecimal": f"{self.flags:#06x}",
            "binary": f"{self.flags:#018b}",
            "decimal": str(self.flags),
        }[self._base]
        names = ", ".join(error_flag_names(self.flags)) or "none"
        value = (
            f'<span role="status" data-flags="{self.flags}" title="{names}">Error flags since cleared: <b>{text}</b>'
            f" ({names})</span>"
        )
        if self.flag_text.value != value:
            self.flag_text.value = value

    def _next_base(self) -> None:
        order = ("hexadecimal", "binary", "decimal")
        self._base = order[(order.index(self._base) + 1) % 3]
        self._show_flags()

    def _clear_flags(self) -> None:
        self.flags = 0
        self._show_flags()

    def _requested(self, what: str, ccd: int) -> None:
        if what == "clear":
            self.ccds.clear(ccd)
            return
        self._zoomed = 0 if self._zoomed == ccd else ccd
        self.assembler.wanted_in_full = {self._zoomed} - {0}
        if self._zoomed:
            self.ccds.show_zoom(ccd, self.assembler.images.get(ccd))
        else:
            self.ccds.zoom = {}


def make() -> DPUPanel:
    """Returns a new panel, for the page."""
    return DPUPanel()
