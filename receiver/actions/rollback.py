"""The rollback: dispatched once, followed to its end, believed only when the version runs and is well.

Phases: waiting -> dispatching -> following, or -> searching where nobody knows whether GitHub took
the dispatch; following -> verifying once the run succeeded. "dispatching" is committed before each
send: whoever finds it after a crash or a store that failed looks for the run and never sends again.
A send that certainly was not received goes back to waiting.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from receiver.actions import Progress
from receiver.delivery import DeliveryError
from receiver.gates import Confirmation
from receiver.github.answers import Run
from receiver.github.client import GitHub
from receiver.policy import Timing
from receiver.records import Step
from receiver.situation import History, Lookout
from receiver.way_back import RollbackTarget
from target import roles
from target.engine import Container, EngineError
from target.times import parse_rfc3339
from target.versions import known_good_reference, same_commit

_WAITING = {"queued", "requested", "pending", "waiting"}
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_BY_HAND = "on the host, type: sermon-recovery rollback"


class Rollback:
    """Goes back to the last known good version by GitHub's workflow."""

    name = "rollback"

    def __init__(self, github: GitHub | None, lookout: Lookout, timing: Timing) -> None:
        self._github = github
        self._lookout = lookout
        self._timing = timing
        self._cleared: set[int] = set()
        """Steps whose phase ``dispatching`` this process has committed and not yet used."""

    async def prepare(
        self, step: Step, history: History, now: datetime
    ) -> tuple[str, dict[str, Any]]:
        """Fix the target and the correlation id: after this they never change. Raises EngineError."""
        found = await self._lookout.way_back.find()
        if not found.known or found.running is None:
            raise EngineError(found.words)
        goal, expires = _goal(found), now + self._timing.queue_deadline
        correlation = f"sm-{step.incident_id}-{uuid.uuid4().hex[:12]}"
        inputs = {
            "rollback_type": "previous_version",
            "target_commit": goal["revision"] if _COMMIT.fullmatch(goal["revision"]) else "",
            "reason": f"{step.alert}: incident {step.incident_id} of {history.incident.service}",
            "force_rollback": "true",  # the gate "confirmed" has passed: we have seen it broken ourselves
            "correlation_id": correlation,
            "expires_at": _text(expires),
            "target_image": goal["image"],
        }
        return "waiting", {
            "inputs": inputs,
            "correlation_id": correlation,
            "expires_at": _text(expires),
            "target": goal,
            "service": found.running.service,
            "from_image_id": found.running.image_id,
        }

    async def advance(self, step: Step, history: History, now: datetime) -> Progress:
        if self._github is None:
            return _failed(step, f"GITHUB_TOKEN and GITHUB_REPO are not set any more; {_BY_HAND}")
        match step.phase:
            case "waiting":
                return self._clear(step, now)
            case "dispatching":
                return await self._dispatch(self._github, step, now)
            case "searching":
                return await self._search(self._github, step, now)
            case "following":
                return await self._follow(self._github, step, now)
            case _:
                return await self._verify(step, history, now)

    def _clear(self, step: Step, now: datetime) -> Progress:
        """The next thing is the send. Whoever finds the step in that phase later must look, not send."""
        if now >= _expiry(step):
            return _failed(step, f"GitHub could not be reached in time: {step.words}; {_BY_HAND}")
        self._cleared.add(step.id)
        return Progress("running", "dispatching", "dispatching", now, step.detail)

    async def _dispatch(self, github: GitHub, step: Step, now: datetime) -> Progress:
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

    def _not_dispatched(self, step: Step, error: DeliveryError, now: datetime) -> Progress:
        if error.ambiguous:
            return self._go_searching(
                step,
                dict(step.detail),
                now,
                f"GitHub's answer got lost ({error}); looking for the run",
            )
        if error.permanent:
            return _failed(step, f"GitHub refused the dispatch: {error}; {_BY_HAND}")
        wait = timedelta(seconds=error.retry_after) if error.retry_after else self._timing.recheck
        return Progress(
            "running", f"not dispatched yet: {error}", "waiting", now + wait, step.detail
        )

    def _go_searching(
        self, step: Step, detail: dict[str, Any], now: datetime, words: str
    ) -> Progress:
        until = _text(now + self._timing.run_lookup)
        return Progress("running", words, "searching", now, {**detail, "search_until": until})

    async def _search(self, github: GitHub, step: Step, now: datetime) -> Progress:
        try:
            run = await github.find_run(
                step.detail["correlation_id"], (step.started_at or now) - timedelta(minutes=2)
            )
        except DeliveryError as error:
            run, words = None, f"looking for the run: {error}"
        else:
            words = "looking for the run"
        if run is not None:
            return self._to_following(
                step, {**step.detail, "run_id": run.id, "url": run.html_url}, now, "found again"
            )
        if now >= parse_rfc3339(step.detail["search_until"]):
            return _failed(
                step,
                f"no run with {step.detail['correlation_id']} is to be found; nothing was sent again; {_BY_HAND}",
            )
        return Progress("running", words, "searching", now + self._timing.run_poll, step.detail)

    def _to_following(
        self, step: Step, detail: Mapping[str, Any], now: datetime, how: str
    ) -> Progress:
        words = f"run {detail['run_id']} {how}; going back to {step.detail['target']['title']}"
        return Progress("running", words, "following", now + self._timing.run_poll, detail)

    async def _follow(self, github: GitHub, step: Step, now: datetime) -> Progress:
        run_id = step.detail["run_id"]
        try:
            run = await github.run(run_id)
        except DeliveryError as error:
            young = now < (step.started_at or now) + self._timing.run_lookup
            unseen = error.code == 404 and young  # GitHub's answers are eventually consistent
            if (error.permanent and not unseen) or now >= self._last_look(step):
                return _failed(
                    step, f"run {run_id} cannot be followed: {error}; look at it, then {_BY_HAND}"
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

    def _concluded(self, step: Step, run: Run, now: datetime) -> Progress:
        if run.conclusion != "success":
            asked = "no runner took it in time; " if step.detail.get("cancel_until") else ""
            words = f"{asked}run {run.id} ended as {run.conclusion or 'unknown'}"
            return _failed(step, f"{words}; look at it, then {_BY_HAND}")
        detail = {
            **step.detail,
            "url": run.html_url,
            "verify_until": _text(now + self._timing.verify_deadline),
        }
        return Progress("running", f"run {run.id} succeeded; verifying", "verifying", now, detail)

    async def _call_back(self, github: GitHub, step: Step, run: Run, now: datetime) -> Progress:
        """No runner took the run in time: cancel it, and follow it until GitHub says how it ended."""
        why = f"no runner took run {run.id} in time"
        until = step.detail.get("cancel_until")
        if until and now >= parse_rfc3339(until):
            return _failed(
                step, f"{why}; it could not be cancelled; its expires_at ends it; {_BY_HAND}"
            )
        try:
            await github.cancel(run.id)
            words = f"{why}; cancelling it, so that it cannot fire later"
        except DeliveryError as error:
            words = f"{why}; it could not be cancelled yet: {error}"
        detail = {
            **step.detail,
            "cancel_until": until or _text(now + self._timing.run_lookup),
            "url": run.html_url,
        }
        return Progress("running", words, "following", now + self._timing.run_poll, detail)

    def _run_deadline(self, step: Step) -> datetime:
        return (step.started_at or _expiry(step)) + self._timing.run_deadline

    def _last_look(self, step: Step) -> datetime:
        """GitHub ends a job by itself; whoever cannot be asked for so long is not followed for ever."""
        return self._run_deadline(step) + self._timing.run_deadline

    async def _verify(self, step: Step, history: History, now: datetime) -> Progress:
        """The version that runs is the one meant, and it has answered well for a while."""
        title = step.detail["target"]["title"]
        seen = await self._version(step)
        if seen.sick is False:
            seen = await self._lookout.confirmer.look("probe")
        if seen.sick is False:
            well_since = parse_rfc3339(step.detail.get("well_since") or _text(now))
            if now - well_since >= self._timing.verify_for:
                verdict = f"{title} runs again: its version and its health are verified"
                trouble = await self._lookout.way_back.condemn(
                    step.detail["service"], step.detail["from_image_id"]
                )
                return Progress(
                    "done",
                    f"rolled back to {title}; {seen.words}{trouble}",
                    detail=step.detail,
                    verdict=verdict,
                )
            detail = {**step.detail, "well_since": _text(well_since)}
            return Progress(
                "running",
                f"{title} runs and answers; watching it for a while",
                "verifying",
                self._soon(now, well_since),
                detail,
            )
        if now >= parse_rfc3339(step.detail["verify_until"]):
            return _failed(
                step,
                f"the run succeeded, but {title} is not verified: {seen.words}; look at the host: sermon-recovery versions",
            )
        detail = {k: v for k, v in step.detail.items() if k != "well_since"}
        return Progress(
            "running",
            f"not verified yet: {seen.words}",
            "verifying",
            now + self._timing.run_poll,
            detail,
        )

    def _soon(self, now: datetime, well_since: datetime) -> datetime:
        return min(now + self._timing.run_poll, well_since + self._timing.verify_for)

    async def _version(self, step: Step) -> Confirmation:
        try:
            containers = await self._lookout.confirmer.containers()
        except EngineError as error:
            return Confirmation(None, str(error))
        mine = roles.app_containers(containers, self._lookout.settings)
        if not mine:
            return Confirmation(True, "no container of APP_SERVICE exists")
        current, wanted = mine[0], step.detail["target"]["image_id"]
        if not current.running:
            return Confirmation(True, f"{current.name} is {current.state}")
        if not wanted:
            return await self._commit(current, step.detail["target"]["revision"])
        if current.image_id != wanted:
            return Confirmation(
                True,
                f"{current.name} runs {current.image} ({current.image_id[7:19]}), meant was {wanted[7:19]}",
            )
        return Confirmation(False, f"{current.name} runs the image meant")

    async def _commit(self, current: Container, wanted: str) -> Confirmation:
        """Where only the commit was known beforehand, the image says by its label that it is of that one."""
        try:
            says = (await self._lookout.confirmer.image(current.image_id)).revision
        except EngineError as error:
            return Confirmation(None, str(error))
        if same_commit(says, wanted):
            return Confirmation(False, f"{current.name} runs commit {wanted[:7]}")
        of = f"of commit {says[:7]}" if says else "that does not say its commit"
        return Confirmation(
            True, f"{current.name} runs {current.image} {of}, meant was {wanted[:7]}"
        )


def _goal(found: RollbackTarget) -> dict[str, str]:
    """What is remembered of the target; ``image`` is what the workflow is told to bring."""
    release = found.release
    if release is None:
        commit = found.commit
        return {"image_id": "", "title": commit[:7], "revision": commit, "digest": "", "image": ""}
    # An image that no registry gave a digest is named by the local tag that keeps it here.
    kept = known_good_reference(release.service, release.image_id)
    return {
        "image_id": release.image_id,
        "title": release.title,
        "revision": release.revision,
        "digest": release.digest,
        "image": release.digest or kept,
    }


def _failed(step: Step, words: str) -> Progress:
    return Progress(
        "failed",
        words,
        detail=step.detail,
        verdict="The rollback did not succeed: a person is needed",
        call_person=True,
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _expiry(step: Step) -> datetime:
    return parse_rfc3339(step.detail["expires_at"])
