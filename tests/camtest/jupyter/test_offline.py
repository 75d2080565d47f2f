"""Live panels whose browser is away, or reads slowly: a Jupyter server keeps their newest state, and all output."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.session import Session
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from camtest.jupyter.offline import OfflineBuffer, keep_in_bounds, replaced_by_newer

SESSION = Session(key=b"key")


def message(kind: str, content: dict[str, Any]) -> list[bytes]:
    return [b"topic", *SESSION.serialize(SESSION.msg(kind, content))]


def update(comm: str, state: dict[str, Any]) -> list[bytes]:
    data = {"method": "update", "state": state, "buffer_paths": []}
    return [*message("comm_msg", {"comm_id": comm, "data": data}), b"\0" * 1000]


def test_of_states_the_newest_is_kept_and_of_outputs_all() -> None:
    buffer = OfflineBuffer()
    for number in range(100):
        buffer.append(("iopub", message("stream", {"name": "stdout", "text": str(number)})))
        buffer.append(("iopub", update("panel", {"state": number})))
        buffer.append(("iopub", update("panel", {"beat": number})))
        buffer.append(("iopub", update("other", {"state": number})))
        buffer.append(("shell", update("panel", {"state": number})))
        display = {"data": {"text/plain": str(number)}, "metadata": {}, "transient": {"display_id": "d"}}
        buffer.append(("iopub", message("update_display_data", display)))
    told = [(channel, SESSION.deserialize(list(parts[2:]))) for channel, parts in buffer]
    assert len(told) == len(buffer) == 100 + 3 + 100 + 1
    states = [m["content"]["data"]["state"] for c, m in told if c == "iopub" and m["msg_type"] == "comm_msg"]
    assert states == [{"state": 99}, {"beat": 99}, {"state": 99}]


def test_what_is_no_update_has_to_be_kept() -> None:
    for parts in (
        [],
        [b"rubbish"],
        [b"<IDS|MSG>", b"", b"{", b"", b"", b""],
        message("comm_msg", {"comm_id": "a", "data": {"method": "custom", "content": {}}}),
        message("comm_msg", {"comm_id": "a", "data": {}}),
        message("status", {"execution_state": "idle"}),
    ):
        assert replaced_by_newer(parts) is None


def test_another_kind_of_manager_stays_as_it_is() -> None:
    assert not keep_in_bounds(object())


SPAM = """
import threading, time, pathlib
from comm import create_comm
panel = create_comm(target_name="panel", data={})
def run():
    for number in range(500):
        panel.send({"method": "update", "state": {"number": number}, "buffer_paths": []}, buffers=[bytes(SIZE)])
        time.sleep(0.004)
    pathlib.Path("done").touch()
def begin():
    while not pathlib.Path("away").exists():
        time.sleep(0.05)
    print("still printing", flush=True)
    run()
    print("and at the end", flush=True)
