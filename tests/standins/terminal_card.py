"""A Discord message in a terminal, as a person would see it in the channel. It hides nothing."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from tests.standins.discord_message import Message

WIDTH = 88
_PRINTING = threading.Lock()
_GREY = "grey62"
_INLINE = re.compile(
    r"```(?:\w*\n)?(?P<fence>.*?)```|`(?P<code>[^`\n]+)`"
    r"|<t:(?P<time>-?\d+)(?::(?P<style>[tTdDfFsSR]))?>"
    r"|(?P<mention><@[!&]?\d+>|@everyone|@here)"
    r"|\[(?P<label>[^\]\n]+)\]\((?P<link>[^)\s]+)\)"
    r"|\*\*(?P<bold>.+?)\*\*|__(?P<under>.+?)__|~~(?P<strike>.+?)~~"
    r"|(?<![\w*])\*(?P<italic>[^*\n]+?)\*|(?<!\w)_(?P<slanted>[^_\n]+?)_(?!\w)"
    r"|\\(?P<escaped>[^\w\s])",
    re.DOTALL,
)
_NESTED = {
    "bold": "bold",
    "under": "underline",
    "strike": "strike",
    "italic": "italic",
    "slanted": "italic",
}
_LINE = re.compile(r"^(?:(?P<heading>#{1,3}) |(?P<small>-# )|(?P<quote>> )|(?P<item>[-*] ))?(.*)$")
_TIME_STYLES = {
    "t": "%H:%M",
    "T": "%H:%M:%S",
    "d": "%d/%m/%Y",
    "D": "%d %B %Y",
    "f": "%d %B %Y %H:%M",
    "F": "%A, %d %B %Y %H:%M",
    "s": "%d/%m/%Y %H:%M",
    "S": "%d/%m/%Y %H:%M:%S",
}


def print_card(message: Message, edited: bool, console: Console | None = None) -> None:
    """Print the message; cards of several threads do not mix."""
    with _PRINTING:
        out = console or Console(file=sys.stdout, width=WIDTH, highlight=False)
        out.print(Padding(render(message, edited, datetime.now(UTC)), (0, 0, 1, 0)))


def render(message: Message, edited: bool, now: datetime) -> RenderableType:
    """The message as rich draws it; ``now`` is what relative times count from."""
    parts: list[RenderableType] = [_headline(message, edited)]
    if message.content:
        parts.append(markdown(message.content, now))
    seen: set[str] = set()
    for embed in message.embeds:
        url = embed.get("url")
        if url is None or url not in seen:  # of embeds with one url only the first is shown
            parts.append(_Bar(_embed(embed, now), _colour(embed.get("color"))))
        seen.update([url] if url else [])
    for row in message.components:
        parts.append(_buttons(row))
    for one in message.attachments:
        parts.append(Text(f"📎 {one['filename']} ({one['size'] / 1024:.1f} KiB)", style=_GREY))
    return Group(*parts)


def _headline(message: Message, edited: bool) -> Text:
    line = Text()
    line.append(visible(message.username), style="bold")
    line.append(" APP ", style="white on rgb(88,101,242)")
    at = datetime.fromtimestamp(message.versions[-1].at, UTC).astimezone()
    line.append(f" {at:%H:%M:%S}", style=_GREY)
    line.append(f"  (edited, {message.edits}×)" if edited else "", style=_GREY)
    pings = message.pings
    if pings and not edited:
        named = [f"@user {one}" for one in pings.users] + [f"@role {one}" for one in pings.roles]
        named += ["@everyone"] if pings.everyone else []
        line.append(f"  🔔 pings {', '.join(named)}", style="yellow")
    if pings.silent and not edited:
        line.append("  🔕 silent", style=_GREY)
    return line


class _Bar:
    """A renderable with Discord's coloured bar at its left."""

    def __init__(self, inner: RenderableType, colour: str) -> None:
        self._inner = inner
        self._style = Style(color=colour)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        inside = options.update_width(max(10, options.max_width - 2))
        for line in console.render_lines(self._inner, inside, pad=False):
            yield Segment("▌ ", self._style)
            yield from line
            yield Segment.line()


def _embed(embed: Mapping[str, Any], now: datetime) -> RenderableType:
    parts: list[RenderableType] = []
    author = (embed.get("author") or {}).get("name")
    if author:
        parts.append(Text(visible(author), style="bold"))
    if embed.get("title"):
        parts.append(markdown(embed["title"], now, base="bold"))
    if embed.get("url"):
        parts.append(Text(visible(embed["url"]), style="blue underline"))
    if embed.get("description"):
        parts.append(markdown(embed["description"], now))
    parts += _fields(embed.get("fields") or [], now)
    footer = (embed.get("footer") or {}).get("text")
    stamp = embed.get("timestamp")
    if footer or stamp:
        shown = [visible(footer)] if footer else []
        shown += [f"{datetime.fromisoformat(stamp).astimezone():%d/%m/%Y %H:%M}"] if stamp else []
        parts.append(Text(" • ".join(shown), style=_GREY))
    return Group(*parts)


