"""Runs of the GitHub stand-in advance, wait, are cancelled and listed as GitHub's; their step can really run."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest

import tests
from tests.standins.github import GitHub, Real, Run, Script
from tests.standins.github_client import FLOW, GOOD, NEW, REPO, Client, connected


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with connected(tmp_path) as made:
        yield made


@pytest.fixture
def github(client: Client) -> GitHub:
    return client.github


async def test_a_run_advances_and_says_so(client: Client, github: GitHub) -> None:
    seen: list[str] = []
    github.hook("run", lambda run: seen.append(run.conclusion or run.status))
    github.play(Script(conclusion="failure"))
    _, details = await client.post(f"{FLOW}/dispatches", GOOD, NEW)
    await github.wait_until(lambda g: g.runs[0].done and len(seen) == 2)
    status, run = await client.get(f"{REPO}/actions/runs/{details['workflow_run_id']}")
    assert (status, run["status"], run["conclusion"]) == (200, "completed", "failure")
    assert seen == ["in_progress", "failure"]
    _, jobs = await client.get(f"{REPO}/actions/runs/{details['workflow_run_id']}/jobs")
    assert (jobs["jobs"][0]["runner_name"], jobs["jobs"][0]["conclusion"]) == ("pi", "failure")


async def test_a_runner_that_is_offline_leaves_the_run_queued(
    client: Client, github: GitHub
) -> None:
    github.set_runner(online=False)
    await client.post(f"{FLOW}/dispatches", GOOD)
    _, runners = await client.get(f"{REPO}/actions/runners")
    assert runners["runners"][0]["status"] == "offline"
    assert (await client.get(f"{REPO}/actions/runs?status=queued"))[1]["total_count"] == 1
    github.set_runner(online=True)
    await github.wait_until(lambda g: g.runs[0].conclusion == "success")
    assert (await client.get(f"{REPO}/actions/runs?status=queued"))[1]["total_count"] == 0


async def test_cancelling(client: Client, github: GitHub) -> None:
    github.set_runner(online=False)
    await client.post(f"{FLOW}/dispatches", GOOD)
    path = f"{REPO}/actions/runs/{github.runs[0].id}/cancel"
    assert (await client.post(path))[0] == 202
    assert github.runs[0].conclusion == "cancelled"
    assert (await client.post(path))[0] == 409
    github.set_runner(online=True)
    assert github.runs[0].history == ["queued", "cancelled"]


async def test_a_group_has_one_running_and_one_pending(client: Client, github: GitHub) -> None:
    github.play(Script(by_hand=True))
    for _ in range(3):
        await client.post(f"{FLOW}/dispatches", GOOD)
    assert [run.conclusion or run.status for run in github.runs] == [
        "queued",
        "cancelled",
        "pending",
    ]


async def test_a_group_that_queues_throws_nothing_out(tmp_path: Path) -> None:
    """The shipped workflow's own group, which its job names."""
    shipped = Path(tests.__file__).parents[1] / ".github" / "workflows" / "rollback.yml"
    async with connected(tmp_path, workflows=[shipped]) as client:
        client.github.play(Script(running_seconds=0.05))
        client.github.set_runner(online=False)
        for _ in range(4):
            await client.post(f"{FLOW}/dispatches", GOOD)
        runs = client.github.runs
        assert [run.status for run in runs] == ["queued", "pending", "pending", "pending"]
        client.github.set_runner(online=True)
        await client.github.wait_until(lambda _: all(run.done for run in runs))
    ends = [run.updated_at for run in runs]
    assert (ends, [run.conclusion for run in runs]) == (sorted(ends), ["success"] * 4)


