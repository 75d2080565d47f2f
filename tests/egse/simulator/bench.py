"""Plain clients and real simulator processes for tests."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from typing import Any

MODULES = {"lsci336_sim": "egse.tempcontrol.lsci336.lsci336_sim", "ogse_sim": "egse.ogse.ogse_sim"}


class LineClient:
    """A plain socket that reads whole lines."""

    def __init__(self, address: tuple[str, int], timeout: float = 30.0) -> None:
        self.socket = socket.create_connection(address, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> str:
        return self._file.readline().decode("utf-8").rstrip("\r\n")

    def raw_line(self) -> bytes:
        return self._file.readline()

    def ask(self, text: str) -> str:
        self.send(text.encode() + b"\n")
        return self.line()

    def at_end(self) -> bool:
        """True when the other side has closed, once what it sent before has been read."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def silent(self, seconds: float = 0.15) -> bool:
        """True when nothing comes for a while."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b"?"  # anything that comes is wrong
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(5.0)

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> LineClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RunningSimulator:
    """A simulator process that is ready."""

    def __init__(self, name: str, *options: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULES[name], "start", "--port", "0", "--admin-port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = self._address("READY")
        self.admin_address = self._address("ADMIN")

    def _address(self, word: str) -> tuple[str, int]:
        assert self.process.stdout is not None
        parts = self.process.stdout.readline().split()
        assert parts[:1] == [word], parts
        return parts[1], int(parts[2])

    def client(self) -> LineClient:
        return LineClient(self.address)

    def admin(self, do: str, **arguments: Any) -> Any:
        with LineClient(self.admin_address) as client:
            answer = json.loads(client.ask(json.dumps({"do": do, **arguments})))
        assert answer["ok"], answer
        return answer["result"]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5.0)
        code = self.process.poll()
        if code is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        assert code is not None, f"{self.name} did not end within 5 s"
        return code
