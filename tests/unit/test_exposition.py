"""Both text formats, read back by prometheus_client's parsers, hostile labels among them."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from exporter.exposition import Family, Samples, from_metrics, number, render, series

OPENMETRICS = "application/openmetrics-text"
SAMPLES = [
    Family("a_total", "counter", "A\nB \\ C.").one(1),
    Samples(Family("empty", "gauge", "Nothing."), b""),
    Family("odd_failcnt", "counter", 'A "counter" by cAdvisor\'s name.').one(2),
]


def test_the_plain_format() -> None:
    body, content_type = render(SAMPLES, "")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert body == (
        b"# HELP a_total A\\nB \\\\ C.\n# TYPE a_total counter\na_total 1\n"
        b'# HELP odd_failcnt A "counter" by cAdvisor\'s name.\n'
        b"# TYPE odd_failcnt counter\nodd_failcnt 2\n"
    )


PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize("accept", [OPENMETRICS, PROMETHEUS_3])
def test_openmetrics_when_asked_for(accept: str) -> None:
    body, content_type = render(SAMPLES, accept)
    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert body.endswith(b"# EOF\n")
    assert b"# TYPE a counter\na_total 1\n" in body
    assert b"# TYPE odd_failcnt unknown\n" in body
    families = openmetrics(body.decode())  # type: ignore[no-untyped-call]
    assert [one.name for one in families] == ["a", "odd_failcnt"]


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html",
        "application/openmetrics-text;version=x",
        "text/plain;version=1.0.0",
        "\x00" * 100_000,
    ],
)
def test_plain_for_everyone_else(accept: str) -> None:
    assert render(SAMPLES, accept)[1] == "text/plain; version=0.0.4; charset=utf-8"


@given(st.text(), st.text(st.characters(exclude_categories=["Cs"])))
@example("\ud800\udcff", "x")
@example('a"b\\c\nd}', "\\n")
def test_any_label_value_is_one_series(hostile: str, tame: str) -> None:
    family = Family("x", "gauge", "x")
    lines = b"".join(
        family.series(a=value, b="c") + b"1\n" for value in sorted({hostile + "1", tame + "2"})
    )
    for parse, accept in ((plain, ""), (openmetrics, OPENMETRICS)):
        (found,) = parse(render([Samples(family, lines)], accept)[0].decode())
        assert all(set(one.labels) == {"a", "b"} for one in found.samples)
        assert tame + "2" in {one.labels["a"] for one in found.samples}


@given(st.one_of(st.integers(-(2**64), 2**64), st.floats(allow_nan=False)))
def test_a_number_can_be_read_back(value: float) -> None:
    assert float(number(value)) == float(value)


def test_odd_numbers() -> None:
    assert math.isnan(float(number(math.nan)))
    assert [number(one) for one in (math.nan, math.inf, -math.inf, 1.0, True)] == [
        b"NaN",
        b"+Inf",
        b"-Inf",
        b"1",
        b"1",
    ]


def test_series_without_labels() -> None:
    assert series("x") == b"x "
    assert series("x", {"a": "é"}) == 'x{a="é"} '.encode()


def built() -> list[Metric]:
    histogram = HistogramMetricFamily("h", "H.", labels=["a"])
    histogram.add_metric(["x"], [("1.0", 2), ("+Inf", 3)], 4.5)
    return [
        CounterMetricFamily("c", "C.", value=7),
        GaugeMetricFamily("g", "G.", value=0),
        histogram,
    ]


@pytest.mark.parametrize(("parse", "accept"), [(plain, ""), (openmetrics, OPENMETRICS)])
def test_what_prometheus_client_built_says_the_same(parse: object, accept: str) -> None:
    assert callable(parse)
    found = {one.name: one for one in parse(render(from_metrics(built()), accept)[0].decode())}
    for metric in built():
        assert found[metric.name].type == metric.type
        assert found[metric.name].documentation == metric.documentation
        assert [(one.name, one.labels, one.value) for one in found[metric.name].samples] == [
            (one.name, one.labels, one.value) for one in metric.samples
        ]


def test_a_type_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="info"):
        from_metrics([InfoMetricFamily("i", "I.", {"a": "b"})])


def test_a_number_that_no_float_holds_spoils_no_scrape() -> None:
    assert number(10**400) == number(-(10**400)) == b"NaN"
    assert number(2**64) == b"18446744073709551616"
