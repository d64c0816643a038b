"""Debian's mtail over the same file, with programs that a person who knows mtail would write for this log.

Both are anchored, so that Go's regular expressions take their fast way (one pass, no unanchored search), and
match as little of the line as they need. Neither tells routes apart, counts uploads, reads the application's own
messages, or knows a line cut by another.
"""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

from tests.real import debian

COUNTERS = r"""
counter requests_total by method, status
/^\{"log":"\d{2}:\d{2}:\d{2} \| +(?P<status>\d{3}) \| +\S+ \| \S+ \| (?P<method>[A-Z]+) \| / {
  requests_total[$method][$status]++
}
"""
"""The least: requests by method and status."""
HISTOGRAM = r"""
counter requests_total by method, status
histogram request_duration_seconds by method buckets 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800
/^\{"log":"\d{2}:\d{2}:\d{2} \| +(?P<status>\d{3}) \| +(?P<number>[0-9.]+)(?P<unit>\S+) \| \S+ \| (?P<method>[A-Z]+) \| / {
  requests_total[$method][$status]++
  $unit == "µs" {
    request_duration_seconds[$method] = $number / 1000000.0
  }
  $unit == "ms" {
    request_duration_seconds[$method] = $number / 1000.0
  }
  $unit == "s" {
    request_duration_seconds[$method] = $number
  }
}
"""
"""What is worth having: latencies too."""


def cpu_seconds(program: str, path: Path, directory: Path) -> float:
    """CPU of mtail for the whole file, started and ended once. Raises DebianError, RuntimeError."""
    binary = debian.unpack("bookworm", "mtail") / "usr" / "bin" / "mtail"
    rules = directory / "app.mtail"
    rules.write_text(program, encoding="utf-8")
    before = _children_seconds()
    answer = subprocess.run(
        [binary, "-one_shot", "-progs", rules, "-logs", path, "-log_dir", directory],
        check=False,
        capture_output=True,
        cwd=directory,
    )
    used = _children_seconds() - before
    if answer.returncode:
        raise RuntimeError(f"mtail: {answer.stderr[-1000:].decode(errors='replace')}")
    if b'"Value"' not in answer.stdout:
        raise RuntimeError("mtail counted nothing")
    return used


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
