"""One cell of the matrix: a verb in a state, tried dry, then done; what must hold, and what it said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from click.testing import CliRunner, Result

from recovery.backup.verify import problems
from recovery.cli import main
from recovery.verbs import VERBS, Verb
from tests.parts.matrix.fingerprint import KEPT
from tests.parts.matrix.place import SERMON, Place

WORDS: dict[str, tuple[str, ...]] = {
    "rollback": (
        "--without-backup",
        "--force",
        "--reason",
        "the matrix",
        "--verify-timeout",
        "120",
    ),
    "backup-create": ("taken",),
    "backup-daily": ("--without-data", "--without-drill"),
    "quick-fix": ("--verify-timeout", "120"),
    "restart-services": ("--verify-timeout", "120"),
    "emergency-restart": ("--verify-timeout", "120"),
    "post-deploy": ("--verify-timeout", "120"),
    "logs": ("--tail", "20"),
}
"""What a verb is called with besides ``--json``."""
LONGEST = 240
_SILENCE = (
    r"connection refused|connection reset by peer|it ended the connection without an answer"
    r"|no answer within [^:;]*: it took the connection and said nothing"
)
"""How an application that does not answer shows it: by chance of the moment."""
LOOKS = [verb for verb in VERBS if not verb.changes]
CHANGES = [verb for verb in VERBS if verb.changes]


class Cell(NamedTuple):
    """What the documentation shows."""

    verb: str
    exit_code: int
    outcome: str
    words: str


def call(place: Place, state: str, verb: str, *words: str) -> tuple[Result, Any]:
    """Run one verb as a person would, without a terminal; its result and its JSON."""
    arguments = [verb, *WORDS.get(verb, ()), "--json", *words]
    with place.as_user_of(state):
        done = CliRunner().invoke(main, arguments, env=place.environment(state))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    try:
        return done, json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"{verb}: no JSON: {done.output}") from None


def look(place: Place, state: str, verb: Verb) -> Cell:
    """A verb that looks changes nothing, and its exit code is its verdict."""
    before = place.fingerprint()
    done, said = call(place, state, verb.name)
    if verb.name == "pre-deploy":  # saves the configuration first
        before, after = (_without_backups(place, one) for one in (before, place.fingerprint()))
        assert after == before, verb.name
        place.without_backups()
    else:
        assert place.fingerprint() == before, verb.name
    return Cell(verb.name, done.exit_code, *_seen(place, verb.name, done, said))


def try_dry(place: Place, state: str, verb: Verb) -> Any:
    """A dry run changes nothing; its plan."""
    before = place.fingerprint()
    done, said = call(place, state, verb.name, "--dry-run")
    assert place.fingerprint() == before, verb.name
    assert said["outcome"] in ("dry_run", "nothing", "already", "refused"), said
    assert done.exit_code == (1 if said["outcome"] == "refused" else 0)
    return _without_numbers(said["plan"])


def _without_numbers(plan: Any) -> str:
    """How many bytes are free, and how long an answer took, is another number each time."""
    return re.sub(r"\d+(\.\d+)?", "0", json.dumps(plan))


def change(place: Place, state: str, verb: Verb) -> Cell:
    """Dry, unconfirmed, then done: the same plan each time; refused changes nothing; what is done holds."""
    planned = try_dry(place, state, verb)
    before, stranger = place.fingerprint(), place.stranger()
    done, said = call(place, state, verb.name, "--yes")
    assert _without_numbers(said["plan"]) == planned, verb.name
    outcome = said["outcome"]
    assert done.exit_code == (0 if outcome in ("done", "nothing", "already") else 1)
    if outcome in ("refused", "nothing", "already"):
        after = place.fingerprint()
        _without_logs(place, before, after)
        assert (before.pop(KEPT) == after.pop(KEPT)) or outcome == "refused", verb.name
        assert after == before, verb.name
    elif outcome == "done":
        HOLDS[verb.name](place, said)
    assert place.stranger() == stranger, "somebody else's container was touched"
    assert place.sermon().read_bytes() == SERMON
    return Cell(verb.name, done.exit_code, outcome, plain(place, said["words"]))


def unconfirmed(place: Place, verb: Verb) -> None:
    """Without a terminal nobody can be asked, and the answer is no."""
    before = place.fingerprint()
    done, said = call(place, "running", verb.name)
    after = place.fingerprint()
    _without_logs(place, before, after)
    assert (done.exit_code, said["outcome"]) == (1, "refused"), said
    assert "not confirmed" in said["words"]
    assert after == before


def _without_logs(place: Place, *fingerprints: dict[str, Any]) -> None:
    """The toolkit's own log may grow, and the lock file of the deployment may be made."""
    for one in fingerprints:
        for path in list(one["files"]):
            if path.startswith(str(place.logs)) or path.endswith(".sermon-monitor.lock"):
                del one["files"][path]
        one["files"].pop(str(place.directory), None)


