"""The rollback: done once, by GitHub's workflow or by this machine, and believed only when the version runs and is well.

By which way stands in the phase: those of workflow_run.py, or those of local_rollback.py. Where GitHub
cannot do it and nothing of it can act any more, the same step goes on by the other way. Both end in verifying.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from receiver.actions import Progress
from receiver.actions.local_rollback import PHASES as LOCAL_PHASES
from receiver.actions.local_rollback import LocalRollback, failed
from receiver.actions.workflow_run import Instead, WorkflowRun, request
from receiver.approving.approvals import latest
from receiver.approving.wording import expired_words, undecidable, waiting_words
from receiver.deciding.gates import Confirmation
from receiver.deciding.situation import Lookout
from receiver.deciding.timing import Timing
from receiver.github.client import GitHub
from receiver.records import Step
from receiver.rollback.route import BY_HAND
from receiver.rollback.way_back import RollbackTarget
from receiver.store.history import History
from target import roles
from target.engine import Container, EngineError
from target.times import parse_rfc3339, rfc3339
from target.versions import known_good_reference, same_commit

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


class Rollback:
    """Goes back to the last known good version."""

    name = "rollback"

    def __init__(
        self, github: GitHub | None, lookout: Lookout, timing: Timing, local: LocalRollback
    ) -> None:
        self._lookout = lookout
        self._timing = timing
        self._local = local
        other_way = lookout.router.mode != "never"
        self._github = (
            WorkflowRun(github, timing, other_way=other_way, zone=lookout.settings.zone)
            if github
            else None
        )

    async def prepare(
        self, step: Step, history: History, now: datetime
    ) -> tuple[str, dict[str, Any]]:
        """Fix the way, the target and the correlation id: the last two never change. Raises EngineError."""
        found, route = await self._lookout.ways.chosen(step, now)
        if not found.known or found.running is None:
            raise EngineError(found.words)
        if route.outcome != "pass":
            raise EngineError(route.words)
        goal = _goal(found)
        detail = {
            **request(
                step,
                history,
                "previous_version",
                now + self._timing.queue_deadline,
                target_commit=goal["revision"] if _COMMIT.fullmatch(goal["revision"]) else "",
                target_image=goal["image"],
            ),
            "target": goal,
            "service": found.running.service,
            "from_image_id": found.running.image_id,
        }
        if route.way == "local":
            if self._lookout.router.mode == "approve" and not _allowed(step, history, goal):
                raise EngineError("a person must allow this machine to roll back by itself")
            return "local", {**detail, "local_until": detail["expires_at"], "why": route.words}
        if self._github is None:
            raise EngineError("GITHUB_TOKEN and GITHUB_REPO are not set any more")
        return self._github.first_phase(step), detail

    async def advance(self, step: Step, history: History, now: datetime) -> Progress:
        if step.phase == "verifying":
            return await self._verify(step, now)
        if step.phase == "asking":
            return await self._ask(step, history, now)
        if step.phase in LOCAL_PHASES:
            return await self._local.advance(step, now)
        if self._github is not None:
            found = await self._github.advance(step, now)
            return (
                await self._instead(step, found.why, now) if isinstance(found, Instead) else found
            )
        gone = "GITHUB_TOKEN and GITHUB_REPO are not set any more"
        if step.phase == "waiting":
            return await self._instead(step, gone, now)
        return failed(step, f"{gone}: whether a run is at work cannot be told; {BY_HAND}")

    async def _instead(self, step: Step, why: str, now: datetime) -> Progress:
        """GitHub has not done it and cannot any more: this machine may."""
        if self._lookout.router.mode == "never":
            return failed(step, f"{why}; {BY_HAND}")
        hindrance = await self._lookout.router.hindrance(
            step.detail["service"], step.detail["target"]["image_id"]
        )
        # An Engine that does not answer right now is waited for by the local rollback itself.
        if hindrance.words and not hindrance.may_return:
            return failed(step, f"{why}; nor can this machine do it: {hindrance.words}; {BY_HAND}")
        if self._lookout.router.mode == "auto":
            return self._local.begin(step.detail, why, now)
        detail = {**step.detail, "why": why}
        return Progress("running", f"{why}; asking a person", "asking", now, detail)

    async def _ask(self, step: Step, history: History, now: datetime) -> Progress:
        """Until a person has decided, or nobody has in time."""
        goal, one = step.detail["target"], latest(history.approvals, step)
        zone = self._lookout.settings.zone
        again = now + self._timing.recheck
        if one is None or one.action != "local_rollback" or one.state == "overtaken":
            question = replace(
                self._lookout.router.question(None, step.detail["why"]),
                subject=goal["image_id"],
                target=goal["title"],
            )
            words = (
                f"{step.detail['why']}; a person is asked whether this machine may roll back itself"
            )
            return Progress("running", words, "asking", again, step.detail, ask=question)
        if one.state == "asked":
            return Progress("running", waiting_words(one, zone), "asking", again, step.detail)
        if one.state == "granted":
            begun = self._local.begin(step.detail, step.detail["why"], now)
            return replace(begun, uses=one.subject)
        why = expired_words(one, zone) if one.state == "expired" else undecidable(one, zone)
        return failed(step, f"{step.detail['why']}; {why}; {BY_HAND}")

    async def _verify(self, step: Step, now: datetime) -> Progress:
        """The version that runs is the one meant, and it has answered well for a while."""
        title = step.detail["target"]["title"]
        seen = await self._version(step)
        if seen.sick is False:
            seen = await self._lookout.confirmer.look(
                "minio" if step.target == "minio" else "probe"
            )
        if seen.sick is False:
            well_since = parse_rfc3339(step.detail.get("well_since") or rfc3339(now))
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
            detail = {**step.detail, "well_since": rfc3339(well_since)}
            return Progress(
                "running",
                f"{title} runs and answers; watching it for a while",
                "verifying",
                self._soon(now, well_since),
                detail,
            )
        if now >= parse_rfc3339(step.detail["verify_until"]):
            return failed(
                step,
                f"the rollback was carried out, but {title} is not verified: {seen.words}; look at the host: sermon-recovery versions",
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
        mine = roles.of_target(containers, step.target, self._lookout.settings)
        if not mine:
            return Confirmation(True, f"no container of {step.target.upper()}_SERVICE exists")
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


def _allowed(step: Step, history: History, goal: Mapping[str, str]) -> bool:
    """A person has approved of going back to this image."""
    one = latest(history.approvals, step)
    return one is not None and one.subject == goal["image_id"] and one.state in ("granted", "used")


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