async def test_the_listing_lags_filters_and_pages(tmp_path: Path) -> None:
    now = [1_790_000_000.5]
    async with connected(tmp_path, clock=lambda: now[0], listing_delay_seconds=5) as client:
        github = client.github
        github.play(Script(by_hand=True))
        await client.post(f"{FLOW}/dispatches", GOOD)
        assert (await client.get(f"{FLOW}/runs"))[1]["workflow_runs"] == []
        assert (await client.get(f"{REPO}/actions/runs/{github.runs[0].id}"))[0] == 200
        now[0] += 5
        await client.post(f"{FLOW}/dispatches", GOOD)
        now[0] += 5

        async def found(query: str) -> list[int]:
            _, listing = await client.get(f"{FLOW}/runs?{query}")
            return [run["run_number"] for run in listing["workflow_runs"]]

        at = datetime.fromtimestamp(1_790_000_005, UTC).isoformat()
        assert await found("event=workflow_dispatch") == [2, 1]
        assert await found("event=push") == []
        assert await found("per_page=1&page=2") == [1]
        assert await found(f"created={quote('>=' + at)}") == [2]
        assert await found(f"created={quote('<' + at)}") == [1]
        assert await found(f"created={quote('*..' + at)}") == [2, 1]
        assert await found("status=success") == []
        assert (await client.get(f"{FLOW}/runs?created=soon"))[0] == 422


@pytest.mark.parametrize(("code", "conclusion"), [(0, "success"), (3, "failure")])
async def test_a_real_step_gives_the_conclusion(
    client: Client, github: GitHub, code: int, conclusion: str
) -> None:
    calls: list[tuple[str, str, str]] = []

    def step(path: Path, inputs: Mapping[str, str], env: Mapping[str, str]) -> object:
        calls.append((path.name, inputs["reason"], env["WHERE"]))
        return SimpleNamespace(returncode=code, stdout="said", stderr=" twice")

    github.play(Real(env={"WHERE": "here"}, run_workflow=step))
    await client.post(f"{FLOW}/dispatches", GOOD)
    await github.wait_until(lambda g: g.runs[0].done)
    assert (github.runs[0].conclusion, github.runs[0].log) == (conclusion, "said twice")
    assert calls == [("rollback.yml", "test", "here")]


async def test_a_real_step_survives_a_restart_of_the_server(client: Client, github: GitHub) -> None:
    """GitHub may be unreachable for a while; its runner goes on, and nothing runs twice."""
    runs: list[Run] = []
    go = threading.Event()

    def step(*_: object) -> int:
        runs.append(github.runs[0])
        go.wait(10)
        return 0

    github.play(Real(run_workflow=step))
    await client.post(f"{FLOW}/dispatches", GOOD)
    await github.wait_until(lambda g: g.runs[0].status == "in_progress")
    stopping = asyncio.create_task(github.stop())
    go.set()
    await stopping
    await github.start()
    assert (await client.get(f"{REPO}/actions/runs/{github.runs[0].id}"))[1][
        "conclusion"
    ] == "success"
    assert len(runs) == 1


async def test_a_step_that_cannot_start_is_a_startup_failure(
    client: Client, github: GitHub
) -> None:
    def step(*_: object) -> int:
        raise OSError("no shell")

    github.play(Real(run_workflow=step))
    await client.post(f"{FLOW}/dispatches", GOOD)
    await github.wait_until(lambda g: g.runs[0].done)
    assert github.runs[0].conclusion == "startup_failure"
    assert "no shell" in github.runs[0].log


async def test_the_shipped_workflow_really_runs(tmp_path: Path) -> None:
    """Its step calls the toolkit with what was dispatched; here the toolkit is a script that says so."""
    toolkit = tmp_path / "sermon-recovery"
    toolkit.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >&2\n', encoding="utf-8")
    toolkit.chmod(0o755)
    shipped = Path(tests.__file__).parents[1] / ".github" / "workflows" / "rollback.yml"
    async with connected(tmp_path, workflows=[shipped]) as client:
        client.github.play(Real(env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}))
        await client.post(f"{FLOW}/dispatches", GOOD, NEW)
        await client.github.wait_until(lambda g: g.runs[0].done)
    run = client.github.runs[0]
    assert (run.title, run.conclusion) == ("Rollback abc", "success"), run.log
    assert "--correlation-id=abc\n" in run.log
