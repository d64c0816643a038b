"""Link buttons below a card: all that a webhook without an application may send. Pure.

Facts are from discord/discord-api-docs: developers/resources/webhook.mdx (``with_components``, without
which they are dropped in silence) and developers/components/reference.mdx (label 80, URL 512, five in
a row).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from receiver.telling.card import ApprovalLine
from receiver.telling.markdown import plain

_ROW, _BUTTON, _LINK = 1, 2, 5
_MOST: Final = 5
_LONGEST_URL: Final = 512
_LONGEST_LABEL: Final = 76
_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1")


def reachable(url: str) -> bool:
    """Whether Discord takes the address and a telephone could open it: a name with a dot, no loopback."""
    host = urlsplit(url).hostname or ""
    return "." in host and not _LOOPBACK.fullmatch(host)


def components(approvals: Sequence[ApprovalLine]) -> list[dict[str, Any]]:
    """One row with a button for each question, the newest first; empty where none can be reached."""
    fit = [a for a in approvals if a.url and reachable(a.url) and len(a.url) <= _LONGEST_URL]
    buttons = [
        {
            "type": _BUTTON,
            "style": _LINK,
            "label": plain(f"Yes or no: {one.title}", _LONGEST_LABEL),
            "url": one.url,
        }
        for one in reversed(fit)
    ]
    return [{"type": _ROW, "components": buttons[:_MOST]}] if buttons else []


def secrets_in(body: Mapping[str, Any]) -> list[SecretStr]:
    """The secret part of each link: Discord's answer may repeat it, our words must not."""
    rows = body.get("components") or ()
    return [
        SecretStr(button["url"].rpartition("/")[2]) for row in rows for button in row["components"]
    ]
