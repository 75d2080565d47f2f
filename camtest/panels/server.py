"""The Jupyter server extension: routes that work while every kernel is busy or dead, guarded by the token of the server.

    POST camtest/verb           {"verb": "abort", "reason": "..."}: passed on to the configuration manager
    GET  camtest/status.json    what is running, what is wrong, the next action
    GET  camtest/session.json   site, Setup, running observation and mode, for the bar at the top of JupyterLab
    GET  camtest/launcher.json  panels, notebooks and procedures, for the launcher of JupyterLab
    GET  camtest                the index of the panels
    GET  camtest/status         the status page

A button of a panel posts from the browser to the Jupyter server, which asks the configuration manager in its own process: a
cell that runs in the kernel does not delay it.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.ioloop import IOLoop

from camtest.jupyter.offline import keep_in_bounds, keep_up
from camtest.panels import pages, site_status
from camtest.panels.errors import one_line
from egse.confman import ConfigurationManagerProxy, ObservationError
from egse.confman.desk import RANKS

TIMEOUT = 8.0
"""How long the configuration manager may take to accept a verb [s]."""
LONGEST_REASON = 500
"""Characters of a reason; more is cut off."""
REFUSALS = (ObservationError, PermissionError, ValueError)

# A verb must not wait behind questions for the status.
_verbs = ThreadPoolExecutor(4, thread_name_prefix="camtest-verb")
_looks = ThreadPoolExecutor(2, thread_name_prefix="camtest-status")


def give_verb(verb: str, reason: str = "", run_id: str = "") -> dict[str, Any]:
    """Passes a verb on to the configuration manager and returns what it answers: the operator's desk.

    Args:
        verb: pause, resume, stop, abort, halt, continue or retry.
        reason: why, for the record.
        run_id: the observation; the running one by default.
    """
    with ConfigurationManagerProxy(timeout=TIMEOUT) as manager:
        return dict(manager.give_verb(verb=verb, reason=reason[:LONGEST_REASON], run_id=run_id))


class _Handler(JupyterHandler):
    """A route; everything that is not authenticated is refused, never redirected to somewhere else."""

    def give_cookie(self) -> None:
        """Sets the cookie that a POST from a page has to repeat in its header."""
        str(self.xsrf_token)

    def answer(self, content: dict[str, Any], status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(content, default=str))

    def page(self, text: str) -> None:
        self.give_cookie()
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(text)


class VerbHandler(_Handler):
    """Passes verbs on."""

    @web.authenticated
    async def get(self) -> None:
        """Gives the page the cookie that it needs for `post`, and says which verbs there are."""
        self.give_cookie()
        self.answer({"verbs": list(RANKS)})

    @web.authenticated
    async def post(self) -> None:
        """Takes `verb`, `reason` and `run_id` as JSON; answers 409 with the reason when it is refused."""
        body = self.get_json_body() or {}
        verb = str(body.get("verb", "")) if isinstance(body, dict) else ""
        if verb not in RANKS:
            self.answer({"error": f"{verb!r} is no verb; use {', '.join(RANKS)}"}, 400)
            return
        action = partial(give_verb, verb, str(body.get("reason", "")), str(body.get("run_id", "")))
        try:
            desk = await IOLoop.current().run_in_executor(_verbs, action)
        except REFUSALS as exc:
            self.answer({"error": one_line(exc)}, 403 if isinstance(exc, PermissionError) else 409)
        except (OSError, LookupError) as exc:
            self.answer({"error": f"the configuration manager did not take it: {one_line(exc)}"}, 503)
        else:
            self.log.info("camtest: %s passed on", verb)
            self.answer({"verb": verb, "run_id": desk.get("run_id", ""), "state": desk.get("state", "")})


class StatusHandler(_Handler):
    """Tells how the site is."""

    @web.authenticated
    async def get(self) -> None:
        """Answers `camtest.panels.site_status.SiteStatus` as JSON; looked at anew at most every two seconds."""
        status = await IOLoop.current().run_in_executor(_looks, site_status.recent)
        self.answer(status.as_dict())


class SessionHandler(_Handler):
    """Tells site, Setup, running observation and mode, which every page shows."""

    @web.authenticated
    async def get(self) -> None:
        """Answers `camtest.panels.site_status.session` as JSON; looked at anew at most every two seconds."""
        self.answer(await IOLoop.current().run_in_executor(_looks, site_status.session))


class LauncherHandler(_Handler):
    """Lists what JupyterLab has cards for in its launcher."""

    @web.authenticated
    async def get(self) -> None:
        """Answers `entries`, see `camtest.panels.pages.launcher_entries`."""
        root = Path(self.settings.get("server_root_dir", ".")).expanduser()
        self.answer({"entries": pages.launcher_entries(root)})


class PageHandler(_Handler):
    """The pages that need no kernel."""

    def initialize(self, which: str) -> None:
        """Takes which page it is: `index` or `status`."""
        self._which = which

    @web.authenticated
    async def get(self) -> None:
        """Answers the page."""
        theme = "dark" if self.get_argument("theme", "") == "dark" else ""
        make = pages.status_page if self._which == "status" else pages.index_page
        self.page(make(self.base_url, theme))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "camtest.panels.server"}]


def _hide_kernels(server: Any) -> None:
    """Has kernels encrypt what goes over their ports, where nothing else was chosen: any user of this machine could read it."""
    manager = server.kernel_manager
    over_ports = server.config.KernelManager.get("transport", "tcp") == "tcp"
    if over_ports and getattr(manager, "transport_encryption", "") == "disabled":
        manager.transport_encryption = "auto"


def _load_jupyter_server_extension(server: Any) -> None:
    """Adds the routes to a Jupyter server."""
    _hide_kernels(server)
    if not keep_in_bounds(server.kernel_manager):
        server.log.warning(
            "camtest: what live panels tell while their browser is away is kept without bounds"
        )
    if not keep_up(server.web_app.settings):
        server.log.warning(
            "camtest: what live panels tell a browser behind a slow line is kept without bounds"
        )
    base = server.web_app.settings["base_url"]
    server.web_app.add_handlers(
        ".*$",
        [
            (url_path_join(base, "camtest", "verb"), VerbHandler),
            (url_path_join(base, "camtest", "status.json"), StatusHandler),
            (url_path_join(base, "camtest", "session.json"), SessionHandler),
            (url_path_join(base, "camtest", "launcher.json"), LauncherHandler),
            (url_path_join(base, "camtest", "status"), PageHandler, {"which": "status"}),
            (url_path_join(base, "camtest") + "/?", PageHandler, {"which": "index"}),
        ],
    )
    server.log.info("camtest: STOP and ABORT are passed on at %s", url_path_join(base, "camtest", "verb"))
