"""Where the application and MinIO answer for their health."""

from __future__ import annotations

from recovery.deployments import Facts
from recovery.finding import Finding
from recovery.run import Session
from target.probe import ProbeResult
from target.verify import probe_once

SLOW_SECONDS = 5.0
PROBE_SECONDS = 10.0
CLUSTER_PATH = "/minio/health/cluster"


def endpoints(session: Session, facts: Facts) -> list[Finding]:
    """The two health addresses, asked once each."""
    return [*application(session, facts), *minio_live(session, facts)]


def application(session: Session, _: Facts) -> list[Finding]:
    settings = session.settings
    url = settings.app_url + settings.app_health_path
    mend = "sermon-recovery logs --errors; then sermon-recovery quick-fix"
    return [_finding("application", _ask(session, url, settings.app_health_body), mend)]


def minio_live(session: Session, _: Facts) -> list[Finding]:
    settings = session.settings
    url = settings.minio_url + settings.minio_health_path
    look = "logs" if session.verb == "check-minio" else "check-minio"
    mend = f"sermon-recovery {look}; then sermon-recovery quick-fix"
    return [_finding("MinIO", _ask(session, url, settings.minio_health_body), mend)]


def minio_cluster(session: Session, _: Facts) -> list[Finding]:
    """``live`` says that the process answers; this says whether its disks can be written (MinIO, healthcheck probes)."""
    result = _ask(session, session.settings.minio_url + CLUSTER_PATH, "")
    if result.status == 503:
        words = f"{result.url}: it answers, but its disks cannot be written"
        return [Finding("problem", "MinIO's disks", words, "sermon-recovery storage-check")]
    return [_finding("MinIO's disks", result, "sermon-recovery logs minio")]


def _ask(session: Session, url: str, expected_body: str) -> ProbeResult:
    result = probe_once(url, PROBE_SECONDS, expected_body)
    session.terminal.detail(f"GET {url}: {result.detail}, {result.duration_seconds:.3f} s")
    return result


def _finding(what: str, result: ProbeResult, mend: str) -> Finding:
    if not result.healthy:
        return Finding("problem", what, f"{result.url}: {result.detail}", mend)
    took = f"{result.duration_seconds:.2f} s"
    if result.duration_seconds > SLOW_SECONDS:
        words = f"{result.url} answers well, but only after {took}"
        return Finding("warning", what, words, "sermon-recovery check-performance")
    return Finding("ok", what, f"{result.url} answers well in {took}")
