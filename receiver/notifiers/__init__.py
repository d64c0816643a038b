"""NOTIFIERS: every place where people can read the cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from pydantic import SecretStr

from receiver.http import Http
from receiver.notifiers.discord import Discord
from receiver.notifiers.dry import Dry
from receiver.telling.delivery import Notifier


class Destinations(Protocol):
    """The settings that name where cards go."""

    @property
    def discord_webhook_url(self) -> SecretStr | None: ...

    @property
    def discord_mention(self) -> str | None: ...


def _discord(http: Http, settings: Destinations) -> Notifier | None:
    url = settings.discord_webhook_url
    return Discord(http, url, settings.discord_mention) if url else None


NOTIFIERS: Mapping[str, Callable[[Http, Destinations], Notifier | None]] = {
    "discord": _discord,
}
"""Name to factory; a factory answers None where its destination is not configured."""


def configured(http: Http, settings: Destinations) -> tuple[Notifier, ...]:
    """The notifiers of every configured destination; the dry one where there is none."""
    made = (factory(http, settings) for factory in NOTIFIERS.values())
    return tuple(notifier for notifier in made if notifier) or (Dry(),)
