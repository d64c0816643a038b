"""The digest's figures, asked of Prometheus: how it ran between two moments.

Source of the API: Prometheus' documentation, "HTTP API", instant queries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from receiver.hearing.prometheus import answer_of, on_host
from receiver.http import Http
from receiver.telling.delivery import DeliveryError

_JOB = 'job="sermon-uploader"'
_UPLOADS = "/api/(admin/media/upload|uploads?(/.*)?|tus(/.*)?)"
"""As in alerts.yml: the latency of an upload is the sender's."""
_DISKS = 'fstype!~"tmpfs|devtmpfs|ramfs|overlay|squashfs|erofs|iso9660|udf|autofs|nsfs|fuse.lxcfs"'
_QUERIES = {
    "uptime": f"avg_over_time(sermon_uploader_up{{{_JOB}}}[$span])",
    "watched": f"avg_over_time(up{{{_JOB}}}[$span])",
    "requests": f"sum(increase(sermon_uploader_requests_total{{{_JOB}}}[$span]))",
    "errors": f"sum(increase(sermon_uploader_errors_total{{{_JOB}}}[$span]))",
    "uploads": f"sum(increase(sermon_uploader_uploads_total{{{_JOB}}}[$span]))",
    "failed_uploads": f"sum(increase(sermon_uploader_upload_failures_total{{{_JOB}}}[$span]))",
    "p95_seconds": f'histogram_quantile(0.95, sum by (le) (increase(sermon_uploader_request_duration_seconds_bucket{{{_JOB},route!~"{_UPLOADS}"}}[$span])))',
    "backup_data_age_seconds": f"max(sermon_uploader_backup_data_age_seconds{{{_JOB}}})",
    "backup_bytes": f"max(sermon_uploader_backup_size_bytes{{{_JOB}}})",
    "drill_success": f"min(sermon_uploader_backup_drill_success{{{_JOB}}})",
    "drill_age_seconds": f"max(sermon_uploader_backup_drill_age_seconds{{{_JOB}}})",
    "backup_age_seconds": f"max(sermon_uploader_backup_age_seconds{{{_JOB}}})",
}
_FULLEST = (
    f"topk(1, 1 - (node_filesystem_avail_bytes{{{_JOB},{_DISKS}}}"
    f' or node_filesystem_avail_bytes{{{_JOB},fstype="overlay",mountpoint="/"}})'
    f" / node_filesystem_size_bytes{{{_JOB}}})"
)


@dataclass(frozen=True)
class Figures:
    """None where Prometheus has no such figure. ``problem``: why there are none at all, in words."""

    uptime: float | None = None
    watched: float | None = None
    """The part of the time in which the exporter answered Prometheus."""
    requests: float | None = None
    errors: float | None = None
    uploads: float | None = None
    failed_uploads: float | None = None
    p95_seconds: float | None = None
    backup_age_seconds: float | None = None
    backup_data_age_seconds: float | None = None
    """Of the newest with the sermons in it."""
    backup_bytes: float | None = None
    drill_success: float | None = None
    """1: the last try to restore one succeeded."""
    drill_age_seconds: float | None = None
    disk_used: float | None = None
    disk_mount: str = ""
    problem: str = ""
    may_return: bool = False
    """Asking again soon can help."""


async def ask(
    http: Http, url: str | None, since: datetime, until: datetime, own_host: str = ""
) -> Figures:
    """Never fails: what cannot be had is said in words. ``own_host``: OWN_HOST."""
    if url is None:
        return Figures(problem="PROMETHEUS_URL is not set")
    span = f"{max(1, int((until - since).total_seconds()))}s"
    found: dict[str, Any] = {}
    try:
        for name, query in _QUERIES.items():
            asked = on_host(query.replace("$span", span), own_host)
            samples = await _samples(http, url, asked, until)
            found[name] = samples[0][1] if samples else None
        disks = await _samples(http, url, on_host(_FULLEST, own_host), until)
    except DeliveryError as error:
        return Figures(problem=f"Prometheus could not be asked: {error}", may_return=True)
    mount, used = (disks[0][0].get("mountpoint", ""), disks[0][1]) if disks else ("", None)
    return Figures(**found, disk_used=used, disk_mount=mount)


async def _samples(
    http: Http, url: str, query: str, at: datetime
) -> list[tuple[dict[str, str], float]]:
    """Labels and finite values. Raises DeliveryError."""
    path = f"/api/v1/query?time={at.timestamp():.3f}&query={quote(query)}"
    answer = await answer_of(http, url + path)
    try:
        pairs = [(dict(one["metric"]), float(one["value"][1])) for one in answer["data"]["result"]]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DeliveryError(f"an answer that is not Prometheus's: {error!r}") from error
    return [(labels, value) for labels, value in pairs if math.isfinite(value)]
