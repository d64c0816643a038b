"""Paths folded to routes: whatever is asked, the series stay those that were there from the start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target.routes import OTHER, ROUTES, STATIC, UPLOAD_ROUTES, route_of, template_of

TEMPLATES = [
    ("/", "/"),
    ("", "/"),
    ("/api/health", "/api/health"),
    ("/API/Health/", "/api/health"),
    ("/api/admin/sermons/2026-01-04_sermon.wav", "/api/admin/sermons/:id"),
    ("/api/public/sermons/latest", "/api/public/sermons/latest"),
    ("/api/public/sermons/17", "/api/public/sermons/:id"),
    ("/api/uploads/check-hash/0123456789abcdef", "/api/uploads/check-hash/:id"),
    ("/api/tus/f3a9", "/api/tus/:id"),
    ("/api/tus/f3a9/complete", "/api/tus/:id/complete"),
    ("/api/uploads/sermons/batch", "/api/uploads/sermons/batch"),
    ("/assets/app.8f3a.js", STATIC),
    ("/favicon.ico", STATIC),
    ("/upload.html", STATIC),
    ("/wp-login.php", OTHER),
    ("/api/nothing", OTHER),
    ("/api/admin/sermons/1/2", OTHER),
    ("/api/secret.json", OTHER),
    ("other", OTHER),
    ("/static", OTHER),
    ("/" + "a" * 100_000, OTHER),
    ("/x | 500 | 1s | 1.1.1.1 | POST | /api/upload", OTHER),
    ("/api/tus/:id", "/api/tus/:id"),
]


@pytest.mark.parametrize(("path", "template"), TEMPLATES)
def test_templates(path: str, template: str) -> None:
    assert template_of(path) == template


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("POST", "/api/uploads/sermon", ("POST", "/api/uploads/sermon")),
        ("GET", "/api/uploads/sermon", ("GET", OTHER)),
        ("HEAD", "/api/health", ("HEAD", "/api/health")),
        ("PROPFIND", "/api/health", (OTHER, OTHER)),
        ("DELETE", "/api/bucket/clear", ("DELETE", "/api/bucket/clear")),
    ],
)
def test_a_method_that_is_not_served_is_other(
    method: str, path: str, labels: tuple[str, str]
) -> None:
    route = route_of(method, path)
    assert (route.method, route.template) == labels


def test_upload_routes() -> None:
    assert {"/api/upload", "/api/uploads/sermon", "/api/uploads/sermons/batch"} < set(UPLOAD_ROUTES)


def test_no_pair_twice() -> None:
    pairs = [(route.method, route.template) for route in ROUTES]
    assert len(pairs) == len(set(pairs))


_PIECES = st.lists(
    st.one_of(
        st.sampled_from(["api", "tus", "complete", "admin", "sermons", "..", "", ":id", "upload"]),
        st.text(max_size=20),
    ),
    max_size=8,
)


@given(st.text(max_size=12), _PIECES)
def test_nothing_ever_adds_a_series(method: str, pieces: list[str]) -> None:
    assert route_of(method, "/".join(["", *pieces])) in ROUTES
