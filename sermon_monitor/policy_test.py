"""``sermon-monitor policy test``: compares the table with a file of expectations."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from receiver.deciding.expectations import ExpectationError, Outcome, parse_expectations, run
from receiver.deciding.policy import PolicyError, load_policy
from receiver.equipment import policy_path
from sermon_monitor import shown
from sermon_monitor.terminal import fail, settings_of_process


@click.group("policy")
def policy_group() -> None:
    """The severity/action table.

    Example: sermon-monitor policy test monitoring/policy_test.yml
    """


@policy_group.command("test")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The table (default: POLICY_FILE, else the shipped one).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_context
def policy_test(context: click.Context, file: Path, policy: Path | None, as_json: bool) -> None:
    """Run a file of expectations; exit 1 where the table says otherwise. Asks nobody, changes nothing.

    Example: sermon-monitor policy test monitoring/policy_test.yml
    """
    table = policy or policy_path(settings_of_process(context))
    try:
        expected = parse_expectations(file.read_text(encoding="utf-8"), str(file))
        outcome = run(load_policy(table), expected)
    except (PolicyError, ExpectationError) as error:
        fail(error.problems, 2)
    except (OSError, UnicodeDecodeError) as error:
        fail([f"{file}: cannot be read: {error}"])
    _print(outcome, table, as_json=as_json)
    sys.exit(1 if outcome.differences else 0)


def _print(outcome: Outcome, table: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(outcome), indent=2))
        return
    for one in outcome.differences:
        click.echo(shown.line(one.title))
        click.echo(f"  {shown.line(one.what)}")
        click.echo(f"  - expected: {shown.line(one.expected)}")
        click.echo(f"  + is:       {shown.line(one.got)}")
    if outcome.uncovered:
        click.echo(f"rows without a case: {shown.line(', '.join(outcome.uncovered))}")
    failed = len({one.title for one in outcome.differences})
    words = (
        f"{failed} of {outcome.cases} cases differ"
        if failed
        else f"{outcome.cases} cases, all as expected"
    )
    click.echo(f"{shown.line(str(table))}: {words}")
