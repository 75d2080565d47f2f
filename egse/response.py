"""What a control server answers: `Success`, `Failure` or `Message` (section 6.5 of the manual)."""

from __future__ import annotations

import builtins
import traceback
from typing import Any, TypeVar

import msgspec

E = TypeVar("E", bound=type[BaseException])

SERVER_TRACEBACK = "Traceback of the control server:\n"
"""How the note begins that an exception of a control server carries (`restore_error`)."""


class RemoteError(Exception):
    """An exception of a control server whose type is not known in this process; its text starts with that type."""


class ErrorInfo(msgspec.Struct, array_like=True, frozen=True):
    """An exception on the wire: nothing but text, never code.

    Attributes:
        type: qualified name of the exception's class.
        message: its text.
        traceback: the server's formatted traceback, chained causes included.
        causes: types and texts of the chained exceptions, nearest first.
        errno: number of an `OSError`, None for others.
    """

    type: str
    message: str
    traceback: str = ""
    causes: list[str] = []
    errno: int | None = None


_REGISTERED: dict[str, type[BaseException]] = {}


def register_error(kind: E) -> E:
    """Class decorator: lets clients raise this exception type when a server reports it.

    The type must be constructible from one text argument.
    """
    _REGISTERED[_type_name(kind)] = kind
    return kind


def _type_name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def describe_error(exc: BaseException) -> ErrorInfo:
    """Packs an exception for the wire."""
    causes: list[str] = []
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    while cause is not None and len(causes) < 10:
        causes.append(f"{_type_name(type(cause))}: {cause}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    text = str(exc.args[0]) if isinstance(exc, KeyError) and exc.args else str(exc)
    number = exc.errno if isinstance(exc, OSError) and isinstance(exc.errno, int) else None
    return ErrorInfo(_type_name(type(exc)), text, "".join(traceback.format_exception(exc)), causes, number)


def _find_type(name: str) -> type[BaseException] | None:
    if name in _REGISTERED:
        return _REGISTERED[name]
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        return kind
    return None


def find_error_type(name: str) -> type[Exception] | None:
    """Returns the exception type of a name as it stands in a journal, `DeviceTimeoutError`; None for an unknown one."""
    kind = _find_type(name) or next(
        (known for full, known in _REGISTERED.items() if full.rpartition(".")[2] == name), None
    )
    return kind if kind is not None and issubclass(kind, Exception) else None


def restore_error(info: ErrorInfo) -> BaseException:
    """Returns the exception that `info` describes, with the server's traceback as a note.

    Built-in and registered types come back as themselves, anything else as `RemoteError`.
    """
    kind = _find_type(info.type)
    if kind is None:
        exc: BaseException = RemoteError(f"{info.type}: {info.message}")
    else:
        try:
            exc = kind(info.message)
        except TypeError:
            exc = RemoteError(f"{info.type}: {info.message}")
    if info.errno is not None and isinstance(exc, OSError):
        exc.errno = info.errno
    if info.traceback:
        exc.add_note(SERVER_TRACEBACK + info.traceback)
    return exc


class _Verdict(int):
    """True or False, as an attribute and, as the manual has it (section 6.5), as a call."""

    def __call__(self) -> bool:
        return bool(self)

    def __repr__(self) -> str:
        return repr(bool(self))


class Response:
    """Answer to a command.

    Attributes:
        message: what happened, for a person.
    """

    def __init__(self, message: str) -> None:
        self.message = message

    @property
    def successful(self) -> _Verdict:
        """True unless the command failed; `response.successful()` works, too."""
        return _Verdict(True)

    def __str__(self) -> str:
        return self.message


class Success(Response):
    """The command was executed.

    Args:
        message: what was done.
        return_code: the command's result.
    """

    def __init__(self, message: str, return_code: Any = None) -> None:
        super().__init__(message)
        self.return_code = return_code

    @property
    def response(self) -> Any:
        """The command's result (same as `return_code`)."""
        return self.return_code

    def __repr__(self) -> str:
        return f"Success({self.message!r}, return_code={self.return_code!r})"


class Failure(Response):
    """The command failed; `cause` is the exception, or a text where an older Controller has none."""

    def __init__(self, message: str, cause: BaseException | str | None = None) -> None:
        super().__init__(message)
        self.cause = cause

    @property
    def successful(self) -> _Verdict:
        return _Verdict(False)

    def __str__(self) -> str:
        return f"{self.message}: {self.cause}" if self.cause is not None else self.message

    def __repr__(self) -> str:
        return f"Failure({self.message!r}, cause={self.cause!r})"


class Message(Response):
    """An answer that is a text only."""

    def __repr__(self) -> str:
        return f"Message({self.message!r})"
