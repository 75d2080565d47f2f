"""The metrics port of a control server: plain HTTP for Prometheus, in threads of its own.

The port is opened when the server starts; `prometheus_client` and the TM dictionary are imported when somebody asks for the
first time. Nothing here is on the way of a command: the server hands over what it publishes (`note`, a few assignments), and metrics are made
of it when they are asked for.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from egse.metrics.book import MetricsBook
from egse.metrics.figures import Figure
from egse.ports import port_holder

if TYPE_CHECKING:
    from prometheus_client import Metric

    from egse.metrics.parameters import Descriptions

logger = logging.getLogger(__name__)

MOST_CLIENTS = 8
"""So many clients are answered at the same time; more are turned away."""
PATIENCE = 5.0
"""How long a client may take to ask and to listen [s]."""
PAUSE = 1.0
"""How long to wait before clients are taken again when the system has no means left [s]."""

TURN, LET_GO = 0.002, 0.0002
"""After so much work [s] on a page the interpreter is let go for so long [s]: a command waits hardly longer than that."""

LOOPBACK = "127.0.0.1"


def address_of(settings: Any) -> tuple[str, int] | None:
    """Returns where the metrics of a server are told: `METRICS_HOSTNAME` (loopback without it) and `METRICS_PORT`.

    Args:
        settings: the block of the server.

    Returns:
        Host and port; None for a server without a metrics port.
    """
    port = settings.get("METRICS_PORT")
    if not port:
        return None
    host = str(settings.get("METRICS_HOSTNAME") or LOOPBACK)
    return (LOOPBACK if host == "localhost" else host), int(port)


class MetricsPort:
    """Tells the metrics of a server to whoever asks.

    Args:
        name: of the server, for messages.
        settings: its block: `METRICS_PORT`, `METRICS_HOSTNAME`, `METRICS_TIMESTAMPS`, `METRICS_STALE_AFTER`.
        period: returns how often housekeeping is expected [s].
        interface: class that declares its commands, for the description of values.
        title: what it is, for people.
        figures: returns further figures of the server; called in the thread of a client.
    """

    def __init__(
        self,
        name: str,
        settings: Any,
        *,
        period: Callable[[], float] = lambda: 1.0,
        interface: type | None = None,
        title: str = "",
        figures: Callable[[], Iterable[Figure]] = lambda: (),
    ) -> None:
        self.name = name
        self.book = MetricsBook(
            period,
            str(settings.get("METRICS_TIMESTAMPS") or "housekeeping"),
            float(settings.get("METRICS_STALE_AFTER") or 0.0),
        )
        self.note = self.book.note
        self.address = address_of(settings)
        self._interface, self._title, self._figures = interface, title, figures
        self._descriptions: Descriptions | None = None
        self._broken = False
        self._handler: Callable[..., Any] | None = None
        self._making = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_CLIENTS)
        self._ending = threading.Event()
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Opens the port; one that is in use is said and the server goes on without."""
        if self.address is None or self._socket is not None:
            return
        try:
            self._socket = _listen(*self.address)
        except OSError as exc:
            host, port = self.address
            logger.warning(
                "%s tells no metrics: its port %s:%d cannot be opened (%s, held by %s); give it another METRICS_PORT "
                "in the local settings",
                self.name,
                host,
                port,
                exc.strerror or exc,
                port_holder(port),
            )
            return
        threading.Thread(
            target=self._serve, args=(self._socket,), name=f"{self.name}-metrics", daemon=True
        ).start()

    def close(self) -> None:
        """Closes the port at once."""
        self._ending.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for clients
            self._socket.close()

    def _serve(self, listening: socket.socket) -> None:
        while not self._ending.is_set():
            try:
                client, address = listening.accept()
            except OSError as exc:
                if not self._ending.wait(0.0):
                    logger.warning("%s cannot take clients of its metrics port: %s", self.name, exc)
                    self._ending.wait(PAUSE)
                continue
            if not self._places.acquire(blocking=False):
                client.close()
                continue
            threading.Thread(
                target=self._answer, args=(client, address), name=f"{self.name}-metrics", daemon=True
            ).start()

    def _answer(self, client: socket.socket, address: Any) -> None:
        try:
            client.settimeout(PATIENCE)
            with self._making:
                self._handler = self._handler or self._make_handler()
            self._handler(client, address, None)
        except OSError as exc:
            logger.debug("%s: a client of the metrics port went away: %s", self.name, exc)
        except Exception:
            # A mistake in a figure must not take the port away; the trace is what it takes to repair it.
            logger.exception("%s: the metrics could not be told", self.name)
        finally:
            client.close()
            self._places.release()

    def _make_handler(self) -> Callable[..., Any]:
        from prometheus_client.exposition import MetricsHandler
        from prometheus_client.platform_collector import PlatformCollector
        from prometheus_client.process_collector import ProcessCollector
        from prometheus_client.registry import CollectorRegistry

        from egse.metrics.parameters import Descriptions

        self._descriptions = Descriptions(self._interface, self._title)
        registry = CollectorRegistry()
        PlatformCollector(registry=registry)
        ProcessCollector(registry=registry)
        registry.register(self)  # it has the one method of a Collector
        return MetricsHandler.factory(registry)

    def collect(self) -> Iterator[Metric]:
        """Returns the metrics as `prometheus_client` wants them; commands get their turn between any two."""
        from prometheus_client import Metric

        if self._descriptions is None:
            return
        told: set[str] = set()
        since = time.monotonic()
        for figure in self._all_figures(self._descriptions):
            if figure.name in told:
                continue  # names that differ in what Prometheus does not take: the first one counts
            told.add(figure.name)
            counter = figure.kind == "counter"
            metric = Metric(
                figure.name.removesuffix("_total") if counter else figure.name, figure.help, figure.kind
            )
            for labels, value in figure.samples:
                metric.add_sample(figure.name, dict(labels), value)
            yield metric
            if time.monotonic() - since > TURN:
                self._ending.wait(LET_GO)  # a command that has come meanwhile gets the interpreter
                since = time.monotonic()

    def _all_figures(self, descriptions: Descriptions) -> Iterator[Figure]:
        yield from self.book.figures(descriptions)
        try:
            yield from self._figures()
        except Exception:
            # The server's own figures are extra: the others are told without them.
            if not self._broken:
                self._broken = True
                logger.exception("%s: some of its figures cannot be told", self.name)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(MOST_CLIENTS)
    except BaseException:
        listening.close()
        raise
    return listening
