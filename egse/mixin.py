"""The server side of a dynamic command: from definition and arguments to bytes on the transport and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ClassVar

from egse.command import CommandDefinition, CommandError, commands_of
from egse.device import DeviceTransport
from egse.direct import execute_directly, is_direct


class DynamicCommandMixin:
    """Gives a Controller the commands that its interface declares.

    The Controller provides `self.transport`. Commands with a command string are executed over it; commands declared
    with `dynamic_interface` must be methods of the Controller, which is checked when its class is defined.

    Attributes:
        transport: the way to the device.
        proxy_class: the Proxy that a Setup gives instead of this Controller, a class or `"package.module:Class"`; see
            `egse.device.DeviceFactoryInterface`.
    """

    transport: DeviceTransport
    proxy_class: ClassVar[type | str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if inspect.isabstract(cls):
            return
        missing = [name for name in unimplemented_commands(cls) if not hasattr(DynamicCommandMixin, name)]
        if missing:
            raise CommandError(f"{cls.__qualname__} must implement {', '.join(sorted(missing))}")
        for name, definition in commands_of(cls).items():
            _ = definition.parameters  # checks annotations that held names unknown to the interface
            method = inspect.getattr_static(cls, name)
            if (
                definition.cmd_type == "call"
                and inspect.isfunction(method)
                and not hasattr(method, "__command__")
                and not hasattr(method, "__wrapped__")  # by a base class
            ):
                setattr(cls, name, _watched(definition, method))

    def connect(self) -> None:
        """Connects to the device."""
        self.transport.connect()

    def disconnect(self) -> None:
        """Disconnects from the device."""
        self.transport.disconnect()

    def is_connected(self) -> bool:
        """Returns True while connected to the device."""
        return self.transport.is_connected()

    def __enter__(self) -> Any:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    def _execute_command(
        self, definition: CommandDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        arguments = definition.bind(args, kwargs)
        run = partial(self._run_command, definition, arguments, args, kwargs)
        if is_direct(getattr(self, "transport", None)):
            return execute_directly(self, definition, arguments, run)
        return run()

    def _run_command(
        self,
        definition: CommandDefinition,
        arguments: dict[str, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if definition.cmd_type == "call":
            if definition.device_method not in ("", definition.name):
                return getattr(self, definition.device_method)(**arguments)
            implementation = getattr(DynamicCommandMixin, definition.name)
            return implementation(self, **arguments)
        return execute_on_transport(self.transport, definition, arguments, args, kwargs)


def _watched(definition: CommandDefinition, method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a method of a Controller that knows when it is used without its control server."""

    @wraps(method)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_direct(getattr(self, "transport", None)):
            arguments = definition.bind(args, kwargs)
            return execute_directly(self, definition, arguments, partial(method, self, **arguments))
        return method(self, *args, **kwargs)

    return watched


def unimplemented_commands(cls: type) -> list[str]:
    """Returns the methods that `cls` lacks: those of `dynamic_interface` commands that it only inherits as declarations.

    A command with a `device_method` of another name needs that method.
    """
    return [
        definition.device_method or name
        for name, definition in commands_of(cls).items()
        if definition.cmd_type == "call" and _is_only_declared(cls, name, definition)
    ]


def _is_only_declared(cls: type, name: str, definition: CommandDefinition) -> bool:
    if getattr(getattr(cls, name), "__command__", None) is not definition:
        return False
    if definition.device_method in ("", name):
        return True
    target = getattr(cls, definition.device_method, None)
    declared = getattr(target, "__command__", None)
    return target is None or (declared is not None and declared.cmd_type == "call")


def execute_on_transport(
    transport: DeviceTransport,
    definition: CommandDefinition,
    arguments: dict[str, Any],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
) -> Any:
    """Executes one command over a transport, in one transaction.

    Returns:
        The processed response; None for a `write` without `post_cmd`.
    """
    reads_only = definition.cmd_type == "read" and not definition.cmd_string
    cmd_string = "" if reads_only else definition.command_string(arguments)
    with transport.lock:
        if definition.pre_cmd is not None:
            definition.pre_cmd(
                transport=transport,
                function_name=definition.name,
                cmd_string=cmd_string,
                args=args,
                kwargs=kwargs or {},
            )
        response: Any = None
        match definition.cmd_type:
            case "write":
                transport.write(cmd_string)
            case "read":
                response = transport.read()
            case "transaction":
                response = transport.trans(cmd_string)
            case _:
                response = transport.query(cmd_string)
        if definition.process_response is not None and response is not None:
            response = definition.process_response(response=response)
        if definition.post_cmd is not None:
            response = definition.post_cmd(transport=transport, response=response)
        return response
