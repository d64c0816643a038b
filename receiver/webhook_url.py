"""The address of a Discord webhook, whose path is the secret. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_HOSTS = re.compile(r"(?:(?:ptb|canary)\.)?discord(?:app)?\.com")
_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1")
_PATH = re.compile(r"/api(?:/v\d{1,2})?(/webhooks/\d{1,20}/([A-Za-z0-9_-]{1,200}))/?")
_QUERY = re.compile(r"(?:thread_id=\d{1,20})?")


def validate_webhook_url(url: str) -> str:
    """``url`` as it is used: API version 10 on Discord's own hosts, unchanged on a loopback host.

    A query ``thread_id=…`` is kept. Raises ValueError in words that do not hold the token.
    """
    allowed = ValueError("allowed: https://discord.com/api/webhooks/ID/TOKEN, as Discord shows it")
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise allowed from None
    path = _PATH.fullmatch(parts.path)
    if not path or "@" in parts.netloc or parts.fragment or not _QUERY.fullmatch(parts.query):
        raise allowed
    query = f"?{parts.query}" if parts.query else ""
    if _LOOPBACK.fullmatch(host) and parts.scheme in ("http", "https"):
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}{query}"
    if not _HOSTS.fullmatch(host) or parts.scheme != "https" or port not in (None, 443):
        raise allowed
    return f"https://{host}/api/v10{path[1]}{query}"
