"""One connection of a proxy: a request goes out, its reply comes back, or it is said what is known."""

from __future__ import annotations

import math
import threading
import time

import zmq

from egse.frames import NOBLOCK, receive_frame, send_frame
from egse.localsocket import nearest
from egse.response import register_error
from egse.security.curve import await_connection, is_connected, secure_client, watch_connection
from egse.turns import patient_threads
from egse.wire import (
    DECODING_ERRORS,
    MAX_MESSAGE_SIZE,
    Reply,
    Request,
    WireError,
    decode_reply,
    decode_reply_bare,
    encode,
    encode_bare,
)

CONNECT_TIMEOUT = 2.0
"""How long a call waits for the server to accept the connection [s]; a server on the way up gets this long."""
RECONNECT_DELAYS = (20, 500)
"""Shortest and longest time between two attempts to connect [ms]."""

PATIENCE = 0.1
"""How long a call waits for its answer before it watches whether the server is still there [s]; none starts anew so fast."""
_LONGEST_POLL = 3600.0  # [s]; a time-out may be infinite


@register_error
class OutcomeUnknownError(TimeoutError):
    """A command was sent and no answer came: it may or may not have been executed.

    Attributes:
        command_id: id of the command; `proxy.outcome(command_id)` tells later what became of it.
    """

    command_id: str = ""


@register_error
class NotSentError(TimeoutError):
    """A command was not sent: until its time was over another call of the same proxy, in another thread, had its turn."""


