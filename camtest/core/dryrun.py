"""The dry run: building blocks are executed, their commands go to models in this thread, on virtual time.

Nothing reaches hardware or a server: all proxies of the process hand their commands to the router here, and the
transports refuse to connect. Device commands are executed by the real Controller of the device joined with its
simulator model, so that queries, waits and conditions take the path that they would take.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, get_origin

from camtest.core.answers import Answers, DryRunOptions
from camtest.core.context import RED_LINE, Call, ExecutionContext
from camtest.core.sequence import AS_RUN, NOBODY, CommandSequence, EntryKind, SequenceEntry
from camtest.core.servers import DryRunError as DryRunError
from camtest.core.servers import find_app
from camtest.core.values import plain
from egse.clock import VirtualClock
from egse.command import CommandDefinition, CommandError, commands_of
from egse.confman import ObservationError
from egse.context import CommandContext
from egse.declaration import SEED
from egse.device import lock_hardware
from egse.env import EnvError, get_site_id
from egse.mode import DRY_RUN, OPERATIONS
from egse.proxy import Proxy, ServiceProxy, route_commands
from egse.security.roles import Role, role_of
from egse.setup import Setup

if TYPE_CHECKING:
    from camtest.core.blocks import BlockDefinition
    from egse.control import ControlServerApp

LOCAL = "local"
"""Source of answers for core services, which a dry run gives itself."""
FEE_MODEL = "n_fee_model"
"""Key of the camera's model among what the Controllers share (`egse.dpu.dpu_cs`, which takes long to import)."""
FRAMES_IN_CYCLE = 4
COMMAND_TIME = 0.01
"""Virtual time that one device command takes [s]; a loop that polls without waiting ends as well."""
HARDWARE_REASON = "this is a dry run, nothing may reach hardware"


_parent: ContextVar[SequenceEntry | None] = ContextVar("dry_run_entry", default=None)


