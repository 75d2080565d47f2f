"""Raw files of small readouts, recorded by the DPU core from the N-FEE model; observations around them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from egse.dpu.core import DPUCore
from egse.dpu.recorder import CycleRecorder
from egse.dpu.state import NFEEState
from egse.fee.model import NFEEModel
from egse.h5 import CycleFacts, Kind
from egse.reg import RegisterMap
from egse.storage.observation import ObservationFolder, ObservationInfo
from egse.zmq import MessageIdentifier

EPOCH = 1_700_000_000.0
OBSID = "LAB_00007_00042"
FEW_ROWS: dict[str, Any] = {
    "row_start": 4495, "row_end": 4519, "rows_final_dump": 0, "ccd_order": [1, 2, 3, 4], "ccd_side": "BOTH",
}  # fmt: skip


class Camera:
    """N-FEE, DPU core and recorder in one thread."""

    def __init__(self, root: Path, seed: int = 1) -> None:
        self.now = 0.0
        self.obsid = OBSID
        self.files: list[tuple[Path, CycleFacts]] = []
        self.model = NFEEModel(start=1.0, seed=seed)
        self.replies: list[bytes] = []
        self.errors: list[Exception] = []
        self.spoil: Callable[[bytes], bytes | None] = lambda packet: packet
        self.recorder = CycleRecorder(root, "LAB", lambda path, facts: self.files.append((path, facts)))
        self.core = DPUCore(NFEEState(RegisterMap("N-FEE", "fm")), self)

    # -- sink

    def send(self, packet: bytes) -> None:
        self.replies += self.model.handle(packet, self.now)

    def is_wanted(self, identifier: MessageIdentifier) -> bool:
        return False

    def publish(self, identifier: MessageIdentifier, payload: Any) -> None:
        pass

    def begin_cycle(self, timestamp: float, facts: dict[str, Any]) -> None:
        self.recorder.begin_cycle(timestamp, facts)
        self.recorder.set_obsid(facts["cycle"], self.obsid)

    def record(self, kind: Kind, payload: Any, timestamp: float) -> None:
        self.recorder.record(kind, payload, timestamp)

    def record_map(self, kind: Kind, values: dict[str, Any], timestamp: float) -> None:
        self.recorder.record_map(kind, values, timestamp)

    def end_cycle(self) -> None:
        self.recorder.end_cycle()

    def housekeeping(self, area: bytes, timestamp: float) -> None:
        pass

    def counting(self, num_cycles: int, frame_counter: int) -> None:
        pass

    def fee_found(self, restarted: bool, reason: str, timestamp: float) -> None:
        pass

    def pulse(self, number: int, is_long: bool, timestamp: float) -> None:
        pass

    def sending(self, request: int, timecode: int | None, timestamp: float) -> None:
        pass

    def finished(self, request: int, value: Any, error: Exception | None) -> None:
        if error is not None:
            self.errors.append(error)

    # -- time

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            due = min(self.model.next_event(), self.core.next_event(self.now))
            if due > end:
                break
            self.now = max(due, self.now + 1e-3)
            for packet in self.model.step(self.now):
                spoiled = self.spoil(bytes(packet))
                if spoiled is not None:
                    self.feed(spoiled)
            self.core.step(self.now, EPOCH + self.now)
            while self.replies:
                self.feed(self.replies.pop(0))
        self.now = end

    def feed(self, packet: bytes) -> None:
        self.core.handle(packet, self.now, EPOCH + self.now)
        self.core.step(self.now, EPOCH + self.now)

    def command(self, name: str, **arguments: Any) -> None:
        """Commands in this cycle and waits until the next long pulse has passed."""
        self.core.submit(1, [(name, arguments)])
        cycles = self.core.state.cycle_count
        while self.core.state.cycle_count == cycles:
            self.run(1.0)
        assert not self.errors

    def to_dump(self) -> None:
        self.run(3.0)
        self.command("n_fee_set_standby_mode")
        self.command("n_fee_set_dump_mode")

    def acquire(self, cycles: int, **arguments: Any) -> None:
        """Takes images and goes back to DUMP."""
        self.command("n_fee_set_full_image_mode", num_cycles=cycles, **{**FEW_ROWS, **arguments})
        self.run(25.0 * cycles)
        assert self.core.state.is_dump_mode

    def close(self) -> list[Path]:
        self.core.close()
        assert self.recorder.close(30.0)
        return [path for path, _ in self.files]


@pytest.fixture
def site_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of site LAB, which is that of this environment."""
    monkeypatch.setenv("PLATO_DATA_STORAGE_LOCATION", str(tmp_path))
    monkeypatch.setenv("SITE_ID", "LAB")
    folder = tmp_path / "LAB"
    folder.mkdir()
    return folder


@pytest.fixture
def observation_folder(site_folder: Path) -> ObservationFolder:
    """An open observation without files."""
    info = ObservationInfo(
        run_id="r1",
        test_id=42,
        site_id="LAB",
        setup_id=7,
        camera="duvel",
        start="2023-11-14T22:00:00.000+0000",
    )
    folder = ObservationFolder(site_folder, info)
    folder.create({"setup.yaml": SETUP.encode()})
    return folder


SETUP = """
Setup:
  site_id: LAB
  camera:
    ID: duvel
    fee:
      ccd_numbering: {ccd_bin_to_id: [1, 2, 3, 4]}
      ccd_sides: {left: F, right: E}
    ccd:
      pixel_size: 0.018
      origin_offset_x: [-1.3, -1.3, -1.3, -1.3]
      origin_offset_y: [82.48, 82.48, 82.48, 82.48]
      orientation: [180.0, 270.0, 0.0, 90.0]
    fov: {focal_length: 247.52}
"""


@pytest.fixture
def make_camera() -> type[Camera]:
    return Camera
