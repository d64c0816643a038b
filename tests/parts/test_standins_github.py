"""The stand-in for GitHub keeps GitHub's rules: who may ask, what a dispatch may say, limits, refusals."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.standins.github import Dispatch, GitHub, Script
from tests.standins.github_client import FLOW, GOOD, NEW, REPO, Client, connected


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with connected(tmp_path) as made:
        yield made


@pytest.fixture
def github(client: Client) -> GitHub:
    return client.github


async def test_the_run_details_by_version_and_by_field(client: Client, github: GitHub) -> None:
    github.play(Script(by_hand=True))
    status, details = await client.post(f"{FLOW}/dispatches", GOOD, NEW)
    assert status == 200
    run = github.runs[0]
    assert details["workflow_run_id"] == run.id
    assert details["run_url"] == f"{github.base_url}{REPO}/actions/runs/{run.id}"
    assert await client.post(f"{FLOW}/dispatches", GOOD) == (204, None)
    status, details = await client.post(f"{FLOW}/dispatches", {**GOOD, "return_run_details": True})
    assert (status, details["workflow_run_id"]) == (200, github.runs[2].id)
    assert github.dispatches[0].inputs == GOOD["inputs"]
    assert run.inputs == {
        "kind": "previous",
        "reason": "test",
        "force": "false",
        "correlation_id": "abc",
    }
    assert run.title == "Rollback abc"


async def test_an_older_server_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    async with connected(tmp_path, older=True) as client:
        github = client.github
        for body, headers, status in (
            (GOOD, NEW, 400),
            ({**GOOD, "return_run_details": True}, {}, 400),
            (GOOD, {"X-GitHub-Api-Version": "2022-11-28"}, 204),
        ):
            assert (await client.post(f"{FLOW}/dispatches", body, headers))[0] == status
        assert len(github.runs) == 1


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({**GOOD, "ref": "nope"}, 422, "No ref found for: nope"),
        ({"inputs": {}}, 422, '"ref" wasn\'t supplied'),
        ({"ref": "main"}, 422, "Required input 'reason' not provided"),
        (
            {"ref": "main", "inputs": {"reason": "x", "who": "y"}},
            422,
            'Unexpected inputs provided: ["who"]',
        ),
        (
            {"ref": "main", "inputs": {"reason": "x", "kind": "z"}},
            422,
            "Provided value 'z' for input 'kind' not in the list of allowed values",
        ),
        (
            {"ref": "main", "inputs": {"reason": "x", "force": "yes"}},
            422,
            "Provided value 'yes' for input 'force' not in the list of allowed values",
        ),
        ({"ref": "main", "inputs": {"reason": "x", "force": True}}, 422, "is not a string"),
        (
            {"ref": "main", "inputs": {str(n): "x" for n in range(26)}},
            422,
            "No more than 25 properties are allowed; 26 were supplied.",
        ),
        ({"ref": "main", "inputs": {"reason": "x" * 65_535}}, 422, "too large"),
        ({"ref": "main", "inputs": ["x"]}, 422, "is not an object"),
        ({**GOOD, "extra": 1}, 422, '"extra" is not a permitted key'),
        (["main"], 400, "Body should be a JSON object"),
    ],
)
async def test_a_bad_dispatch_is_refused_in_words(
    client: Client, github: GitHub, body: object, status: int, words: str
) -> None:
    answer = await client.post(f"{FLOW}/dispatches", body, NEW)
    assert answer[0] == status
    assert words in answer[1]["message"]
    assert not github.runs


async def test_who_calls_is_checked(client: Client, github: GitHub) -> None:
    async with client.http.get(github.base_url + REPO, headers={"User-Agent": ""}) as answer:
        assert (answer.status, answer.content_type) == (403, "text/html")
    github.permissions["actions"] = "read"
    status, refusal = await client.post(f"{FLOW}/dispatches", GOOD)
    assert (status, refusal["message"]) == (403, "Resource not accessible by personal access token")
    github.permissions["actions"] = "write"
    for path in ("/repos/a/b", f"{REPO}/actions/workflows/none.yml", f"{REPO}/actions/runs/1"):
        assert (await client.get(path))[0] == 404
    assert (await client.get(REPO, **{"X-GitHub-Api-Version": "2019-01-01"}))[0] == 400
    for _ in range(5):
        status, refusal = await client.get(REPO, Authorization="token wrong")
        assert (status, refusal["message"]) == (401, "Bad credentials")
    assert (await client.get(REPO))[0] == 403


async def test_workflows_that_cannot_be_dispatched(client: Client, github: GitHub) -> None:
    status, refusal = await client.post(f"{FLOW.replace('rollback', 'ci')}/dispatches", GOOD)
    assert (status, refusal["message"]) == (
        422,
        "Workflow does not have 'workflow_dispatch' trigger",
    )
    github.set_workflow("rollback.yml", "disabled_manually")
    status, refusal = await client.post(f"{FLOW}/dispatches", GOOD)
    assert (status, "on a disabled workflow" in refusal["message"]) == (422, True)
    assert (await client.get(FLOW))[1]["state"] == "disabled_manually"


async def test_etags_cost_nothing(client: Client, github: GitHub) -> None:
    github.play(Script(by_hand=True))
    await client.post(f"{FLOW}/dispatches", GOOD)
    url = f"{github.base_url}{REPO}/actions/runs/{github.runs[0].id}"
    async with client.http.get(url) as answer:
        etag, left = answer.headers["ETag"], answer.headers["X-RateLimit-Remaining"]
    async with client.http.get(url, headers={"If-None-Match": etag}) as answer:
        assert (answer.status, answer.headers["X-RateLimit-Remaining"]) == (304, left)
    github.advance(github.runs[0], "in_progress")
    async with client.http.get(url, headers={"If-None-Match": etag}) as answer:
        assert answer.status == 200


async def test_rate_limits(tmp_path: Path) -> None:
    async with connected(tmp_path, rate_limit=1) as client:
        github = client.github
        assert (await client.get(REPO))[0] == 200
        async with client.http.get(github.base_url + REPO) as answer:
            assert (answer.status, answer.headers["X-RateLimit-Remaining"]) == (403, "0")
        github.limit_secondary(7)
        async with client.http.get(github.base_url + REPO) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (403, "7")
            assert "secondary rate limit" in (await answer.json())["message"]


async def test_a_lost_answer_leaves_the_run(client: Client, github: GitHub) -> None:
    github.lose_answer(method="POST")
    with pytest.raises(aiohttp.ClientError):
        await client.post(f"{FLOW}/dispatches", GOOD, NEW)
    assert len(github.dispatches) == len(github.runs) == 1
    github.fail_next(502, body="<html>Unicorn!</html>")
    async with client.http.post(f"{github.base_url}{FLOW}/dispatches", json=GOOD) as answer:
        assert (answer.status, answer.content_type) == (502, "text/html")
    assert len(github.runs) == 1


async def test_the_dispatch_hook_runs_between_the_run_and_the_answer(
    client: Client, github: GitHub
) -> None:
    held, known = threading.Event(), threading.Event()

    def hook(dispatch: Dispatch) -> None:
        assert dispatch.run in github.runs
        known.set()
        held.wait(10)

    github.hook("dispatch", hook)
    asked = asyncio.create_task(client.post(f"{FLOW}/dispatches", GOOD, NEW))
    await asyncio.to_thread(known.wait, 10)
    assert not asked.done()
    held.set()
    assert (await asked)[0] == 200


async def test_deployments_newest_first(client: Client, github: GitHub) -> None:
    github.add_deployment("a" * 40)
    github.add_deployment("b" * 40, states=("failure",))
    github.add_deployment("c" * 40, environment="staging")
    _, found = await client.get(f"{REPO}/deployments?environment=production&per_page=5")
    assert [one["sha"][0] for one in found] == ["b", "a"]
    _, statuses = await client.get(f"{REPO}/deployments/{found[1]['id']}/statuses")
    assert [one["state"] for one in statuses] == ["success", "in_progress"]
