"""Panels: processor time of a kernel with ten open panels on a stream of 200 parameters at 50 Hz, and how soon a cell runs.

Limits (what operators were promised): less than 30 % of a processor, cells in less than 100 ms. A page or notebook is not open;
what the panels send goes through the kernel's sockets to this process, as it does to a Jupyter server.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from statistics import median
from typing import Any

import psutil
from jupyter_client.manager import start_new_kernel

from egse.clock import system_clock

PANELS, PARAMETERS, RATE, SECONDS, CELLS = 10, 200, 50.0, 20.0, 20

SOURCE = """
import math
import msgspec, zmq
from egse.clock import system_clock
clock = system_clock()
socket = zmq.Context.instance().socket(zmq.PUB)
port = socket.bind_to_random_port("tcp://127.0.0.1")
print(port, flush=True)
encode, due, count = msgspec.msgpack.encode, clock.monotonic(), 0
while True:
    row = {f"GBENCH_PARAMETER_{n:03d}": math.sin(count / 50 + n) for n in range(PARAMETERS)}
    socket.send_multipart([b"housekeeping", encode({"timestamp": str(count), **row})])
    if count % 50 == 0:
        socket.send_multipart([b"status", encode({"name": "bench", "device_connected": True, "uptime": float(count)})])
    count += 1
    due += 1 / RATE
    clock.sleep(max(0.0, due - clock.monotonic()))
"""
OPEN = """
from camtest.panels.device import DevicePanel
from egse.dummy import DummyProxy
from IPython.display import display

class StreamPanel(DevicePanel):
    def _stream(self):
        return "tcp://127.0.0.1:{port}"

panels = [StreamPanel(DummyProxy()) for _ in range({count})]
for panel in panels:
    display(panel)
"""


def main() -> None:
    """Prints the figures."""
    code = SOURCE.replace("PARAMETERS", str(PARAMETERS)).replace("RATE", str(RATE))
    source = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert source.stdout is not None
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        _run(manager, client, source.stdout.readline().strip())
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        source.kill()
        source.wait()
        source.stdout.close()


def _run(manager: Any, client: Any, port: str) -> None:
    bytes_sent, messages, ending = [0], [0], threading.Event()

    def drain() -> None:
        while not ending.is_set():
            try:
                message = client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                continue
            messages[0] += 1
            bytes_sent[0] += sum(len(part) for part in message.get("buffers", ()))

    reader = threading.Thread(target=drain, daemon=True)
    _execute(client, OPEN.format(port=port, count=PANELS))
    reader.start()
    clock = system_clock()
    clock.sleep(3.0)
    process = psutil.Process(manager.provisioner.process.pid)
    before, started, first = process.cpu_times(), clock.monotonic(), messages[0]
    latencies = []
    for _ in range(CELLS):
        begun = clock.monotonic()
        _execute(client, "1 + 1")
        latencies.append(1000.0 * (clock.monotonic() - begun))
        clock.sleep(SECONDS / CELLS)
    after, took = process.cpu_times(), clock.monotonic() - started
    used = 100.0 * (after.user + after.system - before.user - before.system) / took
    rate = (messages[0] - first) / took
    ending.set()
    reader.join()
    print(f"{PANELS} panels, {PARAMETERS} parameters at {RATE:g} Hz, {took:.0f} s")
    print(f"  processor of the kernel   {used:6.1f} %    limit 30 %     {'ok' if used < 30.0 else 'MISSED'}")
    worst = max(latencies)
    print(f"  a cell runs in            {median(latencies):6.1f} ms   limit 100 ms   worst {worst:.1f} ms")
    print(f"  messages to the browser   {rate:6.1f} /s")


def _execute(client: Any, code: str) -> None:
    sent = client.execute(code)
    while True:
        answer = client.get_shell_msg(timeout=60)
        if answer["parent_header"].get("msg_id") == sent:
            assert answer["content"]["status"] == "ok", answer["content"]
            return


if __name__ == "__main__":
    main()