threading.Thread(target=begin).start()
"""


@pytest.fixture
def jupyter(tmp_path: Path, free_ports: Callable[[int], list[int]]) -> Iterator[tuple[str, str]]:
    """Address and token of a Jupyter server with our extension, in `tmp_path`."""
    (port,), token = free_ports(1), secrets.token_hex(8)
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    environment = {**os.environ, **{name: str(tmp_path / name) for name in names}, "JUPYTER_TOKEN": token}
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", f"--ServerApp.root_dir={tmp_path}", "--ServerApp.port_retries=0"]
    with (tmp_path / "jupyter.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
    yield f"127.0.0.1:{port}", token
    server.terminate()
    server.wait(30)


def states_and_texts(messages: list[dict[str, Any]]) -> tuple[list[Any], str]:
    states = [m["content"]["data"]["state"] for m in messages if m["msg_type"] == "comm_msg"]
    return states, "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")


def test_a_real_server_replays_the_newest_state_and_all_output(
    jupyter: tuple[str, str], tmp_path: Path
) -> None:
    states, text = states_and_texts(asyncio.run(_come_back(*jupyter, tmp_path)))
    assert states[-1] == {"number": 499}, (tmp_path / "jupyter.log").read_text()
    assert len(states) < 50, "the newest, and what was still on its way"
    assert "still printing" in text


@pytest.mark.parametrize("leaves", [False, True], ids=["reads on", "comes back"])
def test_a_browser_behind_a_slow_line_gets_the_newest_state_and_all_output(
    jupyter: tuple[str, str], tmp_path: Path, leaves: bool
) -> None:
    states, text = states_and_texts(asyncio.run(_read_slowly(*jupyter, tmp_path, leaves)))
    assert states[-1] == {"number": 499}, (tmp_path / "jupyter.log").read_text()
    assert len(states) < 250, "50 MB were told; what a socket takes, and the newest"
    assert "and at the end" in text


async def _come_back(address: str, token: str, folder: Path) -> list[dict[str, Any]]:
    """Starts a kernel, goes away while it tells a lot, and returns what was kept."""
    browser, connect = await _begin(address, token, size=1000)
    browser.close()
    await asyncio.sleep(1.0)
    await _let_it_tell(folder)
    return await _read_on(await connect())


async def _read_slowly(address: str, token: str, folder: Path, leaves: bool) -> list[dict[str, Any]]:
    """Starts a kernel, does not read while it tells a lot, and returns what comes then, on this connection or another."""
    browser, connect = await _begin(address, token, size=100_000)
    await _let_it_tell(folder)
    if leaves:
        browser.close()
        await asyncio.sleep(1.0)
        browser = await connect()
    return await _read_on(browser)


async def _begin(address: str, token: str, size: int) -> tuple[Any, Callable[[], Awaitable[Any]]]:
    """Starts a kernel that waits to tell a lot; returns the connection to it and what makes another."""
    headers = {"Authorization": f"token {token}"}
    kernel = await asyncio.to_thread(_start_kernel, f"http://{address}/api/kernels", headers)
    url = f"ws://{address}/api/kernels/{kernel}/channels?session_id=one"

    async def connect() -> Any:
        return await websocket_connect(HTTPRequest(url, headers=headers))

    browser = await connect()
    code = SPAM.replace("SIZE", str(size))
    await _send(browser, "execute_request", {"code": code, "silent": False, "store_history": False})
    while (await _next(browser))["msg_type"] != "execute_reply":
        pass
    return browser, connect


async def _let_it_tell(folder: Path) -> None:
    (folder / "away").touch()
    while not (folder / "done").exists():
        await asyncio.sleep(0.05)
    await asyncio.sleep(2.0)


async def _read_on(browser: Any) -> list[dict[str, Any]]:
    """Returns what comes until the kernel has answered a question."""
    await _send(browser, "kernel_info_request", {})
    found: list[dict[str, Any]] = []
    while not any(message["msg_type"] == "kernel_info_reply" for message in found):
        found.append(await _next(browser))
    browser.close()
    return found


async def _send(browser: Any, kind: str, content: dict[str, Any]) -> None:
    await browser.write_message(json.dumps({**SESSION.msg(kind, content), "channel": "shell"}, default=str))


def _start_kernel(url: str, headers: dict[str, str]) -> str:
    deadline = time.monotonic() + 60.0
    while True:
        try:
            request = urllib.request.Request(url, b"{}", headers, method="POST")
            with urllib.request.urlopen(request, timeout=60) as answer:
                return str(json.loads(answer.read())["id"])
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


async def _next(connection: Any) -> dict[str, Any]:
    """Returns the next message, without its buffers."""
    data = await asyncio.wait_for(connection.read_message(), 60)
    assert data is not None
    if isinstance(
        data, bytes
    ):  # the old protocol: number of parts, their offsets, the message and its buffers
        count = int.from_bytes(data[:4], "big")
        offsets = [int.from_bytes(data[4 * n : 4 * n + 4], "big") for n in range(1, count + 1)]
        data = data[offsets[0] : offsets[1] if count > 1 else None].decode()
    return dict(json.loads(data))
