"""The exposition: families and their sample lines as bytes, in both of Prometheus' text formats.

prometheus_client makes an object of each sample and writes its name and labels anew in each scrape.
Here the head of a family and the name and labels of a series are written once and kept; a scrape only
puts values behind them. Formats: prometheus/docs content/docs/instrumenting/exposition_formats.md and
OpenMetrics 1.0.0. prometheus_client's parsers check both in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple
from zlib import crc32

from prometheus_client import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as PLAIN
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS

from exporter.encoding import openmetrics_wanted

Kind = Literal["counter", "gauge", "histogram", "summary", "untyped"]
_TOTAL = "_total"
_EOF = b"# EOF\n"
_FAR = 2**128
LONGEST_LABEL = 1024
"""Characters of a label's value: the rest, of an image's label perhaps, is a checksum, so that two stay two."""


@dataclass(frozen=True)
class Family:
    """One metric family. ``name`` is that of its samples: a counter's with its ``_total``."""

    name: str
    kind: Kind
    help: str
    text: bytes = field(init=False, repr=False)
    """Its head in text format 0.0.4."""
    openmetrics: bytes = field(init=False, repr=False)
    """Its head in OpenMetrics, where a counter is named without ``_total``, and one that lacks it is ``unknown``."""

    def __post_init__(self) -> None:
        text = self.help.replace("\\", "\\\\").replace("\n", "\\n")
        name, kind = self.name, str(self.kind)
        if kind == "counter":
            name, kind = name.removesuffix(_TOTAL), kind if name.endswith(_TOTAL) else "unknown"
        kind = "unknown" if kind == "untyped" else kind
        quoted = text.replace('"', '\\"')
        heads = (_head(self.name, self.kind, text), _head(name, kind, quoted))
        object.__setattr__(self, "text", heads[0])
        object.__setattr__(self, "openmetrics", heads[1])

    def series(self, **labels: str) -> bytes:
        """``series(self.name, labels)``."""
        return series(self.name, labels)

    def one(self, value: float) -> Samples:
        """The family with its only sample, which has no labels."""
        return Samples(self, b"%b %b\n" % (self.name.encode(), number(value)))


class Samples(NamedTuple):
    """A family and its sample lines, each with its newline. Without lines the family is left out."""

    family: Family
    lines: bytes


def series(name: str, labels: Mapping[str, str] | None = None) -> bytes:
    """``name{key="value",…} `` with the blank: what stands before a value. To be made once and kept."""
    if not labels:
        return name.encode() + b" "
    pairs = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
    return f"{name}{{{pairs}}} ".encode()


def number(value: float) -> bytes:
    """A sample's value: an int as it is; a float as briefly as it can be read back."""
    if isinstance(value, int):
        # Nothing counts so far, and Prometheus refuses a whole scrape for a number beyond a float.
        return b"%d" % value if -_FAR < value < _FAR else b"NaN"
    if math.isfinite(value):
        return repr(value).removesuffix(".0").encode()
    if math.isnan(value):
        return b"NaN"
    return b"+Inf" if value > 0 else b"-Inf"


def render(samples: Iterable[Samples], accept: str) -> tuple[bytes, str]:
    """The exposition and its content type: OpenMetrics when asked for, else text format 0.0.4."""
    openmetrics = openmetrics_wanted(accept)
    parts: list[bytes] = []
    for family, lines in samples:
        if lines:
            parts.append(family.openmetrics if openmetrics else family.text)
            parts.append(lines)
    if openmetrics:
        parts.append(_EOF)
    return b"".join(parts), OPENMETRICS if openmetrics else PLAIN


def from_metrics(metrics: Iterable[Metric]) -> list[Samples]:
    """Families that prometheus_client has built: for what is small, and for what others registered.

    ``_created`` samples are left out: nothing here asks for them. Raises ValueError for a type that
    has no place in text format 0.0.4.
    """
    made = []
    for metric in metrics:
        name = metric.name + (_TOTAL if metric.type == "counter" else "")
        lines = [
            series(sample.name, sample.labels) + number(sample.value) + b"\n"
            for sample in metric.samples
            if not sample.name.endswith("_created")
        ]
        made.append(Samples(_family(name, metric.type, metric.documentation), b"".join(lines)))
    return made


@lru_cache(maxsize=512)
def _family(name: str, kind: str, text: str) -> Family:
    known: Mapping[str, Kind] = {
        "counter": "counter",
        "gauge": "gauge",
        "histogram": "histogram",
        "summary": "summary",
        "unknown": "untyped",
    }
    if kind not in known:
        raise ValueError(f"{name}: type {kind} has no place in text format 0.0.4")
    return Family(name, known[kind], text)


def _head(name: str, kind: str, text: str) -> bytes:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()


def _escaped(value: str) -> str:
    if len(value) > LONGEST_LABEL:
        sum_of_all = crc32(value.encode(errors="surrogatepass"))
        value = f"{value[:LONGEST_LABEL]}…{sum_of_all:08x}"
    # A path or a name may hold bytes that are no UTF-8 (as surrogates); the exposition may not.
    value = value.encode(errors="surrogatepass").decode(errors="replace")
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def find(samples: Sequence[Samples], name: str) -> bytes:
    """The lines of the family called ``name``; empty where there is none."""
    return b"".join(one.lines for one in samples if one.family.name == name)
