"""POST /webhooks/github: only what is signed counts, once, and all that it does is to make us look."""

from __future__ import annotations

import hmac
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from receiver.hearing.github import is_signed
from receiver.store import deliveries
from tests.parts.receiver_kit import Running, application, body, ended, receiver, step
from tests.parts.rollback_kit import Stage, stage
from tests.standins.github_hooks import Delivery, Webhook
from tests.standins.github_runs import Run

__all__ = ["stage"]  # the fixture
SECRET = "It's a Secret to Everybody"
REPOSITORY = "White-Plains-Gospel-Chapel/sermon-uploader"
API = "https://api.github.com/repos/x"
GIVEN = {
    "GITHUB_WEBHOOK_SECRET": SECRET,
    "GITHUB_TOKEN": "github_pat_0",
    "GITHUB_REPO": REPOSITORY,
    "GITHUB_API_URL": "http://127.0.0.1:9",
    "DRY_RUN": "true",
}


def event(run_id: Any = 7, title: Any = "rollback", repository: Any = REPOSITORY) -> dict[str, Any]:
    return {
        "action": "completed",
        "workflow_run": {"id": run_id, "display_title": title, "status": "completed"},
        "repository": {"full_name": repository},
    }


def counted(running: Running, outcome: str) -> float:
    name = f'sermon_monitor_github_webhooks_total{{outcome="{outcome}"}} '
    (line,) = [line for line in running.metrics().splitlines() if line.startswith(name)]
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize(
    ("body", "header", "holds"),
    [
        (b"Hello, World!", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", True),
        (b"Hello, World?", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", False),
        (b"Hello, World!", "757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17", False),
        (b"Hello, World!", "", False),
        (b"Hello, World!", "0" * 64, False),
        (b"", "757107ea", False),
    ],
)  # fmt: skip
def test_githubs_own_test_vector(body: bytes, header: str, holds: bool) -> None:
    assert is_signed(body, f"sha256={header}", SecretStr(SECRET)) is holds
    assert is_signed(body, header, SecretStr(SECRET)) is False


async def test_a_delivery_without_its_headers_is_refused(tmp_path: Path) -> None:
    raw = json.dumps(event()).encode()
    signed = {"X-Hub-Signature-256": f"sha256={hmac.digest(SECRET.encode(), raw, 'sha256').hex()}"}
    whole = {**signed, "X-GitHub-Delivery": "1-a", "X-GitHub-Event": "ping"}
    async with receiver(tmp_path, **GIVEN) as running:
        for odd, status in (
            ({}, 200),
            ({"X-GitHub-Event": ""}, 400),
            ({"X-GitHub-Event": "Work Flow"}, 400),
            ({"X-GitHub-Delivery": "a b"}, 400),
        ):
            headers = {**whole, **odd, "Content-Type": "application/json"}
            url = f"{running.url}/webhooks/github"
            async with running.session.post(url, data=raw, headers=headers) as answer:
                assert answer.status == status, await answer.text()
        for number in (True, "7", 7.5, -1, 2**63):
            text = json.dumps(event(run_id=number)).encode()
            signature = f"sha256={hmac.digest(SECRET.encode(), text, 'sha256').hex()}"
            headers = {**whole, "X-Hub-Signature-256": signature, "X-GitHub-Event": "workflow_run"}
            headers["Content-Type"] = "application/json"
            async with running.session.post(url, data=text, headers=headers) as answer:
                assert answer.status == 400, number


async def test_there_is_nothing_without_a_secret(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        hook = Webhook(f"{running.url}/webhooks/github", SECRET)
        assert await hook.send(hook.delivery("workflow_run", event())) == 404


async def test_only_what_is_signed_and_whole_is_taken(tmp_path: Path) -> None:
    async with receiver(tmp_path, **GIVEN) as running:
        url = f"{running.url}/webhooks/github"
        hook, thief = Webhook(url, SECRET), Webhook(url, "another secret of sixteen")
        good = hook.delivery("workflow_run", event())

        def without(name: str, **more: str) -> Delivery:
            left = {key: value for key, value in good.headers.items() if key != name}
            return Delivery({**left, **more}, good.body)

        assert await thief.send(thief.delivery("workflow_run", event())) == 401
        assert await hook.send(without("X-Hub-Signature-256")) == 401
        assert await hook.send(Delivery(good.headers, good.body + b" ")) == 401
        assert await hook.send(without("X-GitHub-Delivery")) == 400
        assert await hook.send(without("", **{"X-GitHub-Delivery": "a b"})) == 400
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert await hook.send(without("", **form)) == 415
        assert await hook.send(hook.delivery("ping", {"zen": "Keep it logically awesome."})) == 200
        for hostile in (
            {"workflow_run": 1},
            event(run_id="7; DROP TABLE steps"),
            event(run_id=10**40),
            event(title=["x"]),
            event(title="x" * 5000),
            event(repository=None),
        ):
            assert await hook.send(hook.delivery("workflow_run", hostile)) == 400
        deep = Delivery(good.headers, b"[" * 100_000)
        assert await hook.send(deep) == 401
        large = hook.delivery("workflow_run", {"x": "y" * 2_000_000})
        assert await hook.send(large) == 413
        other = hook.delivery("workflow_run", event(repository="a/b"))
        assert await hook.send(other) == 200
        assert await hook.send(good) == await hook.send(good) == 200
        assert counted(running, "repeat") == 1
        assert counted(running, "accepted") == 0
        assert counted(running, "unauthorized") == 4
        running.receiver._database.close()
        again = hook.delivery("workflow_run", event())
        assert await hook.send(again) == 503
        running.receiver._database.open()
        assert await hook.send(again) == 200
        assert counted(running, "unavailable") == 1


async def test_deliveries_are_kept_within_bounds(tmp_path: Path) -> None:
    async with receiver(tmp_path, **GIVEN) as running:
        database, now = running.receiver._database, running.receiver.clock.now()
        for number in range(deliveries.KEPT + 50):
            assert await database.run(partial(deliveries.is_new, delivery=f"d{number}", now=now))
        kept = await database.run(lambda c: c.execute("SELECT count(*) FROM deliveries").fetchone()[0])  # fmt: skip
        assert kept == deliveries.KEPT
        assert not await database.run(lambda c: deliveries.is_new(c, "d900", now))


@pytest.mark.engine
async def test_a_followed_run_is_looked_at_when_github_says_that_it_moved(stage: Stage) -> None:
    """Polled every ten minutes only; and a delivery alone, which lies, ends nothing."""
    async with application() as app:
        app.well = False
        settings = {"APP_URL": app.url, "GITHUB_WEBHOOK_SECRET": SECRET}
        async with stage.receiver(timing={"run_poll": "10m"}, **settings) as running:
            hook = Webhook(f"{running.url}/webhooks/github", SECRET)

            async def moved(run: Run) -> None:
                if run.status == "in_progress":
                    lie = hook.workflow_run(run, API, stage.github.repository)
                    forged = json.loads(lie.body)
                    forged["workflow_run"] |= {"status": "completed", "conclusion": "success"}
                    await hook.send(hook.delivery("workflow_run", forged))
                    await stage.run(stage.images.v1.tag)
                    app.well = True
                await hook.send(hook.workflow_run(run, API, stage.github.repository))

            stage.github.hook("run", moved)
            await running.post(body())
            incident = await running.until(ended("rollback", "done", "failed"), "the end")
    found = step(incident, "rollback")
    assert found["state"] == "done", found
    assert {status for _, status in hook.sent} == {200}
    assert len(stage.github.dispatches) == 1