class Channel:
    """One DEALER socket to one endpoint: sends a request and waits for its reply.

    Threads take turns; the time that one waits for its turn counts as time of its call.

    Args:
        endpoint: `tcp://host:port`.
        help_text: how to start the server, for error messages.
    """

    def __init__(self, endpoint: str, help_text: str = "") -> None:
        self.endpoint = endpoint
        self.help_text = help_text
        # An RLock knows its owner: wherever Ctrl-C strikes, who gives up can tell whether the turn was its own.
        self._lock = threading.RLock()
        self._socket: zmq.Socket[bytes] | None = None
        self._opened = 0.0

    def _open(self) -> zmq.Socket[bytes]:
        """Makes the socket, which is still to be connected."""
        with patient_threads():  # the first socket of a context starts its threads
            sock: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        sock.setsockopt(zmq.LINGER, 0)
        # Only a peer that is really there gets the message; none is kept for a server that starts tomorrow.
        sock.setsockopt(zmq.IMMEDIATE, 1)
        sock.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_SIZE)
        sock.setsockopt(zmq.RCVTIMEO, int(PATIENCE * 1000))
        sock.setsockopt(zmq.RECONNECT_IVL, RECONNECT_DELAYS[0])
        sock.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_DELAYS[1])
        try:
            secure_client(sock, self.endpoint)
        except ConnectionError:
            sock.close(0)
            raise
        self._socket, self._opened = sock, time.monotonic()
        return sock

    def _has_connection(self, timeout: float) -> bool:
        """Returns True when the connection stands, waiting at most `timeout` [s] for it.

        A connection that was refused while nobody watched is not tried again by libzmq, so that one that does not come is
        begun anew; not in the first while, or hasty callers would never get there.
        """
        sock, address = self._socket, ""
        if sock is not None and is_connected(sock):
            return True
        if sock is None or time.monotonic() - self._opened > CONNECT_TIMEOUT:
            self._close()
            sock, address = self._open(), nearest(self.endpoint)
        return await_connection(sock, self.endpoint, timeout, address)

    def _connect(self, timeout: float) -> zmq.Socket[bytes]:
        """Returns the socket when its connection stands; without one there is no socket either."""
        wait = min(timeout, CONNECT_TIMEOUT)
        try:
            if self._has_connection(wait) and self._socket is not None:
                return self._socket
            raise ConnectionError(
                f"no control server answers at {self.endpoint} (waited {wait:g} s).{self.help_text}"
            )
        except BaseException:
            self._close()
            raise

    def close(self) -> None:
        """Closes the socket; the next exchange opens a new one."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._socket is not None:
            if not self._socket.closed:
                self._socket.monitor(None, 0)  # where a second Ctrl-C cut a watch short
            self._socket.close(0)
            self._socket = None

    def wait_connected(self, timeout: float) -> bool:
        """Returns True when the connection to the server stands, waiting at most `timeout` [s].

        Raises:
            HandshakeError: the server is there and the keys do not match.
            NotSentError: another call is waiting for its answer all the time.
        """
        deadline = time.monotonic() + timeout
        try:
            left = self._take_turn("a look at the connection", timeout, deadline)
            try:
                return self._has_connection(left)
            except ConnectionError:
                self._close()
                raise
        finally:  # in place: Ctrl-C comes where functions begin
            try:  # noqa: SIM105
                self._lock.release()
            except RuntimeError:
                pass  # it was never ours

    def _take_turn(self, what: str, timeout: float, deadline: float) -> float:
        """Waits until no other thread uses the socket; to be called inside of a `try` that gives the turn back.

        Returns:
            What is left of `timeout` [s].
        """
        if self._lock.acquire(blocking=False):
            return timeout
        wait = min(max(deadline - time.monotonic(), 0.0), threading.TIMEOUT_MAX)
        is_ours = self._lock.acquire(timeout=wait)
        left = deadline - time.monotonic()
        if not is_ours or left <= 0:
            raise NotSentError(
                f"{what} at {self.endpoint}: nothing was sent, because another call of this proxy was still waiting for "
                f"its answer after {timeout:g} s"
            )
        return left

    def exchange(self, request: Request, timeout: float) -> Reply:
        """Sends a request and returns its reply.

        Raises:
            ConnectionError: nothing was sent, the server is not there.
            NotSentError: nothing was sent, another thread's call was waiting for its answer all the time.
            OutcomeUnknownError: the request was sent and no reply came within `timeout` [s], or the server went away.
        """
        try:
            data = encode_bare(request)
        except DECODING_ERRORS:
            data = encode(request)  # which tells what is wrong
        deadline = time.monotonic() + timeout
        left, lock = timeout, self._lock
        try:
            if not lock.acquire(blocking=False):
                left = self._take_turn(request.name, timeout, deadline)
            sock = self._socket or self._connect(left)
            try:
                try:
                    send_frame(sock, data, NOBLOCK)
                except zmq.Again:
                    sock = self._connect(left)
                    send_frame(sock, data, NOBLOCK)
                if left >= PATIENCE:
                    try:
                        reply = decode_reply_bare(receive_frame(sock))
                        if reply.id == request.id:
                            return reply
                    except zmq.Again:
                        pass
                    except DECODING_ERRORS as exc:
                        raise self._unknown(request, f"something came that is no reply ({exc})") from exc
                return self._await_reply(sock, request, deadline, timeout)
            except KeyboardInterrupt:
                if self._socket is not None:  # else nothing was sent
                    self._finish_in_flight(self._socket, request, deadline, timeout)
                raise
            except BaseException:
                self._close()  # a late reply must not meet the next request
                raise
        finally:  # in place: Ctrl-C comes where functions begin
            try:  # noqa: SIM105
                lock.release()
            except RuntimeError:
                pass  # it was never ours

    def _finish_in_flight(
        self, sock: zmq.Socket[bytes], request: Request, deadline: float, timeout: float
    ) -> None:
        """Lets a command that was sent come to its end before Ctrl-C is obeyed; a second Ctrl-C does not wait."""
        try:
            self._await_reply(sock, request, deadline, timeout)
        except BaseException:
            self._close()
            raise

    def _await_reply(
        self, sock: zmq.Socket[bytes], request: Request, deadline: float, timeout: float
    ) -> Reply:
        try:
            with watch_connection(sock) as monitor:
                return self._await_watched(sock, monitor, request, deadline, timeout)
        except zmq.ZMQError as exc:
            raise self._unknown(request, f"its answer cannot be waited for ({exc})") from exc

    def _await_watched(
        self,
        sock: zmq.Socket[bytes],
        monitor: zmq.Socket[bytes],
        request: Request,
        deadline: float,
        timeout: float,
    ) -> Reply:
        gone = "the control server went away before it answered"
        poller = zmq.Poller()
        poller.register(sock, zmq.POLLIN)
        poller.register(monitor, zmq.POLLIN)
        if not is_connected(sock) and not sock.poll(0):
            raise self._unknown(request, gone)
        while (remaining := deadline - time.monotonic()) > 0:
            ready = dict(poller.poll(math.ceil(min(remaining, _LONGEST_POLL) * 1000)))
            if sock in ready:
                reply = self._decode(request, sock.recv())
                if reply.id == request.id:
                    return reply
            elif ready:
                raise self._unknown(request, gone)
        raise self._unknown(request, f"no answer within {timeout:g} s")

    def _decode(self, request: Request, data: bytes) -> Reply:
        try:
            return decode_reply(data)
        except WireError as exc:
            raise self._unknown(request, f"something came that is no reply ({exc})") from exc

    def _unknown(self, request: Request, reason: str) -> OutcomeUnknownError:
        error = OutcomeUnknownError(
            f"{request.name} at {self.endpoint}: {reason}; the outcome of command {request.id} is unknown"
        )
        error.command_id = request.id
        return error
