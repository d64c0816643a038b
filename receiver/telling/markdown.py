"""Text of unknown origin, made harmless for Discord's markdown and short enough for its limits.

Discord's documents count "characters" without defining them; here everything is counted in UTF-16
code units, the strictest reading (discord/discord-api-docs, developers/resources/message.mdx).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

_KNOWN_URL_CHARACTERS = "/:?#@!$&'*+,;=-._~%"
_MARKDOWN = re.compile(r"[\\*_~`|>#\[\]()<]")
_UNIT = re.compile(r"\\.|@\u200b|.", re.DOTALL)
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
)  # look empty, yet are letters, marks or symbols to Unicode
_MAX_MARKS = 3  # combining marks on one letter; more is a tower that covers the lines around it
_MAX_URL = 400


def utf16_len(text: str) -> int:
    """How many UTF-16 code units ``text`` has: an emoji counts 2."""
    return len(text) + sum(character > "\uffff" for character in text)


def _visible(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if character.isspace() or category[0] == "Z":
            yield " "
        elif category[0] != "C" and character not in _INVISIBLE and marks <= _MAX_MARKS:
            yield character


def plain(text: str, limit: int) -> str:
    """One line of at most ``limit`` units without control, invisible or direction-changing characters."""
    kept: list[str] = []
    for character in _visible(text):
        if character != " " or (kept and kept[-1] != " "):
            kept.append(character)
        if len(kept) > limit + 1:
            break  # a long text is not read to its end
    return _shorten(list("".join(kept).strip()), limit)


def clean(text: str, limit: int) -> str:
    """``plain`` text that Discord shows letter by letter: no markdown, no link, no mention takes effect.

    The limit counts the escapes too; an escape is never cut in two.
    """
    line = plain(text, limit + 1)
    line = _MARKDOWN.sub(r"\\\g<0>", line).replace("@", "@\u200b").replace("://", ":\\//")
    line = re.sub(r"^(\d+)([.])|^([-+])", _escape_list, line)
    return _shorten(_UNIT.findall(line), limit)


def _escape_list(match: re.Match[str]) -> str:
    return f"{match[1]}\\{match[2]}" if match[1] else f"\\{match[3]}"


def _shorten(units: list[str], limit: int) -> str:
    """As many whole ``units`` as fit; what is left out is shown by "…"."""
    if utf16_len("".join(units)) <= limit:
        return "".join(units)
    used, kept = 1, []
    for unit in units:
        used += utf16_len(unit)
        if used > limit:
            break
        kept.append(unit)
    return "".join(kept).rstrip() + "…" if limit > 0 else ""


def safe_url(url: str) -> str:
    """``url`` fit for a masked link; "" where it is not an http(s) URL that a person may be sent to."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and re.fullmatch(r"[\w.-]+(:\d+)?", parts.netloc)
        encoded = quote(url, safe=_KNOWN_URL_CHARACTERS) if known else ""
    except ValueError:  # brackets that do not match, lone surrogates
        return ""
    return encoded if len(encoded) <= _MAX_URL else ""
