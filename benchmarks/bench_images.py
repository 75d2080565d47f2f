"""Panels: how soon after its cycle the full image of four CCDs is in the panel of the camera, at the true speed of the camera.

Limit (what operators were promised): 1 s. A sandbox at speed 1: camera simulator, SpaceWire, DPU Processor and its data stream
as in operations; the panel is in a kernel of its own. The cycle ends when its last data packet is on the processor's stream, which
this process listens to as well; the image is there when its pixels are in the message to the browser.
"""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import zmq
from jupyter_client.manager import start_new_kernel

from camtest.panels.images import SMALL_COLUMNS, SMALL_ROWS
from egse.clock import system_clock
from egse.dpu import DPUProxy
from egse.proxy import endpoint_from_settings
from egse.site.sandbox import Sandbox
from egse.zmq import MessageIdentifier

CYCLES = 3
PIXELS = 4 * SMALL_ROWS * SMALL_COLUMNS
"""Bytes of an image on its way to the browser: two for each of its pixels, two sides."""
PATIENCE = 150.0
"""Longest time for a change of mode: some long pulses [s]."""
LIMIT = 1.0
OPEN = "from camtest.panels.dpu import DPUPanel\npanel = DPUPanel()\ndisplay(panel)\n"

Moments = list[tuple[str, float]]
"""What came when, on the monotonic clock [s]."""


def main() -> None:
    """Prints the figures."""
    with (
        TemporaryDirectory(prefix="bench-images-") as folder,
        Sandbox(Path(folder) / "box", speed=1.0, seed=1) as box,
        box.joined(),
    ):
        manager, client = start_new_kernel(kernel_name="python3", env=box.environ())
        try:
            _run(client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def _run(client: Any) -> None:
    _execute(client, OPEN)
    ending, moments = threading.Event(), Moments()
    readers = [
        threading.Thread(target=_read_stream, args=(moments, ending)),
        threading.Thread(target=_read_kernel, args=(client, moments, ending)),
    ]
    for reader in readers:
        reader.start()
    try:
        with DPUProxy(timeout=60.0) as camera:
            _read_out(camera, moments)
    finally:
        ending.set()
        for reader in readers:
            reader.join()
    found = latencies(moments)
    worst = max(found, default=float("inf"))
    verdict = "ok" if len(found) == CYCLES and worst < LIMIT else "MISSED"
    print(f"{len(found)} cycles of 4 CCDs, both sides, full frames, 25 s each")
    print(
        f"  the image is there after  {median(found or [worst]):6.3f} s    limit {LIMIT:g} s   worst {worst:.3f} s   {verdict}"
    )


def _read_out(camera: DPUProxy, moments: Moments) -> None:
    if not camera.n_fee_is_dump_mode():
        camera.n_fee_set_standby_mode()
        _wait(lambda: camera.get_status_summary()["mode_name"] == "STANDBY_MODE", "STANDBY mode")
        camera.n_fee_set_dump_mode()
        _wait(camera.n_fee_is_dump_mode, "DUMP mode")
    camera.n_fee_set_full_image_mode(
        num_cycles=CYCLES,
        row_start=0,
        row_end=4539,
        rows_final_dump=0,
        ccd_order=[1, 2, 3, 4],
        ccd_side="BOTH",
    )
    _wait(lambda: sum(what == "image" for what, _ in moments) >= 4 * CYCLES, "the images", CYCLES * PATIENCE)


def latencies(moments: Moments) -> list[float]:
    """Returns for each cycle how long after its last packet its last image was there [s]."""
    images = [at for what, at in moments if what == "image"]
    packets = [at for what, at in moments if what == "packet"]
    found = []
    for cycle in range(len(images) // 4):
        image = images[4 * cycle + 3]
        found.append(image - max(at for at in packets if at <= image))
    return found


def _read_stream(moments: Moments, ending: threading.Event) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as sock:
        sock.subscribe(MessageIdentifier.SYNC_DATA_PACKET.frame)
        sock.connect(endpoint_from_settings("DPU Control Server", "DATA_DISTRIBUTION_PORT"))
        while not ending.is_set():
            if sock.poll(200):
                packet = msgspec.msgpack.decode(sock.recv_multipart()[1])[0]
                if len(packet) > 10 and int.from_bytes(packet[4:6], "big") & 0x80:  # the last one of a side
                    moments.append(("packet", system_clock().monotonic()))


def _read_kernel(client: Any, moments: Moments, ending: threading.Event) -> None:
    while not ending.is_set():
        try:
            message = client.get_iopub_msg(timeout=0.2)
        except queue.Empty:
            continue
        if any(len(part) == PIXELS for part in message.get("buffers", ())):
            moments.append(("image", system_clock().monotonic()))


def _wait(condition: Any, what: str, timeout: float = PATIENCE) -> None:
    clock = system_clock()
    deadline = clock.monotonic() + timeout
    while not condition():
        if clock.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        clock.sleep(0.2)


def _execute(client: Any, code: str) -> None:
    sent = client.execute(code)
    while True:
        answer = client.get_shell_msg(timeout=120)
        if answer["parent_header"].get("msg_id") == sent:
            assert answer["content"]["status"] == "ok", answer["content"]
            return


if __name__ == "__main__":
    main()
