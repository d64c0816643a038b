"""``sermon-recovery``: what a person, or the rollback workflow, runs on the machine of the deployment.

Exit codes: 0 done, 1 refused or unhealthy, 2 wrong usage.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recovery import inputs
from recovery.options import Verbs, config_option
from recovery.rollback import Wanted
from recovery.run_rollback import Request, ledger_path, roll_back
from recovery.terminal import Terminal
from recovery.verbs import VERBS
from target.settings import DeploymentSettings, SettingsError, read_settings
from target.version_keeper import LedgerFile
from target.versions import Release


def _version() -> str:
    try:
        return version("sermon-monitor")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


@click.group(
    cls=Verbs,
    epilog="Example: sermon-recovery rollback --reason 'uploads fail since the deployment'",
)
@click.version_option(_version(), prog_name="sermon-recovery")
def main() -> None:
    """Put the Sermon Uploader right by hand, on its own machine."""


for verb in VERBS:
    main.add_command(verb.command)


@main.command(
    epilog="Example: sermon-recovery rollback --to-version master-1f0c9aa --reason 'pages are empty' --dry-run"
)
@click.option(
    "--to-version",
    callback=inputs.matching(
        "an image's tag or sha256 digest", lambda v: inputs.TAG.fullmatch(v) or inputs.is_image(v)
    ),
    metavar="TAG_OR_DIGEST",
    help="A version by its tag or digest.",
)
@click.option(
    "--to-commit",
    callback=inputs.matching(
        "7 to 64 hexadecimal digits", lambda v: inputs.COMMIT.fullmatch(v.lower())
    ),
    metavar="SHA",
    help="The version built from this commit; 7 digits are enough.",
)
@click.option(
    "--to-image",
    callback=inputs.matching("an image reference or a local image id", inputs.is_image),
    metavar="REF",
    help="Exactly this image. Wins over the other two.",
)
@click.option(
    "--service",
    callback=inputs.matching("the name of a compose service or container", inputs.NAME.fullmatch),
    metavar="NAME",
    help="Compose service or container; APP_SERVICE where absent.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why; for the log and the outcome.")
@click.option(
    "--expires-at",
    callback=inputs.parse_time,
    metavar="RFC3339",
    help="Do nothing any more after this time.",
)
@click.option(
    "--correlation-id",
    callback=inputs.matching("letters, digits and ._:-, at most 128", inputs.CORRELATION.fullmatch),
    metavar="ID",
    help="Names the request in the log and the outcome.",
)
@click.option(
    "--rollback-type",
    callback=inputs.matching(
        "previous_version or specific_commit",
        lambda v: v in ("previous_version", "specific_commit"),
    ),
    metavar="TYPE",
    help="As the workflow says it: specific_commit must come with a version, commit or image.",
)
@click.option("--force", is_flag=True, help="Also when the app answers healthy.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout at the end.")
@click.option(
    "--verify-timeout",
    type=click.FloatRange(1, 3600),
    default=180.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the version has to prove itself before the former one is put back.",
)
@config_option
def rollback(
    *,
    to_version: str | None,
    to_commit: str | None,
    to_image: str | None,
    service: str | None,
    reason: str,
    expires_at: datetime | None,
    correlation_id: str | None,
    rollback_type: str | None,
    force: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    verify_timeout: float,
    config: Path | None,
) -> None:
    """Go back to a version that worked: by default the last known good one.

    The image is brought here first; then it is pinned in the compose file, started and verified.
    If it is not well, what ran before is put back.
    """
    wanted = Wanted(to_version, to_commit, to_image)
    if rollback_type == "specific_commit" and wanted == Wanted():
        raise click.UsageError("specific_commit needs --to-commit, --to-version or --to-image")
    settings = _settings(config)
    request = Request(
        wanted=wanted,
        service=service,
        reason=inputs.printable(reason),
        expires_at=expires_at,
        correlation_id=correlation_id or "",
        force=force,
        yes=yes,
        dry_run=dry_run,
        verify_seconds=verify_timeout,
    )
    terminal = Terminal(None if dry_run else settings.log_dir)
    try:
        result = roll_back(settings, request, terminal)
    finally:
        terminal.close()
    if as_json:
        click.echo(json.dumps(result.as_json(), ensure_ascii=False))
    raise SystemExit(result.exit_code)


@main.command(epilog="Example: sermon-recovery versions --json | jq '.[-1]'")
@click.option("--json", "as_json", is_flag=True, help="A JSON list on stdout, oldest first.")
@config_option
def versions(as_json: bool, config: Path | None) -> None:
    """Which image ran when, and which proved good."""
    path = ledger_path(_settings(config))
    try:
        ledger, problem = LedgerFile(path).read()
    except OSError as error:
        _fail(f"{path}: {error.strerror}")
    if problem:
        _fail(problem)
    if as_json:
        click.echo(json.dumps([_row(release) for release in ledger.releases]))
    elif ledger.releases:
        Console(soft_wrap=True).print(_table(ledger.releases))
    else:
        click.echo(f"no version has been seen yet: {path} is empty or not there", err=True)


def _settings(config: Path | None) -> DeploymentSettings:
    try:
        return read_settings(DeploymentSettings, os.environ, config, strict=False)
    except SettingsError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        raise SystemExit(2) from error


def _fail(words: str) -> NoReturn:
    click.echo(words, err=True)
    raise SystemExit(1)


def _row(release: Release) -> dict[str, Any]:
    return {
        "service": release.service,
        "image": release.image,
        "image_id": release.image_id,
        "digest": release.digest,
        "tag": release.tag,
        "revision": release.revision,
        "version": release.version,
        "since": release.since.isoformat(),
        "until": release.until.isoformat() if release.until else None,
        "good_since": release.good_since.isoformat() if release.good_since else None,
        "verdict": release.verdict,
        "irreversible": release.irreversible,
    }


def _table(releases: tuple[Release, ...]) -> Table:
    table = Table(
        "service", "version", "image id", "since (UTC)", "until (UTC)", "verdict", box=None
    )
    for release in releases:
        until = f"{release.until:%Y-%m-%d %H:%M}" if release.until else "runs"
        cells = (
            release.service,
            release.title,
            release.image_id.removeprefix("sha256:")[:12],
            f"{release.since:%Y-%m-%d %H:%M}",
            until,
            release.verdict,
        )
        table.add_row(*(Text(inputs.printable(cell)) for cell in cells))
    return table
