"""``mark``: what only a person knows of a version: good, bad, or that no older one can follow it."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from receiver.rollback.way_back import LEDGER
from receiver.store import messages
from receiver.store.database import StoreError
from sermon_monitor import shown, store_file
from sermon_monitor.settings import Settings
from sermon_monitor.terminal import by_option, deployment_option, fail, person, settings_of
from target import versions
from target.version_keeper import LedgerFile
from target.versions import Ledger, Release, Verdict


class RefusedError(Exception):
    """Nothing was marked; the words say why and what may be typed instead."""


def mark(
    settings: Settings,
    version: str | None,
    service: str | None,
    *,
    verdict: Verdict | None,
    irreversible: bool | None,
) -> Release:
    """Mark one version of the ledger; ``version`` None is the one that runs. Returns it as it is now.

    Raises RefusedError, and OSError where the ledger cannot be read or written.
    """
    file = LedgerFile(settings.state_dir / LEDGER)
    ledger, problem = file.read()
    if problem:
        raise RefusedError(problem)
    chosen = _release(ledger, _service(ledger, settings, service), version)

    def change(whole: Ledger) -> Ledger:
        return versions.mark(
            whole, chosen.service, chosen.image_id, verdict=verdict, irreversible=irreversible
        )

    changed = file.update(change)
    return next(
        release
        for release in reversed(changed.releases)
        if (release.service, release.image_id) == (chosen.service, chosen.image_id)
    )


def _service(ledger: Ledger, settings: Settings, wanted: str | None) -> str:
    """``wanted``; else what APP_SERVICE names; else the only one there is."""
    known = list(dict.fromkeys(release.service for release in ledger.releases))
    if not known:
        raise RefusedError("no version has been seen yet: the version ledger is empty")
    if wanted is not None:
        if wanted not in known:
            raise RefusedError(f"no service {wanted} in the version ledger; it knows {_and(known)}")
        return wanted
    named = [one for one in settings.app_service if one in known] or known
    if len(named) > 1:
        raise RefusedError(f"which of {_and(named)}? Name it with --service")
    return named[0]


def _release(ledger: Ledger, service: str, wanted: str | None) -> Release:
    if wanted is None:
        present = versions.running(ledger, service)
        if present is None:
            raise RefusedError(f"nothing runs of {service}: name a version")
        return present
    found = versions.matching(ledger, service, wanted)
    if not found:
        raise RefusedError(
            f"no version {wanted} of {service} in the version ledger; sermon-recovery versions lists them"
        )
    if len(found) > 1:
        names = _and([f"{r.title} ({r.image_id.removeprefix('sha256:')[:12]})" for r in found])
        raise RefusedError(f"{wanted} is more than one image: {names}; name it by its image id")
    return found[0]


def _and(names: list[str]) -> str:
    return ", ".join(names)


def told(release: Release) -> str:
    """What holds for it now, in words."""
    after = "; no version older than it follows it by itself" if release.irreversible else ""
    kind = "irreversible" if release.irreversible else "not irreversible"
    return f"{release.title} of {release.service}: {release.verdict}, {kind}{after}"


@click.command("mark")
@click.argument("version", required=False)
@click.option("--service", metavar="NAME", help="Which service's version (default: APP_SERVICE).")
@click.option(
    "--irreversible/--reversible",
    "irreversible",
    default=None,
    help="Whether a version older than it may follow it by itself.",
)
@click.option("--good/--bad", "good", default=None, help="Whether it is a version to go back to.")
@by_option
@deployment_option
@click.pass_context
def mark_command(
    context: click.Context,
    version: str | None,
    service: str | None,
    irreversible: bool | None,
    good: bool | None,
    by: str | None,
) -> None:
    """Mark a version in the ledger: by its tag, version, commit, digest or image id; without one, what runs.

    Example: sermon-monitor mark --irreversible master-1f0c9aa
    """
    if irreversible is None and good is None:
        raise click.UsageError("allowed: --irreversible, --reversible, --good, --bad")
    verdicts: dict[bool | None, Verdict | None] = {True: "good", False: "bad", None: None}
    settings = settings_of(context)
    try:
        release = mark(
            settings, version, service, verdict=verdicts[good], irreversible=irreversible
        )
        _recorded(settings, told(release), person(by))
    except (RefusedError, StoreError) as error:
        fail([str(error)])
    except OSError as error:
        fail([f"{error.filename or settings.state_dir}: {error.strerror}"])
    click.echo(shown.line(told(release)))


def _recorded(settings: Settings, words: str, who: str) -> None:
    """In the audit trail, where there is one already. Raises StoreError."""
    if store_file.exists(settings.store):
        with store_file.writing(settings.store) as c:
            messages.add_event(c, None, "version marked", words, datetime.now(UTC), who=who)
