"""A run of GitHub's workflow, for a rollback or an emergency stop: dispatched once, and followed to its end.

Phases: dispatching -> following, or -> searching where nobody knows whether GitHub took the dispatch;
following -> verifying once the run succeeded. "dispatching" is committed before each send, the first
time with the claim of the step: whoever finds it after a crash or a store that failed looks for the
run and never sends again. A send that certainly was not received goes on to waiting, and from there again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from receiver.actions import Progress
from receiver.actions.local_rollback import failed
from receiver.deciding.timing import Timing
from receiver.github.answers import Run
from receiver.github.client import GitHub
from receiver.records import Step
from receiver.rollback.route import BY_HAND
from receiver.store.history import History
from receiver.telling.delivery import DeliveryError
from target.times import local, parse_rfc3339, rfc3339

_WAITING = {"queued", "requested", "pending", "waiting"}


@dataclass(frozen=True)
class Instead:
    """GitHub cannot do it, and nothing of it can act any more: another way may be taken. ``why``, in words."""

    why: str


def request(
    step: Step,
    history: History,
    rollback_type: str,
    expires: datetime,
    *,
    target_commit: str = "",
    target_image: str = "",
    by: str = "",
) -> dict[str, Any]:
    """What is remembered of a dispatch: the workflow's inputs, its correlation id, and when it ends.

    ``by``: who approved it. Forced, because the gate "confirmed" has passed: we have seen it broken ourselves.
    """
    correlation, until = f"sm-{step.incident_id}-{uuid.uuid4().hex[:12]}", rfc3339(expires)
    reason = f"{step.alert}: incident {step.incident_id} of {history.incident.service}"
    inputs = {
        "rollback_type": rollback_type,
        "target_commit": target_commit,
        "reason": f"{reason}; approved by {by}" if by else reason,
        "force_rollback": "true",
        "correlation_id": correlation,
        "expires_at": until,
        "target_image": target_image,
    }
    return {"inputs": inputs, "correlation_id": correlation, "expires_at": until}


class WorkflowRun:
    """The part of a step's machine that talks to GitHub."""

    def __init__(
        self,
        github: GitHub,
        timing: Timing,
        *,
        other_way: bool,
        failed: Callable[[Step, str], Progress] = failed,
        by_hand: str = BY_HAND,
        zone: tzinfo = UTC,
    ) -> None:
        """``other_way``: where GitHub cannot do it, something else may be tried. ``by_hand``: what a person types.

        ``zone``: TIMEZONE, in which it tells times.
        """
        self._github = github
        self._timing = timing
        self._other_way = other_way
        self._failed = failed
        self._by_hand = by_hand
        self._zone = zone
        self._cleared: set[int] = set()
        """Steps whose phase ``dispatching`` this process has committed and not yet used."""

    def first_phase(self, step: Step) -> str:
        """For the claim of a step: what follows it is the send."""
        self._cleared.add(step.id)
        return "dispatching"

    async def advance(self, step: Step, now: datetime) -> Progress | Instead:
        match step.phase:
            case "waiting":
                return self._clear(step, now)
            case "dispatching":
                return await self._dispatch(self._github, step, now)
            case "searching":
                return await self._search(self._github, step, now)
            case _:
                return await self._follow(self._github, step, now)

    def _clear(self, step: Step, now: datetime) -> Progress | Instead:
        """The next thing is the send. Whoever finds the step in that phase later must look, not send."""
        if now >= _expiry(step):
            return Instead(f"GitHub could not be reached in time: {step.words}")
        self._cleared.add(step.id)
        return Progress("running", "dispatching", "dispatching", now, step.detail)

    async def _dispatch(self, github: GitHub, step: Step, now: datetime) -> Progress | Instead:
        if step.id not in self._cleared:
            words = "we were interrupted at the dispatch; looking for the run"
            return self._go_searching(step, dict(step.detail), now, words)
        self._cleared.discard(step.id)
        try:
            answer = await github.dispatch(step.detail["inputs"])
        except DeliveryError as error:
            return self._not_dispatched(step, error, now)
        detail = {**step.detail, "url": answer.html_url}
        if answer.run_id is None:
            return self._go_searching(
                step, detail, now, "GitHub took the dispatch; looking for its run"
            )
        return self._to_following(step, {**detail, "run_id": answer.run_id}, now, "dispatched")

    def _not_dispatched(
        self, step: Step, error: DeliveryError, now: datetime
    ) -> Progress | Instead:
        if error.ambiguous:
            return self._go_searching(
                step,
                dict(step.detail),
                now,
                f"GitHub's answer got lost ({error}); looking for the run",
            )
        if error.permanent:
            return Instead(f"GitHub refused the dispatch: {error}")
        wait = timedelta(seconds=error.retry_after) if error.retry_after else self._timing.recheck
        return Progress(
            "running", f"not dispatched yet: {error}", "waiting", now + wait, step.detail
        )

    def _go_searching(
        self, step: Step, detail: dict[str, Any], now: datetime, words: str
    ) -> Progress | Instead:
        until = rfc3339(now + self._timing.run_lookup)
        return Progress("running", words, "searching", now, {**detail, "search_until": until})

    async def _search(self, github: GitHub, step: Step, now: datetime) -> Progress | Instead:
        try:
            run = await github.find_run(
                step.detail["correlation_id"], (step.started_at or now) - timedelta(minutes=2)
            )
        except DeliveryError as error:
            run, words, detail = None, f"looking for the run: {error}", step.detail
            lost = _unasked(step, error, self._zone)
        else:
            words, detail = "looking for the run", {**step.detail, "none_at": rfc3339(now)}
            lost = f"no run with {step.detail['correlation_id']} is to be found"
        if run is not None:
            return self._to_following(
                step, {**step.detail, "run_id": run.id, "url": run.html_url}, now, "found again"
            )
        if now >= parse_rfc3339(step.detail["search_until"]):
            lost = f"{lost}; nothing was sent again"
            if not self._other_way:
                return self._failed(step, f"{lost}; {self._by_hand}")
            if _has_expired(step, now):
                return Instead(f"{lost}; should there be one, it has expired")
            words = f"{lost}; still looking, until it has expired at {local(_told_expiry(step), self._zone, '%H:%M:%S')}"
        return Progress("running", words, "searching", now + self._timing.run_poll, detail)

    def _to_following(
        self, step: Step, detail: Mapping[str, Any], now: datetime, how: str
    ) -> Progress:
        words = f"run {detail['run_id']} {how}; {_doing(step)}"
        return Progress("running", words, "following", now + self._timing.run_poll, detail)

    async def _follow(self, github: GitHub, step: Step, now: datetime) -> Progress | Instead:
        run_id = step.detail["run_id"]
        try:
            run = await github.run(run_id)
        except DeliveryError as error:
            young = now < (step.started_at or now) + self._timing.run_lookup
            unseen = error.code == 404 and young  # GitHub's answers are eventually consistent
            if (error.permanent and not unseen) or now >= self._last_look(step):
                return self._failed(
                    step,
                    f"run {run_id} cannot be followed: {error}; look at it, then {self._by_hand}",
                )
            wait = (
                timedelta(seconds=error.retry_after) if error.retry_after else self._timing.run_poll
            )
            return Progress(
                "running", f"run {run_id}: {error}", "following", now + wait, step.detail
            )
        if run.status == "completed":
            return self._concluded(step, run, now)
        if run.status in _WAITING and now >= _expiry(step):
            return await self._call_back(github, step, run, now)
        if now >= self._run_deadline(step) and not step.detail.get("late"):
            # A run that works is never cut off between stop and start: a person looks, we follow on.
            words = f"run {run_id} works for longer than it should; look at it: {run.html_url}"
            late = {**step.detail, "late": True, "url": run.html_url}
            again = now + self._timing.run_poll
            return Progress("running", words, "following", again, late, call_person=True)
        words = f"run {run_id} is {run.status.replace('_', ' ')}"
        return Progress(
            "running",
            words,
            "following",
            now + self._timing.run_poll,
            {**step.detail, "url": run.html_url},
        )

    def _concluded(self, step: Step, run: Run, now: datetime) -> Progress | Instead:
        if run.conclusion != "success":
            called_back = bool(step.detail.get("cancel_until"))
            asked = "no runner took it in time; " if called_back else ""
            words = f"{asked}run {run.id} ended as {run.conclusion or 'unknown'}"
            if run.conclusion == "startup_failure" or (
                called_back and run.conclusion == "cancelled"
            ):
                return Instead(words)  # it has never begun
            return self._failed(step, f"{words}; look at it, then {self._by_hand}")
        detail = {
            **step.detail,
            "url": run.html_url,
            "verify_until": rfc3339(now + self._timing.verify_deadline),
        }
        return Progress("running", f"run {run.id} succeeded; verifying", "verifying", now, detail)

    async def _call_back(
        self, github: GitHub, step: Step, run: Run, now: datetime
    ) -> Progress | Instead:
        """No runner took the run in time: cancel it, and follow it until GitHub says how it ended."""
        why = f"no runner took run {run.id} in time"
        until = step.detail.get("cancel_until")
        if until and now >= parse_rfc3339(until):
            left = f"{why}; it could not be cancelled"
            if _has_expired(step, now):
                return Instead(f"{left}, but it has expired")
            return self._failed(step, f"{left}; cancel it on GitHub, then {self._by_hand}")
        try:
            await github.cancel(run.id)
            words = f"{why}; cancelling it, so that it cannot fire later"
        except DeliveryError as error:
            words = f"{why}; it could not be cancelled yet: {error}"
        detail = {
            **step.detail,
            "cancel_until": until or rfc3339(now + self._timing.run_lookup),
            "url": run.html_url,
        }
        return Progress("running", words, "following", now + self._timing.run_poll, detail)

    def _run_deadline(self, step: Step) -> datetime:
        return (step.started_at or _expiry(step)) + self._timing.run_deadline

    def _last_look(self, step: Step) -> datetime:
        """GitHub ends a job by itself; whoever cannot be asked for so long is not followed for ever."""
        return self._run_deadline(step) + self._timing.run_deadline


def _doing(step: Step) -> str:
    target = step.detail.get("target")
    return f"going back to {target['title']}" if target else "stopping the deployment"


def _unasked(step: Step, error: DeliveryError, zone: tzinfo) -> str:
    """What is known of a run when GitHub cannot be asked now: that is not the same as that there is none."""
    run = f"a run with {step.detail['correlation_id']}"
    if seen := step.detail.get("none_at"):
        return f"{run} was not to be found at {local(parse_rfc3339(seen), zone, '%H:%M:%S')}, and GitHub cannot be asked since: {error}"
    return f"GitHub could not be asked whether there is {run}: {error}"


def _has_expired(step: Step, now: datetime) -> bool:
    """By our own deadline and by what the run was told, which differ where the clock was set since."""
    return now >= _told_expiry(step)


def _told_expiry(step: Step) -> datetime:
    return max(_expiry(step), parse_rfc3339(step.detail["inputs"]["expires_at"]))


def _expiry(step: Step) -> datetime:
    return parse_rfc3339(step.detail["expires_at"])