def _fields(fields: list[dict[str, Any]], now: datetime) -> Iterator[RenderableType]:
    """Inline fields stand side by side, three in a row; others have a line of their own."""
    waiting: list[dict[str, Any]] = []
    for field in [*fields, {"inline": False, "name": None}]:
        if field["inline"]:
            waiting.append(field)
        if waiting and (len(waiting) == 3 or not field["inline"]):
            row = Table.grid(padding=(0, 2), expand=False)
            row.add_row(*(_field(one, now) for one in waiting))
            yield row
            waiting = []
        if not field["inline"] and field["name"] is not None:
            yield _field(field, now)


def _field(field: Mapping[str, Any], now: datetime) -> RenderableType:
    return Group(markdown(field["name"], now, base="bold"), markdown(field["value"], now))


def _buttons(row: Mapping[str, Any]) -> Text:
    line = Text()
    for button in row.get("components") or ():
        line.append(f" {visible(str(button.get('label') or '↗'))} ↗ ", style="white on grey30")
        line.append(f" {visible(str(button.get('url')))}  ", style="blue underline")
    return line


def markdown(text: str, now: datetime, base: str = "") -> Text:
    """Discord's markdown, lightly: bold, italic, code, links, quotes, lists, headings, times."""
    shown = Text(style=base)
    position = 0
    for found in re.finditer(r"```.*?```", text, re.DOTALL):
        _lines(shown, text[position : found.start()], now)
        shown.append_text(_inline(found[0], now))
        position = found.end()
    _lines(shown, text[position:], now)
    return shown


def _lines(shown: Text, text: str, now: datetime) -> None:
    for number, line in enumerate(text.split("\n")):
        match = _LINE.match(line)
        marks = match.groupdict() if match else {}
        body = match[5] if match else line
        style = "bold" if marks.get("heading") else _GREY if marks.get("small") else ""
        prefix = "▎" if marks.get("quote") else "• " if marks.get("item") else ""
        shown.append("\n" if number else "")
        shown.append(prefix, style=_GREY)
        part = _inline(body, now)
        part.stylize(style)
        shown.append_text(part)


def _inline(text: str, now: datetime) -> Text:
    shown, position = Text(), 0
    for found in _INLINE.finditer(text):
        shown.append(visible(text[position : found.start()]))
        kind = found.lastgroup or ""
        drawn = _DRAWN.get("time" if kind == "style" else kind)
        shown.append_text(drawn(found, now) if drawn else _nested(found, kind, now))
        position = found.end()
    shown.append(visible(text[position:]))
    return shown


def _nested(found: re.Match[str], kind: str, now: datetime) -> Text:
    inner = _inline(found[kind], now)
    inner.stylize(_NESTED[kind])
    return inner


def moment(seconds: int, style: str, now: datetime) -> str:
    """``<t:SECONDS:STYLE>`` as a reader sees it, in this machine's time zone."""
    if style == "R":
        return relative(seconds - now.timestamp())
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone().strftime(_TIME_STYLES[style])
    except (ValueError, OverflowError, OSError):
        return "Invalid date"  # Discord's own words


def relative(seconds: float) -> str:
    """``in 5 minutes``, ``2 hours ago``; the largest whole unit."""
    amount, unit = max(1, round(abs(seconds))), "second"
    for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if amount >= size:
            amount, unit = amount // size, name
            break
    words = f"{amount} {unit}{'' if amount == 1 else 's'}"
    return f"in {words}" if seconds > 0 else f"{words} ago"


def visible(text: str) -> str:
    """Control characters as symbols: what arrives must not drive the terminal."""
    return re.sub(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f]",
        lambda found: chr(0x2400 + ord(found[0])) if ord(found[0]) < 0x20 else "\ufffd",
        text,
    )


def _colour(value: int | None) -> str:
    return f"#{value:06x}" if value else "#4f545c"


_DRAWN: dict[str, Callable[[re.Match[str], datetime], Text]] = {
    "fence": lambda found, _now: Text(visible(found["fence"]).strip("\n"), style="on grey15"),
    "code": lambda found, _now: Text(visible(found["code"]), style="on grey19"),
    "time": lambda found, now: Text(
        moment(int(found["time"]), found["style"] or "f", now), style="on grey19"
    ),
    "mention": lambda found, _now: Text(found["mention"], style="bold rgb(88,101,242)"),
    # As on Discord only the words are seen; a terminal that can opens the address on a click.
    "link": lambda found, _now: Text(
        visible(found["label"]), style=Style(underline=True, link=visible(found["link"]))
    ),
    "escaped": lambda found, _now: Text(found["escaped"]),
}
