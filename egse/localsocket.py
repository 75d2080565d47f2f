"""The short way between processes of one user on one machine: a Unix socket beside each loopback port.

A control server that listens on a loopback port also listens at a socket file named after that port, in a folder that only
its user can enter. A client of the same user takes that way when somebody is there, and the port otherwise: a message
costs about a quarter less, and no other user of the machine can listen in.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path
from urllib.parse import urlsplit

OFF_SWITCH = "CGSE_LOCAL_SOCKETS"
"""Set to `off`, this environment variable keeps servers and clients to their TCP ports, e.g. to look at the traffic."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
OLD = 60.0
"""A socket file counts as left behind when nobody listens and it is older than this [s]: a server may just be starting."""
_LONGEST = 100
"""Longest path of a socket file that all systems take [bytes]."""


def local_path(endpoint: str) -> Path | None:
    """Returns the socket file that belongs to an endpoint.

    Args:
        endpoint: `tcp://host:port`.

    Returns:
        None when the endpoint is not on the loopback interface, or there is no safe place for socket files.
    """
    if os.environ.get(OFF_SWITCH) == "off":
        return None
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "tcp" or parts.hostname not in _LOOPBACK or not port:
        return None
    folder = _folder()
    path = None if folder is None else folder / f"{_network()}-{port}"
    return path if path is not None and len(os.fsencode(path)) <= _LONGEST else None


def nearest(endpoint: str) -> str:
    """Returns the address by which a client reaches an endpoint best: `ipc://...` when somebody listens there."""
    path = local_path(endpoint)
    return f"ipc://{path}" if path is not None and is_listening(path) else endpoint


def is_listening(path: Path) -> bool:
    """Returns True when a process listens at a socket file; a file that a killed process left does not count."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(0.5)
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True


def sweep(folder: Path) -> None:
    """Removes the socket files that killed processes left."""
    for path in folder.iterdir():
        try:
            if time.time() - path.stat().st_mtime > OLD and not is_listening(path):
                path.unlink()
        except OSError:
            continue  # somebody else's sweep was faster


def _folder() -> Path | None:
    """Returns the folder for socket files of this user, made when missing; None when it is not his alone."""
    runtime = Path(f"/run/user/{os.geteuid()}")
    folder = runtime / "cgse" if runtime.is_dir() else Path(f"/tmp/cgse-{os.geteuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return folder if own else None


def _network() -> int:
    """Returns what tells the network of this process from others: the same port in another one is another server."""
    try:
        return os.stat("/proc/self/ns/net").st_ino
    except OSError:
        return 0
