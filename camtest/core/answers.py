"""Where the answers of a dry run come from, besides the simulators: declared values and recorded observations.

    generate_command_sequence(
        warm_up,
        setpoint=20.0,
        seed=3,                                               # of noise and durations of the simulators
        responses={"lsci336_cs.get_temperature": [17.0, 19.9]},  # declared: first answer, then always the last one
        against=1151,                                         # what was answered in that observation
        after=["switch_on.json"],                             # begins where that dry run has left the devices
    )

Declared values come first, then the observation, then the simulator. Exceptions among declared values are raised:
`responses={"ogse_cs.power_on": [TimeoutError("no reply"), ...]}` has the first call fail; `...` asks the next source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from egse.command import CommandDefinition
from egse.proxy import convert_result
from egse.response import find_error_type
from egse.setup import Setup

DECLARED = "declared"


class DryRunOptions(msgspec.Struct, frozen=True):
    """What a dry run starts from.

    Attributes:
        seed: of noise and durations of the simulators.
        against: observation whose recorded answers are given; None: none.
        location: data folder of the site of that observation; None: that of this environment.
        responses: declared answers by `server.command` or `command`: a value, a list of successive values (the last one
            stays), a function of the arguments, an exception, or `...` for the next source.
        after: command sequences (or files with exported ones) that come first, in order: the devices are as they leave
            them, instead of as after power-on.
    """

    seed: int = 0
    against: int | str | None = None
    location: str | None = None
    responses: dict[str, Any] = {}
    after: list[Any] = []

    @classmethod
    def from_json(cls, text: str) -> DryRunOptions:
        """Returns options as a runner hands them to a kernel.

        `{"raises": "TimeoutError", "message": "no reply"}` among the responses stands for an exception, `"..."` for `...`.

        Raises:
            ValueError: when the text says something else.
        """
        try:
            options = msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as exc:
            raise ValueError(f"these are no options of a dry run: {exc}") from exc
        responses = {name: _revive(value) for name, value in options.responses.items()}
        return msgspec.structs.replace(options, responses=responses)

    def to_json(self) -> str:
        """Returns the options as text; responses must be plain data, and `after` files."""
        after = [str(Path(path).resolve()) for path in self.after]
        return json.dumps(msgspec.to_builtins(msgspec.structs.replace(self, after=after)))


def _revive(value: Any) -> Any:
    if isinstance(value, list):
        return [_revive(item) for item in value]
    if value == "...":
        return ...
    if isinstance(value, dict) and set(value) <= {"raises", "message"} and "raises" in value:
        return _exception(str(value["raises"]), str(value.get("message", "")))
    return value


def _exception(name: str, message: str) -> Exception:
    kind = find_error_type(name)
    return RuntimeError(f"{name}: {message}") if kind is None else kind(message)


class Answers:
    """Answers to commands from other sources than the simulator.

    Args:
        options: what was declared, and against which observation.

    Raises:
        LookupError: when there is no such observation.
    """

    def __init__(self, options: DryRunOptions) -> None:
        self._declared: dict[str, Any] = {
            name: list(value) if isinstance(value, (list, tuple)) else value
            for name, value in options.responses.items()
        }
        self._recorded: dict[str, list[Callable[[], Any]]] = {}
        self.obsid = ""
        if options.against is not None:
            self._read(options.against, options.location)

    def _read(self, obsid: int | str, location: str | None) -> None:
        from egse.archive import Observation  # loads the index; most dry runs need no archive

        observation = Observation(obsid, location)
        self.obsid = observation.obsid
        for command in observation.commands:
            key = _key(str(command["server"]), str(command["command"]), command.get("args") or {})
            if command.get("status") == "failed":
                name, _, message = str(command.get("error", "")).partition(": ")
                self._recorded.setdefault(key, []).append(_raiser(name, message))
            elif command.get("result") is not None:
                self._recorded.setdefault(key, []).append(_giver(command["result"]))
            elif key in self._recorded or not command.get("query"):
                self._recorded.setdefault(key, []).append(_nothing)

    def find(
        self, server: str, definition: CommandDefinition, arguments: dict[str, Any]
    ) -> tuple[str, Callable[..., Any]] | None:
        """Returns who answers a command, and the answer as a function of its arguments; None: the simulator does."""
        for name in (f"{server}.{definition.name}", definition.name):
            if name in self._declared:
                answer = self._next_declared(name)
                if answer is not ...:
                    return DECLARED, _declared(definition, answer)
                break
        key = _key(server, definition.name, arguments)
        recorded = self._recorded.get(key)
        if not recorded:
            return None
        give = recorded.pop(0) if len(recorded) > 1 else recorded[0]
        if give is _nothing:
            return None
        return f"observation {self.obsid}", lambda **_: convert_result(definition, give())

    def _next_declared(self, name: str) -> Any:
        answer = self._declared[name]
        if not isinstance(answer, list):
            return answer
        if not answer:
            return ...
        return answer.pop(0) if len(answer) > 1 else answer[0]


def _declared(definition: CommandDefinition, answer: Any) -> Callable[..., Any]:
    if isinstance(answer, BaseException) or (isinstance(answer, type) and issubclass(answer, BaseException)):

        def fail(**_: Any) -> Any:
            raise answer

        return fail
    if callable(answer):
        return lambda **arguments: answer(**arguments)
    return lambda **_: convert_result(definition, answer)


def _nothing() -> Any:
    """Stands for a command that was done and gave nothing: the simulator does it, too."""


def _giver(value: Any) -> Callable[[], Any]:
    return lambda: value


def _raiser(name: str, message: str) -> Callable[[], Any]:
    def fail() -> Any:
        raise _exception(name or "RuntimeError", message)

    return fail


def _key(server: str, command: str, arguments: Mapping[str, Any]) -> str:
    plain = json.dumps(arguments, sort_keys=True, default=str)
    return f"{server}.{command} {plain}"


_OPTIONS = ("seed", "against", "location", "responses", "after")


def split_options(
    names: Collection[str], given: Mapping[str, Any]
) -> tuple[dict[str, Any], DryRunOptions, Setup | None]:
    """Takes the options of a dry run out of what was given to `generate_command_sequence`.

    Args:
        names: arguments of the building block, which come first.
        given: arguments and options by name.

    Returns:
        The arguments, the options, and the Setup that was chosen (None: the active one).

    Raises:
        TypeError: when `responses` is no mapping.
    """
    options = {name: given[name] for name in _OPTIONS if name in given and name not in names}
    chosen = given.get("setup") if "setup" not in names else None
    taken = {*options, *(("setup",) if "setup" not in names else ())}
    if not isinstance(options.get("responses", {}), Mapping):
        raise TypeError("`responses` must be a mapping of commands to answers")
    setup = chosen if chosen is None or isinstance(chosen, Setup) else Setup.from_yaml_file(str(chosen))
    arguments = {name: value for name, value in given.items() if name not in taken}
    return arguments, DryRunOptions(**options), setup
