"""The evidence of a container that restarts, crashes or runs out of memory, as one text for people. Pure.

Whatever the container said goes through receiver/redaction.py, line by line. Of its environment only
the names are told. Format of what is read: Docker Engine API, "Inspect a container", "Monitor events".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from receiver.redaction import SECRET_NAME, Redactor
from target.engine_frames import Event
from target.engine_tail import LogLine
from target.versions import Release

LOG_LINES = 200
MOST_BYTES = 192 * 1024
"""Of a whole text; the oldest lines of the log give way."""
LONGEST_SHOWN = 800
"""Characters of one line."""
_EXITS = {
    0: "ended by itself, without an error",
    1: "ended with an error of its own",
    2: "a panic, or an error of its own",
    125: "the Engine could not run it",
    126: "its command cannot be executed",
    127: "its command was not found",
    134: "aborted itself (SIGABRT)",
    137: "killed (SIGKILL: out of memory, or not stopped in time)",
    139: "crashed (SIGSEGV)",
    143: "was asked to end (SIGTERM)",
}


@dataclass(frozen=True)
class Gathered:
    """Everything that was found out about one container; a part that could not be is empty, and a
    ``problem`` says why."""

    container: str
    """The name asked for."""
    reason: str
    """Which alert asked."""
    at: datetime
    inspection: Mapping[str, Any] | None = None
    log: Sequence[LogLine] = ()
    events: Sequence[Event] = ()
    host: Sequence[str] = ()
    deployments: Sequence[Release] = ()
    problems: Sequence[str] = ()
    retry: bool = False
    """The Engine did not answer: asking again may help."""


@dataclass(frozen=True)
class Evidence:
    """``summary``: one sentence for the card. ``body``: the whole text."""

    container: str
    summary: str
    body: str


def exit_words(code: int) -> str:
    known = _EXITS.get(code)
    if known is None and 128 < code < 160:
        known = f"ended by signal {code - 128}"
    return f"exit code {code}: {known}" if known else f"exit code {code}"


def compose(gathered: Gathered, known_secrets: Iterable[str] = ()) -> Evidence:
    """The text, and what of it matters most."""
    raw = gathered.inspection or {}
    redactor = Redactor([*known_secrets, *secret_values(raw)])
    sections = [
        ("What could not be found out", list(gathered.problems)),
        ("Container", _container(raw)),
        ("Its last ends", [_event(event) for event in gathered.events]),
        ("How it was started (of its environment only the names)", _configuration(raw)),
        ("The machine", list(gathered.host)),
        ("Recent deployments", [_deployment(one) for one in gathered.deployments]),
    ]
    head = [
        f"Evidence about {gathered.container or 'the application'}",
        f"collected {gathered.at:%Y-%m-%d %H:%M:%S} UTC, asked for by {gathered.reason}",
    ]
    for title, lines in sections:
        if lines:
            head += ["", f"== {title} =="]
            # A redactor of its own, so that a key which is cut off here hides nothing of the log.
            head += [_shown(Redactor(redactor.known), line) for line in lines]
    log = [_log_line(redactor, line) for line in gathered.log]
    return Evidence(gathered.container, _summary(gathered), _joined(head, log))


def secret_values(raw: Mapping[str, Any]) -> list[str]:
    """The values in a container's environment whose names say that they are secret."""
    pairs = [text.partition("=") for text in _texts(_part(raw, "Config").get("Env"))]
    return [value for name, _, value in pairs if value and SECRET_NAME.search(name)]


def _joined(head: list[str], log: list[str]) -> str:
    """Within MOST_BYTES: the newest lines of the log are those that count."""
    kept: list[str] = []
    left = MOST_BYTES - len("\n".join(head).encode()) - 200
    for line in reversed(log):
        left -= len(line.encode()) + 1
        if left < 0:
            break
        kept.append(line)
    dropped = len(log) - len(kept)
    title = f"Last {len(kept)} lines of its log"
    if dropped:
        title += f" ({dropped} older ones left out)"
    return "\n".join([*head, "", f"== {title} ==", *reversed(kept), ""])


def _summary(gathered: Gathered) -> str:
    if gathered.inspection is None:
        return gathered.problems[0] if gathered.problems else "nothing could be found out"
    state = _part(gathered.inspection, "State")
    oom = bool(state.get("OOMKilled")) or any(e.action == "oom" for e in gathered.events)
    parts = ["out of memory"] if oom else []
    died = [event for event in gathered.events if event.action == "die"]
    codes = [event.attributes.get("exitCode", "") for event in died]
    if codes and codes[-1].isdigit():
        parts.append(_last_exit(int(codes[-1]), oom=oom))
    elif not state.get("Running"):
        parts.append(_last_exit(_number(state.get("ExitCode")), oom=oom))
    parts.append(
        f"restarted {_number(gathered.inspection.get('RestartCount'))} times by its policy"
    )
    return ", ".join(parts)


