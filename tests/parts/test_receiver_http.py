"""POST /alerts and the pages: each answer of the contract, whatever is sent."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.parts.receiver_kit import Running, alert, body, receiver

PAYLOADS = sorted((Path(__file__).parents[1] / "payloads").rglob("*.json"))
TOKEN = "t0ken-of-the-webhook"
BOARD = "t0ken-of-the-board"


async def test_what_real_alertmanagers_sent_is_taken_and_shown(tmp_path: Path) -> None:
    expected: set[str] = set()
    async with receiver(tmp_path) as running:
        for path in PAYLOADS:
            text = path.read_bytes()
            sent = json.loads(text)["alerts"]
            assert await running.post(text) == (200, {"status": "committed", "alerts": len(sent)})
            expected |= {a["fingerprint"] for a in sent if a["status"] == "firing"}
            shown = await running.incidents()
            firing = {a["fingerprint"] for i in shown for a in i["alerts"] if a["firing"]}
            assert {a["fingerprint"] for a in sent if a["status"] == "firing"} <= firing
        every = {a["fingerprint"] for i in await running.incidents() for a in i["alerts"]}
        assert every == expected


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (b"hello", "body"),
        (b"", "body"),
        (b"[" * 100_000, "body"),
        (b"\xff\x00", "body"),
        (json.dumps({**body(), "version": "3"}).encode(), "version"),
        (json.dumps(body(truncatedAlerts=10**30)).encode(), "truncatedAlerts"),
        (json.dumps(body({"status": "firing"})).encode(), "alerts.0.labels"),
    ],
)
async def test_400_names_the_fields(tmp_path: Path, sent: bytes, field: str) -> None:
    async with receiver(tmp_path) as running:
        status, answer = await running.post(sent)
        assert status == 400
        assert answer["error"] == "not a webhook body of version 4"
        assert field in [item["field"] for item in answer["fields"]]
        assert await running.incidents() == []
        assert 'sermon_monitor_webhooks_total{outcome="invalid"} 1.0' in running.metrics()


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer é"]
)
async def test_401_without_the_credential(tmp_path: Path, given: str) -> None:
    headers = {"Authorization": given} if given else {}
    async with receiver(tmp_path, WEBHOOK_TOKEN=TOKEN) as running:
        assert (await running.post(body(), **headers))[0] == 401
        assert await running.incidents() == []
        assert (await running.post(body(), Authorization=f"Bearer {TOKEN}"))[0] == 200
        assert len(await running.incidents()) == 1


async def test_413_beyond_the_bound(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        status, answer = await running.post(b" " * (5 * 1024 * 1024))
        assert (status, answer) == (413, {"error": "larger than MAX_BODY_BYTES (1048576)"})
        assert (await running.post(body()))[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
async def test_415_for_another_type(tmp_path: Path, kind: str) -> None:
    async with receiver(tmp_path) as running:
        assert (await running.post(body(), **{"Content-Type": kind}))[0] == 415
        charset = {"Content-Type": "application/json; charset=utf-8"}
        assert (await running.post(body(), **charset))[0] == 200


@pytest.mark.file
async def test_503_while_the_store_is_full_and_then_on_as_before(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        database = running.receiver._database
        pages = await database.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
        await database.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        many = body(*(alert(fingerprint=f"f{n}") for n in range(500)))
        with capture_logs() as logs:
            status, answer = await running.post(many)
        assert (status, answer) == (503, {"error": "the store cannot take it now"})
        assert not [entry for entry in logs if "exc_info" in entry]
        assert await running.incidents() == []
        await database.run(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
        assert (await running.post(many))[0] == 200
        assert len((await running.incidents())[0]["alerts"]) == 500


async def test_a_zero_in_any_text_is_another_sign(tmp_path: Path) -> None:
    """SQLite's json_each ends a text there: an open alert was not found again. PostgreSQL takes none at all."""
    odd = {"alertname": "A\0B", "service": "s\0", "severity": "critical", "l\0": "\0"}
    one = alert(fingerprint="fp\0one", labels=odd, annotations={"summary": "\0"})
    other = {**one, "fingerprint": "fp\0two"}
    async with receiver(tmp_path) as running:
        for _ in range(2):
            assert (await running.post(body(one, other, groupKey="\0", receiver="\0")))[0] == 200
        (incident,) = await running.incidents()
        assert [found["repeats"] for found in incident["alerts"]] == [1, 1]
        assert {found["fingerprint"] for found in incident["alerts"]} == {
            "fp\ufffdone",
            "fp\ufffdtwo",
        }
        ended = [{**found, "status": "resolved"} for found in (one, other)]
        assert (await running.post(body(*ended)))[0] == 200
        (incident,) = await running.incidents()
        assert not any(found["firing"] for found in incident["alerts"])
        assert (await running.get("/api/audit?kind=%00"))[0] == 200