def _without_backups(place: Place, one: dict[str, Any]) -> dict[str, Any]:
    files = {k: v for k, v in one["files"].items() if not k.startswith(str(place.backups))}
    return one | {"files": files}


# What must hold once a verb says that it is done


def _all_well(place: Place, _: Any) -> None:
    assert place.well(), [(c.name, c.state, c.health) for c in place.containers()]


def _all_stopped(place: Place, _: Any) -> None:
    assert [c.name for c in place.containers() if c.running] == []
    assert place.containers(), "a stopped container stays"


def _rolled_back(place: Place, _: Any) -> None:
    assert place.client.container(place.app).image_id == place.former.id
    assert f"# sermon-monitor: was {place.good.tag}" in place.compose_file.read_text()


def _backed_up(place: Place, _: Any) -> None:
    folder = place.backups / "taken"
    assert problems(folder) == []
    assert (folder / "project/.env").read_text() == "SECRET=hunter2\n"


def _saved_daily(place: Place, _: Any) -> None:
    (folder,) = place.backups.glob("daily-*")
    assert problems(folder) == []


def _cleaned(place: Place, said: Any) -> None:
    tags = {tag for image in place.client.images() for tag in image.tags}
    assert {place.good.tag, place.former.tag} <= tags
    assert any(step["ok"] for step in said["steps"])


HOLDS: dict[str, Callable[[Place, Any], None]] = {
    "quick-fix": _all_well,
    "restart-services": _all_well,
    "emergency-restart": _all_well,
    "post-deploy": _all_well,
    "emergency-stop": _all_stopped,
    "rollback": _rolled_back,
    "backup-create": _backed_up,
    "backup-daily": _saved_daily,
    "cleanup": _cleaned,
}


# Words as the documentation shows them: the same on every machine


def _seen(place: Place, verb: str, done: Result, said: Any) -> tuple[str, str]:
    if verb == "versions":
        if done.exit_code:
            return said["outcome"], plain(place, said["words"])
        return "shown", plain(place, "; ".join(r["tag"] for r in said))
    if verb == "logs":
        return said.get("outcome", "shown"), plain(place, said.get("words", ""))
    if verb == "backup-list":
        return said["outcome"], plain(place, said["words"])
    problems = [f"{f['what']}: {f['words']}" for f in said["findings"] if f["level"] == "problem"]
    return said["outcome"], plain(place, "; ".join(problems))


def plain(place: Place, words: str) -> str:
    for found, shown in (
        (str(place.app_port), "8000"),
        (str(place.minio_port), "9000"),
        (place.engine.host, "unix:///var/run/docker.sock"),
        (f"unix://{place.disk}/gone.sock", "unix:///var/run/docker.sock"),
        (str(place.directory), "/opt/sermon-uploader"),
        (str(place.backups), "/opt/sermon-uploader-backups"),
        (str(place.disk), "/mnt"),
    ):
        words = words.replace(found, shown)
    words = re.sub(r"\b(before-[a-z]+|daily)-\d{8}T\d{6}[.\d]*Z", r"\1-…", words)
    words = re.sub(r"\b[0-9a-f]{12,64}\b", "…", words)
    words = re.sub(r"\b\d+(\.\d+)? (s|B|KiB|MiB|GiB)\b", r"… \2", words)
    words = re.sub(r"\(pid \d+\)|pid \d+", "pid …", words)
    words = re.sub(r"\b\d+ of \d+ requests in ", "… of … requests in ", words)
    words = re.sub(r"\b\d+ × ", "… × ", words)
    words = re.sub(r"held by \S+ pid …", "held by python pid …", words)
    words = re.sub(_SILENCE, "no answer", words)
    words = " ".join(words.split()).replace("|", "\\|")
    return words if len(words) <= LONGEST else words[:LONGEST].rsplit(" ", 1)[0] + " …"
