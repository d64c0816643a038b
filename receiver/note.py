"""A message of its own, beside the incidents' cards: an announcement, the digest, "it is over"."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from receiver.markdown import utf16_len
from receiver.records import Severity

TITLE, TEXT, FIELD_NAME, FIELD_VALUE, MOST_FIELDS = 240, 2000, 120, 700, 4
"""Limits in UTF-16 units, under Discord's own for an embed (256, 4096, 256, 1024, 25; 6000 in all)."""


def _cut(limit: int) -> BeforeValidator:
    def shorten(value: Any) -> Any:
        if not isinstance(value, str) or utf16_len(value) <= limit:
            return value
        kept = value[: limit - 1]
        while utf16_len(kept) > limit - 1:
            kept = kept[:-1]
        return kept + "…"

    return BeforeValidator(shorten)


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
