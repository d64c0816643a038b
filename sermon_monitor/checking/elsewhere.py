"""What ``check`` says of FALLBACK_URLS; ``--send`` tells people that way, too."""

from __future__ import annotations

from receiver.notifiers.elsewhere import Elsewhere
from receiver.telling.delivery import DeliveryError
from sermon_monitor.finding import Finding
from sermon_monitor.settings import Settings

_WHAT = "fallback"
_MEND = "see https://github.com/caronc/apprise/wiki for the form of each service; set FALLBACK_URLS"


async def elsewhere(settings: Settings, *, send: bool) -> list[Finding]:
    """Nothing where none is set. An address is a secret: it is named by its place."""
    if not settings.fallbacks:
        return []
    way = Elsewhere(settings.fallbacks)
    try:
        unknown = await way.unknown()
        if unknown:
            names = ", ".join(map(str, unknown))
            words = f"no service is known for address {names} of FALLBACK_URLS"
            return [Finding("problem", _WHAT, words, _MEND)]
        if not send:
            words = f"{len(settings.fallbacks)} addresses, where Discord takes nothing for too long"
            return [Finding("ok", _WHAT, words)]
        taken = await way.tell(
            "Sermon Monitor", "A test: this is how you are told when Discord is down."
        )
    except DeliveryError as error:
        return [Finding("problem", _WHAT, error.words, _MEND)]
    return [Finding("ok", _WHAT, f"told {taken}")]
