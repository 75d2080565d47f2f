"""Commands of the configuration manager and the proxy that sends them."""

from __future__ import annotations

from typing import Annotated, Any

from egse.authority import ControlInterface
from egse.command import Range, Unit, dynamic_interface
from egse.deferral import deferred
from egse.proxy import DynamicProxy, command_origin
from egse.response import register_error
from egse.security.roles import always_allowed, needs_control, observe
from egse.setup import NoSetupError, SetupError

register_error(SetupError)  # clients get it as itself
register_error(NoSetupError)


class ConfigurationManagerInterface(ControlInterface):
    """Commands of the configuration manager: Setups and observations of a site, and who has control of it."""

    # -- observations --------------------------------------------------------------------------------------------

    @needs_control
    @dynamic_interface
    def start_observation(
        self,
        run_id: str,
        function: str,
        description: str,
        supervised: bool,
        lease: Annotated[float, Range(0.0, 86_400.0), Unit("s")],
        details: dict[str, Any],
        origin: str = "",
    ) -> dict[str, Any]:
        """Starts an observation; a repeated request of the same run returns the observation that it started.

        Args:
            run_id: a name that the client makes up, different for every run.
            function: what is executed, `name(arg="value")`; empty for `unknown_function()`.
            description: free text.
            supervised: a runner watches it; when its lease lapses it is closed as interrupted, otherwise as orphaned.
            lease: how long it lives without `renew_lease` [s]; 0 for ever.
            details: what else belongs into the record: notebook, parameters, versions.
            origin: who starts it, `user@host:pid`; filled in by the proxy.

        Returns:
            `run_id`, `obsid` (SITE_SETUP_TEST), `test_id`, `site_id`, `setup_id`, `camera`, `prefix`, `folder`, `start`,
            `function`, `description`, `state` (open, closing, closed), `status`, `reason`, `end`, ...

        Raises:
            ObservationError: when an observation is running, no Setup is loaded, this run has ended already, or the
                storage manager cannot open it.
        """

    @dynamic_interface
    def end_observation(self, run_id: str, status: str, reason: str = "", by: str = "") -> dict[str, Any]:
        """Ends an observation; a repeated request returns how it ended, the first recorded status stays.

        Args:
            run_id: name of the run.
            status: done, failed, aborted, interrupted, kernel-lost or orphaned.
            reason: why, for people.
            by: who has taken it over; empty for its client.

        Returns:
            As `start_observation`. State `closing` with a `message` means: recorded, but the storage manager is away
            and the folder is sealed later.

        Raises:
            ObservationError: when the run is not known, somebody else has taken it over, or the status is none.
        """

    @dynamic_interface
    def renew_lease(self, run_id: str) -> Annotated[float, Unit("s")]:
        """Keeps the running observation alive; returns the length of the lease.

        Raises:
            ObservationError: when this run is not open any more; the text says how it ended.
        """

    @observe
    @dynamic_interface
    def get_observation(self) -> dict[str, Any] | None:
        """Returns the observation that is running (or being closed), None when there is none."""

    @observe
    @dynamic_interface
    def get_obsid(self) -> str | None:
        """Returns the full obsid of the running observation, None when there is none."""

    @observe
    @dynamic_interface
    def find_observation(self, run_id: str) -> dict[str, Any] | None:
        """Returns the observation of a run, None when there is none."""

    @observe
    @dynamic_interface
    def list_observations(self, last: int | None = None) -> list[dict[str, Any]]:
        """Returns the last observations, oldest first; all of them for None."""

    # -- operators ---------------------------------------------------------------------------------------------------

    @always_allowed
    @dynamic_interface
    def give_verb(self, verb: str, reason: str = "", run_id: str = "", by: str = "") -> dict[str, Any]:
        """Tells the running observation what an operator wants; the same verb again changes nothing.

        Args:
            verb: pause, resume, stop (good end), abort (bad end, safes run), halt (bad end, no safes); and, after a
                building block that failed, continue or retry.
            reason: why, for the record.
            run_id: the observation; the running one by default.
            by: who, `user@host:pid`; filled in by the proxy.

        Returns:
            As `get_desk`.

        Raises:
            ObservationError: when nothing is running, or it is ending already.
        """

    @observe
    @dynamic_interface
    def get_desk(self, run_id: str = "") -> dict[str, Any]:
        """Returns what operators want of the running observation, and what it asks them.

        Returns:
            `run_id`, `version`, `state` (see `egse.confman.desk.STATES`) and `detail`, `verbs`, `questions`, `holder`
            (who took it over), `safes_by`.

        Raises:
            ObservationError: when it is not running.
        """

    @deferred
    @observe
    @dynamic_interface
    def follow_desk(
        self, run_id: str, seen: int, timeout: Annotated[float, Range(0.0, 30.0), Unit("s")]
    ) -> dict[str, Any]:
        """Returns the desk as soon as its version is not `seen` any more, at the latest after `timeout`.

        Raises:
            ObservationError: when the observation is not running.
        """

    @dynamic_interface
    def report_to_desk(self, run_id: str, state: str, detail: str = "", reached: int = 0) -> dict[str, Any]:
        """Says how the run is (`egse.confman.desk.STATES`), and the number of the last verb that it obeyed."""

    @dynamic_interface
    def ask_operator(self, run_id: str, question: dict[str, Any]) -> dict[str, Any]:
        """Puts a question on the desk.

        Args:
            run_id: the observation.
            question: `key`, `text`, `choices`, `default`, `timeout` [s].
        """

    @always_allowed
    @dynamic_interface
    def answer_question(self, answer: str, key: str = "", run_id: str = "", by: str = "") -> dict[str, Any]:
        """Answers a question of the running observation; the first answer counts.

        Raises:
            ObservationError: when there is no such question, or this is no answer to it.
        """

    @always_allowed
    @dynamic_interface
    def claim_safes(self, run_id: str, by: str) -> bool:
        """Returns True when `by` is the one who runs the safes of this observation: whoever asks first."""

    @dynamic_interface
    def watch_observation(self, by: str) -> dict[str, Any] | None:
        """Returns the open observation as `get_observation` does, with `lease_left` [s] and `desk`; None when there is none.

        Whoever calls this is a watchdog: a lapsed observation is left open for it for some seconds.
        """

    @always_allowed
    @dynamic_interface
    def safe_take_over(self, run_id: str, by: str, reason: str) -> dict[str, Any]:
        """Takes the observation over from a client that is gone: its lease is renewed once, the client is fenced.

        Raises:
            ObservationError: when it is not open.
        """

    # -- Setups --------------------------------------------------------------------------------------------------

    @needs_control
    @dynamic_interface
    def load_setup(self, setup_id: int) -> dict[str, Any]:
        """Makes a Setup the loaded one and returns it, see `get_setup`.

        Returns:
            As `get_setup`, and `problem` when its file was changed or added by hand.

        Raises:
            ObservationError: during an observation.
            SetupError: when there is no such Setup or it is not valid.
        """

    @observe
    @dynamic_interface
    def get_setup(self, setup_id: int | None = None) -> dict[str, Any]:
        """Returns a Setup, the loaded one for None; nothing changes.

        Returns:
            `setup_id`, `site_id`, `yaml` (the text of its file), `path`, `sha256` (of that text), `digest` (of what it
            says, `Setup.digest()`).

        Raises:
            SetupError: when there is no such Setup or it is not valid; `NoSetupError` when none is loaded.
        """

    @needs_control
    @dynamic_interface
    def submit_setup(self, yaml: str, description: str, author: str = "") -> dict[str, Any]:
        """Saves a Setup under the next id, commits it, makes it the loaded one and returns it, see `get_setup`.

        Args:
            yaml: YAML text with the root key `Setup`.
            description: what was changed and why.
            author: who submits, `user@host:pid`; filled in by the proxy.

        Raises:
            ObservationError: during an observation.
            SetupError: when it is not valid or cannot be committed.
        """

    @observe
    @dynamic_interface
    def list_setups(self, filters: dict[str, Any]) -> list[list[Any]]:
        """Returns `[id, site, description, camera]` of every Setup that fits.

        Args:
            filters: wanted values by place, `{"camera__ID": "achel"}`; all must fit.
        """

    @observe
    @dynamic_interface
    def check_setups(self) -> list[dict[str, Any]]:
        """Returns what is wrong with the Setups, their repository and its remote; empty when all is well.

        Returns:
            For each finding its `name`, a `text` and the next `step`, see docs/setups.md.
        """

    @dynamic_interface
    def sync_setups(self, start: bool = True) -> dict[str, Any]:
        """Has what is new on the remote taken over and what is new here pushed, soon; it is done by itself as well.

        Args:
            start: False only tells how the last attempt ended.

        Returns:
            `attempts` (how many have ended), `state` of the last one (no remote, done, pending, remote-away,
            remote-refuses, remote-ahead, diverged), `text` and `step`.
        """

    @observe
    @dynamic_interface
    def get_site_id(self) -> str:
        """Returns the site id."""


