"""The transports of a SpaceWire link, by the scheme of an address.

    tcp://HOST:PORT, ipc://FILE     SpaceWireOverZeroMQ: a simulator or a replayer
    dsi://HOST[:PORT][/LINK]        SpaceWireOverDSI: a 4Links DSI, SpaceWire port LINK (default: the Settings)

An open transport such as SpaceWire over TCP takes its place here: `register_transport("spwtcp", make)` with a function
that makes an `RMAPLink` of an address. Nothing else in this software knows which transport there is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from egse.advice import or_meant
from egse.spw.dsi import SpaceWireOverDSI
from egse.spw.interface import RMAPLink
from egse.spw.zeromq import DEFAULT_IDENTITY, SpaceWireOverZeroMQ

Transport = Callable[[str, str], RMAPLink]
"""Makes a link, not yet open, of its address and its identity (a name that only some transports need)."""


def _zeromq(address: str, identity: str) -> RMAPLink:
    return SpaceWireOverZeroMQ(address, identity)


def _dsi(address: str, identity: str) -> RMAPLink:
    parts = urlsplit(address)
    link = parts.path.strip("/")
    try:
        return SpaceWireOverDSI(parts.hostname, int(link) if link else None, port=parts.port)
    except ValueError as error:
        raise ValueError(f"{address!r} is no address of a DSI (dsi://HOST[:PORT][/LINK]): {error}") from error


_TRANSPORTS: Final[dict[str, Transport]] = {"tcp": _zeromq, "ipc": _zeromq, "inproc": _zeromq, "dsi": _dsi}


def register_transport(scheme: str, transport: Transport) -> None:
    """Makes another transport known.

    Raises:
        ValueError: when the scheme is taken by another one.
    """
    if _TRANSPORTS.setdefault(scheme, transport) is not transport:
        raise ValueError(f"there is a transport for {scheme}:// already: {_TRANSPORTS[scheme]}")


def make_link(address: str, identity: str = DEFAULT_IDENTITY) -> RMAPLink:
    """Returns the link of an address, not yet open.

    Args:
        address: see the description of this module.
        identity: name of the link, for transports between processes.

    Raises:
        ValueError: when the address is none, or there is no transport of this kind.
        ESLError: when the library of the DSI is not there.
    """
    scheme = urlsplit(address).scheme
    if scheme not in _TRANSPORTS:
        raise ValueError(
            f"{address!r}: no SpaceWire transport {scheme!r}{or_meant(scheme, _TRANSPORTS)} ({', '.join(_TRANSPORTS)})"
        )
    return _TRANSPORTS[scheme](address, identity)
