"""How fast the application answers, now and by its own log, and how busy the machine is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

from recovery.deployments import Facts
from recovery.finding import Finding, Level
from recovery.log_analysis import Seen, analyse, seen
from recovery.run import Session
from target.access_log import Access
from target.engine_tail import recent_lines
from target.routes import UPLOAD_ROUTES, route_of
from target.verify import probe_once

PROBES = 5
SLOW_SECONDS = 5.0
MOST_LINES = 5000
LAST_SECONDS = 3600.0
ERROR_SHARE = 0.10
LEAST_ERRORS = 5
"""As HighErrorRate counts: one scanner's hit is no error rate."""
EVIDENCE = "sermon-recovery logs --since 1h --errors"
ROLLBACK = "sermon-recovery rollback --dry-run"


def response_time(session: Session, _: Facts) -> list[Finding]:
    """A few questions in a row."""
    settings = session.settings
    url = settings.app_url + settings.app_health_path
    results = [probe_once(url, 2 * SLOW_SECONDS, settings.app_health_body) for _ in range(PROBES)]
    failed = [r for r in results if not r.healthy]
    if failed:
        words = f"{len(failed)} of {PROBES} requests to {url} failed: {failed[-1].detail}"
        return [Finding("problem", "response time", words, "sermon-recovery quick-fix")]
    times = sorted(r.duration_seconds for r in results)
    words = f"{PROBES} requests to {url}: {times[0]:.3f} to {times[-1]:.3f} s"
    if times[-1] > SLOW_SECONDS:
        return [Finding("problem", "response time", words, f"{EVIDENCE}; {ROLLBACK}")]
    return [Finding("ok", "response time", words)]


def recent_requests(session: Session, facts: Facts) -> Iterator[Finding]:
    """What the log of the last hour says: errors, and how long requests took that are no uploads."""
    if facts.engine_problem:
        return
    lines: list[Seen] = []
    since = time.time() - LAST_SECONDS
    for container in facts.app():
        lines += [
            seen(container.name, line)
            for line in recent_lines(session.engine, container, MOST_LINES, since)
        ]
    lines.sort(key=lambda line: line.moment)
    asked = [line.parsed for line in lines if isinstance(line.parsed, Access)]
    yield _errors(asked)
    yield _latency(asked)
    found = analyse(lines)
    others = [e for e in found.errors if not e.kind.startswith("HTTP ")]
    for error in others:
        level: Level = "problem" if error.kind == "panic" else "warning"
        words = f"{error.count} × {error.kind} in the last hour: {error.example:.200}"
        yield Finding(level, "log", words, EVIDENCE)


def _errors(asked: Sequence[Access]) -> Finding:
    errors = sum(one.status >= 500 for one in asked)
    words = f"{errors} of {len(asked)} requests in the last hour failed (5xx)"
    if errors >= LEAST_ERRORS and errors > ERROR_SHARE * len(asked):
        return Finding("problem", "requests", words, f"{EVIDENCE}; {ROLLBACK}")
    if errors:
        return Finding("warning", "requests", words, EVIDENCE)
    return Finding("ok", "requests", words)


def _latency(asked: Sequence[Access]) -> Finding:
    """Uploads last as long as their sender takes, so they say nothing about us."""
    times = sorted(
        a.seconds for a in asked if route_of(a.method, a.path).template not in UPLOAD_ROUTES
    )
    if not times:
        return Finding("note", "latency", "no requests but uploads in the last hour")
    p95 = times[min(len(times) - 1, int(0.95 * len(times)))]
    words = f"95 % of {len(times)} requests in the last hour within {p95:.3f} s, the slowest {times[-1]:.3f} s"
    if p95 > SLOW_SECONDS:
        return Finding("problem", "latency", words, f"sermon-recovery logs --since 1h; {ROLLBACK}")
    return Finding("ok", "latency", words)


def load(session: Session, _: Facts) -> list[Finding]:
    """The load of five minutes by processor: above 1 something waits."""
    cpus = os.cpu_count() or 1
    text = (session.settings.proc_root / "loadavg").read_text()
    five = float(text.split()[1])
    words = f"load {five:.2f} over 5 minutes on {cpus} processors"
    if five > 2 * cpus:
        return [Finding("warning", "load", words, "top -o %CPU; docker stats")]
    return [Finding("ok", "load", words)]
