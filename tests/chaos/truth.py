"""What must hold at the end of every scenario, whatever was killed, lost, late or lied about in it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr

from receiver.http import Answer, Http
from receiver.notifiers.discord import Discord as DiscordNotifier
from receiver.records import Ring
from receiver.settings import ReceiverSettings
from receiver.store.database import MIGRATIONS, StoreError, reading
from receiver.store.history import read_history
from receiver.telling.view import view_of
from tests.chaos.deployment import APP, MINIO

if TYPE_CHECKING:
    from tests.chaos.world import World

NOTHING_TO_STOP = "nothing of the application runs"
"""A proposed stop waits for as long as the incident is open: what does not run now may come back."""
FAULTS = ("our own fault", "in our own code", "Traceback", "could not be made")


def is_open(store: Path) -> bool:
    """Whether a receiver has made it, and brought it up to date."""
    try:
        with reading(store) as c:
            version: int = c.execute("PRAGMA user_version").fetchone()[0]
    except StoreError:
        return False
    return version == len(MIGRATIONS)


def asked(store: Path, action: str) -> list[int]:
    """Numbers of the open questions about an action."""
    try:
        with reading(store) as c:
            query = "SELECT id FROM approvals WHERE state = 'asked' AND action = ?"
            return [row[0] for row in c.execute(query, (action,))]
    except StoreError:
        return []


def phase(store: Path, action: str) -> str:
    """Where the running step of that kind stands; empty where there is none."""
    return _first(store, "SELECT phase FROM steps WHERE action = ? AND state = 'running'", action)


def over(store: Path, action: str) -> bool:
    """Whether a step of that kind was begun and is over."""
    query = "SELECT state FROM steps WHERE action = ? AND state IN ('done', 'failed')"
    return bool(_first(store, query, action))


def _first(store: Path, query: str, action: str) -> str:
    try:
        with reading(store) as c:
            row = c.execute(query, (action,)).fetchone()
    except StoreError:
        return ""
    return str(row[0]) if row else ""


def digests(store: Path) -> int:
    """How many days of digests are known."""
    try:
        with reading(store) as c:
            count: int = c.execute("SELECT count(*) FROM digests").fetchone()[0]
    except StoreError:
        return 0
    return count


def unfinished(store: Path) -> list[str]:
    """What is not at rest, in words."""
    with reading(store) as c:
        left = [
            f"message {r['id']} ({r['kind']}) is not told: {r['error']}"
            for r in c.execute("SELECT * FROM messages WHERE revision > delivered")
        ]
        left += [
            f"step {r['id']} ({r['action']}) is {r['state']} {r['phase']}: {r['words']}"
            for r in c.execute("SELECT * FROM steps WHERE state IN ('pending', 'running')")
            if not _rests(c, r)
        ]
        left += [
            f"incident {r['id']} ({r['service']}) is open, and nothing of it fires: {r['verdict']}"
            for r in c.execute("SELECT * FROM incidents WHERE state = 'open'")
            if not _fires(c, r["id"]) and not _until_expired(c, r["id"])
        ]
    return left


def _rests(c: sqlite3.Connection, step: Mapping[str, Any]) -> bool:
    """It waits for what comes in hours, or for a person. What nothing asks for any more is about to be dropped."""
    if step["id"] in _until_expired(c, step["incident_id"]):
        return True
    waits = step["words"] == NOTHING_TO_STOP or _behind_one(c, step["words"])
    return waits and _fires(c, step["incident_id"])


def _until_expired(c: sqlite3.Connection, incident_id: int) -> set[int]:
    """Rollbacks whose dispatch may have arrived unseen, and that were told an end that lies far ahead.

    So it is where the clock was set back meanwhile: a run may still begin until then, and whoever
    called it over before would be wrong.
    """
    query = "SELECT id, words FROM steps WHERE incident_id = ? AND state = 'running' AND phase = 'searching'"
    found = c.execute(query, (incident_id,)).fetchall()
    return {number for number, words in found if "until it has expired" in words}


def _behind_one(c: sqlite3.Connection, words: str) -> bool:
    """It waits for such a rollback, of whatever incident."""
    found = re.search(r"a rollback is under way \(incident (\d+), searching\)", words)
    return found is not None and bool(_until_expired(c, int(found[1])))


def check(world: World) -> list[str]:
    """Every law that does not hold, in words."""
    with reading(world.store) as c:
        found = [
            *_nothing_is_lost(c, world),
            *_no_step_twice(c, world),
            *_one_rollback(c, world),
            *_approved(c, world),
            *_words_count(c, world),
            *_a_digest_a_day(c, world),
            *_closed_or_called(c, world),
            *_cards_are_true(c, world),
        ]
        _count(c, world)
    log = world.log.read_text(errors="replace")
    found += [
        f"the log says: {line[:300]}" for line in log.splitlines() if any(f in line for f in FAULTS)
    ]
    return found


def _nothing_is_lost(c: sqlite3.Connection, world: World) -> Iterator[str]:
    """Every accepted firing made an instance or counted as a repeat; every end ended one or is noted."""
    seen: Counter[str] = Counter()
    for row in c.execute("SELECT fingerprint, repeats, ended_at FROM alerts"):
        seen[row["fingerprint"]] += 1 + row["repeats"]
    for (key, status), accepted in world.told.accepted.items():
        tried = world.told.tried[key, status]
        if status == "firing" and not accepted <= seen[key] <= tried + world.listing.shown[key]:
            yield f"{key}: {accepted} firings accepted, {seen[key]} remembered, {tried} told"
    for key in seen:
        if seen[key] > world.told.tried[key, "firing"] + world.listing.shown[key]:
            yield f"{key}: more firings remembered than told"
    ends = sum(1 for _ in c.execute("SELECT 1 FROM alerts WHERE ended_at IS NOT NULL"))
    ends += sum(1 for _ in c.execute("SELECT 1 FROM events WHERE kind = 'stray end'"))
    accepted = sum(n for (_, status), n in world.told.accepted.items() if status == "resolved")
    tried = sum(n for (_, status), n in world.told.tried.items() if status == "resolved")
    listed = len(world.prometheus.known) * world.listing.asked  # what is not listed has ended
    if not accepted <= ends <= tried + listed:
        yield f"{accepted} ends accepted, {ends} remembered, {tried} told"
    fires = {r[0] for r in c.execute("SELECT fingerprint FROM alerts WHERE ended_at IS NULL")}
    if fires != set(world.prometheus.firing):
        yield f"{sorted(world.prometheus.firing)} fires, {sorted(fires)} is remembered"


def _no_step_twice(c: sqlite3.Connection, world: World) -> Iterator[str]:
    """A restart reaches the Engine at most once a step and container."""
    target_of = {APP: "app", MINIO: "minio"}
    for (name, _), made in world.deployment.restarted.items():
        begun = c.execute(
            "SELECT count(*) FROM steps WHERE action = 'restart' AND target = ? AND started_at IS NOT NULL",
            (target_of[name],),
        ).fetchone()[0]
        if made > begun:
            yield f"{begun} restarts of {name} were begun, {made} of one container were made"


def _one_rollback(c: sqlite3.Connection, world: World) -> Iterator[str]:
    """A dispatch at most once a step, and a step at most once an incident."""
    sent = Counter(d.inputs["correlation_id"] for d in world.github.dispatches)
    yield from (f"{key} was dispatched {n} times" for key, n in sent.items() if n > 1)
    incidents = Counter(key.split("-")[1] for key in sent)
    yield from (f"incident {key} had {n} rollbacks" for key, n in incidents.items() if n > 1)
    known = {
        row[0]
        for row in c.execute(
            "SELECT detail ->> 'correlation_id' FROM steps WHERE action = 'rollback'"
        )
    }
    yield from (f"{key} was dispatched and is not remembered" for key in set(sent) - known)


def _approved(c: sqlite3.Connection, world: World) -> Iterator[str]:
    """What must be asked for is done on a person's word alone, and exactly what was approved."""
    used = c.execute("SELECT * FROM approvals WHERE state = 'used'").fetchall()
    granted = {row["step_id"] for row in used}
    for row in c.execute("SELECT id, action FROM steps WHERE asks AND started_at IS NOT NULL"):
        if row["id"] not in granted:
            yield f"step {row['id']} ({row['action']}) began without an approval"
    for action, done in (
        ("emergency_stop", world.deployment.stopped),
        ("cleanup", [i for i in world.deployment.removed if i in world.deployment.named]),
    ):
        meant = {i for row in used if row["action"] == action for i in row["subject"].split()}
        yield from (f"{action} of {one} was not approved" for one in set(done) - meant)
    local = {row["step_id"] for row in used if row["action"] == "local_rollback"}
    if world.fallback == "approve":
        query = "SELECT id FROM steps WHERE action = 'rollback' AND detail ->> 'begun' IS NOT NULL"
        for (number,) in c.execute(query):
            if number not in local:
                yield f"this machine rolled back without an approval (step {number})"


