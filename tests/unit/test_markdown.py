"""Text of unknown origin: what clean() and safe_url() leave of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.telling.markdown import clean, plain, safe_url, utf16_len

BLANK = "@\u200b"

CLEAN = {
    "plain words stay": ("Sermon Uploader is down", "Sermon Uploader is down"),
    "emphasis": ("*a* _b_ ~~c~~ ||d||", r"\*a\* \_b\_ \~\~c\~\~ \|\|d\|\|"),
    "code fence": ("```sh\nrm\n```", r"\`\`\`sh rm \`\`\`"),
    "backslash": (r"C:\dir\*", r"C:\\dir\\\*"),
    "masked link": ("[free](https://evil.example)", r"\[free\]\(https:\//evil.example\)"),
    "bare link": ("see http://evil.example", r"see http:\//evil.example"),
    "everyone": ("@everyone @here", f"{BLANK}everyone {BLANK}here"),
    "mentions": ("<@1> <@&2> <#3>", rf"\<{BLANK}1\> \<{BLANK}&2\> \<\#3\>"),
    "fake time": ("<t:1:R>", r"\<t:1:R\>"),
    "heading": ("# Big", r"\# Big"),
    "quote": (">>> all of it", r"\>\>\> all of it"),
    "list": ("- item", r"\- item"),
    "numbered list": ("1. item", r"1\. item"),
    "small print": ("-# psst", r"\-\# psst"),
    "lines become one": ("a\r\n\tb\u2028c\x0bd", "a b c d"),
    "control characters": ("a\x00\x1b[31mb\x7f\x9b", r"a\[31mb"),
    "direction tricks": ("abc\u202egpj.exe\u2066\u200f", "abcgpj.exe"),
    "zero width": ("a\u200bb\u200d\ufeffc\u2060\u00ad", "abc"),
    "looks empty": ("\u3164\u2800\u115f", ""),
    "lone surrogate": ("a\ud800b", "ab"),
    "tag characters": ("a\U000e0041b", "ab"),
    "a tower of marks": ("e" + "\u0301" * 50, "e" + "\u0301" * 3),
    "other scripts stay": ("Привет 你好 🔥", "Привет 你好 🔥"),
}


@pytest.mark.parametrize(("text", "expected"), CLEAN.values(), ids=CLEAN)
def test_clean(text: str, expected: str) -> None:
    assert clean(text, 200) == expected


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("ab cdefg", 4, "ab…"),
        ("****", 8, r"\*\*\*\*"),
        ("****", 7, r"\*\*\*…"),
        ("****", 6, r"\*\*…"),
        ("a🔥🔥", 5, "a🔥🔥"),
        ("a🔥🔥", 4, "a🔥…"),
        ("a🔥🔥", 3, "a…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_clean_cuts_no_escape_and_no_emoji_in_two(text: str, limit: int, expected: str) -> None:
    assert clean(text, limit) == expected


def test_a_very_long_text_is_not_read_to_its_end() -> None:
    class Endless(str):
        __slots__ = ()

        def __iter__(self) -> Any:
            while True:
                yield "x"

    assert plain(Endless(), 10) == "xxxxxxxxx…"


@given(st.text(), st.integers(0, 60))
def test_clean_keeps_its_limit_and_leaves_nothing_active(text: str, limit: int) -> None:
    result = clean(text, limit)
    assert utf16_len(result) <= limit
    unescaped = re.sub(r"\\[^A-Za-z0-9\s]", "x", result)
    assert not re.search(r"[\\*_~`|>#\[\]()<]|://|@(?!\u200b)|^[-+]|^\d+\.", unescaped)
    assert "\n" not in result


def test_utf16_len_counts_as_utf16_does() -> None:
    assert [utf16_len(text) for text in ("", "abc", "é", "🔥", "a🔥b")] == [0, 3, 1, 2, 4]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/a?b=c#d", "https://example.org/a?b=c#d"),
        ("http://pi:3000/d/x?v={a}", "http://pi:3000/d/x?v=%7Ba%7D"),
        ("https://example.org/a) **b** [c](d", "https://example.org/a%29%20**b**%20%5Bc%5D%28d"),
        ("https://discord.com@evil.example/", ""),
        ("javascript:alert(1)", ""),
        ("https://", ""),
        ("http://[::1", ""),
        ("https://example.org/\ud800", ""),
        ("https://example.org/" + "a" * 400, ""),
        ("", ""),
    ],
)
def test_safe_url(url: str, expected: str) -> None:
    assert safe_url(url) == expected
