"""By which way a rollback or a stop would be carried out: asked last, when nothing but a person's word holds it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from receiver import emergency
from receiver.deciding import gates
from receiver.records import Step
from receiver.rollback.route import Route, Router
from receiver.rollback.way_back import RollbackTarget, WayBack

SAME_LOOK = timedelta(seconds=2)
"""For so long what the gates saw of a rollback's way is what its step begins with."""


class Ways:
    """Looks; changes nothing."""

    def __init__(self, router: Router, way_back: WayBack) -> None:
        self._router = router
        self._way_back = way_back
        self._judged: dict[int, tuple[datetime, RollbackTarget, Route]] = {}
        """Of the step judged last: when, where it goes and by which way."""

    async def judge(
        self, step: Step, facts: gates.Facts, found: RollbackTarget | None
    ) -> tuple[gates.Facts, gates.Verdict]:
        """The facts to the end, and the verdict. ``found``: where a rollback goes, by what is known here."""
        verdict = gates.judge(facts)
        if facts.switches.dry_run:
            return facts, verdict
        if found is None:
            return await self._stop_elsewhere(facts, verdict)
        if verdict.gate == "known-good target" and found.elsewhere:
            found = await self._way_back.deployed(found)
            facts = replace(facts, target=as_fact(found))
            verdict = gates.judge(facts)
        if _all_but_a_word(verdict):
            facts = await self._by_route(step, facts, found)
            verdict = gates.judge(facts)
        return facts, verdict

    async def chosen(self, step: Step, now: datetime) -> tuple[RollbackTarget, Route]:
        """Where a rollback goes, and by which way: as it was judged a moment ago, else looked at anew."""
        judged = self._judged.pop(step.id, None)
        if judged is not None and timedelta() <= now - judged[0] <= SAME_LOOK:
            return judged[1:]
        found = await self._way_back.find(step.target)
        return found, await self._router.route(found, now, step.target)

    async def _by_route(self, step: Step, facts: gates.Facts, found: RollbackTarget) -> gates.Facts:
        """Facts that say by which way it would go, and whether a person must allow that way."""
        route = await self._router.route(found, facts.now, step.target)
        self._judged = {step.id: (facts.now, found, route)}
        facts = replace(facts, readiness=gates.Readiness(route.outcome, route.words))
        if route.way == "local" and self._router.mode == "approve":
            ask = self._router.question(found.running, route.words, step.target)
            facts = replace(facts, ask=ask)
        return facts

    async def _stop_elsewhere(
        self, facts: gates.Facts, verdict: gates.Verdict
    ) -> tuple[gates.Facts, gates.Verdict]:
        """Whether GitHub could carry out a stop. Another run that is under way, or hangs, does not hold it."""
        elsewhere = facts.ask is not None and facts.ask.subject == emergency.BY_GITHUB
        if not elsewhere or self._router.preflight is None or not _all_but_a_word(verdict):
            return facts, verdict
        problem = (await self._router.preflight.look(facts.now)).first("problem")
        readiness = gates.Readiness("pass", "GitHub would take it")
        if problem is not None:  # the Engine may be back before it is mended
            readiness = gates.Readiness("wait", problem.words)
        facts = replace(facts, readiness=readiness)
        return facts, gates.judge(facts)


def _all_but_a_word(verdict: gates.Verdict) -> bool:
    return verdict.outcome == "pass" or verdict.gate == "approved"


def as_fact(found: RollbackTarget) -> gates.Target:
    """What the gates are told of it."""
    release = found.release
    return gates.Target(
        found.known,
        found.words,
        release.title if release else found.commit[:7],
        release.image_id if release else found.commit,
        found.may_return,
        found.elsewhere,
    )
