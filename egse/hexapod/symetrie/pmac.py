"""The wire of the Alpha controller: a Delta Tau PMAC on Ethernet (device reference, section 1.1)."""

from __future__ import annotations

import re
import struct
from typing import Final

from egse.clock import Clock
from egse.device import DeviceTransport
from egse.hexapod import HexapodError
from egse.hexapod.symetrie.answers import to_numbers, wait_for_register
from egse.hexapod.symetrie.states import PMAC_ERRORS, VALIDATION, set_bits
from egse.instrument import NetworkInterface, Wire

HEADER: Final = struct.Struct(">BBHHH")
DOWNLOAD, UPLOAD = 0x40, 0xC0
FLUSH, GETRESPONSE, CTRL_RESPONSE, GETBUFFER = 0xB3, 0xBF, 0xC4, 0xC5
ACK, BELL = b"\x06", b"\x07"
LONGEST_REPLY: Final = 1400
"""A longer answer is cut; the rest is fetched with GETBUFFER [bytes]."""
SETTINGS = "PUNA Control Server"
PORT = 1025
POLL_INTERVAL, POLL_LIMIT = 0.1, 5.0
"""The command register is read so often, and so long [s]."""
_ERROR = re.compile(rb"\x07ERR(\d{3})\r")


def reply_length(data: bytes) -> int | None:
    """Finds the end of a reply: ACK, the CR of an error, a cut, or the one zero of a busy controller."""
    end = data.find(ACK)
    if end >= 0:
        return end + 1
    error = _ERROR.search(data)
    if error is not None:
        return error.end()
    if len(data) >= LONGEST_REPLY:
        return LONGEST_REPLY
    return 1 if data == b"\0" else None


class PmacEthernetInterface(NetworkInterface):
    """The network port of the controller."""

    wire = Wire(SETTINGS, PORT, command_end=b"", reply_length=reply_length, timeout=3.0)


def frame(request_type: int, request: int, data: bytes = b"", length: int | None = None) -> bytes:
    """Returns a request as it is sent; `length` stands in its header when it is not that of the data."""
    return HEADER.pack(request_type, request, 0, 0, len(data) if length is None else length) + data


def request(line: str) -> bytes:
    """Returns a command line as GETRESPONSE."""
    return frame(DOWNLOAD, GETRESPONSE, line.encode())


def values(response: bytes) -> list[str]:
    """Returns the values of a reply.

    Raises:
        HexapodError: when it is an error, or no complete reply.
    """
    error = _ERROR.search(response)
    if error is not None:
        number = int(error[1])
        raise HexapodError(f"the controller refused: ERR{number:03} ({PMAC_ERRORS.get(number, 'unknown')})")
    if response == b"\0":
        raise HexapodError("the controller is busy; try again")
    text = response.decode("ascii", errors="replace")
    if not text.endswith("\x06"):
        raise HexapodError(f"the controller answered {response!r}, which is no complete reply")
    return [part.strip() for part in text[:-1].split("\r")[:-1]]


def ask(transport: DeviceTransport, line: str) -> list[str]:
    """Sends one line and returns the values of its answer, however long it is.

    Raises:
        HexapodError: when the controller refuses the line.
    """
    with transport.lock:
        response = transport.query(request(line))
        while len(response) % LONGEST_REPLY == 0 and not response.endswith(ACK):
            response += transport.query(frame(UPLOAD, GETBUFFER, length=LONGEST_REPLY))
        return values(response)


def command(
    transport: DeviceTransport, line: str, clock: Clock, results: str = "", count: int = 0
) -> list[float]:
    """Sends a line that ends with a write to the command register, and waits until the controller has taken it.

    Args:
        transport: the way to the controller.
        line: parameters, then `Q20=code`.
        clock: of the pauses between two looks at the register.
        results: query of the results, such as `Q80,12,1`.
        count: how many results there are.

    Returns:
        The results.

    Raises:
        HexapodError: when the command was ignored or has failed, or the controller does not take it.
    """
    found: list[str] = []

    def look() -> int:
        register, *found[:] = ask(transport, f"&2 Q20 {results}".strip())
        return to_numbers([register], int, 1)[0]

    with transport.lock:
        to_numbers(ask(transport, line), int, 0)
        code = wait_for_register(look, clock, POLL_INTERVAL, POLL_LIMIT, line)
        if code < 0:
            raise HexapodError(refusal(transport, code))
        return to_numbers(found, float, count)


def refusal(transport: DeviceTransport, code: int) -> str:
    """Returns why the controller did not do a command, as far as it tells."""
    state, invalid, homing = to_numbers(ask(transport, "&2 Q36 Q29 Q26"), int, 3)
    reasons = list(set_bits(invalid, VALIDATION).values())
    if homing == 1:
        reasons.append("homing is running")
    elif not state >> 2 & 1 and state >> 3 & 1:
        reasons.append("a motion is running")
    if not state >> 3 & 1:
        reasons.append("the control loop is off")
    if state >> 6 & 1:
        reasons.append("the emergency stop is pressed")
    if state & 1:
        reasons.append("there is an error, clear it first")
    how = {-1: "ignored", -2: "failed"}.get(code, f"ended with {code}")
    return f"the command was {how} (Q20 = {code}): {'; '.join(reasons) or 'no reason is known'}"