def _words_count(c: sqlite3.Connection, world: World) -> Iterator[str]:
    """What people were told that it counts is what they said."""
    for number, said in world.decisions.items():
        row = c.execute("SELECT state, who FROM approvals WHERE id = ?", (number,)).fetchone()
        meant = {"denied"} if said == "denied" else {"granted", "used", "expired", "overtaken"}
        if row is None or row["state"] not in meant or row["who"] != "anna (board)":
            yield f"approval {number} was {said}, and is {dict(row) if row else 'not there'}"


def _a_digest_a_day(c: sqlite3.Connection, world: World) -> Iterator[str]:
    """A day that was made to come has its digest, and no message stands for two."""
    made = [row[0] for row in c.execute("SELECT message_id FROM digests WHERE message_id")]
    if world.day_passed and not made:
        yield "no digest was made"
    notes = c.execute("SELECT count(*) FROM messages WHERE topic = 'digest'").fetchone()[0]
    if not len(made) == len(set(made)) == notes:
        yield f"{len(made)} digests are known, {notes} were written"


def _closed_or_called(c: sqlite3.Connection, world: World) -> Iterator[str]:
    """Whatever asked for steps is over, or somebody was called, and something on Discord rang."""
    for row in c.execute("SELECT * FROM incidents WHERE state = 'open'").fetchall():
        asked = c.execute(
            "SELECT state FROM steps WHERE incident_id = ? AND action = 'person'", (row["id"],)
        ).fetchall()
        if not _fires(c, row["id"]) and _until_expired(c, row["id"]):
            continue
        if asked and "done" not in {state for (state,) in asked}:
            yield f"incident {row['id']} ({row['service']}) is open and nobody was called"
        if asked and not _rang(c, world, row["id"]):
            yield f"incident {row['id']}: nothing on Discord rang for it"


