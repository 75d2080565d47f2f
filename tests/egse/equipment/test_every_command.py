"""Every command of every instrument, through proxy, control server and driver, against its model; and every fault of the line.

What is called follows from the interfaces, so a device that is added is tested here on the day it is installed.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pkgutil import resolve_name
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
import pytest

from egse.command import CommandDefinition, CommandError, commands_of
from egse.control import ControlServerApp
from egse.device import DeviceError, DeviceInterface
from egse.parameter import ParameterDefinition, Range, split_annotation
from egse.proxy import Proxy
from egse.simulator import LINE_FAULTS, MemoryTransport
from egse.site.programs import TABLE, Kind

from .conftest import Served

OWN_CONNECTION = frozenset(commands_of(DeviceInterface)) | {"quit", "exit"}
"""Commands about the connection to the device, not about the device."""
PREPARATIONS = {"tcs_cs": "request_remote_operation"}
"""What a device wants first, after each new connection."""
SPEED = 100
"""Time of drivers and models against that of the wall: time-outs of seconds are over at once."""
NO_WIRE = {entry.name for entry in TABLE if entry.kind in (Kind.CORE, Kind.CONSUMER)} | {"dpu_cs", "tcs_hk"}
"""Servers whose device, if they have one, is not on a wire of bytes."""
NAMES = sorted({entry.name for entry in entry_points(group="egse.control_server")} - NO_WIRE)


@cache
def find_app(name: str) -> ControlServerApp:
    (entry,) = entry_points(group="egse.control_server", name=name)
    app: ControlServerApp = entry.load()
    return app


class Bench(NamedTuple):
    """One control server with the model of its device, and a client."""

    app: ControlServerApp
    proxy: Any
    transport: MemoryTransport

    def prepare(self) -> None:
        deadline = time.monotonic() + 10.0
        while True:
            try:
                self.proxy.connect()
                break
            except DeviceError:  # it starts anew after a reset
                assert time.monotonic() < deadline, "it does not come back"
        if self.app.name in PREPARATIONS:
            getattr(self.proxy, PREPARATIONS[self.app.name])()

    def commands(self) -> list[CommandDefinition]:
        table = commands_of(self.app.interface)
        return [definition for name, definition in table.items() if name not in OWN_CONNECTION]


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest, served: Served) -> Iterator[Bench]:
    app = find_app(request.param)
    with served(app, simulator=True, settings="  STORAGE_MNEMONIC:\n", speed=SPEED) as server:
        transport = server.controller.transport
        assert isinstance(transport, MemoryTransport)
        proxy: Proxy = resolve_name(app.proxy)(*app.device_args)
        with proxy:
            yield Bench(app, proxy, transport)


def samples(parameter: ParameterDefinition) -> list[Any]:
    """Returns values of a parameter: lowest, middle, highest, or all there are."""
    values = _samples(parameter.hint, parameter.limits)
    return values or ([1] if parameter.required else [parameter.default])


def _samples(hint: Any, limits: Range | None) -> list[Any]:
    _, inner, hint = split_annotation(hint)
    limits, origin = inner or limits, get_origin(hint)
    if origin is Literal:
        return list(get_args(hint))
    if origin in (Union, UnionType):
        return [value for kind in get_args(hint) if kind is not NoneType for value in _samples(kind, limits)]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return list(hint)
    if hint is bool:
        return [False, True]
    if hint in (int, float):
        low, high = (limits.minimum, limits.maximum) if limits else (None, None)
        low = low if low is not None else 0 if high is None else high - 1
        high = high if high is not None else low + 1
        return [hint(low), hint((low + high) / 2), hint(high)]
    if hint is str:
        return ["A", "1", ""]
    if origin in (list, tuple) or hint in (list, tuple):
        items = [kind for kind in get_args(hint) if kind is not Ellipsis] or [float]
        values = [(_samples(kind, limits) or [1])[0] for kind in items]
        return [values, values * 3]
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        return [{}]
    return []


def calls(definition: CommandDefinition) -> Iterator[dict[str, Any]]:
    """Yields arguments: all parameters at their first value, their second and so on."""
    values = {parameter.name: samples(parameter) for parameter in definition.parameters}
    for turn in range(max(map(len, values.values()), default=1)):
        yield {name: options[turn % len(options)] for name, options in values.items()}


def check_result(definition: CommandDefinition, value: Any) -> None:
    """Checks that a result has the type that the interface declares."""
    hint = definition.returns.hint
    if hint is Any or definition.returns.hint is ...:
        return
    if hint in (None, NoneType):
        assert value is None, f"{definition.name} declares no result and returned {value!r}"
        return
    msgspec.convert(msgspec.to_builtins(value), hint, strict=False)


def execute(
    bench: Bench,
    definition: CommandDefinition,
    arguments: dict[str, Any],
    refusals: tuple[type[Exception], ...] = (DeviceError,),
) -> bool:
    """Executes a command; returns False when it was refused in one of these ways. Any other error ends the test."""
    try:
        value = getattr(bench.proxy, definition.name)(**arguments)
    except refusals:
        return False
    check_result(definition, value)
    return True


def test_every_command_with_every_kind_of_value(bench: Bench) -> None:
    refused = []
    for definition in bench.commands():
        bench.prepare()
        refusals = (DeviceError, ValueError)  # texts that are none of those the device knows
        results = [execute(bench, definition, arguments, refusals) for arguments in calls(definition)]
        if not any(results):
            refused.append(definition.name)
    accepted = len(bench.commands()) - len(refused)
    assert accepted > len(refused), f"most commands were refused with every value: {refused}"
    queries = [each for each in bench.commands() if each.cmd_type == "query" and not each.parameters]
    assert not {each.name for each in queries} & set(refused), "a question without arguments has an answer"


def test_values_out_of_range_and_of_another_type_are_not_sent(bench: Bench) -> None:
    bench.proxy.connect()
    before = len(bench.transport.tap.chunks())
    for definition in bench.commands():
        fitting = next(iter(calls(definition)))
        if definition.name in vars(type(bench.proxy)):
            continue  # a method of the Proxy around several commands, which are checked themselves
        for parameter in definition.parameters:
            for wrong in _wrong(parameter):
                with pytest.raises(CommandError, match=parameter.name):
                    getattr(bench.proxy, definition.name)(**{**fitting, parameter.name: wrong})
        if definition.extra_arguments is None:
            with pytest.raises(CommandError, match="no_such_argument"):
                getattr(bench.proxy, definition.name)(**fitting, no_such_argument=1)
    assert len(bench.transport.tap.chunks()) == before, "something went over the wire"


def _wrong(parameter: ParameterDefinition) -> Iterator[Any]:
    if parameter.hint in (int, float):
        yield "a word"
        if parameter.limits is not None and parameter.limits.maximum is not None:
            yield parameter.hint(parameter.limits.maximum + 1)
        if parameter.limits is not None and parameter.limits.minimum is not None:
            yield parameter.hint(parameter.limits.minimum - 1)
    if isinstance(parameter.hint, type) and issubclass(parameter.hint, enum.Enum):
        yield "no member of it"


def test_every_fault_of_the_line_leaves_driver_and_server_working(bench: Bench) -> None:
    questions = [each for each in bench.commands() if each.cmd_type == "query" and not each.parameters]
    if not questions:
        questions = [
            each for each in bench.commands() if each.name.startswith("get_") and not each.parameters
        ]
    assert questions
    bench.prepare()
    for fault in LINE_FAULTS:
        for definition in questions if fault == "garbage" else questions[:2]:
            bench.transport.faults.arm(fault, {"seconds": 20.0} if fault in ("delay", "split") else {})
            execute(bench, definition, {})  # it may fail, as a device error
            bench.transport.faults.clear()
            bench.prepare()
            assert execute(bench, definition, {}), f"{definition.name} does not work again after {fault}"
    with bench.proxy.get_service_proxy() as services:
        assert services.get_server_status()["device_connected"] is True
