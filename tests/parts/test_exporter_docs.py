"""docs/metrics.md has a row for every metric that there is, with its type and labels, and for none that is not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from exporter import version_families
from exporter.collectors import COLLECTORS, container_sizes
from exporter.container_families import COUNTED, FIXED, USAGE
from tests.parts.exporter_kit import exporter

DOCS = Path(__file__).resolve().parents[2] / "docs/metrics.md"
WHOLESALE = ("node_memory_", "node_vmstat_", "process_", "python_")
"""Families of others, documented by their beginning."""


class Row(NamedTuple):
    kind: str
    labels: frozenset[str]


def documented() -> dict[str, Row]:
    found = re.findall(r"^\| `(\S+)` \| ([\w, ]+) \| ([\w, ]*) \|", DOCS.read_text(), re.MULTILINE)
    return {name: Row(kind, frozenset(re.findall(r"\w+", labels))) for name, kind, labels in found}


def rows(families: Iterable[Metric]) -> dict[str, Row]:
    found = {}
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = Row(family.type, frozenset(labels))
    return found


async def test_every_metric_has_its_row(tmp_path: Path) -> None:
    async with exporter(tmp_path, f"unix://{tmp_path}/no.sock") as running:
        await running.until(lambda s: ("sermon_uploader_up",) in s, "a first probe")
        served = rows(text_string_to_metric_families(await running.text()))
    table = documented()
    for name, row in served.items():
        if not name.startswith(WHOLESALE):
            assert table.get(name) == row, name
    # What an Engine, an application and a backup would add, by the families themselves.
    for version_family in version_families.FAMILIES:
        assert table[version_family.name].kind == version_family.kind
    for family in (*FIXED, *COUNTED, *USAGE, *container_sizes.FAMILIES):
        assert table[family.name].kind == family.kind


def test_no_row_without_a_metric() -> None:
    sources = "".join(
        path.read_text()
        for room in ("exporter", "receiver", "sermon_monitor")
        for path in (DOCS.parents[1] / room).rglob("*.py")
    )
    for name in documented():
        stem = name.removesuffix("_total")
        beginning = re.match(r"(?:node|container)_[a-z]+_|node_load|process_|python_", stem)
        assert stem in sources or (beginning and beginning[0].rstrip("_") in sources), name


def test_the_guides_wholesale_rows_are_there() -> None:
    assert {f"{beginning}*" for beginning in WHOLESALE} <= set(documented())


@pytest.mark.parametrize("make", COLLECTORS)
def test_every_collector_is_named_in_the_reference(make: object) -> None:
    assert str(getattr(make, "name", "")) in DOCS.read_text()
