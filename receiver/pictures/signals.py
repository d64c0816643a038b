"""What an alert's rule compares: the curve and the threshold of its PromQL. Pure.

An expression is split where it means to be: at its outermost ``or``, ``and``, ``unless`` and comparison.
Precedence and comments: Prometheus' documentation, "Querying: operators" and "basics".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

COMPARISONS: Final = ("==", "!=", "<=", ">=", "<", ">")
LARGEST: Final = 1e15
"""What is beyond is no measure of ours, and no axis shows it."""
LONGEST_EXPRESSION: Final = 20_000
MOST_SIGNALS: Final = 4
"""Of one rule; each costs Prometheus a query."""
_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    |(?P<word>[A-Za-z_:][\w:.]*)
    |(?P<number>\d[\w.]*|\.\d+)
    |(?P<sign>==|!=|=~|!~|<=|>=|.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Signal:
    """An alert fires where ``curve`` compares so with ``threshold``."""

    curve: str
    """PromQL of the left side."""
    comparison: str
    threshold: float


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    depth: int
    begin: int
    end: int


def signals(expression: str) -> tuple[Signal, ...]:
    """Every signal of an expression, one for each of its alternatives; empty where it compares no curve with a number."""
    if len(expression) > LONGEST_EXPRESSION:
        return ()
    found = []
    for alternative in _split(expression, ("or",)):
        signal = _signal(alternative)
        if signal is not None:
            found.append(signal)
    return tuple(found[:MOST_SIGNALS])


def _signal(expression: str) -> Signal | None:
    """What must hold first is what the alert is about; what else it asks for (and, unless) only narrows it."""
    first = _split(expression, ("and", "unless"))[0]
    inner = _unwrapped(first)
    if inner != first:  # brackets around several alternatives are no one comparison
        return _signal(inner) if len(_split(inner, ("or",))) == 1 else None
    at = [t for t in _tokens(first) if t.depth == 0 and t.text in COMPARISONS]
    if len(at) != 1:
        return None
    curve, right = first[: at[0].begin].strip(), first[at[0].end :].strip()
    threshold = _number(right)
    if not curve or threshold is None or _number(curve) is not None:
        return None
    return Signal(curve, at[0].text, threshold)


def _tokens(text: str) -> list[_Token]:
    """``depth``: how many brackets are open around a token; an opening or closing one is inside its own."""
    found, depth = [], 0
    for match in _TOKEN.finditer(text):
        kind, sign = match.lastgroup or "sign", match.group()
        if kind == "space":
            continue
        inside = depth + (kind == "sign" and sign in "([{")
        found.append(_Token(kind, sign, inside, match.start(), match.end()))
        depth = inside - (kind == "sign" and sign in ")]}")
    return found


def _split(text: str, words: Sequence[str]) -> list[str]:
    cuts = [
        t for t in _tokens(text) if t.depth == 0 and t.kind == "word" and t.text.lower() in words
    ]
    begins = [0, *(cut.end for cut in cuts)]
    ends = [*(cut.begin for cut in cuts), len(text)]
    return [text[begin:end].strip() for begin, end in zip(begins, ends, strict=True)]


def _unwrapped(text: str) -> str:
    """Without brackets that are around the whole."""
    tokens = _tokens(text)
    whole = len(tokens) > 2 and tokens[0].text == "(" and tokens[-1].text == ")"
    if not whole or any(token.depth == 0 for token in tokens):
        return text
    opened = sum(token.text == "(" and token.depth == 1 for token in tokens)
    return text[tokens[0].end : tokens[-1].begin].strip() if opened == 1 else text


def _number(text: str) -> float | None:
    """Of a decimal literal; PromQL's hexadecimal and duration literals are nobody's threshold."""
    plain = re.sub(r"(?m)#.*$", "", text).strip()
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", plain):
        return None
    return value if abs(value := float(plain)) <= LARGEST else None


def unit_of(template: str) -> str:
    """In what people are told the value, by how the rule's own description writes it (Go template)."""
    for form, unit in _UNITS.items():
        if re.search(form, template):
            return unit
    return "number"


_UNITS: Mapping[str, str] = {
    r"\$value\s*\|\s*humanizePercentage": "ratio",
    r"\$value\s*\|\s*humanizeDuration": "seconds",
    r"\$value\s*\|\s*humanize1024": "bytes",
    r"\$value\s*(?:\|[^}]*)?}}\s?%": "percent",
}
