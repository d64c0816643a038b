"""A card in a terminal shows all that the message says, and nothing in it drives the terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from tests.standins.discord_limits import pings_of
from tests.standins.discord_message import Message, Version
from tests.standins.terminal_card import markdown, moment, print_card, relative

NOW = 1_790_000_000.0
THEN = datetime.fromtimestamp(NOW, UTC)
BODY: dict[str, Any] = {
    "content": "<@&3> **down** \x1b[31m",
    "allowed_mentions": {"roles": ["3"]},
    "components": [
        {"type": 1, "components": [{"type": 2, "style": 5, "label": "Run", "url": "https://r/"}]}
    ],
    "embeds": [
        {
            "title": "ServiceDown",
            "description": f"since <t:{int(NOW)}:R>\n```\nlog *line*\n```\n[book](https://b/) \\*",
            "color": 0xE74C3C,
            "fields": [
                {"name": "A", "value": "1", "inline": True},
                {"name": "B", "value": "2", "inline": True},
                {"name": "C", "value": "- `3`", "inline": False},
            ],
            "footer": {"text": "incident 7"},
        }
    ],
}


def shown(edited: bool) -> str:
    message = Message("1", "2", "3", None, "Sermon Monitor", NOW)
    message.versions.append(Version(NOW, BODY, pings_of(BODY["content"], BODY)))
    out = io.StringIO()
    print_card(message, edited, Console(file=out, width=88, force_terminal=False))
    return out.getvalue()


@pytest.mark.parametrize(
    "text",
    ["@role 3", "down ␛[31m", "▌ ServiceDown", "log *line*", "book *", "▌ A", "• 3"],
)
def test_the_card_shows(text: str) -> None:
    assert text in shown(edited=False)


def test_the_card_has_its_ends_and_no_marks() -> None:
    card = shown(edited=False)
    assert "incident 7" in card
    assert "Run ↗" in card
    assert "https://r/" in card
    assert "**" not in card
    assert "\x1b" not in card
    assert "(edited" in shown(edited=True)
    assert "pings" not in shown(edited=True)


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("# Head\n> quote\n-# small", "Head\n▎quote\nsmall"),
        ("a_b_c *it* __u__ ~~s~~", "a_b_c it u s"),
        (f"<t:{int(NOW) - 7200}:R>", "2 hours ago"),
        ("```py\nx = 1\n```", "x = 1"),
        ("an `*exact*` word", "an *exact* word"),
        ("**bold with `code`**", "bold with code"),
    ],
)
def test_markdown(source: str, plain: str) -> None:
    assert markdown(source, THEN).plain == plain


def test_times_as_a_reader_sees_them() -> None:
    assert relative(60) == "in 1 minute"
    assert relative(-90_000) == "1 day ago"
    assert moment(10**15, "f", THEN) == "Invalid date"
