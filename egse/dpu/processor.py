"""The DPU Processor: the process that owns the SpaceWire link to the N-FEE.

Started by the DPU control server as `python -m egse.dpu.processor CONFIG` (CONFIG is JSON, see `ProcessorConfig`). It never ends on
an error; it ends on SIGTERM, SIGINT, SIGHUP, and when its server is gone.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec
import zmq

from egse.clock import Clock, RealClock
from egse.dpu.core import DPUCore
from egse.dpu.hk_ring import HousekeepingRing
from egse.dpu.maps import FEEMaps
from egse.dpu.messages import DATA_STREAM, MONITORING_STREAM, MessageStream, encode_message
from egse.dpu.queues import BATCH, COMMAND, PRIORITY, ProcessorQueues, QueueEvent, QueueReply, QueueRequest
from egse.dpu.recorder import CycleRecorder
from egse.dpu.sink import Timeouts
from egse.dpu.state import NFEEState
from egse.h5 import CycleFacts, Kind, parse_format
from egse.logger.handler import setup_logging
from egse.mode import current_mode
from egse.reg import RegisterMap
from egse.response import describe_error
from egse.security.curve import Guard
from egse.signals import on_signals
from egse.spw import (
    NoBytesReceivedError,
    RMAPLink,
    SpaceWireCharacterError,
    SpaceWireLinkError,
    SpaceWireParityError,
    TimecodeTimeoutError,
    make_link,
)
from egse.zmq import MessageIdentifier

LOGGER = logging.getLogger("egse.dpu.processor")

WAIT = 0.01
"""How long the loop waits for packets and requests before it looks at the time and at finished files again [s]."""
BURST = 64
"""Most packets taken in one turn of the loop."""
RESTART_LOOKS = 3
"""So often it is looked whether a link runs again after an error of a character."""
RESTART_TIME = 0.01
"""Time between two looks [s of the wall]; the ends of a link start it within 0.1 ms (ECSS-E-ST-50-12C)."""
TAKE_OVER_TIME = 6.0
"""How long a new processor waits for ports and spools of one that is just ending [s]."""


class ProcessorConfig(msgspec.Struct, kw_only=True, frozen=True):
    """What a processor has to know.

    Attributes:
        queues: endpoints of the three queues.
        spw_endpoint: address of the SpaceWire link to the N-FEE, see `egse.spw.transports`.
        spw_identity: identity of that link.
        data_endpoint: where the data distribution stream is bound.
        monitoring_endpoint: where the monitoring stream is bound.
        data_root: data folder of the site.
        site: site id.
        speed: seconds of the camera per second.
        camera: "em", "pfm" or "fm"; not used when there are `maps`.
        maps: register map, housekeeping map and CCD numbers of the Setup, see `egse.dpu.maps.FEEMaps.as_plain`.
        parent: process id of the server; the processor ends when it is gone. 0: nobody.
        log_endpoint: receiver of the log manager; empty for logging to stderr only.
        obsid_wait: how long a finished cycle waits for the server to tell its obsid [s].
        hdf5_format: layout of the raw files, "2.6" or "3.0".
    """

    queues: dict[str, str]
    spw_endpoint: str
    spw_identity: str = "N-FEE"
    data_endpoint: str
    monitoring_endpoint: str
    data_root: str
    site: str
    speed: float = 1.0
    camera: str = "fm"
    maps: dict[str, Any] | None = None
    parent: int = 0
    log_endpoint: str = ""
    obsid_wait: float = 5.0
    hdf5_format: str = "2.6"


class DPUProcessor:
    """The loop around the DPU core: link, queues, streams and recorder. Also the sink of the core.

    Args:
        config: see `ProcessorConfig`.
        link: the SpaceWire link; not open yet.
        clock: the camera's time.
    """

    def __init__(self, config: ProcessorConfig, link: RMAPLink, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._parent = config.parent
        self._stopping = False
        self._errors = 0
        self._housekeeping = HousekeepingRing()
        self._link_errors = dict.fromkeys(("link_parity_errors", "link_escape_errors", "link_failures"), 0)
        self._files: SimpleQueue[tuple[Path, CycleFacts]] = SimpleQueue()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._guard = Guard("DPU processor", self._context)
        self._queues = ProcessorQueues(config.queues, self._context)
        self._streams = [
            MessageStream(self._bind(config.data_endpoint), DATA_STREAM),
            MessageStream(self._bind(config.monitoring_endpoint), MONITORING_STREAM),
        ]
        self._inputs = [*self._queues.sockets, *(stream.socket for stream in self._streams)]
        self._recorder = _open_recorder(config, self._on_file)
        maps = FEEMaps.of(None, config.camera) if config.maps is None else FEEMaps.from_plain(config.maps)
        state = NFEEState(RegisterMap("N-FEE", maps.layout), maps.numbering)
        self._core = DPUCore(state, self, clock.monotonic(), Timeouts.scaled(clock.speed))

    def _bind(self, endpoint: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.XPUB)
        socket.linger = 0
        self._guard.secure(socket, endpoint)
        deadline = time.monotonic() + TAKE_OVER_TIME
        while True:
            try:
                socket.bind(endpoint)
                return socket
            except zmq.ZMQError as exc:
                if exc.errno != zmq.EADDRINUSE or time.monotonic() > deadline:
                    raise
                self._clock.sleep(0.1 * self._clock.speed)

    # -- life -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ends the loop; may be called from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Serves until `stop()`, or until the server is gone."""
        self._queues.send(QueueEvent("ready", {"pid": os.getpid()}))
        try:
            while not self._stopping and self._server_is_alive():
                try:
                    with self._link:
                        self._link.configure()
                        self._serve_link()
                except SpaceWireLinkError as exc:
                    self._link_errors["link_failures"] += 1
                    LOGGER.error("the SpaceWire link failed: %s; it is opened again", exc)
                    self._clock.sleep(0.5 * self._clock.speed)
        finally:
            self._close()

    def _server_is_alive(self) -> bool:
        return not self._parent or os.getppid() == self._parent

    def _serve_link(self) -> None:
        while not self._stopping and self._server_is_alive():
            try:
                self._turn()
            except (NoBytesReceivedError, TimecodeTimeoutError):
                continue  # normal while waiting
            except SpaceWireCharacterError as exc:
                self._note_broken_characters(exc)
            except SpaceWireLinkError:
                raise
            except Exception:
                self._errors += 1
                LOGGER.exception("an error in the loop of the DPU Processor; it goes on")

    def _note_broken_characters(self, exc: SpaceWireCharacterError) -> None:
        """Counts a parity or escape error; the link is opened again only if it does not run any more."""
        name = "link_parity_errors" if isinstance(exc, SpaceWireParityError) else "link_escape_errors"
        self._link_errors[name] += 1
        for _ in range(RESTART_LOOKS):
            if self._link.is_running:
                if self._link_errors[name] % 1000 == 1:  # a bad cable makes thousands of them
                    LOGGER.warning("%s; the link goes on (%s: %d)", exc, name, self._link_errors[name])
                return
            self._clock.sleep(RESTART_TIME * self._clock.speed)
        raise exc

    def _turn(self) -> None:
        """One turn: packets that are there, time, questions, commands, news."""
        clock, core = self._clock, self._core
        inputs = self._link.poll(WAIT, self._inputs)
        for flags, packet in self._link.read_packets(BURST):
            core.handle(packet, clock.monotonic(), clock.now(), flags)
        if inputs:
            self._follow_subscriptions()
            self._serve_priority()
            self._take_commands()
        core.step(clock.monotonic(), clock.now())
        self._tell_files()

    def _follow_subscriptions(self) -> None:
        for stream in self._streams:
            stream.follow_subscriptions()

    def _close(self) -> None:
        self._core.close()
        if not self._recorder.close(timeout=3.0):
            LOGGER.warning("not all files were finished in time; they are recovered at the next start")
        self._tell_files()
        self._queues.close()
        self._guard.close()
        self._context.destroy(linger=200)

    # -- queues ---------------------------------------------------------------------------------------------------

    def _serve_priority(self) -> None:
        while (request := self._queues.receive(PRIORITY)) is not None:
            try:
                reply = QueueReply(request.id, self._answer(request))
            except (KeyError, ValueError, TypeError) as exc:
                reply = QueueReply(request.id, None, describe_error(exc))
            self._queues.send(reply)

    def _answer(self, request: QueueRequest) -> Any:
        state = self._core.state
        match request.name:
            case "status":
                return self.status()
            case "registers":
                return bytes(state.registers.memory)
            case "register_value":
                return state.registers[request.args["name"]]
            case "housekeeping":
                return self._housekeeping.since(str(request.args["since"]))
            case "set_obsid":
                return self._recorder.set_obsid(int(request.args["cycle"]), str(request.args["obsid"]))
            case "set_maps":
                maps = FEEMaps.from_plain(request.args)
                return state.use_maps(RegisterMap("N-FEE", maps.layout), maps.numbering)
            case "resume_count":
                count = int(request.args["num_cycles"]), int(request.args["frame_counter"])
                return self._core.slot.resume_count(*count)
        raise ValueError(f"the DPU Processor knows no question {request.name!r}")

    def _take_commands(self) -> None:
        while (request := self._queues.receive(COMMAND)) is not None:
            if request.name == BATCH:
                commands = [(item["name"], item["arguments"]) for item in request.args["commands"]]
            else:
                commands = [(request.name, request.args)]
            self._core.submit(request.id, commands)

    def status(self) -> dict[str, Any]:
        """Returns state, counters and backlog in plain values."""
        status = self._core.status()
        status["counters"] |= {
            "lost_records": self._recorder.lost_records,
            "failed_cycles": self._recorder.failed_cycles,
            "loop_errors": self._errors,
            **self._link_errors,
            "dropped_messages": self._queues.dropped,
        }
        recorder = {"hdf5_backlog": self._recorder.backlog, "unfinished_files": self._recorder.unfinished}
        return {**status, **recorder, "pid": os.getpid()}

    # -- what the core asks for -----------------------------------------------------------------------------------

    def send(self, packet: bytes) -> None:
        self._link.write_packet(packet)

    def is_wanted(self, identifier: MessageIdentifier) -> bool:
        return any(stream.wants(identifier) for stream in self._streams)

    def publish(self, identifier: MessageIdentifier, payload: Any) -> None:
        frames: list[bytes] | None = None
        for stream in self._streams:
            if stream.wants(identifier):
                frames = frames or encode_message(identifier, payload)
                stream.send(frames)

    def begin_cycle(self, timestamp: float, facts: dict[str, Any]) -> None:
        name = self._recorder.begin_cycle(timestamp, facts)
        values = {
            "timestamp": timestamp,
            "cycle": facts["cycle"],
            "num_cycles": facts["num_cycles"],
            "file": name,
        }
        self._queues.send(QueueEvent("cycle", values))

    def record(self, kind: Kind, payload: bytes | bytearray | memoryview, timestamp: float) -> None:
        self._recorder.record(kind, payload, timestamp)

    def record_map(self, kind: Kind, values: dict[str, Any], timestamp: float) -> None:
        self._recorder.record_map(kind, values, timestamp)

    def end_cycle(self) -> None:
        self._recorder.end_cycle()

    def housekeeping(self, area: bytes, timestamp: float) -> None:
        self.publish(MessageIdentifier.N_FEE_HK, self._housekeeping.add(area, timestamp))

    def counting(self, num_cycles: int, frame_counter: int) -> None:
        self._queues.send(QueueEvent("count", {"num_cycles": num_cycles, "frame_counter": frame_counter}))

    def fee_found(self, restarted: bool, reason: str, timestamp: float) -> None:
        values = {"restarted": restarted, "reason": reason, "timestamp": timestamp}
        self._queues.send(QueueEvent("fee", values))

    def pulse(self, number: int, is_long: bool, timestamp: float) -> None:
        self._queues.send(QueueEvent("pulse", {"pulse": number, "long": is_long, "timestamp": timestamp}))

    def sending(self, request: int, timecode: int | None, timestamp: float) -> None:
        values = {"request": request, "timecode": timecode, "timestamp": timestamp}
        self._queues.send(QueueEvent("sent", values))

    def finished(self, request: int, value: Any, error: Exception | None) -> None:
        self._queues.send(QueueReply(request, value, describe_error(error) if error is not None else None))

    # -- finished files (they are reported by the recorder's thread) ---------------------------------------------

    def _on_file(self, path: Path, facts: CycleFacts) -> None:
        self._files.put((path, facts))

    def _tell_files(self) -> None:
        paths: list[str] = []
        while True:
            try:
                path, facts = self._files.get_nowait()
            except Empty:
                break
            paths.append(str(path))
            self._queues.send(QueueEvent("file", {"path": str(path), "obsid": facts.obsid}))
        if paths:
            self.publish(MessageIdentifier.HDF5_FILENAMES, paths)


def _open_recorder(config: ProcessorConfig, on_file: Any) -> CycleRecorder:
    """Opens the recorder; waits a moment for a predecessor that is just ending."""
    clock = RealClock()
    deadline = clock.monotonic() + TAKE_OVER_TIME
    while True:
        try:
            return CycleRecorder(
                Path(config.data_root),
                config.site,
                on_file,
                config.obsid_wait,
                parse_format(config.hdf5_format),
            )
        except BlockingIOError:
            if clock.monotonic() > deadline:
                raise
            clock.sleep(0.1)


def main(arguments: list[str]) -> int:
    """Runs a processor until it is told to end.

    Args:
        arguments: one argument, the configuration as JSON.

    Returns:
        Exit code.
    """
    config = msgspec.json.decode(arguments[0], type=ProcessorConfig)
    setup_logging("dpu_processor", endpoint=config.log_endpoint or None, mode=current_mode())
    link = make_link(config.spw_endpoint, config.spw_identity)
    processor = DPUProcessor(config, link, RealClock(config.speed))
    with on_signals(processor.stop):
        processor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
