"""What ``check`` says of a rollback: would GitHub carry it out, and could this machine where GitHub cannot?"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from receiver.deciding.policy import PolicyError, load_policy
from receiver.equipment import build_github, policy_path
from receiver.github.preflight import Finding as Looked
from receiver.github.preflight import Preflight
from receiver.http import Http
from receiver.rollback.route import hindrance
from sermon_monitor.finding import Finding
from sermon_monitor.settings import Settings
from target.engine import Engine


async def local_rollback(settings: Settings) -> list[Finding]:
    """Whether local_fallback could be made true."""
    try:
        mode = load_policy(policy_path(settings)).local_fallback
    except PolicyError:
        return []  # said already
    what = "local rollback"
    if mode == "never":
        return [Finding("ok", what, "local_fallback is never")]
    engine = Engine(settings.docker_host)
    try:
        words = (await asyncio.to_thread(hindrance, settings, engine)).words
    finally:
        engine.close()
    if not words:
        return [Finding("ok", what, f"possible; local_fallback is {mode}")]
    mend = (
        "docs/operations.md says what it needs; without it a person types sermon-recovery rollback"
    )
    # By default it is only a second way, which the shipped container does not have.
    return [Finding("problem" if mode == "auto" else "note", what, words, mend)]


async def rollback(http: Http, settings: Settings) -> list[Finding]:
    """Whether a dispatch would be taken, known before the night: token, workflow, runner, what is under way."""
    github = build_github(settings, http)
    if github is None:
        mend = "set GITHUB_TOKEN and GITHUB_REPO"
        return [Finding("note", "GitHub", "not configured: no rollback is dispatched", mend)]
    now = datetime.now(UTC)
    preflight = Preflight(
        github, settings.deploy_workflows, settings.github_token_expires, settings.zone
    )
    readiness = await preflight.look(now)
    short = readiness.shortcomings(now)
    return [_told(one, short=one in short, repo=settings.github_repo) for one in readiness.findings]


def _told(one: Looked, *, short: bool, repo: str | None) -> Finding:
    if short:
        return Finding("problem", one.about, f"{repo}: {one.words}", one.mend)
    if one.outcome in ("untold", "busy"):
        return Finding("note", one.about, one.words, one.mend)
    return Finding(
        "ok", one.about, f"{repo}: {one.words}" if one.about == "workflow" else one.words
    )