class DryRun(ExecutionContext):
    """One dry run: the models, the virtual clock and the command sequence.

    Args:
        setup: the Setup it works with; None when there is none.
        title: title of the command sequence.
        supervised: a runner stands for the observation; building blocks need no `start_observation`.
        options: seed of the models, other sources of answers.

    Raises:
        LookupError: when the observation to answer from is not there.
        ValueError: when a sequence that comes first cannot be repeated.
        OSError: when its file cannot be read.
    """

    def __init__(
        self,
        setup: Setup | None = None,
        title: str = "",
        *,
        supervised: bool = False,
        options: DryRunOptions | None = None,
    ) -> None:
        self.setup = setup
        chosen = options or DryRunOptions()
        self._declared_answers = Answers(chosen)
        self.supervised = supervised
        self.clock = VirtualClock()
        self._obsid = _dry_obsid(setup)
        details: dict[str, Any] = {"site": self._obsid.split("_")[0], "setup_id": self._obsid.split("_")[1]}
        details["seed"] = chosen.seed
        if self._declared_answers.obsid:
            details["against"] = self._declared_answers.obsid
        self.sequence = CommandSequence(title, mode=DRY_RUN, details=details)
        self._numbers = itertools.count(1)
        self._controllers: dict[str, Any] = {}
        self._shared: dict[str, Any] = {SEED: chosen.seed}
        self._observing: str | None = None
        for earlier in chosen.after:
            self._repeat(earlier if isinstance(earlier, CommandSequence) else CommandSequence.read(earlier))
        self._started = self.clock.monotonic()
        self._frames_before = self._frames()

    def _repeat(self, earlier: CommandSequence) -> None:
        """Lets the models do what another sequence had them do, at its times; nothing of it is recorded."""
        if earlier.mode not in (DRY_RUN, OPERATIONS):
            raise ValueError(
                f"{earlier.heading()}: its times are those of a simulator that may run faster than they pass. Give "
                "the export of its dry run as the sequence that comes first"
            )
        began = self.clock.monotonic()
        for entry in earlier.commands:
            if entry.query or entry.error or entry.source not in (f"model of {entry.device}", AS_RUN):
                continue
            self.clock.sleep(began + entry.start + COMMAND_TIME - self.clock.monotonic())
            app = find_app(entry.device)
            try:
                arguments = commands_of(app.interface)[entry.name].bind((), entry.arguments)
            except (KeyError, CommandError) as exc:
                raise ValueError(f"{entry.call} of {earlier.title} cannot be repeated: {exc}") from exc
            getattr(self._controller(app), entry.name)(**arguments)
        self.clock.sleep(began + earlier.duration - self.clock.monotonic())
        for controller in self._controllers.values():
            controller.is_connected()  # brings its model to the present
        self.sequence.details.setdefault("after", []).append(earlier.title)

    # Observation and building blocks -----------------------------------------------------------------------------

    @property
    def obsid(self) -> str:
        """An obsid of the usual form with test id 00000, which no observation ever gets."""
        return self._obsid

    @property
    def observing(self) -> bool:
        """True between the start and the end of an observation, and always when supervised."""
        return self.supervised or self._observing is not None

    def begin_observation(self, function: str) -> str:
        """Starts an observation that leaves no trace; returns its obsid."""
        if self._observing is not None:
            raise ObservationError(f"an observation is running in this dry run: {self._observing}")
        self._observing = function
        return self._obsid

    def end_observation(self) -> None:
        """Ends the observation; nothing happens when none is running."""
        self._observing = None

    def entry_of(self, call: Call) -> SequenceEntry | None:
        entry: SequenceEntry = call.token[0]
        return entry

    def begin(self, block: BlockDefinition, arguments: dict[str, Any], parent: Call | None) -> Call:
        entry = self._add("block", block.name, arguments)
        commands = CommandContext("", "", self._obsid, block.name)
        return Call(block, next(self._numbers), commands, (entry, _parent.set(entry)))

    def end(self, call: Call, result: Any) -> None:
        entry, token = call.token
        entry.result = plain(result)
        entry.end = self.elapsed
        _parent.reset(token)

    def fail(self, call: Call, error: BaseException) -> None:
        entry, token = call.token
        entry.error = f"{type(error).__name__}: {error}"
        entry.end = self.elapsed
        _parent.reset(token)

    @property
    def elapsed(self) -> float:
        """Virtual time since the start [s]."""
        return self.clock.monotonic() - self._started

    def _add(
        self, kind: EntryKind, name: str, arguments: dict[str, Any], device: str = "", source: str = ""
    ) -> SequenceEntry:
        return self.sequence.add(
            _parent.get(),
            kind,
            name,
            start=self.elapsed,
            arguments=arguments,
            device=device,
            source=source,
            red_line=RED_LINE.get(),
        )

    # Commands ----------------------------------------------------------------------------------------------------

    def activate(self) -> None:
        """Takes the commands of all proxies of this process and locks the hardware."""
        lock_hardware(HARDWARE_REASON)
        route_commands(self)

    def release(self, previous: DryRun | None = None) -> None:
        """Gives the proxies back, to the control servers or to the dry run that was active before."""
        self.close()
        route_commands(previous)
        if previous is None:
            lock_hardware(None)

    def close(self) -> None:
        """Lets the models go."""
        self._controllers.clear()
        self._shared.clear()

    def call(self, proxy: Proxy, definition: CommandDefinition, arguments: dict[str, Any]) -> Any:
        """Executes the command of a proxy: on the Controller with its model, or locally for a core service."""
        server = proxy.server_name
        if isinstance(proxy, ServiceProxy):
            return self._serve(server, definition, arguments)
        source, method = self._source(server, definition, arguments)
        if method is None:
            return self._serve(server, definition, arguments, find_app(server))

        def execute(**values: Any) -> Any:
            self.clock.advance(COMMAND_TIME)
            return method(**values)

        return self._record("command", server, source, definition, arguments, execute)

    def _source(
        self, server: str, definition: CommandDefinition, arguments: dict[str, Any]
    ) -> tuple[str, Callable[..., Any] | None]:
        """Returns who answers a command, and how; without a method it is a core service, answered here."""
        other = self._declared_answers.find(server, definition, arguments)
        if other is not None:
            return other
        app = find_app(server)
        if not app.device:
            return LOCAL, None
        return f"model of {server}", getattr(self._controller(app), definition.name)

    def _serve(
        self,
        server: str,
        definition: CommandDefinition,
        arguments: dict[str, Any],
        app: ControlServerApp | None = None,
    ) -> Any:
        """Answers for a core service (`app`) or for the service port of any server."""
        source, answer = LOCAL, self._answers().get(definition.name)
        if answer is None and app is not None:
            answer = getattr(self._controller(app), definition.name)
        if answer is None:
            answer = partial(_blank, definition)
            source = NOBODY if role_of(definition) is Role.OBSERVE else LOCAL
        return self._record("service", server, source, definition, arguments, answer)

    def _answers(self) -> dict[str, Callable[..., Any]]:
        """Returns what core services and the service port of a server answer in a dry run."""
        obsid = self._obsid if self.observing else None
        site = self._obsid.split("_")[0]
        return {
            "ping": lambda: "pong",
            "get_obsid": lambda: obsid,
            "get_site_id": lambda: site,
            "get_observation": lambda: {"obsid": obsid, "status": "dry-run"} if obsid else None,
            "get_setup": lambda setup_id=None: self._setup_record(setup_id),
            "load_setup": lambda setup_id=None: self._setup_record(setup_id),
            "set_hk_frequency": lambda freq: freq,
            "set_monitoring_frequency": lambda freq: freq,
        }

    def _setup_record(self, setup_id: int | None) -> dict[str, Any]:
        known = int(self._obsid.split("_")[1])
        if self.setup is None or (setup_id is not None and int(setup_id) != known):
            raise DryRunError(f"Setup {setup_id} is not at hand in a dry run, only {known:05d}")
        return {
            "setup_id": known,
            "site_id": self._obsid.split("_")[0],
            "yaml": self.setup.to_yaml_string(),
            "path": "",
            "sha256": "",
        }

    def _record(
        self,
        kind: EntryKind,
        server: str,
        source: str,
        definition: CommandDefinition,
        arguments: dict[str, Any],
        action: Callable[..., Any],
    ) -> Any:
        entry = self._add(kind, definition.name, arguments, server, source)
        entry.query = role_of(definition) is Role.OBSERVE
        token = _parent.set(entry)
        try:
            result = action(**arguments)
        except BaseException as exc:
            entry.error = f"{type(exc).__name__}: {exc}"
            raise
        else:
            entry.result = plain(result)
            return result
        finally:
            entry.end = self.elapsed
            _parent.reset(token)
            self._count_cycles()

    def _count_cycles(self) -> None:
        """Notes how many readout cycles of the camera have begun, once something asked for the camera."""
        if FEE_MODEL in self._shared:
            frames = (self._frames() - self._frames_before) & 0xFFFF
            self.sequence.details["cycles"] = -(-frames // FRAMES_IN_CYCLE)

    def _frames(self) -> int:
        """Returns how many readouts have begun (modulo 65536); 0 while nothing has asked for the camera."""
        return (getattr(self._shared.get(FEE_MODEL), "frame_counter", -1) + 1) & 0xFFFF

    def _controller(self, app: ControlServerApp) -> Any:
        controller = self._controllers.get(app.name)
        if controller is None:
            controller = app.make_dry_controller(self.clock, self._shared)
            if app.device and not controller.is_connected():
                controller.connect()
            self._controllers[app.name] = controller
        return controller


def _blank(definition: CommandDefinition, **_: Any) -> Any:
    """Returns the empty value of a command's result type."""
    hint = definition.returns.hint
    kind = get_origin(hint) or hint
    return kind() if kind in (bool, int, float, str, bytes, list, dict, tuple) else None


def _dry_obsid(setup: Setup | None) -> str:
    try:
        site = get_site_id()
    except EnvError:
        site = "SITE"
    return f"{site}_{_setup_number(setup):05d}_00000"


def _setup_number(setup: Setup | None) -> int:
    if setup is None:
        return 0
    try:
        return int(setup.get_id() or 0)
    except (TypeError, ValueError):
        return 0
