"""Alerts to a Slack channel (developer manual, section 14.1), in a minimal form: one text to one incoming webhook.

The webhook comes from the Settings:

    SLACK:
      WEBHOOK: https://hooks.slack.com/services/...     # a secret: in the local settings only

An alert never disturbs what it is about: without a webhook, or when it cannot be delivered, that is logged and no more.
"""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit

from egse.settings import Settings, SettingsError

LOGGER = logging.getLogger(__name__)

SETTINGS: Final = "SLACK"
TIMEOUT: Final = 3.0
"""How long the delivery of an alert may take [s]."""
LONGEST: Final = 4000
"""Longer texts are cut: the limit of a Slack message [characters]."""


def send_alert(msg: str, *, timeout: float = TIMEOUT) -> bool:
    """Sends a text to the Slack channel of this site.

    Args:
        msg: what has happened.
        timeout: how long to try [s].

    Returns:
        True when it was delivered; False when not, which is logged. Nothing is raised: the loop that sends alerts goes on.
    """
    webhook = _webhook()
    if not webhook:
        LOGGER.warning("alert, not sent (no WEBHOOK in the settings, block %s): %s", SETTINGS, msg)
        return False
    body = json.dumps({"text": str(msg)[:LONGEST]}).encode()
    try:
        request = urllib.request.Request(webhook, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            reply.read(100)
    except (OSError, ValueError, HTTPException) as exc:  # URLError and HTTPError are OSErrors
        if isinstance(exc, urllib.error.HTTPError):
            exc.close()
        LOGGER.error("alert, not delivered (%s): %s", exc, msg)
        return False
    return True


def _webhook() -> str:
    """Returns the address; empty when there is none, or one that is no web address (logged)."""
    try:
        webhook = str(Settings.load(SETTINGS).get("WEBHOOK") or "")
    except SettingsError:
        return ""
    if webhook and urlsplit(webhook).scheme not in ("http", "https"):
        LOGGER.error("the WEBHOOK in the settings, block %s, is no web address", SETTINGS)
        return ""
    return webhook
