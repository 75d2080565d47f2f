"""One connection of a proxy."""

from __future__ import annotations

import pytest
import zmq

from egse.channel import Channel


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_many_connections_that_nobody_closes() -> None:
    """File descriptors are used again at once; what belongs to a dead connection must not be in the way."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as server:
        server.linger = 0
        endpoint = f"tcp://127.0.0.1:{server.bind_to_random_port('tcp://127.0.0.1')}"
        for _ in range(500):
            assert Channel(endpoint).wait_connected(2.0)
