"""Other device-server frameworks: the same `add(a, b)`, written as an ordinary user of each would write it.

`python -m benchmarks.peers NAME` is the server of one; it prints its port when it is ready. A framework that is not
installed is skipped.

The libraries are imported where they are used: none of them need be there.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple

from benchmarks.measure import Call, child, read_line

EXTRA = "pip install -e '.[peers]'"


class Peer(NamedTuple):
    """A framework: the package it needs, how to get that, its server and its client."""

    package: str
    install: str
    serve: Callable[[], None]
    connect: Callable[[ExitStack, int], Call]


def free_port() -> int:
    """Returns a port for servers that must be told one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def serve_tango() -> None:
    from tango.server import Device, command, run

    class Trivial(Device):
        @command
        def add(self, values: list[float]) -> float:
            return values[0] + values[1]  # a Tango command takes one argument

    port = free_port()
    arguments = ["Trivial", "bench", "-nodb", "-host", "127.0.0.1", "-port", str(port)]
    run(
        (Trivial,),
        args=[*arguments, "-dlist", "bench/trivial/1"],
        post_init_callback=lambda: print(port, flush=True),
    )


def connect_tango(stack: ExitStack, port: int) -> Call:
    from tango import DeviceProxy

    device = DeviceProxy(f"tango://127.0.0.1:{port}/bench/trivial/1#dbase=no")

    def call() -> None:
        assert device.add([1.0, 2.0]) == 3.0

    return call


def serve_pyro() -> None:
    from Pyro5.api import Daemon, expose

    @expose
    class Trivial:
        def add(self, a: float, b: float) -> float:
            return a + b

    with Daemon(host="127.0.0.1") as daemon:
        daemon.register(Trivial, objectId="trivial")
        print(daemon.locationStr.rpartition(":")[2], flush=True)
        daemon.requestLoop()


def connect_pyro(stack: ExitStack, port: int) -> Call:
    from Pyro5.api import Proxy

    device = stack.enter_context(Proxy(f"PYRO:trivial@127.0.0.1:{port}"))

    def call() -> None:
        assert device.add(1.0, 2.0) == 3.0

    return call


def serve_rpyc() -> None:
    import rpyc
    from rpyc.utils.server import ThreadedServer

    class Trivial(rpyc.Service):  # type: ignore[misc]
        def exposed_add(self, a: float, b: float) -> float:
            return a + b

    server = ThreadedServer(Trivial, hostname="127.0.0.1", port=0)
    print(server.port, flush=True)
    server.start()


def connect_rpyc(stack: ExitStack, port: int) -> Call:
    import rpyc

    connection = stack.enter_context(rpyc.connect("127.0.0.1", port))
    add = connection.root.add  # looked up once: each look-up is a round trip of its own

    def call() -> None:
        assert add(1.0, 2.0) == 3.0

    return call


def serve_sipyco() -> None:
    from sipyco.pc_rpc import Server

    class Trivial:
        def add(self, a: float, b: float) -> float:
            return a + b

    async def run() -> None:
        port = free_port()
        server = Server({"trivial": Trivial()}, builtin_terminate=True)
        await server.start("127.0.0.1", port)
        print(port, flush=True)
        await server.wait_terminate()

    asyncio.run(run())


def connect_sipyco(stack: ExitStack, port: int) -> Call:
    from sipyco.pc_rpc import Client

    device = Client("127.0.0.1", port, "trivial")
    stack.callback(device.close_rpc)

    def call() -> None:
        assert device.add(1.0, 2.0) == 3.0

    return call


PEERS = {
    "PyTango": Peer("tango", EXTRA, serve_tango, connect_tango),
    "Pyro5": Peer("Pyro5", EXTRA, serve_pyro, connect_pyro),
    "rpyc": Peer("rpyc", EXTRA, serve_rpyc, connect_rpyc),
    "sipyco": Peer("sipyco", "from its repository, it is not on PyPI", serve_sipyco, connect_sipyco),
}


@contextmanager
def running_peers() -> Iterator[dict[str, Call]]:
    """Starts the server of every framework that is installed; yields one call for each, by name."""
    calls: dict[str, Any] = {}
    with ExitStack() as stack:
        for name, peer in PEERS.items():
            if find_spec(peer.package) is None:
                print(f"{name} is not installed ({peer.install}): skipped")
                continue
            server = stack.enter_context(child("benchmarks.peers", name))
            calls[name] = peer.connect(stack, int(read_line(server)))
        yield calls


if __name__ == "__main__":
    PEERS[sys.argv[1]].serve()
