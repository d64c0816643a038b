"""``report-rollback``: told to the stand-ins of Discord and GitHub, whatever the rollback left behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sermon_monitor.report import ISSUE_TITLES
from tests.real.product import COMMAND
from tests.standins.discord import Discord
from tests.standins.github import GitHub

GOOD, BAD = "a1" * 20, "b2" * 20
HOSTILE = "x`$(id)` [go](http://evil) @everyone | <b>\"'\n## heading"


@pytest.fixture(scope="module")
def discord() -> Iterator[Discord]:
    with Discord.in_thread() as found:
        yield found


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub.in_thread() as found:
        found.permissions = {"deployments": "write", "issues": "write"}
        found.commits |= {GOOD, BAD}
        yield found


class Run:
    """The last step of one run of the workflow."""

    def __init__(self, directory: Path, discord: Discord, github: GitHub) -> None:
        self.outcome, self.summary = directory / "outcome.json", directory / "summary.md"
        self.discord, self.github = discord, github
        self._seen = len(discord.messages)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_REPOSITORY": github.repository,
            "GITHUB_RUN_ID": "77",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_API_URL": github.base_url,
            "GITHUB_TOKEN": github.token,
            "DISCORD_WEBHOOK_URL": discord.url,
            "REASON": "as the input said",
        }

    def __call__(
        self, outcome: dict[str, Any] | str | None, *words: str
    ) -> subprocess.CompletedProcess[str]:
        if outcome is not None:
            text = outcome if isinstance(outcome, str) else json.dumps(outcome)
            self.outcome.write_text(text)
        done = subprocess.run(
            [COMMAND, "report-rollback", *words, self.outcome],
            env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        for secret in (self.github.token, self.discord.url):
            assert secret not in done.stdout + done.stderr
        return done

    @property
    def messages(self) -> list[Any]:
        return self.discord.messages[self._seen :]


@pytest.fixture
def run(tmp_path: Path, discord: Discord, github: GitHub) -> Run:
    return Run(tmp_path, discord, github)


def result(outcome: str, **more: Any) -> dict[str, Any]:
    return {
        "outcome": outcome, "words": f"words of {outcome}", "reason": "uploads fail",
        "correlation_id": "", "target": "v1 (a1a1a1a)", "revision": GOOD, **more,
    }  # fmt: skip


def test_a_success_is_a_deployment_that_the_receiver_can_find(run: Run) -> None:
    done = run(result("done"))
    assert (done.returncode, done.stderr) == (0, "")
    (deployment,) = run.github.deployments
    assert (deployment.sha, deployment.environment) == (GOOD, "production")
    assert [state for state, _ in deployment.statuses] == ["success"]
    assert run.github.issues == []
    (message,) = run.messages
    assert message.embeds[0]["title"] == "Rollback: Done"
    assert "actions/runs/77" in json.dumps(message.embeds)
    assert "target: v1" in run.summary.read_text()


@pytest.mark.parametrize("outcome", ["put_back", "broken"])
def test_a_failure_is_an_issue_that_says_what_to_type(run: Run, outcome: str) -> None:
    for _ in range(2):
        assert run(result(outcome)).returncode == 0
    assert [[s for s, _ in d.statuses] for d in run.github.deployments] == [["failure"]] * 2
    (issue,) = run.github.issues  # the second time is a comment
    assert (issue.title, len(issue.comments)) == (ISSUE_TITLES["rollback"], 1)
    assert "sermon-recovery diagnose" in issue.body
    assert "actions/runs/77" in issue.body


@pytest.mark.parametrize(
    ("outcome", "issues"),
    [("already", 0), ("not_needed", 0), ("expired", 0), ("refused", 1), ("never heard of", 1)],
)
def test_what_changed_nothing_is_no_deployment(run: Run, outcome: str, issues: int) -> None:
    assert run(result(outcome)).returncode == 0
    assert (len(run.github.deployments), len(run.github.issues)) == (0, issues)
    assert len(run.messages) == 1


@pytest.mark.parametrize(
    "left", [None, "", "{", "[]", '{"outcome": 7}', "[" * 100_000, "\x00\x01"],
    ids=["no file", "empty", "cut", "a list", "wrong", "deep", "binary"],
)  # fmt: skip
def test_a_command_that_ended_without_a_result_is_a_failure(run: Run, left: str | None) -> None:
    assert run(left).returncode == 0
    (issue,) = run.github.issues
    assert "ended without a result" in issue.body
    assert "as the input said" in issue.body


def test_an_emergency_stop_is_told_by_its_name(run: Run) -> None:
    assert (
        run({"verb": "emergency-stop", "outcome": "done", "words": "stopped two"}).returncode == 0
    )
    assert run.messages[0].embeds[0]["title"] == "Emergency stop: Done"
    assert run.github.deployments == []


@pytest.mark.parametrize("left", [{"verb": "emergency-stop", "outcome": "failed"}, None])
def test_an_emergency_stop_that_failed_is_no_failed_rollback(
    run: Run, left: dict[str, str] | None
) -> None:
    assert run(left, "--verb=emergency-stop").returncode == 0
    (issue,) = run.github.issues
    assert issue.title == ISSUE_TITLES["emergency-stop"]
    assert issue.body.rstrip().endswith(
        "```sh\nsermon-recovery diagnose\nsermon-recovery emergency-stop\n```"
    )


def test_hostile_words_are_only_words(run: Run) -> None:
    assert run(result("broken", words=HOSTILE, reason=HOSTILE, target=HOSTILE)).returncode == 0
    for text in (
        run.github.issues[0].body,
        run.summary.read_text(),
        json.dumps(run.messages[0].embeds),
    ):
        assert "@everyone" not in text
        assert "](http" not in text
    assert "\n## heading" not in run.github.issues[0].body


def test_a_long_text_fits_everywhere(run: Run) -> None:
    assert run(result("broken", words="w" * 100_000, reason="r" * 60_000)).returncode == 0
    assert len(run.github.issues) == len(run.messages) == 1


def test_one_place_that_fails_keeps_no_other_from_being_told(run: Run) -> None:
    run.github.permissions = {"issues": "write"}
    run.env["DISCORD_WEBHOOK_URL"] = run.discord.url.replace("/webhooks/", "/webhooks/9")
    done = run(result("put_back"))
    assert done.returncode == 1
    assert "issue: told" in done.stdout
    assert "deployment: GitHub answered 403" in done.stdout
    assert "Discord: Discord answered 404" in done.stdout
    assert run.summary.exists()


def test_without_secrets_the_summary_is_still_written(run: Run) -> None:
    for name in ("DISCORD_WEBHOOK_URL", "GITHUB_TOKEN"):
        run.env[name] = ""
    assert run(result("done")).returncode == 0
    assert "**Rollback: Done**" in run.summary.read_text()
    assert (run.messages, run.github.deployments) == ([], [])


def test_a_webhook_that_is_none_is_said_without_showing_it(run: Run) -> None:
    run.env["DISCORD_WEBHOOK_URL"] = "https://example.org/secret-part"
    done = run(result("done"))
    assert done.returncode == 2
    assert "DISCORD_WEBHOOK_URL" in done.stderr
    assert "secret-part" not in done.stderr
