"""The table of verbs: each can be tried dry where it changes something, and explains itself."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from recovery.cli import main
from recovery.verbs import VERBS, Verb


def options(verb: Verb) -> set[str]:
    return {name for p in verb.command.params if isinstance(p, click.Option) and not p.hidden for name in p.opts}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_verb_has_its_options_and_an_example(verb: Verb) -> None:
    assert {"--json", "--verbose", "--config"} <= options(verb)
    assert verb.changes is ("--dry-run" in options(verb)) is ("--yes" in options(verb))
    assert (verb.command.epilog or "").startswith(f"Example: sermon-recovery {verb.name}")
    assert verb.command.help


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_help_reads_no_setting_and_touches_no_machine(verb: Verb) -> None:
    done = CliRunner().invoke(main, [verb.name, "--help"], env={"APP_URL": "nonsense"})
    assert done.exit_code == 0
    assert "Example:" in done.output


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_bad_setting_is_wrong_usage(verb: Verb) -> None:
    done = CliRunner().invoke(main, [verb.name, *_needed(verb)], env={"APP_URL": "nonsense"})
    assert done.exit_code == 2
    assert "APP_URL" in done.output


def _needed(verb: Verb) -> list[str]:
    return ["--yes"] if verb.changes else []


def test_shared_options_may_stand_before_the_verb() -> None:
    """As the guide's toolkit took them; an unknown Engine ends it as refused, not as wrong usage."""
    env = {"DOCKER_HOST": "unix:///nowhere.sock"}
    done = CliRunner().invoke(main, ["--dry-run", "--force", "emergency-stop"], env=env)
    assert done.exit_code == 1
    assert "refused" in done.output
    assert CliRunner().invoke(main, ["--dry-run"]).exit_code == 2
    assert CliRunner().invoke(main, ["--nonsense", "emergency-stop"]).exit_code == 2