def _last_exit(code: int, *, oom: bool) -> str:
    """With the reason known, the code alone says enough."""
    return f"exit code {code}" if oom and code == 137 else exit_words(code)


def _container(raw: Mapping[str, Any]) -> list[str]:
    if not raw:
        return []
    state, config, host = _part(raw, "State"), _part(raw, "Config"), _part(raw, "HostConfig")
    lines = [
        f"name: {str(raw.get('Name', '')).lstrip('/')}",
        f"id: {str(raw.get('Id', ''))[:12]}",
        f"image: {config.get('Image', '')} ({str(raw.get('Image', ''))[:19]})",
        f"state: {state.get('Status', '')}",
        f"last {exit_words(_number(state.get('ExitCode')))}",
        f"out of memory (its last run): {'yes' if state.get('OOMKilled') else 'no'}",
        f"restarts by its policy: {_number(raw.get('RestartCount'))} ({_part(host, 'RestartPolicy').get('Name', 'none')})",
        f"created: {raw.get('Created', '')}",
        f"started: {state.get('StartedAt', '')}",
        f"finished: {state.get('FinishedAt', '')}",
    ]
    if state.get("Error"):
        lines.append(f"the Engine's error: {state['Error']}")
    return lines + _health(_part(state, "Health"))


def _health(health: Mapping[str, Any]) -> list[str]:
    if not health:
        return []
    lines = [f"health: {health.get('Status', '')}, failed {_number(health.get('FailingStreak'))} times in a row"]  # fmt: skip
    for one in _rows(health.get("Log"))[-3:]:
        output = " ".join(str(one.get("Output", "")).split())[:LONGEST_SHOWN]
        lines.append(f"  {one.get('End', '')}: exit code {_number(one.get('ExitCode'))}: {output}")
    return lines


def _configuration(raw: Mapping[str, Any]) -> list[str]:
    if not raw:
        return []
    config, host = _part(raw, "Config"), _part(raw, "HostConfig")
    command = [str(raw.get("Path", "")), *_texts(raw.get("Args"))]
    memory, cpus = _number(host.get("Memory")), _number(host.get("NanoCpus"))
    ports = sorted(_part(_part(raw, "NetworkSettings"), "Ports"))
    mounts = [
        f"{one.get('Source', '')} at {one.get('Destination', '')}{'' if one.get('RW', True) else ' (read-only)'}"
        for one in _rows(raw.get("Mounts"))
    ]
    names = sorted(text.partition("=")[0] for text in _texts(config.get("Env")))
    return [
        f"command: {' '.join(command)}",
        f"memory limit: {f'{memory // 2**20} MiB' if memory else 'none'}",
        f"CPU limit: {f'{cpus / 1e9:g}' if cpus else 'none'}",
        f"ports: {', '.join(ports) or 'none'}",
        f"mounts: {'; '.join(mounts) or 'none'}",
        f"environment: {', '.join(names) or 'none'}",
    ]


def mount_sources(raw: Mapping[str, Any]) -> list[str]:
    """Where on the host the container's bind mounts are."""
    found = [one.get("Source") for one in _rows(raw.get("Mounts")) if one.get("Type") == "bind"]
    return [path for path in found if isinstance(path, str) and path.startswith("/")][:8]


def _event(event: Event) -> str:
    at = datetime.fromtimestamp(event.time_nano / 1e9, UTC)
    code = event.attributes.get("exitCode", "")
    words = {"oom": "out of memory", "start": "started"}.get(event.action, event.action)
    if event.action == "die":
        words = exit_words(int(code)) if code.isdigit() and len(code) < 6 else "ended"
    return f"{at:%Y-%m-%d %H:%M:%S} {words}"


def _deployment(release: Release) -> str:
    until = f"{release.until:%Y-%m-%d %H:%M}" if release.until else "now"
    return f"{release.since:%Y-%m-%d %H:%M} to {until}: {release.service} {release.title}, {release.verdict}"


def _log_line(redactor: Redactor, line: LogLine) -> str:
    source = "E" if line.stream == 2 else "O"
    return f"{line.moment:%m-%d %H:%M:%S} {source} {_shown(redactor, line.body.decode(errors='replace'))}"


def _shown(redactor: Redactor, line: str) -> str:
    text = redactor.line(line)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def file_name(incident_id: int, number: int, container: str) -> str:
    """``number``: which of the incident's files it is."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "-", container)[:60].strip(".-") or "application"
    return f"evidence-{incident_id}-{number}-{safe}.txt"


def _part(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = raw.get(key)
    return found if isinstance(found, dict) else {}


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
