"""The words of every text for people come from templates/; this is how code gets at them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import jinja2


def stamp(moment: datetime | None, style: str) -> str:
    """``<t:…>``: a moment that each reader sees in the own time zone; "" for None."""
    return f"<t:{int(moment.timestamp())}:{style}>" if moment else ""


def load(template: str) -> Any:
    """The macros of a template for Discord's markdown: each is a function of values already made safe."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("receiver", "templates"),
        autoescape=False,  # noqa: S701 - Discord's markdown, not HTML; clean() is its escape
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["stamp"] = stamp
    return environment.get_template(template).module


def one_line(text: object) -> str:
    """A macro's output as one line."""
    return " ".join(str(text).split())
