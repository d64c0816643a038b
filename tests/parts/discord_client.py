"""The Discord notifier under test, and an incident for it to tell of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from pydantic import SecretStr

from receiver.http import Http
from receiver.notifiers.discord import Discord
from receiver.notifiers.limiter import Limiter
from receiver.telling.card import AlertLine, IncidentView
from tests.parts.outgoing import Time

NIGHT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
ALERT = AlertLine("ServiceDown", "critical", "app", "It is down", "", True, NIGHT, None, "", "", 0)
VIEW = IncidentView(
    id=12,
    service="sermon-uploader",
    state="open",
    severity="critical",
    opened_at=NIGHT,
    resolved_at=None,
    reopened=0,
    alerts=(ALERT,),
    steps=(),
    coming=(),
    person_called=False,
    contacts="",
    truncated=0,
    dry=False,
    public_url="",
    verdict="",
)
OVER = replace(VIEW, state="resolved", resolved_at=NIGHT, verdict="v1 runs again")
TOKEN = "tok-En_0123456789"
WEBHOOK = f"/api/v10/webhooks/77/{TOKEN}"
ROLE = "<@&4242>"


def discord(http: Http, url: str, time: Time | None = None, mention: str | None = ROLE) -> Discord:
    time = time or Time()
    return Discord(http, SecretStr(url), mention, Limiter(time, time.sleep))
