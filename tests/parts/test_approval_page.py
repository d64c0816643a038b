"""The page behind a card's button, on a real server: who may decide, once, and what strangers get."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.parts.approval_kit import SLOW, fetch, press, scene, stamp
from tests.parts.receiver_kit import alert, body, ended, receiver, step


async def test_from_the_button_to_the_step(tmp_path: Path) -> None:
    """Looking, however often and by whomever, approves nothing; one POST from the page does, once."""
    (tmp_path / "x").touch()
    async with scene(tmp_path, BOARD_TOKEN="b0ard-t0ken") as it:
        it.running.session.headers["Authorization"] = "Bearer b0ard-t0ken"
        url = await it.asked()
        (tmp_path / "backups" / "one").touch()
        async with aiohttp.ClientSession() as stranger:  # who has the link alone
            for _ in range(3):
                async with stranger.get(url) as answer:
                    html, headers = await answer.text(), answer.headers
                    assert answer.status == 200
            async with stranger.head(url) as answer:
                assert answer.status == 405
            assert it.engine.done == []
            assert (await it.approvals())[0]["state"] == "asked"
            for words in (
                "Restart of sermon-uploader",
                "Slow fires",
                "sermon-uploader is restarted: up to a minute",
                "s old",
                "<b>confirmed</b>, ",
                "You can decide until",
            ):
                assert words in html, words
            assert "<b>approved</b>" not in html
            data = {"page": stamp(html), "decision": "approve"}
            async with stranger.post(url, data=data) as answer:
                assert (answer.status, "Approved" in await answer.text()) == (200, True)
            incident = await it.running.until(ended("restart", "done", "failed"), "the restart")
            assert step(incident, "restart")["state"] == "done"
            assert it.engine.done == ["restart sermon-uploader"]
            async with stranger.post(url, data=data) as answer:
                assert (answer.status, "was granted already" in await answer.text()) == (409, True)
            async with stranger.get(url) as answer:
                again = await answer.text()
                assert (answer.status, "The restart is done" in again) == (410, True)
        (one,) = await it.approvals()
        assert one["state"] == "used"
        assert one["who"].endswith("127.0.0.1 (link)")
        await it.told(lambda d: d.messages[0].body["components"] == [])
        assert it.engine.done == ["restart sermon-uploader"]
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy + html
    assert "frame-ancestors 'none'" in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


async def test_no(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        url = await it.asked()
        _, html, _ = await fetch(it, url)
        status, said = await press(it, url, stamp(html), "deny")
        assert (status, "It is not done" in said) == (200, True)
        incident = await it.running.until(ended("restart", "refused"), "the refusal")
        assert "denied already, by whoever has the link" in step(incident, "restart")["words"]
        assert (await press(it, url, stamp(html), "approve"))[0] == 409
        # The same alert, once more: a no is a no for this incident.
        await it.running.post(body({**SLOW, "fingerprint": "again"}))
        incident = await it.running.until(lambda i: len(i["alerts"]) == 2, "the alert")
        assert len(incident["steps"]) == 1
        assert it.engine.done == []


async def test_strangers(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        url = await it.asked()
        base, _, token = url.rpartition("/")
        number, expiry, mac = token.split(".")
        flipped = mac[:-1] + ("A" if mac[-1] != "A" else "B")
        wrong = [
            f"{number}.{expiry}.{flipped}",
            f"{number}.{int(expiry) + 86400}.{mac}",
            f"{int(number) + 1}.{expiry}.{mac}",
            f"{number}.{expiry}.",
            f"{number}.{expiry}.{mac}{mac}",
            f"{number}.{expiry}.{mac}%00",
            f"0{number}.{expiry}.{mac}",
            f"{number}.{expiry}.{mac}%0A",
            "x",
            "%2e%2e%2fapi%2fapprovals",
            "9" * 400,
            "١.٢.٣",
        ]
        _, html, _ = await fetch(it, url)
        for one in wrong:
            status, said, headers = await fetch(it, f"{base}/{one}")
            assert (status, "not one of ours" in said) == (403, True), one
            assert headers["Referrer-Policy"] == "no-referrer"
            assert (await press(it, f"{base}/{one}", stamp(html)))[0] == 403, one
        made, page_mac = stamp(html).split(".")
        for page in ("", "x", f"{int(made) + 1}.{page_mac}", f"{made}.{mac}", f"{made}.", "1" * 99):
            assert (await press(it, url, page))[0] == 403, page
        crossed = await press(it, url, stamp(html), **{"Sec-Fetch-Site": "cross-site"})
        assert crossed[0] == 403
        assert (await press(it, url, stamp(html), "maybe"))[0] == 400
        session = it.running.session
        for data, kind in (
            (b"{}", "application/json"),
            (b"page=1&decision=approve" + b"x" * 9000, "application/x-www-form-urlencoded"),
            (b"\xff\xfe=%zz&&&", "application/x-www-form-urlencoded"),
            (b"", "application/x-www-form-urlencoded"),
        ):
            async with session.post(url, data=data, headers={"Content-Type": kind}) as answer:
                assert answer.status in (400, 403), (data[:20], kind)
        for method in ("PUT", "DELETE", "PATCH"):
            async with session.request(method, url) as answer:
                assert answer.status == 405
        assert (await it.approvals())[0]["state"] == "asked"
        assert it.engine.done == []


async def test_a_page_of_another_question_decides_nothing_here(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        first = await it.asked()
        _, html, _ = await fetch(it, first)
        other = {**SLOW, "fingerprint": "other", "labels": {**SLOW["labels"], "service": "other"}}
        await it.running.post(body(other))
        await it.told(lambda d: len([m for m in d.messages if m.body.get("components")]) == 2)
        assert it.url != first
        assert (await press(it, it.url, stamp(html)))[0] == 403
        assert {one["state"] for one in await it.approvals()} == {"asked"}


async def test_many_press_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        url = await it.asked()
        _, html, _ = await fetch(it, url)
        answers = await asyncio.gather(
            *(
                press(it, url, stamp(html), "approve" if n % 2 else "deny", **{"X-N": str(n)})
                for n in range(12)
            )
        )
        assert sorted(status for status, _ in answers) == [200] + [409] * 11
        incident = await it.running.until(ended("restart", "done", "refused"), "the end")
        kinds = [e["kind"] for e in incident["events"] if e["kind"].startswith("approval ")]
        assert len(kinds) == 2
        assert len(it.engine.done) == (step(incident, "restart")["state"] == "done")


async def test_a_yes_overrides_no_other_gate(tmp_path: Path) -> None:
    """The application is well again when somebody presses: nothing is done."""
    async with scene(tmp_path) as it:
        url = await it.asked()
        _, html, _ = await fetch(it, url)
        it.app.well = True
        assert (await press(it, url, stamp(html)))[0] == 200
        incident = await it.running.until(
            lambda i: "our own look disagrees" in step(i, "restart")["words"], "the refusal"
        )
        assert step(incident, "restart")["state"] == "pending"
        assert it.engine.done == []
        await it.running.post(body({**SLOW, "status": "resolved"}))
        await it.running.until(ended("restart", "dropped"), "the end")
        (one,) = await it.approvals()
        assert (one["state"], one["words"] != "") == ("overtaken", True)


async def test_it_expires(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        url = await it.asked()
        _, html, _ = await fetch(it, url)
        await it.running.receiver._database.run(
            lambda c: c.execute("UPDATE approvals SET expires_at = expires_at - 86400")
        )
        # The link says another time than the store: it is of no use, whichever is right.
        status, _, _ = await fetch(it, url)
        assert status == 410
        assert (await press(it, url, stamp(html)))[0] == 410
        incident = await it.running.until(ended("restart", "refused"), "the end")
        assert "nobody decided approval 1" in step(incident, "restart")["words"]


async def test_what_comes_by_itself_overtakes_and_the_urgent_rings(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        url = await it.asked()
        assert not it.discord.messages[0].pings, "a warning wakes nobody"
        await it.running.post(body(alert("Down", labels={"alertname": "Down", "severity": "critical", "service": "app"})))  # fmt: skip
        await it.running.until(ended("restart", "done"), "the restart")
        status, said, _ = await fetch(it, url)
        assert (status, "is overtaken" in said) == (410, True)


@pytest.mark.file
async def test_a_question_that_rings_has_its_button_too(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.asked(alert("Urgent"))
        await it.told(lambda d: any(not m.embeds for m in d.messages))
        (call,) = [m for m in it.discord.messages if not m.embeds]
        assert call.pings.roles == ("4242",)
        assert "waits for your yes or no" in call.content
        assert call.body["components"][0]["components"][0]["label"].startswith("Yes or no: Restart")


async def test_no_link_is_in_any_log_page_or_metric(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with scene(tmp_path) as it:
            url = await it.asked()
            token = url.rpartition("/")[2]
            _, html, _ = await fetch(it, url)
            await fetch(it, url + "x")
            await press(it, url, stamp(html), "deny")
            await it.running.until(ended("restart", "refused"), "the refusal")
            everywhere = [
                it.running.metrics(),
                *[(await it.running.get(p))[1] for p in ("/", "/api/incidents", "/api/approvals", "/api/audit")],
                json.dumps(logs, default=str),
                html.replace(stamp(html), ""),
            ]  # fmt: skip
    for text in everywhere:
        assert token not in text
        assert token.split(".")[2] not in text
    assert 'sermon_monitor_approval_pages_total{outcome="denied"} 1.0' in everywhere[0]
    assert (tmp_path / "state" / "approval.key").stat().st_mode & 0o777 == 0o600


async def test_without_a_public_address_there_is_no_button(tmp_path: Path) -> None:
    async with scene(tmp_path, PUBLIC_URL="http://127.0.0.1:5001") as it:
        await it.running.post(body(SLOW))
        await it.running.until(lambda i: i["approvals"], "the question")
        await it.told(lambda d: "sermon-monitor approve 1" in json.dumps(d.messages[0].body).replace("\\\\", ""))  # fmt: skip
        assert it.discord.messages[0].body["components"] == []


@pytest.mark.parametrize("content", [b"short", b"x" * 33, b""])
async def test_a_key_that_is_none_stops_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "approval.key").write_bytes(content)
    with pytest.raises(Exception, match="not a key of ours; remove it"):
        async with receiver(tmp_path):
            pass


async def test_the_board_decides_with_its_token_alone(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await it.asked()
        assert "waits for a yes or no" in (await it.running.get("/"))[1]
        assert "<form" not in (await it.running.get("/approvals"))[1]
        async with it.running.session.post(
            it.running.url + "/api/approvals/1", json={"decision": "approve"}
        ) as answer:
            assert (answer.status, "BOARD_TOKEN" in await answer.text()) == (403, True)
    (tmp_path / "second").mkdir()
    async with scene(tmp_path / "second", BOARD_TOKEN="b0ard-t0ken") as it:
        session = it.running.session
        session.headers["Authorization"] = "Bearer b0ard-t0ken"
        await it.asked()
        at = it.running.url + "/api/approvals/"
        cases: list[tuple[str, dict[str, Any], int]] = [
            ("1", {"json": {"decision": "yes"}}, 400),
            ("1", {"json": []}, 400),
            ("1", {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
            ("1", {"data": {"decision": "approve"}}, 415),
            ("2", {"json": {"decision": "deny"}}, 409),
            ("1", {"json": {"decision": "deny"}, "headers": {"Authorization": "Bearer x"}}, 401),
            ("1", {"json": {"decision": "deny", "by": "Anna"}}, 200),
            ("1", {"json": {"decision": "approve"}}, 409),
        ]
        for number, sent, status in cases:
            async with session.post(at + number, **sent) as answer:
                assert answer.status == status, (number, sent)
        assert (await it.approvals())[0]["who"] == "Anna (board)"
