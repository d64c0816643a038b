"""Whether a message to Discord would arrive: the webhook is looked up, nothing is posted."""

from __future__ import annotations

import json
import re

from recovery.deployments import Facts
from recovery.finding import Finding
from recovery.http import Reply, ask
from recovery.run import Session

WEBHOOK = re.compile(
    r"(?:https://(?:(?:ptb|canary)\.)?discord(?:app)?\.com|https?://(?:localhost|127\.[\d.]+)(?::\d+)?)"
    r"/api(?:/v\d{1,2})?/webhooks/\d{1,20}/[A-Za-z0-9_-]{1,200}/?"
)
"""discord/discord-api-docs, developers/resources/webhook.mdx; a loopback host is somebody's test."""
NEW = "make a new webhook in Discord (channel settings, Integrations) and set DISCORD_WEBHOOK_URL"


def discord(session: Session, _: Facts) -> list[Finding]:
    """Get Webhook with Token needs no other rights and posts nothing."""
    secret = session.settings.discord_webhook_url
    if secret is None:
        words = "DISCORD_WEBHOOK_URL is not set: nobody is told"
        return [Finding("warning", "Discord", words, NEW)]
    url = secret.get_secret_value().strip().partition("?")[0]
    if not WEBHOOK.fullmatch(url):
        return [
            Finding("problem", "Discord", "DISCORD_WEBHOOK_URL is no address of a webhook", NEW)
        ]
    reply = ask(url)
    return [_judged(reply)]


def _judged(reply: Reply) -> Finding:
    match reply.status:
        case None:
            words = f"not reached: {reply.words}"
            return Finding("problem", "Discord", words, "sermon-recovery network-test")
        case 200:
            words = f"the webhook {_name(reply.body)}is there; nothing was posted"
            return Finding("ok", "Discord", words)
        case 401 | 404:
            return Finding("problem", "Discord", f"the webhook is gone ({reply.words})", NEW)
        case 429:
            words = "it takes nothing right now (HTTP 429)"
            return Finding("warning", "Discord", words, "wait some minutes")
        case _:
            words = f"it answers {reply.words}"
            return Finding("warning", "Discord", words, "https://discordstatus.com")


def _name(body: bytes) -> str:
    try:
        return f"{json.loads(body)['name']!s:.80} "
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
