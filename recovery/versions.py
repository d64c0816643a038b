"""``versions``: the ledger as a person reads it."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from recovery import inputs
from recovery.ledger import ledger_path
from recovery.options import looks
from recovery.run import Flags, refuse, settings_of
from recovery.shown import NARROW_COLUMNS, stdout
from target.version_keeper import LedgerFile
from target.versions import Release


@click.command("versions", epilog="Example: sermon-recovery versions --json | jq '.[-1]'")
@looks
def versions(flags: Flags) -> None:
    """Which image ran when, and which proved good. With --json a list, oldest first."""
    path = ledger_path(settings_of(flags.config))
    try:
        ledger, problem = LedgerFile(path).read()
    except OSError as error:
        refuse("versions", f"{path}: {error.strerror}", as_json=flags.as_json)
    if problem:
        refuse("versions", problem, as_json=flags.as_json)
    if flags.as_json:
        click.echo(json.dumps([_row(release) for release in ledger.releases]))
    elif ledger.releases:
        console = stdout()
        if console.width < NARROW_COLUMNS:
            console.print(*(Text(_line(one)) for one in ledger.releases), sep="\n")
        else:
            console.print(_table(ledger.releases), soft_wrap=True)
    else:
        click.echo(f"no version has been seen yet: {path} is empty or not there", err=True)


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


def _line(release: Release) -> str:
    """For a telephone."""
    until = f"until {release.until:%Y-%m-%d %H:%M}" if release.until else "runs"
    words = f"{release.service} {release.title}, {release.verdict}: since {release.since:%Y-%m-%d %H:%M}, {until}"
    return inputs.printable(words + (", irreversible" if release.irreversible else ""))


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
            release.verdict + (", irreversible" if release.irreversible else ""),
        )
        table.add_row(*(Text(inputs.printable(cell)) for cell in cells))
    return table
