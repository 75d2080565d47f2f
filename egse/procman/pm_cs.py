"""The process manager: `pm_cs start|stop|status`."""

from __future__ import annotations

from typing import Any

import msgspec

from egse.control import ControlServerApp, ServerContext
from egse.control_cli import port_lines
from egse.procman.dry import DryRunProcessManager
from egse.procman.interface import CORE, DEVICE, PROGRAM, ProcessManagerInterface, ServerState, ServerStatus
from egse.procman.manager import ProcessManagerController
from egse.procman.protocol import ProcessManagerProtocol
from egse.site.keepers import site_keeper

HEADINGS = {CORE: "Core services", DEVICE: "Device control servers", PROGRAM: "File generation"}


def make_controller(ctx: ServerContext) -> ProcessManagerController | DryRunProcessManager:
    """Returns the process manager of this site."""
    if ctx.dry_run:
        return DryRunProcessManager()
    return ProcessManagerController(site_keeper(), ctx.name, ctx.control_server)


def status_lines(status: dict[str, Any], full: bool) -> list[str]:
    """Returns the lines of `pm_cs status`."""
    servers = [msgspec.convert(server, ServerStatus) for server in status["servers"].values()]
    lines = [
        "Status: active",
        f"Hostname: {status['endpoints']['commanding'].split('//')[1].rpartition(':')[0]}",
        *port_lines(status),
        f"Loaded Setup: {status['setup']}"
        if status["setup"]
        else "No Setup loaded: the devices are not known (cm_cs load-setup ID)",
    ]
    width = max((len(server.name) for server in servers), default=0)
    for kind, heading in HEADINGS.items():
        chosen = [server for server in servers if server.kind == kind]
        lines.append(f"{heading}:" if chosen else f"{heading}: none")
        for server in chosen:
            lines += _server_lines(server, width, full)
    lines += [f"{d['place']} ({d['device']}): {d['problem']}" for d in status["devices"] if d["problem"]]
    if full:
        lines.append(f"Servers are kept running by: {status['keeper']}")
    return lines


def _server_lines(server: ServerStatus, width: int, full: bool) -> list[str]:
    notes = []
    if server.simulator:
        notes.append("simulator")
    if server.connected is False and server.state is ServerState.RUNNING:
        notes.append("device not connected")
    if server.state is ServerState.CRASHED:
        notes.append("given up" if server.settled else "is started again")
    if server.state is ServerState.RUNNING and not server.keeper:
        notes.append("started by hand")
    text = f"  {server.name:<{width}}  {server.state}" + (f" ({', '.join(notes)})" if notes else "")
    if full and server.pid is not None:
        text += f", process {server.pid}, {server.endpoint}"
    if server.restarts:
        text += f", restarted {server.restarts} times"
    lines = [text]
    if server.reason and (full or server.state is not ServerState.RUNNING):
        lines += [f"    {line}" for line in (server.reason, *server.stderr)]
    return lines


APP = ControlServerApp(
    name="pm_cs",
    settings="Process Manager Control Server",
    title="Process Manager",
    interface=ProcessManagerInterface,
    controller=make_controller,
    protocol=ProcessManagerProtocol,
    proxy="egse.procman:ProcessManagerProxy",
    device=False,
    status_lines=status_lines,
)

if __name__ == "__main__":
    APP.main()
