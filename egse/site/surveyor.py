"""The child process of a survey: imports control servers one after the other and writes down what it finds.

Started by `egse.site.survey`, as `python -m egse.site.surveyor FOLDER`.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec

from egse.command import CommandDefinition
from egse.declaration import ServerDeclaration
from egse.device import lock_hardware
from egse.proxy import Proxy, endpoint_from_settings, route_commands
from egse.setup import NavigableDict, Setup, SetupError
from egse.setup.trust import load_class
from egse.site.survey import GROUP, DeviceInfo, Note, Order, ServerInfo, last_part, read_text

NICENESS = 5
"""Nobody waits for a survey: whoever is starting meanwhile goes first."""


@dataclass(frozen=True)
class _Loaded:
    declaration: ServerDeclaration
    proxy: type[Any] | None


class _Surveyor:
    def __init__(self, folder: Path) -> None:
        self.order = msgspec.json.decode((folder / "order").read_bytes(), type=Order)
        self._notes = (folder / "notes").open("ab", buffering=0)
        self._output = folder / "output"
        self._loaded: dict[str, _Loaded] = {}
        self._seen: set[str] = set()
        self._points = {point.name: point for point in entry_points(group=GROUP)}

    def run(self) -> None:
        """Looks at everything in the order."""
        nodes: list[tuple[str, NavigableDict]] = []
        unreadable: list[DeviceInfo] = []
        if self.order.setup:
            setup = Setup.from_yaml_string(self.order.setup, self.order.filename or None)
            nodes = list(devices_of(setup, unreadable))
        devices = [self._look_at(place, node) for place, node in nodes]
        if self.order.all_servers:
            self._load_all(set(self.order.names))
            return
        # What no Proxy has told must be found by the declarations, all of them.
        if not all(device.server or device.problem for device in devices):
            self._load_all(set(self.order.names))
            devices = [
                device if device.server or device.problem else self._look_at(*node, thoroughly=True)
                for device, node in zip(devices, nodes)
            ]
        self._load_all({device.server for device in devices} - {""} - set(self.order.known))
        for device in (*devices, *unreadable):
            self._note(device=device)

    def _load_all(self, names: set[str]) -> None:
        for name in sorted(names - self._seen):
            self._seen.add(name)
            self._begin(name)
            self._note(server=self._load(name))

    def _begin(self, looking_at: str) -> None:
        """Collects what is printed from now on."""
        sys.stdout.flush()
        sys.stderr.flush()
        handle = os.open(self._output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)
        self._note(looking_at=looking_at)

    def _note(self, **fields: Any) -> None:
        self._notes.write(msgspec.json.encode(Note(**fields)) + b"\n")

    def _load(self, name: str) -> ServerInfo:
        point = self._points.get(name)
        problem = self.order.broken.get(name, "" if point else "it is not installed")
        if point is None or problem:
            return ServerInfo(name=name, title=name, problem=problem)
        try:
            declaration = point.load()
            if not isinstance(declaration, ServerDeclaration):
                raise TypeError(f"{point.value} is no ControlServerApp")
            proxy = pkgutil.resolve_name(declaration.proxy) if declaration.proxy else None
        # The one place where whatever an import does becomes data; sys.exit() is what some vendors' drivers do.
        except (Exception, SystemExit) as exc:
            return ServerInfo(name=name, title=name, problem=self._describe(exc))
        self._loaded[name] = _Loaded(declaration, proxy)
        return ServerInfo(
            name=name, title=declaration.title, settings=declaration.settings, device=declaration.device
        )

    def _describe(self, exc: BaseException) -> str:
        sys.stdout.flush()
        sys.stderr.flush()
        printed = last_part(read_text(self._output))
        text = f"{type(exc).__name__}: {exc}"
        return f"{text}\n{printed}" if printed else text

    def _look_at(self, place: str, node: NavigableDict, *, thoroughly: bool = False) -> DeviceInfo:
        """Returns what is known of a device; neither server nor problem when only the declarations can tell."""
        raw = str(node.get_raw_value("device"))
        label = str(node.get_raw_value("device_name")) if "device_name" in node else place
        problem = self.order.broken.get(place, "")
        server = ""
        if not problem:
            self._begin(place)
            try:
                server = self._server_of(node, raw, thoroughly)
            except (Exception, SystemExit) as exc:
                problem = self._describe(exc)
        return DeviceInfo(
            place=place,
            device=raw,
            label=label,
            server=server or self._neighbour(raw, problem),
            problem=problem,
        )

    def _server_of(self, node: NavigableDict, raw: str, thoroughly: bool) -> str:
        """Returns which server serves a device; empty when only the declarations of all servers can tell.

        Raises:
            LookupError: when none does, or it cannot be told which.
        """
        device = None if raw.startswith("class//") else node["device"]
        kind = load_class(raw.removeprefix("class//")) if device is None else type(device)
        if device is None and "device_args" in node and issubclass(kind, Proxy) and not kind.server_name:
            device = node["device"]  # identical units: which it is, its Proxy knows
        if (named := getattr(device or kind, "server_name", "")) in self.order.names:
            return str(named)
        if not thoroughly:
            return ""
        candidates = self._candidates(kind)
        if len(candidates) != 1:
            # Identical units: each has a server of its own, and its Proxy knows where.
            if device is None and issubclass(kind, Proxy):
                device = node["device"]
            if isinstance(device, Proxy):
                endpoint = device.get_endpoint()
                chosen = candidates or list(self._loaded)
                candidates = [name for name in chosen if self._endpoint(name) == endpoint]
        if len(candidates) == 1:
            return candidates[0]
        which = f"one of {', '.join(candidates)}, which differ in nothing" if candidates else "none"
        raise LookupError(f"no control server for {kind.__module__}.{kind.__qualname__}: {which}")

    def _neighbour(self, raw: str, problem: str) -> str:
        """Returns the server that stands nearest to a class that cannot be imported: who starts it learns why."""
        if not problem:
            return ""
        module = raw.partition("//")[2].rpartition(".")[0].split(".")
        shared = {}
        for name in self.order.names:
            other = self._points[name].module.split(".") if name in self._points else []
            shared[name] = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(module, other)))
        most = max(shared.values(), default=0)
        nearest = [name for name, count in shared.items() if count == most]
        return nearest[0] if most >= 2 and len(nearest) == 1 else ""

    def _candidates(self, kind: type[Any]) -> list[str]:
        """Returns the servers of a class: of that very Proxy, of a Proxy it derives from, or of its interface."""
        loaded = self._loaded.items()
        same = [name for name, server in loaded if server.proxy is kind]
        derived = [name for name, server in loaded if server.proxy and issubclass(kind, server.proxy)]
        return same or derived or [n for n, s in loaded if issubclass(kind, s.declaration.interface)]

    def _endpoint(self, name: str) -> str:
        try:
            return endpoint_from_settings(self._loaded[name].declaration.settings)
        except KeyError:
            return ""


def devices_of(
    setup: Setup, unreadable: list[DeviceInfo] | None = None
) -> Iterator[tuple[str, NavigableDict]]:
    """Finds the devices of a Setup: everything with a `device` below `gse` and `camera.dpu`.

    Args:
        setup: the Setup; none of its devices is made.
        unreadable: takes the branches from files (`yaml//...`) that may hold devices and cannot be read.

    Yields:
        Key path and branch.
    """
    lost: list[DeviceInfo] = [] if unreadable is None else unreadable
    yield from _devices_below(_branch(setup, "gse", "gse", lost), "gse", lost)
    camera = _branch(setup, "camera", "camera", lost)
    yield from _devices_below(_branch(camera, "dpu", "camera.dpu", lost), "camera.dpu", lost)


def _devices_below(node: object, place: str, lost: list[DeviceInfo]) -> Iterator[tuple[str, NavigableDict]]:
    if not isinstance(node, NavigableDict):
        return
    raw = node.get_raw_value("device") if "device" in node else None
    is_device = isinstance(raw, str) and raw.startswith(("class//", "factory//"))
    if is_device:
        yield place, node
    for key in node:
        below = f"{place}.{key}"
        # The files of a device are its own business; who reads one that is missing is told.
        yield from _devices_below(_branch(node, key, below, [] if is_device else lost), below, lost)


def _branch(node: object, key: str, place: str, lost: list[DeviceInfo]) -> object:
    """Returns a branch of a Setup, also one from a file; None for anything else, of which nothing is made."""
    value = node.get_raw_value(key) if isinstance(node, NavigableDict) and key in node else None
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, str) or not value.startswith("yaml//"):
        return None
    try:
        return node[key]  # type: ignore[index]
    except (SetupError, OSError) as exc:
        lost.append(DeviceInfo(place=place, device=value, label=place, problem=str(exc)))
        return None


class _NoCommands:
    """Proxies that are made here talk to nobody."""

    def call(self, proxy: Proxy, definition: CommandDefinition, arguments: dict[str, Any]) -> Any:
        raise ConnectionError("control servers are surveyed, no command is sent")


def main() -> None:
    """What the child does: `python -m egse.site.survey FOLDER`."""
    os.nice(NICENESS)
    route_commands(_NoCommands())
    lock_hardware("control servers are surveyed, nothing may reach hardware")
    _Surveyor(Path(sys.argv[1])).run()


if __name__ == "__main__":
    main()
