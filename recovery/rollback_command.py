"""``rollback``: the options, and from them one request."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from recovery import inputs
from recovery.backup.first import without_backup as without_backup_option
from recovery.options import config_option
from recovery.rollback_target import Wanted
from recovery.run import settings_of
from recovery.run_rollback import Request, roll_back
from recovery.terminal import Terminal


@click.command(
    "rollback",
    epilog="Example: sermon-recovery rollback --to-version master-1f0c9aa --reason 'pages are empty' --dry-run",
)
@click.option(
    "--to-version",
    callback=inputs.matching(
        "an image's tag or sha256 digest",
        lambda v: inputs.TAG.fullmatch(v) or inputs.is_image(v),
        empty=False,
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
@without_backup_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout at the end.")
@click.option("--verbose", is_flag=True, help="Also say what is asked and read.")
@click.option(
    "--verify-timeout",
    type=inputs.Seconds(),
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
    without_backup: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    verbose: bool,
    verify_timeout: float,
    config: Path | None,
) -> None:
    """Go back to a version that worked: by default the last known good one.

    The image is brought here first; then it is pinned in the compose file, started and verified.
    If it is not well, what ran before is put back. The configuration is saved before.
    """
    wanted = Wanted(to_version, to_commit, to_image)
    if rollback_type == "specific_commit" and wanted == Wanted():
        raise click.UsageError("specific_commit needs --to-commit, --to-version or --to-image")
    settings = settings_of(config)
    request = Request(
        wanted=wanted,
        service=service,
        reason=inputs.printable(reason),
        expires_at=expires_at,
        correlation_id=correlation_id or "",
        force=force,
        without_backup=without_backup,
        yes=yes,
        dry_run=dry_run,
        verify_seconds=verify_timeout,
    )
    terminal = Terminal(None if dry_run else settings.log_dir, verbose=verbose)
    try:
        result = roll_back(settings, request, terminal)
    finally:
        terminal.close()
    if as_json:
        click.echo(json.dumps(result.as_json()))
    raise SystemExit(result.exit_code)
