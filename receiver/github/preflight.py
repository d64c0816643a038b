"""Whether GitHub would carry a rollback out now: looked at before one is needed, and again before a dispatch.

``judge_*`` are pure: what GitHub said in, a finding with its reason out. Nothing here changes anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal, TypeVar

from receiver.github.answers import Deployment, DeploymentStatus, Run, Runner
from receiver.github.client import GitHub
from receiver.github.definition import Definition
from receiver.telling.delivery import DeliveryError
from target.durations import format_duration
from target.times import local

FRESH_SECONDS = 15.0
"""How long a look counts for the next one who asks."""
EXPIRES_SOON = timedelta(days=7)
STUCK = timedelta(hours=1)
"""What has been under way for longer holds a rollback without an end in sight; a deployment that only
says that it is under way has been forgotten by whoever made it."""
ENVIRONMENT = "production"
_UNDER_WAY = {"queued", "pending", "in_progress", "waiting"}

About = Literal["GitHub", "token", "workflow", "runner", "deployment"]
Said = TypeVar("Said")
Outcome = Literal["ok", "untold", "unknown", "weak", "busy", "problem"]
"""ok · untold: GitHub does not let this token ask · unknown: GitHub could not be asked now · weak: it works
now, and is to be mended · busy: something else is under way · problem: a dispatch would come to nothing."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``since``: when what is under way began."""

    about: About
    outcome: Outcome
    words: str
    mend: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class Readiness:
    """Everything that was looked at."""

    findings: tuple[Finding, ...]

    def first(self, *outcomes: Outcome) -> Finding | None:
        return next((one for one in self.findings if one.outcome in outcomes), None)

    @property
    def words(self) -> str:
        return "; ".join(one.words for one in self.findings)

    def gate(self) -> tuple[Literal["pass", "wait", "refuse"], str]:
        """May a rollback be dispatched now, and why. What cannot be told does not hold it: the dispatch will tell.

        What is under way comes first: while it is, nothing else may change the deployment by another way either.
        """
        if busy := self.first("busy"):
            return "wait", f"{busy.words}; {busy.mend}" if busy.mend else busy.words
        if problem := self.first("problem"):
            return "refuse", f"{problem.words}; {problem.mend}" if problem.mend else problem.words
        return "pass", self.words

    def shortcomings(self, now: datetime) -> tuple[Finding, ...]:
        """What is to be mended before it is needed. That something is just being deployed is none."""
        return tuple(one for one in self.findings if _is_short(one, now))


def _is_short(finding: Finding, now: datetime) -> bool:
    if finding.outcome == "busy":
        return finding.since is not None and now - finding.since > STUCK
    return finding.outcome in ("problem", "weak", "unknown")


def judge_token(configured: datetime | None, said: datetime | None, now: datetime) -> Finding:
    """GITHUB_TOKEN_EXPIRES, where it is set, is believed before GitHub's header."""
    ends = configured or said
    if ends is None:
        return Finding("token", "ok", "the token is good")
    source = "GITHUB_TOKEN_EXPIRES" if configured else "GitHub"
    words, mend = f"{source} says that the token ends on {ends:%Y-%m-%d}", "make a new token"
    if now >= ends:
        # It was taken just now: the date is wrong, not the token.
        return Finding("token", "weak", f"{words}, which is over", "set GITHUB_TOKEN_EXPIRES anew")
    if ends - now < EXPIRES_SOON:
        left = format_duration(timedelta(hours=max(1, int((ends - now) / timedelta(hours=1)))))
        return Finding("token", "weak", f"{words}: in {left}", f"{mend} and set GITHUB_TOKEN")
    return Finding("token", "ok", f"the token is good until {ends:%Y-%m-%d}")


def judge_workflow(file: str, ref: str, state: str, text: str | None) -> Finding:
    """It is there, enabled, and takes what we send."""
    if state != "active":
        mend = "enable it on GitHub, under Actions"
        return Finding("workflow", "problem", f"{file} is {state}", mend)
    if text is None:
        words = f"{file} is active; the token may not read whether it takes our inputs"
        return Finding("workflow", "untold", words, "give the token Contents: read")
    copy = f"copy .github/workflows/rollback.yml of this release to {ref}"
    try:
        definition = Definition(text)
    except ValueError as error:
        return Finding("workflow", "problem", f"{file} at {ref}: {error}", copy)
    if faults := definition.faults():
        return Finding("workflow", "problem", f"{file} at {ref}: {'; '.join(faults[:4])}", copy)
    if not definition.names_its_run:
        words = f"{file} at {ref}: its run-name does not show correlation_id, so that a run may not be found again"
        return Finding("workflow", "weak", words, copy)
    return Finding("workflow", "ok", f"{file} is active and takes our inputs")


def judge_runner(text: str | None, runners: Sequence[Runner] | None) -> Finding:
    """One that the workflow asks for is online."""
    if runners is None:
        words = "the token may not ask whether a runner is online"
        return Finding("runner", "untold", words, "give the token Administration: read")
    wanted = _labels(text)
    if not wanted:
        return Finding("runner", "ok", "the workflow needs no runner of ours")
    if not runners:
        return Finding("runner", "untold", "the repository itself has no runner that could be seen")
    for labels in wanted:
        fitting = [runner for runner in runners if runner.has(labels)]
        if not any(runner.online for runner in fitting):
            names = ", ".join(runner.name for runner in fitting[:3])
            missing = (
                f"the runner {names} is offline"
                if fitting
                else f"no runner has the labels {', '.join(sorted(labels))}"
            )
            mend = "start the runner on the machine of the deployment"
            return Finding("runner", "problem", missing, mend)
    return Finding("runner", "ok", "a runner is online")


