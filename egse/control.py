"""Control servers as device packages see them: the declaration with its command line, and the answers.

    APP = ControlServerApp(name="lsci336_cs", settings="LSCI336 Control Server", title="LakeShore 336", ...)

`APP.main` is the console script `lsci336_cs start|stop|status`.
"""

from __future__ import annotations

from dataclasses import dataclass

from egse.catalogue import describe_command
from egse.control_cli import make_command_line
from egse.declaration import ServerContext, ServerDeclaration, site_clock
from egse.execution import ExpiredCommandError
from egse.ports import PortInUseError
from egse.proxy import is_control_server_active
from egse.response import Failure, Message, Response, Success
from egse.server import ControlServer

__all__ = [
    "ControlServer",
    "ControlServerApp",
    "ExpiredCommandError",
    "Failure",
    "Message",
    "PortInUseError",
    "Response",
    "ServerContext",
    "ServerDeclaration",
    "Success",
    "describe_command",
    "is_control_server_active",
    "site_clock",
]


@dataclass(frozen=True)
class ControlServerApp(ServerDeclaration):
    """Declaration of a control server together with its command line; see `ServerDeclaration` for the fields."""

    def main(self) -> None:
        """Runs the command line; this is the console script."""
        make_command_line(self)(prog_name=self.name)
