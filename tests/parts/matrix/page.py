"""docs/recovery-matrix.md: read for comparison, written by ``UPDATE_GOLDEN=1 pytest tests/parts/matrix``."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.parts.matrix.cells import Cell

PAGE = Path(__file__).resolve().parents[3] / "docs" / "recovery-matrix.md"
STATES = {
    "running": "everything runs",
    "stopped": "every container is stopped",
    "half-up": "MinIO runs and the application has no container; in one container: it was made and never started",
    "directory missing": "`COMPOSE_PROJECT_DIR` is gone; what runs goes on",
    "engine down": "nobody listens on Docker's socket",
    "disk full": "not a byte is left for project, backups, ledger and log; the application is stopped",
    "directory of another user": "the person may ask Docker, and may not read the project's directory; the application is stopped",
    "no access to Docker": "the person may use neither Docker's socket nor write the project's directory; the application is stopped",
    "port taken": "the application is stopped, and another program listens on its port",
}
VERSIONS = {
    "slow": "needs 6 s for each answer",
    "crash": "ends itself after 2 s",
    "unhealthy": "answers its health check with 503",
    "hungry": "takes memory until the kernel kills it",
    "not to be had": "its image is on no machine: the compose file names it, and the application has no container",
}
"""What the application may turn out to be after a deployment."""
LAYOUTS = {"apart": "application and MinIO apart", "single": "both in one container"}
SECTIONS = [(layout, state) for layout in LAYOUTS for state in STATES]
VERSIONS_IN = {"apart": "version", "single": "version, single"}
_OF_A_VERSION = {
    "version": "a version that is",
    "version, single": "in one container, a version that is",
}
BAD = ("crash", "unhealthy", "hungry")
"""The others are shown apart only: what the application shares its container with makes no difference to them."""
VERSION_SECTIONS = [
    *(("version", name) for name in VERSIONS),
    *(("version, single", name) for name in BAD),
]
_HEAD = """\
# What each verb does in each state

Made by `UPDATE_GOLDEN=1 pytest tests/parts/matrix`, on a real Docker Engine with a real compose project; the
same tests hold this page to what happens. In each cell the verb is called with `--yes`, for `rollback` also
with `--force`, and its exit code is checked. Before it a verb that changes something is called with
`--dry-run`: it prints the same plan, and containers, images, volumes, networks and files, with their times,
are the same before and after. So they are after a refusal, and after every verb that only looks. A container
of somebody else's, whose service is called `minio` too, runs beside it and is never touched; nor is the file in
MinIO's volume.

| state | is |
|---|---|
"""

_VERSIONS_HEAD = """\
## Versions that are no good

A version is deployed that is no good; then each verb is called, apart from the others. What looks must see it;
what starts the same version again must say that it is not well. `rollback` goes from it to the last known good
version. `rollback --to-version` goes the other way: the good version runs, and a
person asks for this one; in the end the good one must run again.

| version | is |
|---|---|
"""


def section(layout: str, state: str) -> list[Cell]:
    """What the page says; empty where it has no such section."""
    found = re.search(
        rf"^### {re.escape(_title(layout, state))}\n(.*?)(?=^##|\Z)", _text(), re.M | re.S
    )
    lines = found[1].splitlines() if found else []
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("| `")]
    return [Cell(v.strip().strip("`"), int(c), o.strip(), w.strip()) for v, c, o, w in rows]


def compare(layout: str, state: str, cells: list[Cell]) -> None:
    """Hold the page to ``cells``, or write them into it."""
    if os.environ.get("UPDATE_GOLDEN"):
        with exclusively(Path(tempfile.gettempdir()) / "recovery-matrix.lock"):
            known = {key: section(*key) for key in (*SECTIONS, *VERSION_SECTIONS)}
            PAGE.write_text(rendered(known | {(layout, state): cells}))
        return
    said = section(layout, state)
    assert cells == said, difference(cells, said)


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Several workers write the page at the same time."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def difference(cells: list[Cell], said: list[Cell]) -> str:
    return "\n".join(
        f"{mark} {cell}"
        for mark, one, other in (("now ", cells, said), ("page", said, cells))
        for cell in one
        if cell not in other
    )


def rendered(known: Mapping[tuple[str, str], list[Cell]]) -> str:
    """The whole page, its summaries made from its sections."""
    parts = [_HEAD + "".join(f"| {state} | {words} |\n" for state, words in STATES.items())]
    for layout, words in LAYOUTS.items():
        parts.append(f"## Summary: {words}\n\n" + _summary({s: known[layout, s] for s in STATES}))
    parts.append(
        _VERSIONS_HEAD + "".join(f"| {name} | {words} |\n" for name, words in VERSIONS.items())
    )
    for layout, state in (*VERSION_SECTIONS, *SECTIONS):
        parts.append(f"### {_title(layout, state)}\n\n" + _details(known[layout, state]))
    return "\n".join(parts)


def _summary(columns: Mapping[str, list[Cell]]) -> str:
    verbs = [cell.verb for cell in next(iter(columns.values()))]
    rows = [["verb", *columns], ["---"] * (len(columns) + 1)]
    for verb in verbs:
        found = ({c.verb: c for c in cells}.get(verb) for cells in columns.values())
        rows.append([f"`{verb}`", *(cell.outcome if cell else "" for cell in found)])
    return _table(rows)


def _details(cells: Iterable[Cell]) -> str:
    rows = [["verb", "exit code", "outcome", "says"], ["---"] * 4]
    rows += [[f"`{c.verb}`", str(c.exit_code), c.outcome, c.words] for c in cells]
    return _table(rows)


def _table(rows: Iterable[Iterable[str]]) -> str:
    return "".join("| " + " | ".join(cells) + " |\n" for cells in rows)


def _title(layout: str, state: str) -> str:
    return f"{(LAYOUTS | _OF_A_VERSION)[layout]}: {state}"


def _text() -> str:
    return PAGE.read_text() if PAGE.exists() else ""
