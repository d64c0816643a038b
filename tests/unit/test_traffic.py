"""What lines add up to."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from exporter.exposition import render
from exporter.traffic import BUCKETS, CODES, Traffic, unit
from exporter.traffic_families import TrafficFamilies
from target.access_log import Access, parse_line
from target.routes import ROUTES

STD = "2026/01/02 15:04:05 "
ONE, TWO = "container-one", "container-two"


def feed(traffic: Traffic, container: str, lines: Iterable[str], stream: int = 1) -> None:
    for line in lines:
        traffic.add(container, parse_line(line.encode(), stream))


def access(status: int, method: str, path: str, latency: str = "1.5ms") -> str:
    return f"09:15:02 | {status} | {latency:>13} | 10.0.0.9 | {method} | {path}"


def samples(traffic: Traffic) -> dict[tuple[str, ...], float]:
    """Value by sample name and label values."""
    return told(TrafficFamilies(traffic))


def told(families: TrafficFamilies) -> dict[tuple[str, ...], float]:
    text, _ = render(families.samples(), "")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in plain_text(text.decode())
        for sample in family.samples
    }


def plain(traffic: Traffic, name: str) -> float:
    return samples(traffic)[(f"sermon_uploader_{name}_total",)]


def test_everything_foreseeable_stands_at_zero() -> None:
    found = samples(Traffic())
    assert set(found.values()) == {0.0}
    requests = {key[1:] for key in found if key[0] == "sermon_uploader_requests_total"}
    errors = {key[1:] for key in found if key[0] == "sermon_uploader_errors_total"}
    timed = {key[1:] for key in found if key[0] == "sermon_uploader_request_duration_seconds_count"}
    assert requests == errors == timed
    assert ("POST", "/api/uploads/sermon") in requests
    assert ("sermon_uploader_responses_total", "POST", "/api/uploads/sermon", "409") in found
    assert ("sermon_uploader_uploads_total",) in found
    assert ("sermon_uploader_log_lines_total", "unparsable") in found


def test_requests_errors_and_codes() -> None:
    traffic = Traffic()
    feed(
        traffic,
        ONE,
        [
            access(200, "GET", "/api/files"),
            access(500, "GET", "/api/files"),
            access(503, "GET", "/api/files"),
            access(404, "GET", "/wp-login.php"),
            access(299, "GET", "/api/files"),
        ],
    )
    found = samples(traffic)
    assert found["sermon_uploader_requests_total", "GET", "/api/files"] == 4
    assert found["sermon_uploader_errors_total", "GET", "/api/files"] == 2
    assert found["sermon_uploader_responses_total", "GET", "/api/files", "503"] == 1
    assert found["sermon_uploader_responses_total", "GET", "/api/files", "other"] == 1
    assert found["sermon_uploader_errors_total", "GET", "other"] == 0
    assert found["sermon_uploader_requests_total", "GET", "other"] == 1


def test_the_histogram_knows_the_threshold() -> None:
    traffic = Traffic()
    latencies = ["5ms", "5s", "5.000000001s", "1h0m0s"]
    feed(traffic, ONE, [access(200, "GET", "/api/files", latency) for latency in latencies])
    found = samples(traffic)
    name = "sermon_uploader_request_duration_seconds_bucket"
    assert found[name, "GET", "/api/files", "0.005"] == 1
    assert found[name, "GET", "/api/files", "5.0"] == 2
    assert found[name, "GET", "/api/files", "10.0"] == 3
    assert found[name, "GET", "/api/files", "1800.0"] == 3
    assert found[name, "GET", "/api/files", "+Inf"] == 4
    total = found["sermon_uploader_request_duration_seconds_sum", "GET", "/api/files"]
    assert total == pytest.approx(3610.005000001)
    assert 5.0 in BUCKETS
    assert len([bound for bound in BUCKETS if bound > 5.0]) >= 3


@pytest.mark.parametrize(
    ("method", "path", "status", "uploads", "failures"),
    [
        ("POST", "/api/uploads/sermon", 200, 1, 0),
        ("POST", "/api/upload", 500, 1, 1),
        ("POST", "/api/uploads/sermons/batch", 507, 1, 1),
        ("POST", "/api/uploads/media", 400, 1, 0),
        ("POST", "/api/admin/media/upload", 409, 1, 0),
        ("GET", "/api/upload", 500, 0, 0),
        ("OPTIONS", "/api/upload", 204, 0, 0),
        # A presigned upload is opened by one request and concluded by another: one attempt.
        ("POST", "/api/upload/presigned", 200, 0, 0),
        ("POST", "/api/upload/presigned", 500, 1, 1),
        ("POST", "/api/upload/complete", 200, 1, 0),
        ("PATCH", "/api/tus/17", 500, 0, 0),
        ("POST", "/api/tus/17/complete", 500, 1, 1),
    ],
)
def test_uploads(method: str, path: str, status: int, uploads: int, failures: int) -> None:
    traffic = Traffic()
    feed(traffic, ONE, [access(status, method, path)])
    assert plain(traffic, "uploads") == uploads
    assert plain(traffic, "upload_failures") == failures


def test_an_upload_that_is_logged_twice_counts_once() -> None:
    traffic = Traffic()
    feed(
        traffic,
        ONE,
        [
            STD + "ERROR Upload failed method=PutFile error=EOF",
            STD + "ERROR MinIO upload failed handler=Upload error=EOF",
        ],
        stream=2,
    )
    feed(traffic, ONE, [access(500, "POST", "/api/uploads/sermon")])
    assert plain(traffic, "uploads") == 1
    assert plain(traffic, "upload_failures") == 1
    assert plain(traffic, "minio_connection_errors") == 1


def test_a_handlers_line_alone_counts() -> None:
    traffic = Traffic()
    feed(traffic, ONE, [STD + "ERROR MinIO upload failed handler=Upload error=EOF"], stream=2)
    assert plain(traffic, "minio_connection_errors") == 1


def test_lines_of_two_containers_do_not_belong_together() -> None:
    traffic = Traffic()
    feed(traffic, ONE, [STD + "ERROR Upload failed method=PutFile error=EOF"], stream=2)
    feed(traffic, TWO, [STD + "ERROR MinIO upload failed handler=Upload error=EOF"], stream=2)
    assert plain(traffic, "minio_connection_errors") == 2


def test_a_batch_answers_200_whatever_became_of_its_files() -> None:
    traffic = Traffic()
    batch = [
        STD + "ERROR Upload failed method=PutFile error=EOF",
        STD + "ERROR Upload failed handler=UploadBatch error=EOF",
        STD + "ERROR Upload failed method=PutFile error=EOF",
        STD + "ERROR Upload failed handler=UploadBatch error=EOF",
        STD + "INFO Batch upload completed handler=UploadBatch total=2 success=0 failed=2",
    ]
    feed(traffic, ONE, batch, stream=2)
    feed(traffic, ONE, [access(200, "POST", "/api/uploads/sermons/batch")])
    assert plain(traffic, "uploads") == 1
    assert plain(traffic, "upload_failures") == 1
    assert plain(traffic, "minio_connection_errors") == 2


def test_a_batch_of_duplicates_is_a_users_outcome() -> None:
    traffic = Traffic()
    batch = [
        STD + "WARN Duplicate file skipped handler=UploadBatch",
        STD + "INFO Batch upload completed handler=UploadBatch total=1 success=0 failed=1",
    ]
    feed(traffic, ONE, batch, stream=2)
    assert plain(traffic, "upload_failures") == 0


def test_kinds_of_lines() -> None:
    traffic = Traffic()
    feed(traffic, ONE, [access(200, "GET", "/"), "09:15:02 | 2", "banner", STD + "x", "panic: x"])
    found = samples(traffic)
    kinds = {key[1]: value for key, value in found.items() if "log_lines" in key[0]}
    assert kinds == {"access": 1, "app": 1, "panic": 1, "other": 1, "unparsable": 1}


def test_what_is_remembered_of_containers_goes_with_them() -> None:
    traffic = Traffic()
    feed(traffic, ONE, [STD + "ERROR Upload failed method=PutFile error=EOF"], stream=2)
    traffic.forget({TWO})
    feed(traffic, ONE, [STD + "ERROR MinIO upload failed handler=Upload error=EOF"], stream=2)
    assert plain(traffic, "minio_connection_errors") == 2


_ACCESS = st.builds(
    Access,
    status=st.integers(0, 999),
    seconds=st.floats(0, 1e9),
    method=st.text(max_size=12),
    path=st.text(max_size=60),
)


@settings(deadline=None)
@given(st.lists(_ACCESS, max_size=30))
def test_no_request_adds_a_series(requests: list[Access]) -> None:
    traffic = Traffic()
    for request in requests:
        traffic.add(ONE, request)
    assert tuple(traffic.tallies) == ROUTES
    assert {code for one in traffic.tallies.values() for code in one.codes} <= CODES | {"other"}


def test_only_what_changed_is_written_anew_and_both_formats_say_the_same() -> None:
    traffic = Traffic()
    families = TrafficFamilies(traffic)
    before = told(families)
    assert told(families) == before
    feed(traffic, ONE, [access(200, "GET", "/api/files"), access(418, "POST", "/api/upload", "7s")])
    after = told(families)
    assert after == samples(traffic)
    assert {key for key in after if before.get(key) != after[key]} >= {
        ("sermon_uploader_requests_total", "GET", "/api/files"),
        ("sermon_uploader_request_duration_seconds_sum", "POST", "/api/upload"),
        ("sermon_uploader_responses_total", "POST", "/api/upload", "418"),
    }
    text, _ = render(families.samples(), "application/openmetrics-text; version=1.0.0")
    again = {
        (sample.name, *sample.labels.values()): sample.value
        for family in openmetrics(text.decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
    }
    assert again == after


@pytest.mark.parametrize(
    ("seconds", "per_second"), [(1.0, 1.0), (1e-3, 1e3), (1e-6, 1e6), (1e-9, 1e9)]
)
@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 3_000_000_000_000), min_size=1, max_size=50))
def test_many_at_once_are_as_many_one_by_one(
    seconds: float, per_second: float, counts: list[int]
) -> None:
    """``counts`` in nanoseconds, as the application measures."""
    bulk, single = Traffic(), Traffic()
    route = ROUTES[0]
    edges = [round(bound * 1e9) for bound in BUCKETS]
    durations = [count * per_second / 1e9 for count in (*counts, *edges)]
    bulk.add_requests(route, 200, durations, unit(seconds, per_second))
    for one in durations:
        single.add(ONE, Access(200, one / per_second, route.method, route.template))
    assert bulk.tallies == single.tallies
    assert bulk.lines == single.lines
