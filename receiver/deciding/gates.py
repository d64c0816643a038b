"""Each reason why a step may not run now. Pure: one function a gate, facts in, a verdict with its reason out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from receiver.approving.wording import expired_words, undecidable, waiting_words
from receiver.deciding.facts import (
    OUTCOMES,
    Budget,
    Confirmation,
    Facts,
    Outcome,
    Readiness,
    Switches,
    Target,
    Verdict,
)
from receiver.deciding.policy import Category
from receiver.records import LOOKING, Ask
from target.durations import format_duration

__all__ = [
    "GATES",
    "GATE_NAMES",
    "OUTCOMES",
    "Budget",
    "Confirmation",
    "Facts",
    "Gate",
    "Outcome",
    "Readiness",
    "Switches",
    "Target",
    "Verdict",
    "gates_of",
    "judge",
    "judge_all",
    "question",
    "to_be_asked",
]

Gate = Callable[[Facts], Verdict]


def still_firing(facts: Facts) -> Verdict:
    name = "still firing"
    if facts.alerts_firing == 0:
        return Verdict(name, "drop", "no alert of the incident fires any more")
    if facts.alertmanager_says is False:
        return Verdict(name, "wait", f"Alertmanager says that {facts.alert} no longer fires")
    source = (
        "Alertmanager says so"
        if facts.alertmanager_says
        else "Alertmanager could not be asked; by our own record"
    )
    many = facts.alerts_firing
    fire = "1 alert fires" if many == 1 else f"{many} alerts fire"
    return Verdict(name, "pass", f"{fire}: {source}")


_SWITCH_OF: dict[Category, str] = {
    "health": "rollback_on_health_failure",
    "container": "rollback_on_health_failure",
    "storage": "rollback_on_health_failure",
    "performance": "rollback_on_performance_degradation",
    "resource": "rollback_on_resource_exhaustion",
}


def switched_on(facts: Facts) -> Verdict:
    name = "switched on"
    if facts.action == "emergency_stop" and not facts.switches.emergency_stop_on_critical:
        return Verdict(name, "refuse", "EMERGENCY_STOP_ON_CRITICAL is false")
    if facts.action != "rollback":
        return Verdict(name, "pass", "no switch governs this step")
    needed = ["auto_rollback_enabled"]
    if facts.category in _SWITCH_OF:
        needed.append(_SWITCH_OF[facts.category])
    for switch in needed:
        if not getattr(facts.switches, switch):
            return Verdict(name, "refuse", f"{switch.upper()} is false")
    return Verdict(name, "pass", f"{' and '.join(switch.upper() for switch in needed)} are true")


def no_maintenance(facts: Facts) -> Verdict:
    if facts.maintenance:
        return Verdict("no maintenance", "wait", facts.maintenance)
    return Verdict("no maintenance", "pass", "no maintenance window is open")


def confirmed(facts: Facts) -> Verdict:
    name = "confirmed"
    if facts.confirm == "none":
        return Verdict(name, "pass", "this alert asks for no confirmation")
    if facts.confirmation.sick is None:
        return Verdict(name, "wait", f"could not be confirmed: {facts.confirmation.words}")
    if not facts.confirmation.sick:
        return Verdict(name, "wait", f"our own look disagrees: {facts.confirmation.words}")
    return Verdict(name, "pass", facts.confirmation.words)


def within_budget(facts: Facts) -> Verdict:
    name, budget = "cool-down and budget", facts.budget
    if facts.action == "restart":
        if budget.restarts_last_hour >= budget.max_restarts_per_hour:
            return Verdict(
                name,
                "refuse",
                f"{budget.restarts_last_hour} restarts in the last hour; MAX_RESTARTS_PER_HOUR is {budget.max_restarts_per_hour}",
            )
        return Verdict(
            name,
            "pass",
            f"{budget.restarts_last_hour} of {budget.max_restarts_per_hour} restarts in the last hour",
        )
    if facts.action != "rollback":
        return Verdict(name, "pass", "it has no budget of its own")
    return _rollback_budget(name, facts, budget)


def _rollback_budget(name: str, facts: Facts, budget: Budget) -> Verdict:
    if budget.rollbacks_of_incident:
        return Verdict(name, "refuse", "this incident has had its rollback")
    if budget.rollbacks_last_day >= budget.max_rollbacks_per_day:
        return Verdict(
            name,
            "refuse",
            f"{budget.rollbacks_last_day} rollbacks in the last day; MAX_ROLLBACKS_PER_DAY is {budget.max_rollbacks_per_day}",
        )
    if budget.last_rollback_at and facts.now < budget.last_rollback_at + budget.cooldown:
        ago = format_duration(
            timedelta(seconds=int((facts.now - budget.last_rollback_at).total_seconds()))
        )
        return Verdict(
            name,
            "refuse",
            f"the last rollback was {ago} ago; COOLDOWN is {format_duration(budget.cooldown)}",
        )
    return Verdict(
        name,
        "pass",
        f"{budget.rollbacks_last_day} of {budget.max_rollbacks_per_day} rollbacks in the last day",
    )


def nothing_in_flight(facts: Facts) -> Verdict:
    if facts.in_flight:
        return Verdict("nothing in flight", "wait", facts.in_flight)
    return Verdict("nothing in flight", "pass", "nothing else is being done to the deployment")


def curable(facts: Facts) -> Verdict:
    name = "an older image can cure this"
    if facts.unexplained:
        return Verdict(name, "refuse", facts.unexplained)
    if facts.incurable:
        return Verdict(name, "wait", facts.incurable)
    return Verdict(name, "pass", "nothing else is seen that would cause it")


def has_target(facts: Facts) -> Verdict:
    if facts.action != "rollback":
        return Verdict("known-good target", "pass", "no target is needed")
    no: Outcome = "wait" if facts.target.may_return else "refuse"
    return Verdict("known-good target", "pass" if facts.target.known else no, facts.target.words)


def reachable(facts: Facts) -> Verdict:
    if facts.destination:
        outcome: Outcome = "wait" if facts.destination_may_return else "refuse"
        return Verdict("destination", outcome, facts.destination)
    return Verdict("destination", "pass", "the action has what it needs")


def ready(facts: Facts) -> Verdict:
    name = "ready to be carried out"
    if facts.action not in ("rollback", "emergency_stop"):
        return Verdict(name, "pass", "it is not carried out elsewhere")
    if facts.readiness is None:
        return Verdict(name, "pass", "not asked for yet: every other gate comes first")
    return Verdict(name, facts.readiness.outcome, facts.readiness.words)


def question(facts: Facts) -> Ask | None:
    """What a person must approve, with the target as it is known now; None where nobody need be asked."""
    if facts.ask is None or facts.action != "rollback":
        return facts.ask
    return replace(facts.ask, subject=facts.target.subject, target=facts.target.title)


def to_be_asked(facts: Facts) -> Ask | None:
    """The question that must be put to people now: none is open, or another than this."""
    wanted, one = question(facts), facts.approval
    if wanted is None or facts.switches.dry_run:
        return None
    if one is None or one.state in ("overtaken", "used"):
        return wanted
    return wanted if one.open and one.subject != wanted.subject else None


def approved(facts: Facts) -> Verdict:
    """A grant lets this gate pass and overrides none of the others."""
    name, one = "approved", facts.approval
    if facts.ask is None or facts.switches.dry_run:
        why = "in a dry run nobody is asked" if facts.ask else "no person need be asked"
        return Verdict(name, "pass", why)
    if one is None or to_be_asked(facts):
        return Verdict(name, "wait", f"a person must approve it first: {facts.ask.why}")
    match one.state:
        case "asked":
            return Verdict(name, "wait", waiting_words(one, facts.zone))
        case "granted":
            return Verdict(name, "pass", f"approval {one.id} was granted by {one.who}")
        case "expired":
            return Verdict(name, "refuse", expired_words(one, facts.zone))
        case _:
            return Verdict(name, "refuse", undecidable(one, facts.zone))


def not_dry(facts: Facts) -> Verdict:
    if facts.switches.dry_run:
        return Verdict(
            "not dry", "refuse", f"DRY_RUN is true: the {facts.action} is only told, not done"
        )
    return Verdict("not dry", "pass", "DRY_RUN is false")


GATES: tuple[Gate, ...] = (
    still_firing,
    switched_on,
    no_maintenance,
    confirmed,
    within_budget,
    nothing_in_flight,
    curable,
    has_target,
    reachable,
    ready,
    approved,
    not_dry,
)
"""In the order in which they are asked; the first that does not pass gives the reason."""


def person_needed(facts: Facts) -> Verdict:
    """What must hold before a person is called, besides maintenance."""
    name, seen = "still broken", facts.confirmation
    if facts.alerts_firing or seen.sick:
        return Verdict(name, "pass", "the incident is not over")
    if seen.sick is None and not seen.unaskable:
        # Alertmanager resolves alerts by itself when Prometheus has died.
        words = f"the alerts are over, but that could not be confirmed: {seen.words}"
        return Verdict(name, "pass", words)
    words = "the alerts are over and our own look agrees: nobody need be woken"
    return Verdict(name, "drop", words)


GATE_NAMES = (
    "still firing",
    "switched on",
    "no maintenance",
    "confirmed",
    "cool-down and budget",
    "nothing in flight",
    "an older image can cure this",
    "known-good target",
    "destination",
    "ready to be carried out",
    "approved",
    "not dry",
    "still broken",
)
"""Every name that a verdict can carry: the label values of sermon_monitor_gate_refusals_total."""


def gates_of(action: str) -> tuple[Gate, ...]:
    if action in LOOKING:
        return ()
    return (no_maintenance, person_needed) if action == "person" else GATES


def judge(facts: Facts) -> Verdict:
    """The first gate that does not pass, else the last one's verdict."""
    verdict = Verdict("none", "pass", "it only looks: no gate is asked")
    for gate in gates_of(facts.action):
        verdict = gate(facts)
        if verdict.outcome != "pass":
            return verdict
    return verdict


def judge_all(facts: Facts) -> list[Verdict]:
    """Every gate's verdict, for ``explain``."""
    return [gate(facts) for gate in gates_of(facts.action)]