class ConfigurationManagerProxy(DynamicProxy, ConfigurationManagerInterface):
    """Client of the configuration manager."""

    settings_name = "Configuration Manager Control Server"
    server_name = "cm_cs"

    def start_observation(
        self,
        run_id: str,
        function: str,
        description: str,
        supervised: bool,
        lease: float,
        details: dict[str, Any],
        origin: str = "",
    ) -> dict[str, Any]:
        """See `ConfigurationManagerInterface.start_observation`; says who asks."""
        return super().start_observation(
            run_id, function, description, supervised, lease, details, origin or command_origin()
        )

    def give_verb(self, verb: str, reason: str = "", run_id: str = "", by: str = "") -> dict[str, Any]:
        """See `ConfigurationManagerInterface.give_verb`; says who asks."""
        return super().give_verb(verb, reason, run_id, by or command_origin())

    def answer_question(self, answer: str, key: str = "", run_id: str = "", by: str = "") -> dict[str, Any]:
        """See `ConfigurationManagerInterface.answer_question`; says who answers."""
        return super().answer_question(answer, key, run_id, by or command_origin())

    def submit_setup(self, yaml: str, description: str, author: str = "") -> dict[str, Any]:
        """See `ConfigurationManagerInterface.submit_setup`; says who asks."""
        return super().submit_setup(yaml, description, author or command_origin())