def _labels(text: str | None) -> tuple[frozenset[str], ...]:
    """Where the file cannot be read: the shipped workflow's."""
    shipped = (frozenset({"self-hosted"}),)
    if text is None:
        return shipped
    try:
        return Definition(text).labels()
    except ValueError:
        return shipped


def judge_runs(runs: Sequence[tuple[str, Run]], zone: tzinfo) -> Finding:
    """No run of the deploying workflows is under way. ``zone``: TIMEZONE."""
    if not runs:
        return Finding("deployment", "ok", "nothing is being deployed or rolled back on GitHub")
    file, run = min(runs, key=lambda one: one[1].created_at)
    status = run.status.replace("_", " ") or "under way"
    words = f"run {run.id} of {file} is {status} since {local(run.created_at, zone)}"
    mend = f"look at it: {run.html_url}"
    return Finding("deployment", "busy", words, mend, run.created_at)


def judge_deployment(
    deployment: Deployment | None, statuses: Sequence[DeploymentStatus], now: datetime
) -> Finding | None:
    """The newest deployment is not under way. None where there is nothing to say."""
    newest = statuses[0] if statuses else None
    if deployment is None or newest is None or newest.state not in _UNDER_WAY:
        return None
    if now - newest.created_at > STUCK:
        return None
    words = f"the deployment of {deployment.sha[:7]} to {ENVIRONMENT} is {newest.state.replace('_', ' ')}"
    return Finding("deployment", "busy", words, "wait for its end", newest.created_at)


class Preflight:
    """Asks GitHub, one caller at a time; what was found a moment ago counts for the next one too."""

    def __init__(
        self,
        github: GitHub,
        deploying: Sequence[str],
        token_expires: datetime | None,
        zone: tzinfo,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``deploying``: files of the workflows that change the deployment, besides the rollback's own. ``zone``: TIMEZONE."""
        self._github = github
        self._deploying = tuple(dict.fromkeys((github.workflow_file, *deploying)))
        self._configured = token_expires
        self._zone = zone
        self._clock = clock
        self._asking = asyncio.Lock()
        self._last: tuple[float, Readiness] | None = None

    @property
    def token_expires(self) -> datetime | None:
        return self._configured or self._github.token_expires

    async def look(self, now: datetime) -> Readiness:
        """Never raises DeliveryError: that GitHub cannot be asked is a finding too."""
        async with self._asking:
            if self._last is None or self._clock() - self._last[0] > FRESH_SECONDS:
                self._last = (self._clock(), await self._ask(now))
            return self._last[1]

    def forget(self) -> None:
        """Something has changed since: whoever asks next is told anew."""
        self._last = None

    async def _ask(self, now: datetime) -> Readiness:
        """The workflow first: where the token is bad, GitHub is not shown it five times."""
        try:
            state = await self._github.workflow_state()
        except DeliveryError as error:
            return Readiness((_unasked("GitHub", error),))
        file, ref = self._github.workflow_file, self._github.ref
        text = asyncio.ensure_future(self._github.workflow_text())
        found = await asyncio.gather(
            _found("workflow", text, lambda said: judge_workflow(file, ref, state, said)),
            _found("runner", self._runners(text), lambda said: judge_runner(*said)),
            _found("deployment", self._runs(), lambda said: judge_runs(said, self._zone)),
            _found("deployment", self._deployment(), lambda said: judge_deployment(*said, now)),
        )
        token = judge_token(self._configured, self._github.token_expires, now)
        return Readiness((token, *(one for one in found if one is not None)))

    async def _runners(
        self, text: asyncio.Future[str | None]
    ) -> tuple[str | None, Sequence[Runner] | None]:
        runners = await self._github.runners()
        await asyncio.wait([text])
        return (None if text.exception() else text.result()), runners

    async def _runs(self) -> list[tuple[str, Run]]:
        found = await asyncio.gather(*map(self._github.unfinished_runs, self._deploying))
        return [
            (file, run) for file, runs in zip(self._deploying, found, strict=True) for run in runs
        ]

    async def _deployment(self) -> tuple[Deployment | None, Sequence[DeploymentStatus]]:
        newest = await self._github.deployments(ENVIRONMENT, newest=1)
        if not newest:
            return None, ()
        return newest[0], await self._github.deployment_statuses(newest[0].id)


async def _found(
    about: About, asked: Awaitable[Said], judge: Callable[[Said], Finding | None]
) -> Finding | None:
    try:
        return judge(await asked)
    except DeliveryError as error:
        return _unasked(about, error)


def _unasked(about: About, error: DeliveryError) -> Finding:
    """Only the workflow must be seen: a dispatch needs nothing else of what a token may be refused."""
    if not error.permanent:
        return Finding(
            about, "unknown", f"GitHub could not be asked: {error}", "look at its status page"
        )
    if about in ("GitHub", "workflow"):
        mend = "mend GITHUB_TOKEN, GITHUB_REPO, ROLLBACK_WORKFLOW or ROLLBACK_REF"
        return Finding(about, "problem", str(error), mend)
    return Finding(about, "untold", f"the token may not ask about the {about}: {error}")
