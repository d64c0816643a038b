"""What lines add up to."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric

from exporter.access_log import Access, parse_line
from exporter.traffic import BUCKETS, CODES, Traffic

STD = "2026/01/02 15:04:05 "
ONE, TWO = "container-one", "container-two"


def feed(traffic: Traffic, container: str, lines: Iterable[str], stream: int = 1) -> None:
    for line in lines:
        traffic.add(container, parse_line(line.encode(), stream))


def access(status: int, method: str, path: str, latency: str = "1.5ms") -> str:
    return f"09:15:02 | {status} | {latency:>13} | 10.0.0.9 | {method} | {path}"


def samples(families: Iterable[Metric]) -> dict[tuple[str, ...], float]:
    """Value by sample name and label values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def plain(traffic: Traffic, name: str) -> float:
    return samples(traffic.families())[(f"sermon_uploader_{name}_total",)]


def test_everything_foreseeable_stands_at_zero() -> None:
    found = samples(Traffic().families())
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
    found = samples(traffic.families())
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
    found = samples(traffic.families())
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
    found = samples(traffic.families())
    kinds = {key[1]: value for key, value in found.items() if "log_lines" in key[0]}
    assert kinds == {"access": 1, "app": 1, "panic": 1, "other": 1, "unparsable": 1}


def test_what_is_remembered_of_containers_goes_with_them() -> None:
    traffic = Traffic()
    feed(traffic, ONE, [STD + "ERROR Upload failed method=PutFile error=EOF"], stream=2)
    traffic.forget({TWO})
    feed(traffic, ONE, [STD + "ERROR MinIO upload failed handler=Upload error=EOF"], stream=2)
    assert plain(traffic, "minio_connection_errors") == 2


def series(traffic: Traffic) -> set[tuple[str, ...]]:
    return {
        key for key in samples(traffic.families()) if key[0] != "sermon_uploader_responses_total"
    }


_BEFORE = series(Traffic())
_ACCESS = st.builds(
    Access,
    status=st.integers(0, 999),
    seconds=st.floats(0, 1e9),
    method=st.text(max_size=12),
    path=st.text(max_size=60),
)


@given(st.lists(_ACCESS, max_size=30))
def test_no_request_adds_a_series(requests: list[Access]) -> None:
    traffic = Traffic()
    for request in requests:
        traffic.add(ONE, request)
    assert series(traffic) == _BEFORE
    codes = {key[3] for key in samples(traffic.families()) if key[0].endswith("responses_total")}
    assert codes <= CODES | {"other"}
