"""A message of its own, beside the incidents' cards: an announcement, the digest, "it is over"."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from receiver.records import Severity
from receiver.telling.markdown import utf16_len

TITLE, TEXT, FIELD_NAME, FIELD_VALUE, MOST_FIELDS = 240, 2000, 120, 700, 10
MOST_IN_ALL = 5700
"""Limits in UTF-16 units, under Discord's own for an embed (256, 4096, 256, 1024, 25; 6000 in all)."""


def cut(text: str, limit: int) -> str:
    """At most ``limit`` units; "…" shows that something is left out."""
    if utf16_len(text) <= limit:
        return text
    kept = text[: limit - 1]
    while utf16_len(kept) > limit - 1:
        kept = kept[:-1]
    return kept + "…"


def _cut(limit: int) -> BeforeValidator:
    def shorten(value: Any) -> Any:
        return cut(value, limit) if isinstance(value, str) else value

    return BeforeValidator(shorten)


SENT_AGAIN = "(Sent again: an earlier copy may stand above.)"


class Field(BaseModel):
    """A heading and what stands under it."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, _cut(FIELD_NAME)]
    value: Annotated[str, _cut(FIELD_VALUE)]


class Note(BaseModel):
    """What it says, in Discord's markdown; what comes from outside has gone through ``markdown.clean``.

    Texts that are too long are cut with a mark, fields that are too many left out. ``severity`` is
    only the colour; None is good news.
    """

    model_config = ConfigDict(frozen=True)

    title: Annotated[str, _cut(TITLE)]
    text: Annotated[str, _cut(TEXT)] = ""
    severity: Severity | None = None
    fields: Annotated[
        tuple[Field, ...], BeforeValidator(lambda many: tuple(many)[:MOST_FIELDS])
    ] = ()
    short: bool = False
    """A line or two without a box around it; has no fields."""

    @property
    def shown_fields(self) -> tuple[Field, ...]:
        """As many as an embed has room for."""
        left = MOST_IN_ALL - utf16_len(self.title) - utf16_len(self.text)
        kept = []
        for field in self.fields:
            left -= utf16_len(field.name) + utf16_len(field.value)
            if left < 0:
                break
            kept.append(field)
        return tuple(kept)

    def again(self) -> Note:
        """The same, for when it may have been posted before without our knowing."""
        return Note(
            title=self.title,
            text=f"{SENT_AGAIN}\n{self.text}".strip(),
            severity=self.severity,
            fields=self.fields,
            short=self.short,
        )
