"""Commands without waiting: sent from a thread of their own, as futures."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from copy import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egse.proxy import Proxy


class Submitter:
    """Sends the commands of a proxy from a thread of its own; see `Proxy.submit`.

    A command waits for its answer as long as the proxy's calls did when it was submitted.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._source = weakref.ref(proxy)
        self._proxy = copy(proxy)
        self._proxy._channel = None  # waiting for one command must not block the others
        self._proxy._submitter = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"submit-{proxy.server_name}")

    def __getattr__(self, name: str) -> Callable[..., Future[Any]]:
        method = getattr(self._proxy, name)
        if not callable(method) or name.startswith("_"):
            raise AttributeError(f"{name!r} is no command of {self._proxy!r}")

        def submit(*args: Any, **kwargs: Any) -> Future[Any]:
            context = copy_context()
            source = self._source()
            timeout = self._proxy.timeout if source is None else source.timeout
            return self._thread.submit(context.run, self._send, method, timeout, args, kwargs)

        return submit

    def _send(
        self, method: Callable[..., Any], timeout: float, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        self._proxy.timeout = timeout  # there is only one thread that sends
        return method(*args, **kwargs)

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._proxy) if not name.startswith("_")]

    def close(self) -> None:
        """Cancels what is not sent yet, waits for what is, and closes the connection."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._proxy.disconnect_cs()
