"""Two transcripts of one procedure, from two machines or two days, compared word for word.

Left out is only what the machine or the moment decides: its own findings (disks, load, the network) with
the verdict and the exit code that follow from them, lines of a log that come with time, and figures.
"""

from __future__ import annotations

import difflib
import re

_STEP = re.compile(r"^```console\n\$ ([^\n]+)\n(.*?)^```\n\nExit code (\d+)\.$", re.M | re.S)
_FINDING = re.compile(r"(ok|note|warning|problem)\s")
_OF_THE_MACHINE = re.compile(
    r"(ok|note|warning|problem)\s+(memory|disk|load|temperature|clock|requests|latency|GitHub|Discord|registry"
    r"|Docker Engine|Docker's disk|\d+ more|\S+\s+\d+ % of one processor)\b"
)
_ADVICE = re.compile(r"\s+→ ")
_VERDICT = re.compile(r"(healthy|unhealthy)\b")
_ROUTINE = re.compile(
    r"2026-03-01T02:00:00 .*(GET \| /|connection successful|Server starting|Access at|listening on port)"
    r"|\s+\d+ m?s  \d{3}  GET "
)
"""How many there are is a question of how long it has run."""
_LOG_LINE = re.compile(r"2026-03-01T02:00:00 ")
_SILENCE = (
    r"connection refused|connection reset by peer|it ended the connection without an answer"
    r"|no answer within [^:;]*: it took the connection and said nothing"
)
_SAME = (
    (r"\bup (\d+[dhms])+", "up 20s"),
    (r"\d+ lines? over (\d+[dhms])+; \d+ requests?$", "8 lines over 1s; 2 requests"),
    (r"\b\d+(\.\d+)? (B|KiB|MiB|GiB)\b", "50.0 MiB"),
    (r"\b\d+ ms\b", "0 s"),
    (r"\bruns, starting\b", "runs, healthy"),
    (r"held by \S+ \(pid", "held by python (pid"),
    (_SILENCE, "no answer"),
    (r"\s{2,}", "  "),
)


def differences(kept: str, made: str) -> list[str]:
    """Lines of a diff; none where the two say the same."""
    diff = difflib.unified_diff(_alike(kept), _alike(made), "kept", "made", lineterm="", n=1)
    return list(diff)


def _alike(transcript: str) -> list[str]:
    return [
        line
        for typed, output, code in _STEP.findall(transcript)
        for line in (f"$ {typed}", *_step(output.splitlines(), code))
    ]


def _step(output: list[str], code: str) -> list[str]:
    """Lines of a log stand in the order of their letters: two containers write at the same moment."""
    findings = any(_FINDING.match(line) for line in output)
    kept: list[str] = []
    dropped = False
    for line in output:
        of_the_machine = bool(_OF_THE_MACHINE.match(line))
        dropped = of_the_machine or (dropped and bool(_ADVICE.match(line)))
        follows = findings and _VERDICT.match(line)
        if not (dropped or follows or _ROUTINE.match(line)):
            kept.append(_same(line))
    kept.sort(key=lambda line: line if _LOG_LINE.match(line) else "")
    return [*kept, *([] if findings else [f"Exit code {code}."])]


def _same(line: str) -> str:
    for pattern, word in _SAME:
        line = re.sub(pattern, word, line)
    return line