def _rang(c: sqlite3.Connection, world: World, incident_id: int) -> bool:
    """A call is there; or the card came later than the call was wanted, and rang itself."""
    shown = {message.id: message for message in world.discord.messages}
    found = c.execute(
        "SELECT message_id FROM messages WHERE incident_id = ? AND kind IN ('call', 'card')",
        (incident_id,),
    )
    return any(shown[number].pings for (number,) in found if number in shown)


def _cards_are_true(c: sqlite3.Connection, world: World) -> Iterator[str]:
    """The message that counts shows what the product says of the incident now."""
    shown = {message.id: message for message in world.discord.messages}
    settings = ReceiverSettings.model_validate({k: v for k, v in world.environment.items() if k.lower() in ReceiverSettings.model_fields})  # fmt: skip
    for row in c.execute("SELECT * FROM messages WHERE kind = 'card'").fetchall():
        card = shown.get(row["message_id"])
        if card is None or card.deleted:
            yield f"incident {row['incident_id']}: its card is not on Discord"
            continue
        wanted = _rendered(c, row, settings)
        said, true = _text(card.embeds), _text(wanted["embeds"])
        if said != true:
            yield f"incident {row['incident_id']}: the card says {said}, true is {true}"


def _fires(c: sqlite3.Connection, incident_id: int) -> bool:
    query = "SELECT 1 FROM alerts WHERE incident_id = ? AND ended_at IS NULL"
    return c.execute(query, (incident_id,)).fetchone() is not None


def _text(embeds: Iterable[Mapping[str, Any]]) -> str:
    """As a reader compares them. How often an alert was repeated is told as of the last edit."""
    said = [{k: v for k, v in embed.items() if k != "type"} for embed in embeds]
    return re.sub(r", reported \d+ times", "", json.dumps(said, sort_keys=True, ensure_ascii=False))


class _Captured(Http):
    """Keeps the body instead of sending it."""

    def __init__(self) -> None:
        self.body: Mapping[str, Any] = {}

    async def request(self, method: str, url: Any, **more: Any) -> Answer:
        self.body = more["json"]
        return Answer(200, {}, b'{"id": "1"}')


def _rendered(
    c: sqlite3.Connection, row: Mapping[str, Any], settings: ReceiverSettings
) -> Mapping[str, Any]:
    """The card as the product's own notifier would send it now."""
    history = read_history(c, row["incident_id"], datetime.now(UTC))
    if history is None:
        raise AssertionError(f"no incident {row['incident_id']}")
    captured = _Captured()
    notifier = DiscordNotifier(
        captured, cast(SecretStr, settings.discord_webhook_url), settings.discord_mention
    )
    view = replace(view_of(history, settings), copies=row["copies"])
    coroutine = notifier.send(view, row["message_id"], ring=Ring.SILENT)
    try:
        coroutine.send(None)  # nothing in it waits
    except StopIteration:
        return captured.body
    raise AssertionError("the notifier waits for something")


def _count(c: sqlite3.Connection, world: World) -> None:
    for table in ("incidents", "alerts", "steps", "messages"):
        world.outcome.counts[table] = c.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    world.outcome.counts["webhooks"] = sum(world.told.accepted.values())
    world.outcome.counts["dispatches"] = len(world.github.dispatches)
    world.outcome.counts["restarts"] = sum(world.deployment.restarts.values())
