"""post-deploy: did the deployment take, is it well, and may the pin of a former rollback go?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from recovery.acts import WELL_SECONDS
from recovery.checks.project import Pin, pinned
from recovery.deployments import Facts, gather, of_project
from recovery.log_analysis import analyse, seen
from recovery.options import changes
from recovery.run import Flags, Session, change
from recovery.services import missing_services, wait_option, well
from recovery.steps import Hands, Plan, Step, StepError
from target.deploy import drop_pin_note, release_pin
from target.engine import EngineError
from target.engine_tail import recent_lines

MOST_LINES = 2000
LEAST_ERRORS = 5


@click.command("post-deploy", epilog="Example: sermon-recovery post-deploy --yes && echo deployed")
@click.option(
    "--release-pin",
    is_flag=True,
    help="Release the pin of a rollback although what it pinned still runs.",
)
@wait_option
@changes
def post_deploy(flags: Flags, release_pin: bool, wait: float) -> None:
    """Prove a deployment: what the compose files name runs, becomes well, and logs no panic.

    Then the pin of a former rollback is released, if what runs is what the released line names.
    """

    def plan(session: Session) -> Plan:
        facts = gather(session)
        return plan_post_deploy(facts, _originals(session, facts), wait, release=release_pin)

    change("post-deploy", flags, plan)


def plan_post_deploy(
    facts: Facts, originals: Mapping[Pin, str], wait: float = WELL_SECONDS, *, release: bool = False
) -> Plan:
    """Pure. ``originals``: of each pin the local id of what stood there before; empty where it is not here."""
    title = "prove the deployment"
    if facts.engine_problem:
        words = f"{facts.engine_problem}. First: {facts.engine_mend}"
        return Plan(title, refusal=words)
    if not facts.containers or facts.project is None:
        words = facts.compose_problem or "it has no container"
        return Plan(title, refusal=f"there is no deployment to prove: {words}")
    if missing := missing_services(facts):
        names = ", ".join(service.name for service in missing)
        return Plan(
            title,
            refusal=f"without a container: {names}. Start it: sermon-recovery emergency-restart",
        )
    steps: list[Step] = []
    for container in facts.containers:
        service = facts.project.services.get(container.service)
        if service is not None and of_project(facts, container):
            wanted = facts.images.get(service.image, "")
            words = f"{container.name} runs what the compose files name: {service.image}"
            steps.append(Step(words, RunsWanted(container.name, service.image, wanted)))
        steps.append(well(container.name, facts.urls(container), wait))
        steps.append(
            Step(
                f"look whether {container.name} has logged trouble since its start",
                Quiet(container.name),
            )
        )
    notes = []
    for pin, original in originals.items():
        step, note = _released(facts, pin, original, release=release)
        steps += [step] if step else []
        notes += [note] if note else []
    return Plan(title, tuple(steps), tuple(notes), done="the deployment is well", asks=False)


def _released(facts: Facts, pin: Pin, original: str, *, release: bool) -> tuple[Step | None, str]:
    """The step that ends a pin, or the reason why it stays."""
    running = {c.image_id for c in facts.containers if c.service == pin.service}
    ours = pin.image.startswith("sermon-monitor/") or "@sha256:" in pin.image
    if not ours:  # a deployment has written the line anew and left our note
        words = f"{pin.file}: drop the note of the former rollback at {pin.service}; its image stays {pin.image}"
        return Step(
            words, DropNote(pin.service), undo="nothing: the note says what stood there once"
        ), ""
    if release or (original and running == {original}):
        words = f"{pin.file}: the image of {pin.service} becomes {pin.original} again; what runs is not touched"
        loses = (
            ""
            if original and running == {original}
            else "the next start takes that image, which was rolled back from"
        )
        return Step(
            words,
            ReleasePin(pin.service),
            loses,
            undo=f"sermon-recovery rollback --to-image {pin.image}",
        ), ""
    note = (
        f"the pin of {pin.service} stays: what the rollback pinned still runs, so nothing has been deployed since. "
        f"Released, the next start would take {pin.original}: --release-pin does it, then pull and start"
    )
    return None, note


def _originals(session: Session, facts: Facts) -> dict[Pin, str]:
    found = {}
    for pin in pinned(facts):
        try:
            found[pin] = session.engine.image(pin.original).id
        except EngineError:
            found[pin] = ""
    return found


@dataclass(frozen=True)
class RunsWanted:
    name: str
    image: str
    image_id: str

    def do(self, hands: Hands) -> str:
        runs = hands.engine.container(self.name).image_id
        if runs != self.image_id:
            wanted = self.image_id[7:19] or "not on this machine"
            raise StepError(
                f"{self.name} runs {runs[7:19]}, and {self.image} is {wanted}: docker compose up -d"
            )
        return ""


@dataclass(frozen=True)
class Quiet:
    """A panic since its start fails; so do many errors."""

    name: str

    def do(self, hands: Hands) -> str:
        container = hands.engine.container(self.name)
        since = (container.started_at or datetime.now(UTC)).timestamp()
        lines = recent_lines(hands.engine, container, MOST_LINES, since)
        errors = analyse([seen(self.name, line) for line in lines]).errors
        words = ", ".join(f"{e.count} × {e.kind}" for e in errors)
        if any(e.kind == "panic" for e in errors) or sum(e.count for e in errors) >= LEAST_ERRORS:
            raise StepError(f"{self.name} has logged {words}: sermon-recovery logs --errors")
        return f"{self.name} has logged {words}" if words else ""


@dataclass(frozen=True)
class ReleasePin:
    service: str

    def do(self, hands: Hands) -> str:
        original = release_pin(hands.settings, hands.engine, self.service)
        return f"its image is {original} again" if original else "there was no pin any more"


@dataclass(frozen=True)
class DropNote:
    service: str

    def do(self, hands: Hands) -> str:
        drop_pin_note(hands.settings, hands.engine, self.service)
        return ""
