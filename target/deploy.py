"""Change the deployment: bring an image here, pin it, up, verify; and if it fails, put back.

``execute`` does what a plan (plan.py) says; ``change`` and ``put_back`` are its halves. Whatever can
fail beforehand (a pull, a tag, a full disk) fails before anything is stopped.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from target.compose import ComposeError
from target.compose_file import ComposeFileError, forget, pin, unpin, unquoted
from target.deployment import (
    OVERRIDE_NAME,
    DeployError,
    find_deployment,
    may_return,
    read_compose_text,
)
from target.engine import KNOWN_GOOD, PULL_SECONDS, Engine, EngineError, Image
from target.files import keep_copy, replace_text
from target.lock import LockHeldError, exclusive
from target.plan import BEFORE_ROLLBACK, Outcome, Plan, before_reference, pullable, same_revision
from target.settings import DeploymentSettings
from target.verify import Patience, runs_image, verify
from target.versions import (
    known_good_reference,
    known_good_tag,
    repository_of,
    tag_for,
)

LOCK_NAME = ".sermon-monitor.lock"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Failure:
    """The change did not come up, in words; what was there is to be put back."""

    words: str


def execute(plan: Plan, progress: Progress, patience: Patience | None = None) -> Outcome:
    """Do what the plan says. Raises DeployError for what stopped it before anything was changed."""
    progress = _unfailing(progress)
    with _alone(plan):
        found = _change(plan, progress, patience or Patience())
        return found if isinstance(found, Outcome) else _put_back(plan, found.words, progress)


def change(plan: Plan, progress: Progress, patience: Patience | None = None) -> Outcome | Failure:
    """The first half of ``execute``, for who writes down in between how far it came.

    Killed at any instant it may be called again, with a plan that resumes what was begun.
    """
    with _alone(plan):
        return _change(plan, _unfailing(progress), patience or Patience())


def put_back(plan: Plan, failure: str, progress: Progress) -> Outcome:
    """The second half, after a Failure. It may be called again too."""
    with _alone(plan):
        return _put_back(plan, failure, _unfailing(progress))


@contextlib.contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """Under the lock of the deployment, which compose inherits; with every refusal in words."""
    who = f"pid {os.getpid()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {plan.correlation_id}"
    try:
        with (
            exclusive(plan.deployment.file.parent / LOCK_NAME, who.strip()) as lock,
            plan.deployment.compose.keeping(lock),
        ):
            yield
    except LockHeldError as error:
        words = f"another change of this deployment is at work: {error}"
        raise DeployError(words, may_return=True) from error
    except (EngineError, ComposeFileError) as error:
        raise DeployError(str(error), may_return=may_return(error)) from error
    except OSError as error:
        raise DeployError(_os_words(error)) from error


def release_pin(
    settings: DeploymentSettings, engine: Engine, service: str | None = None
) -> str | None:
    """Give the compose file its own image line back; what runs is not touched.

    Returns that line's image, or None where nothing was pinned. Raises DeployError.
    """
    return _rewritten(settings, engine, service, unpin, "releases the pin")


def drop_pin_note(
    settings: DeploymentSettings, engine: Engine, service: str | None = None
) -> str | None:
    """Take away the note of a pin whose line was written anew meanwhile; as release_pin otherwise."""
    return _rewritten(settings, engine, service, forget, "drops the note of a pin")


def _rewritten(
    settings: DeploymentSettings,
    engine: Engine,
    service: str | None,
    edit: Callable[[str, str], str],
    what: str,
) -> str | None:
    deployment = find_deployment(settings, engine, service)
    if deployment.image.original is None:
        return None
    try:
        with exclusive(deployment.file.parent / LOCK_NAME, f"pid {os.getpid()} {what}"):
            text = read_compose_text(deployment.file)
            replace_text(deployment.file, edit(text, deployment.service))
    except LockHeldError as error:
        raise DeployError(f"another change of this deployment is at work: {error}") from error
    except ComposeFileError as error:
        raise DeployError(f"{deployment.file}: {error}") from error
    except OSError as error:
        raise DeployError(_os_words(error)) from error
    return deployment.image.original


def _pull(plan: Plan, progress: Progress) -> Image:
    """Bring the target here, before anything is stopped; PULL_SECONDS for all its names together."""
    failures = []
    deadline = time.monotonic() + PULL_SECONDS
    for reference in pullable(plan.target):
        left = deadline - time.monotonic()
        if left <= 0:
            failures.append(f"no time was left for {reference}")
            continue
        progress(f"pulling {reference}; what runs is not touched")
        try:
            image = plan.engine.pull(reference, left)
        except EngineError as error:
            failures.append(str(error))
            continue
        same_revision(image, plan.target)
        return image
    raise DeployError("nothing was stopped: " + "; ".join(failures)[:800])


def _unchanged(plan: Plan) -> None:
    """Between the plan and the lock someone else may have deployed."""
    deployment = plan.deployment
    if read_compose_text(deployment.file) != deployment.text:
        raise DeployError(f"{deployment.file} was changed meanwhile; look again and repeat")
    if plan.former:
        try:
            now = plan.engine.container(plan.former.id)
        except EngineError as error:
            if not error.missing:
                raise
            raise DeployError(
                "the container was replaced meanwhile; look again and repeat"
            ) from error
        if now.image_id != plan.former.image_id:
            raise DeployError("another image runs since the plan was made; look again and repeat")


def _keep_images(plan: Plan, image: Image, progress: Progress) -> str:
    """Tag what runs, so that nothing prunes it meanwhile, and name the target by what never moves."""
    service = plan.deployment.service
    if former := plan.before.former_image_id:
        plan.engine.tag(former, BEFORE_ROLLBACK, tag_for(service))
        progress(f"kept what runs as {before_reference(service)}")
    if digest := next(iter(image.digests), None):
        wanted = plan.deployment.repository
        return next((d for d in image.digests if repository_of(d) == wanted), digest)
    plan.engine.tag(image.id, KNOWN_GOOD, known_good_tag(service, image.id))
    return known_good_reference(service, image.id)


def _write(plan: Plan, text: str, progress: Progress) -> None:
    file = plan.deployment.file
    if text == plan.deployment.text:
        return
    try:
        copy = keep_copy(file, plan.settings.backup_dir)
        progress(f"copied {file.name} to {copy}")
    except OSError as error:
        # The original image stays in the comment of its line, so a missing copy stops no rollback.
        progress(f"no copy of {file.name} in BACKUP_DIR: {_os_words(error)}")
    try:
        replace_text(file, text)
    except OSError as error:
        if file.read_bytes() == plan.deployment.text.encode():
            raise DeployError(f"nothing was changed: {_os_words(error)}") from error
        raise  # it is the new text, though perhaps not on the disk for good: to be put back
    progress(f"pinned the image of {plan.deployment.service} in {file}")


def _change(plan: Plan, progress: Progress, patience: Patience) -> Outcome | Failure:
    _unchanged(plan)
    deployment, image = plan.deployment, plan.local or _pull(plan, progress)
    reference = _keep_images(plan, image, progress)
    text = pin(deployment.text, deployment.service, reference)
    try:
        _write(plan, text, progress)
        progress(f"docker compose up {deployment.service}")
        deployment.compose.up(deployment.service)
        progress(f"verifying: image, container, {plan.health_url}")
        failure = verify(
            plan.engine,
            deployment.project,
            deployment.service,
            image.id,
            plan.health_url,
            patience,
            plan.health_body,
        )
    except (ComposeError, EngineError) as error:
        failure = str(error)
    except OSError as error:
        failure = _os_words(error)
    former = plan.before.former_image_id
    if failure is None:
        words = (
            f"{deployment.service} runs {plan.target.title} and is healthy; pinned to {reference}"
        )
        return Outcome("done", words, deployment.service, reference, image.id, former)
    progress(f"it did not come up: {failure}")
    return Failure(failure)


def _put_back(plan: Plan, failure: str, progress: Progress) -> Outcome:
    progress("putting back what was there")
    deployment, former = plan.deployment, plan.before.former_image_id
    was = unquoted(plan.before.written)

    def outcome(status: Literal["put_back", "broken"], words: str) -> Outcome:
        image_id = former if status == "put_back" else ""
        return Outcome(status, words, deployment.service, was, image_id, former)

    try:
        replace_text(deployment.file, plan.text_before)
        if not former:
            deployment.compose.remove(deployment.service)
            return outcome("put_back", f"{failure}. Nothing ran before, and nothing runs now")
        _up_former(plan, former)
        wrong = runs_image(plan.engine, deployment.project, deployment.service, former)
    except (ComposeError, EngineError, OSError) as error:
        wrong = _os_words(error) if isinstance(error, OSError) else str(error)
    if wrong is None:
        progress("what was there runs again")
        return outcome("put_back", f"{failure}. What ran before runs again ({was})")
    return outcome(
        "broken",
        f"{failure}. Putting back failed too: {wrong}. By hand: docker compose -f {deployment.file} "
        f"up -d --no-deps --pull never {deployment.service}; the former image is {before_reference(deployment.service)}",
    )


def _up_former(plan: Plan, former: str) -> None:
    """The former text may name a tag that has moved since: then an override names the image itself."""
    deployment = plan.deployment
    try:
        moved = plan.engine.image(deployment.image_now).id != former
    except EngineError as error:
        if not error.missing:
            raise
        moved = True
    if not moved:
        return deployment.compose.up(deployment.service)
    override = deployment.file.parent / OVERRIDE_NAME
    service, image = deployment.service, before_reference(deployment.service)
    replace_text(override, f"services:\n  {service}:\n    image: {image}\n")
    try:
        return deployment.compose.up(service, override)
    finally:
        override.unlink(missing_ok=True)


def _unfailing(progress: Progress) -> Progress:
    """Words that cannot be said (a full disk, a terminal that is gone) stop nothing."""

    def say(words: str) -> None:
        with contextlib.suppress(OSError):
            progress(words)

    return say


def _os_words(error: OSError) -> str:
    return f"{error.filename or 'a file'}: {error.strerror or error}"
