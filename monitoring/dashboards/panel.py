"""What a panel shows, as plain values: the boards are tables of these. Units are Grafana's names of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

JOB = 'job="sermon-uploader",instance=~"$instance"'
"""Selects the exporters of the chosen hosts; every query begins with it."""
Kind = Literal["graph", "number", "states", "table"]
Colour = Literal["green", "yellow", "orange", "red", "blue", "text"]


@dataclass(frozen=True)
class Query:
    """One PromQL expression and what its series are called (Grafana's ``{{label}}``)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """``limits``: from which value on which colour; what lies below the first is green.

    ``width`` in 24ths of the page, ``height`` in Grafana's rows of 30 pixels.
    """

    title: str
    about: str
    queries: tuple[Query, ...]
    kind: Kind = "graph"
    unit: str = "short"
    limits: tuple[tuple[float, Colour], ...] = ()
    below: Colour = "green"
    words: Mapping[str, tuple[str, Colour]] | None = None
    """What a value is called instead of its number, and its colour."""
    least: float | None = None
    most: float | None = None
    stacked: bool = False
    decimals: int | None = None
    shows: Literal["value", "name"] = "value"
    """Of a number: its value, or the name of its series (a version, an image)."""
    width: int = 12
    height: int = 8


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """One dashboard. ``by_container``: it has a choice of containers, ``$container``."""

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...]
    by_container: bool = False


UP_OR_DOWN: Mapping[str, tuple[str, Colour]] = {"0": ("down", "red"), "1": ("up", "green")}


def number(
    title: str,
    about: str,
    expr: str,
    *,
    legend: str = "",
    unit: str = "short",
    limits: tuple[tuple[float, Colour], ...] = (),
    below: Colour = "green",
    words: Mapping[str, tuple[str, Colour]] | None = None,
    decimals: int | None = None,
    shows: Literal["value", "name"] = "value",
    width: int = 4,
) -> Panel:
    """One value of this moment, in its colour."""
    return Panel(
        title,
        about,
        (Query(expr, legend),),
        "number",
        unit,
        limits,
        below,
        words,
        decimals=decimals,
        shows=shows,
        width=width,
        height=4,
    )