async def test_503_once_the_store_is_closed(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        assert await running.get("/readyz") == (200, "ready\n")
        running.receiver._database.close()
        assert (await running.post(body()))[0] == 503
        for path in ("/", "/api/incidents", "/readyz", "/api/incidents/1"):
            assert (await running.get(path))[0] == 503
        assert await running.get("/healthz") == (200, "ok\n")
        running.receiver._database.open()


@pytest.mark.file
async def test_not_ready_once_the_worker_is_dead(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        (worker,) = [t for t in running.duty.tasks if t.get_name() == "worker"]
        worker.cancel()
        await asyncio.wait([worker])
        assert await running.get("/readyz") == (503, "the worker has ended\n")
        assert await running.get("/healthz") == (200, "ok\n")


async def test_the_board_asks_for_its_token(tmp_path: Path) -> None:
    async with receiver(tmp_path, BOARD_TOKEN=BOARD, WEBHOOK_TOKEN=TOKEN) as running:
        await running.post(body(), Authorization=f"Bearer {TOKEN}")
        for path in ("/", "/api/incidents", "/api/incidents/1"):
            assert (await running.get(path))[0] == 401
            assert (await running.get(path, Authorization=f"Bearer {TOKEN}"))[0] == 401
            assert (await running.get(path, Authorization=f"Bearer {BOARD}"))[0] == 200
        for path in ("/healthz", "/readyz"):
            assert (await running.get(path))[0] == 200


async def test_one_incident_as_json(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        await running.post(body())
        status, text = await running.get("/api/incidents/1")
        found: dict[str, Any] = json.loads(text)
        assert (status, found["service"], found["state"]) == (200, "sermon-uploader", "open")
        assert found["events"][0]["kind"] == "open"
        assert (await running.get("/api/incidents/2"))[0] == 404
        assert (await running.get("/api/incidents/" + "9" * 30))[0] == 404
        assert (await running.get("/api/incidents/x"))[0] == 404


async def test_labels_are_text_on_the_page(tmp_path: Path) -> None:
    async with receiver(tmp_path, CONTACTS="") as running:
        hostile = alert("<script>alert(1)</script>", annotations={"summary": '"><img src=x>'})
        await running.post(body(hostile))
        status, page = await running.get("/")
        assert status == 200
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page


async def _together(running: Running, count: int) -> list[int]:
    answers = await asyncio.gather(*(running.post(body()) for _ in range(count)))
    return [status for status, _ in answers]


async def test_many_at_once_are_one_incident(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        assert await _together(running, 50) == [200] * 50
        (incident,) = await running.incidents()
        assert [a["repeats"] for a in incident["alerts"]] == [49]
        assert 'sermon_monitor_webhooks_total{outcome="accepted"} 50.0' in running.metrics()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_what_its_headers_say(tmp_path: Path, encoding: str) -> None:
    async with receiver(tmp_path) as running:
        announced = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        async with running.session.post(
            running.url + "/alerts", data=b"not compressed at all", headers=announced
        ) as answer:
            assert answer.status == 400
            assert "headers" in (await answer.json())["error"]
        assert 'sermon_monitor_webhooks_total{outcome="invalid"} 1.0' in running.metrics()


async def test_a_browser_is_asked_for_the_boards_password(tmp_path: Path) -> None:
    async with receiver(tmp_path, BOARD_TOKEN=BOARD) as running:
        async with running.session.get(running.url + "/") as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        for password, status in ((BOARD, 200), ("wrong", 401)):
            credentials = {"Authorization": aiohttp.encode_basic_auth("anybody", password)}
            async with running.session.get(running.url + "/", headers=credentials) as answer:
                assert answer.status == status


async def test_readyz_writes_what_it_says_can_be_written(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        assert await running.get("/readyz") == (200, "ready\n")

        def broken(c: sqlite3.Connection) -> None:
            c.execute("DROP TABLE readiness")

        await running.receiver._database.run(broken)
        status, words = await running.get("/readyz")
        assert status == 503
        assert "readiness" in words
