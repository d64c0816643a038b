"""The rollback workflow over real HTTP: dispatched at the stand-in for GitHub, found, followed, cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from receiver.github.answers import Dispatched
from receiver.github.api import API_VERSIONS
from receiver.http import Http, open_session
from tests.parts.github_client import INPUTS, NOW, OTHER, WORKFLOW, at, github
from tests.parts.outgoing import Time, refusal
from tests.standins.github import GitHub as StandIn
from tests.standins.github import Runner, Script


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with open_session() as session:
        yield Http(session)


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    async with StandIn([WORKFLOW], plan=Script(by_hand=True)) as running:
        yield running


async def test_a_dispatch_gives_the_run(http: Http, standin: StandIn) -> None:
    answer = await github(http, standin).dispatch(INPUTS)
    (sent,) = standin.dispatches
    assert answer.run_id == sent.run.id
    assert answer.html_url.endswith(f"/actions/runs/{sent.run.id}")
    assert sent.body == {"ref": "main", "inputs": INPUTS}
    assert sent.headers["Accept"] == "application/vnd.github+json"
    assert sent.headers["X-GitHub-Api-Version"] == "2026-03-10"
    assert sent.headers["Authorization"] == f"Bearer {standin.token}"
    assert sent.headers["User-Agent"].startswith("sermon-monitor (https://")


async def test_an_older_github_takes_it_without_saying_which_run(http: Http) -> None:
    async with StandIn([WORKFLOW], older=True, plan=Script(by_hand=True)) as standin:
        hub = github(http, standin)
        assert await hub.dispatch(INPUTS) == Dispatched()
        found = await hub.find_run("sm-1-aa", datetime.now(UTC))
        assert found is not None
        assert found.id == standin.dispatches[0].run.id
        assert len(standin.dispatches) == 1
        versions = [seen.headers["X-GitHub-Api-Version"] for seen in standin.requests]
        assert versions == [API_VERSIONS[0], API_VERSIONS[1], API_VERSIONS[1]]


async def test_a_lost_answer_is_found_again_by_its_id(http: Http, standin: StandIn) -> None:
    standin.lose_answer(method="POST")
    hub = github(http, standin)
    error = await refusal(hub.dispatch(INPUTS))
    assert (error.permanent, error.ambiguous) == (False, True)
    found = await hub.find_run("sm-1-aa", datetime.now(UTC))
    assert found is not None
    assert found.id == standin.dispatches[0].run.id
    assert (found.status, found.conclusion) == ("queued", None)


async def test_only_the_whole_id_matches(http: Http, standin: StandIn) -> None:
    hub = github(http, standin)
    await hub.dispatch(OTHER)
    assert await hub.find_run("sm-1-aa", datetime.now(UTC)) is None
    first = await hub.dispatch(INPUTS)
    await hub.dispatch(INPUTS)
    found = await hub.find_run("sm-1-aa", datetime.now(UTC))
    assert found is not None
    assert found.id == first.run_id
    assert await hub.find_run("sm-1-aa", datetime.now(UTC) + timedelta(hours=1)) is None


async def test_a_run_far_down_the_listing_is_found(http: Http, standin: StandIn) -> None:
    time = Time()
    hub = github(http, standin, time)
    first = await hub.dispatch(INPUTS)
    for _ in range(100):
        await hub.dispatch(OTHER)
    found = await hub.find_run("sm-1-aa", datetime.now(UTC))
    assert found is not None
    assert found.id == first.run_id
    listings = [seen.path for seen in standin.requests if seen.method == "GET"]
    assert len(listings) == 2
    assert "created=%3E%3D20" in listings[0]


async def test_a_run_is_followed_and_an_unchanged_one_is_free(http: Http, standin: StandIn) -> None:
    hub = github(http, standin)
    started = await hub.dispatch(INPUTS)
    assert started.run_id is not None
    run = standin.dispatches[0].run
    assert [(await hub.run(run.id)).status for _ in range(2)] == ["queued", "queued"]
    standin.advance(run, "in_progress")
    assert (await hub.run(run.id)).status == "in_progress"
    standin.advance(run, "completed", "success")
    ended = await hub.run(run.id)
    assert (ended.status, ended.conclusion, ended.id) == ("completed", "success", run.id)
    assert ended.display_title == "Rollback sm-1-aa"
    asked = [seen.status for seen in standin.requests if seen.method == "GET"]
    assert asked == [200, 304, 200, 200]


async def test_cancel_ends_what_waits_and_leaves_what_is_over(http: Http, standin: StandIn) -> None:
    hub = github(http, standin)
    await hub.dispatch(INPUTS)
    run = standin.dispatches[0].run
    assert await hub.cancel(run.id) is True
    assert (await hub.run(run.id)).conclusion == "cancelled"
    assert await hub.cancel(run.id) is False
    assert (await refusal(hub.cancel(1))).code == 404


async def test_changes_go_one_at_a_time_a_second_apart(http: Http, standin: StandIn) -> None:
    time = Time()
    hub = github(http, standin, time)
    await hub.dispatch(INPUTS)
    await hub.cancel(standin.dispatches[0].run.id)
    time.now += 5
    await hub.dispatch(OTHER)
    assert time.slept == [1.0]


async def test_the_state_of_the_workflow_and_the_runner(http: Http, standin: StandIn) -> None:
    hub = github(http, standin)
    assert await hub.workflow_state() == "active"
    standin.set_workflow("rollback.yml", "disabled_manually")
    assert await hub.workflow_state() == "disabled_manually"
    (runner,) = await hub.runners() or ()
    assert runner.online
    assert runner.has(frozenset({"self-hosted"}))
    standin.set_runner(online=False)
    assert [one.online for one in await hub.runners() or ()] == [False]
    standin.runners.clear()
    assert await hub.runners() == ()
    del standin.permissions["administration"]
    assert await hub.runners() is None


async def test_runners_are_paged(http: Http, standin: StandIn) -> None:
    standin.runners += [Runner(n, f"pi-{n}", ()) for n in range(2, 151)]
    assert len(await github(http, standin).runners() or ()) == 150


async def test_the_workflows_file_at_the_ref(http: Http, standin: StandIn) -> None:
    hub = github(http, standin)
    for _ in range(2):
        assert await hub.workflow_text() == WORKFLOW.read_text()
    assert [seen.status for seen in standin.requests] == [200, 304]
    assert (await refusal(github(http, standin, ref="gone").workflow_text())).code == 404
    del standin.permissions["contents"]
    assert await hub.workflow_text() is None


async def test_what_was_deployed(http: Http, standin: StandIn) -> None:
    hub = github(http, standin)
    assert await hub.deployments("production") == ()
    for sha in ("a" * 40, "b" * 40):
        standin.add_deployment(sha)
    standin.add_deployment("c" * 40, environment="preview")
    found = await hub.deployments("production") or ()
    assert [one.sha[0] for one in found] == ["b", "a"]
    states = await hub.deployment_statuses(found[0].id)
    assert [one.state for one in states] == ["success", "in_progress"]
    assert len(await hub.deployments("production", newest=1) or ()) == 1
    del standin.permissions["deployments"]
    assert await hub.deployments("production") is None


async def test_what_is_under_way(http: Http, standin: StandIn) -> None:
    hub = github(http, standin)
    for status in ("completed", "waiting", "in_progress"):
        standin.add_run("rollback.yml", status)
    found = await hub.unfinished_runs("rollback.yml")
    assert [run.status for run in found] == ["in_progress", "waiting"]
    assert await hub.unfinished_runs("deploy.yml") == ()


async def test_a_rate_limit_is_never_taken_for_a_missing_permission(
    http: Http, standin: StandIn
) -> None:
    standin.limit_secondary(1)
    assert (await refusal(github(http, standin).runners())).retry_after == 1


async def test_a_repository_that_moved_is_read_but_not_changed(
    http: Http, aiohttp_server: AiohttpServer
) -> None:
    async def moved(request: web.Request) -> web.Response:
        if request.path.startswith("/repositories/"):
            assert request.headers["Authorization"] == "Bearer t0k"
            return web.json_response({"state": "active"})
        return web.Response(status=307, headers={"Location": "/repositories/9"})

    hub = await at(http, aiohttp_server, moved)
    assert await hub.workflow_state() == "active"
    error = await refusal(hub.dispatch(INPUTS))
    assert (error.permanent, error.ambiguous) == (True, False)
    assert "GITHUB_REPO" in error.words


async def test_unknown_fields_and_nulls_are_tolerated(
    http: Http, aiohttp_server: AiohttpServer
) -> None:
    shown: dict[str, Any] = {
        "id": 7,
        "status": None,
        "created_at": "2026-03-01T02:00:00Z",
        "new": {},
    }

    async def sparse(_request: web.Request) -> web.Response:
        return web.json_response(shown)

    run = await (await at(http, aiohttp_server, sparse)).run(7)
    assert (run.id, run.status, run.conclusion, run.created_at) == (7, "", None, NOW)
