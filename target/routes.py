"""From a request's method and raw path to one of a fixed set of (method, route): hostile paths never add a series.

The routes are those of the Sermon Uploader's backend (White-Plains-Gospel-Chapel/sermon-uploader,
backend/main.go): the present ones and those of the single-container version, whose uploads were
presigned or resumable. Fiber's router compares without case and without a trailing slash.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import NamedTuple

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OTHER = "other"
STATIC = "/static"
"""Files of the frontend: /assets/… and whatever has the name of one."""
_LONGEST_PATH = 512
_STATIC_SUFFIXES = tuple(
    f".{suffix}"
    for suffix in [
        "html",
        "js",
        "mjs",
        "css",
        "map",
        "json",
        "txt",
        "xml",
        "webmanifest",
        "ico",
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "woff",
        "woff2",
        "ttf",
    ]
)


class Upload(Enum):
    """How a POST on a route counts among the uploads."""

    NO = "no"
    WHOLE = "whole"
    """The request is the upload, or concludes it."""
    BEGIN = "begin"
    """Only opens an upload that another request concludes: counted when it fails, for then none will."""


class Route(NamedTuple):
    """One pair of labels."""

    method: str
    template: str
    upload: Upload = Upload.NO


_TABLE = """
GET    /
HEAD   /
GET    /static
HEAD   /static
GET    /ws
GET    /api/health
HEAD   /api/health
GET    /api/version
GET    /api/status
GET    /api/files
DELETE /api/files/:id
DELETE /api/bucket/clear
GET    /api/public/sermons
GET    /api/public/sermons/latest
GET    /api/public/sermons/:id
GET    /api/public/events
GET    /api/public/announcements
GET    /api/admin/sermons
GET    /api/admin/sermons/:id
PUT    /api/admin/sermons/:id
DELETE /api/admin/sermons/:id
GET    /api/admin/members
POST   /api/admin/members
PUT    /api/admin/members/:id
DELETE /api/admin/members/:id
GET    /api/admin/events
POST   /api/admin/events
PUT    /api/admin/events/:id
DELETE /api/admin/events/:id
GET    /api/admin/media
POST   /api/admin/media/upload           whole
DELETE /api/admin/media/:id
GET    /api/admin/stats
GET    /api/admin/stats/uploads
GET    /api/admin/stats/usage
GET    /api/uploads/check-hash/:id
GET    /api/uploads/hash-stats
POST   /api/uploads/check-files
POST   /api/uploads/sermon               whole
POST   /api/uploads/sermons/batch        whole
POST   /api/uploads/media                whole
POST   /api/upload                       whole
POST   /api/upload/streaming             whole
POST   /api/upload/direct                whole
POST   /api/upload/presigned             begin
POST   /api/upload/presigned-batch       begin
POST   /api/upload/complete              whole
POST   /api/upload/zero-memory-url       begin
POST   /api/upload/zero-memory-url-batch begin
PUT    /api/upload/zero-memory-proxy
POST   /api/upload/multipart/init        begin
PUT    /api/upload/multipart/proxy
POST   /api/upload/multipart/complete    whole
POST   /api/tus                          begin
HEAD   /api/tus/:id
PATCH  /api/tus/:id
DELETE /api/tus/:id
POST   /api/tus/:id/complete             whole
GET    /api/metrics
GET    /api/health/detailed
GET    /api/maintenance/metrics
GET    /api/maintenance/health/detailed
POST   /api/maintenance/cleanup/expired
POST   /api/maintenance/migrate/minio
POST   /api/webhooks/github
POST   /api/webhooks/discord
"""


def _routes() -> tuple[Route, ...]:
    lines = [line.split() for line in _TABLE.splitlines() if line]
    named = [Route(line[0], line[1], Upload((*line, "no")[2])) for line in lines]
    return (*named, *(Route(method, OTHER) for method in (*METHODS, OTHER)))


ROUTES: tuple[Route, ...] = _routes()
"""Every route there can ever be a series for."""
_BY_LABELS = {(route.method, route.template): route for route in ROUTES}
_LITERAL = {route.template for route in ROUTES if ":id" not in route.template}
_WITH_ID = {tuple(route.template.split("/")) for route in ROUTES if ":id" in route.template}
UPLOAD_ROUTES: tuple[str, ...] = tuple(
    sorted({route.template for route in ROUTES if route.upload is not Upload.NO})
)
"""Routes whose time contains the sender's own: no part of a latency alert."""


def template_of(path: str) -> str:
    """The route's template for a raw path without its query, or ``other``."""
    if len(path) > _LONGEST_PATH:
        return OTHER
    folded = path.lower().rstrip("/") or "/"
    if folded in (OTHER, STATIC):
        return OTHER
    if folded in _LITERAL:
        return folded
    parts = tuple(folded.split("/"))
    for place in range(len(parts) - 1, 1, -1):
        candidate = (*parts[:place], ":id", *parts[place + 1 :])
        if parts[place] and candidate in _WITH_ID:
            return "/".join(candidate)
    if not folded.startswith("/api/") and (
        folded.startswith(("/assets/", "/_next/static/")) or folded.endswith(_STATIC_SUFFIXES)
    ):
        return STATIC
    return OTHER


def route_of(method: str, path: str) -> Route:
    """One of ROUTES. A method that the application does not serve there counts as ``other``."""
    return _route_of(method, path if len(path) <= _LONGEST_PATH else OTHER)


@lru_cache(maxsize=1024)
def _route_of(method: str, path: str) -> Route:
    known = _BY_LABELS.get((method, template_of(path)))
    return known or _BY_LABELS[(method if method in METHODS else OTHER, OTHER)]
