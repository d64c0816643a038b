"""The board over HTTP: who is let in, what may be sent, what a page shows, and what it costs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from receiver.board import access
from receiver.board.access import SESSION_FOR
from tests.parts.approval_kit import SLOW, scene, stamp
from tests.parts.receiver_kit import Running, alert, application, body, receiver

TOKEN = "t0ken-of-the-b0ard"
BROWSER = {"Accept": "text/html"}
PAGES = ("/", "/incidents", "/incidents/1", "/incidents/1/evidence", "/approvals", "/deployments", "/maintenance", "/policy", "/audit")  # fmt: skip


async def signed_in(running: Running, name: str = "Anna", to: str = "/") -> aiohttp.ClientResponse:
    """Sign in as a browser does; the session keeps the cookie."""
    data = {"token": TOKEN, "name": name, "to": to}
    answer = await running.session.post(
        running.url + "/sign-in", data=data, allow_redirects=False, headers=BROWSER
    )
    assert answer.status == 303, await answer.text()
    return answer


async def send(
    running: Running, path: str, data: dict[str, str], **headers: str
) -> tuple[int, str]:
    async with running.session.post(
        running.url + path, data=data, headers={**BROWSER, **headers}, allow_redirects=False
    ) as answer:
        return answer.status, await answer.text()


def jar() -> aiohttp.CookieJar:
    return aiohttp.CookieJar(unsafe=True)  # of an address without a name


async def test_every_page_says_what_may_run_on_it(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        await running.post(body())
        for path in PAGES:
            async with running.session.get(running.url + path) as answer:
                html, policy = await answer.text(), answer.headers["Content-Security-Policy"]
                assert answer.status == 200, html
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert not re.search(
                    r"<script(?! src=\"/assets/board.js\")|\son\w+=|style=|<style", html
                ), path
                assert not re.search(r"(?:src|href)=\"(?:https?:)?//", html), path
                assert '<form method="post"' not in html, "without BOARD_TOKEN it is read-only"
        for name in ("board.css", "board.js", "icon.svg"):
            assert (await running.get(f"/assets/{name}"))[0] == 200
        for path in ("/incidents/2", "/incidents/x", "/assets/../page.html.j2", "/nowhere"):
            assert (await running.get(path))[0] == 404
        for path in ("/incidents?before=x", "/audit?since=x", "/audit?what=x", "/audit?limit=0"):
            assert (await running.get(path))[0] == 400


async def test_a_browser_signs_in_and_out(tmp_path: Path) -> None:
    async with (
        receiver(tmp_path, BOARD_TOKEN=TOKEN) as running,
        aiohttp.ClientSession(cookie_jar=jar()) as running.session,
    ):
        async with running.session.get(
            running.url + "/incidents", headers=BROWSER, allow_redirects=False
        ) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/sign-in?to=/incidents")
        assert (await send(running, "/sign-in", {"token": "wrong"}))[0] == 403
        assert (await send(running, "/sign-in", {"token": TOKEN}, **{"Sec-Fetch-Site": "cross-site"}))[0] == 403  # fmt: skip
        answer = await signed_in(running, "  Anna \x07 von\nX", "/incidents")
        cookie = answer.headers["Set-Cookie"]
        assert answer.headers["Location"] == "/incidents"
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert TOKEN not in cookie
        status, html = await running.get("/")
        assert (status, "Sign out Anna von X" in html) == (200, True)
        (page,) = set(re.findall(r'name="page" value="([^"]+)"', html))
        assert (await send(running, "/sign-out", {"page": page}))[0] == 303
        assert (await running.get("/"))[0] == 401


@pytest.mark.parametrize(
    "to",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/x", ""],
)
async def test_signing_in_leads_nowhere_else(tmp_path: Path, to: str) -> None:
    async with (
        receiver(tmp_path, BOARD_TOKEN=TOKEN) as running,
        aiohttp.ClientSession(cookie_jar=jar()) as running.session,
    ):
        assert (await signed_in(running, to=to)).headers["Location"] == "/"


async def test_a_cookie_that_is_not_ours_or_too_old(tmp_path: Path) -> None:
    async with (
        receiver(tmp_path, BOARD_TOKEN=TOKEN) as running,
        aiohttp.ClientSession(cookie_jar=jar()) as running.session,
    ):
        good = (await signed_in(running)).cookies["sermon_monitor_session"].value
    ends, who, mac = good.split(".")
    async with receiver(tmp_path, BOARD_TOKEN=TOKEN) as running:
        forged = [
            f"{int(ends) + 1}.{who}.{mac}",
            f"{ends}.Qm9i.{mac}",
            f"{ends}.{who}.{'A' * 32}",
            f"{ends}.{who}",
            "",
            "x" * 5000,
            f"{'9' * 13}.{who}.{mac}",
        ]
        for cookie in forged:
            assert (await running.get("/", Cookie=f"sermon_monitor_session={cookie}"))[0] == 401
        ours = {"Cookie": f"sermon_monitor_session={good}"}
        assert (await running.get("/", **ours))[0] == 200, "a restart signs nobody out"
        running.receiver.clock.advance(SESSION_FOR + timedelta(seconds=1))
        assert (await running.get("/", **ours))[0] == 401
    async with receiver(tmp_path, BOARD_TOKEN="an0ther") as running:
        assert (await running.get("/", **ours))[0] == 401, "another token makes cookies void"


async def test_a_proxy_signs_in(tmp_path: Path) -> None:
    """Its header counts only from its address, and nothing is open beside it."""
    name = {"Remote-User": "bert"}
    async with receiver(tmp_path, BOARD_USER_HEADER="Remote-User") as running:
        for path in PAGES:
            assert (await running.get(path))[0] == 401
        assert (await running.get("/api/incidents", **{"Remote-User": " "}))[0] == 401
        status, html = await running.get("/maintenance", **name)
        assert status == 200
        data = {"page": re.findall(r'name="page" value="([^"]+)"', html)[0], "length": "30m", "reason": "disk"}  # fmt: skip
        assert (await send(running, "/maintenance", data))[0] == 401
        assert (await send(running, "/maintenance", data, **{"Remote-User": "eve"}))[0] == 403
        assert (await send(running, "/maintenance", data, **name))[0] == 303
        told = json.loads((await running.get("/api/maintenance", **name))[1])
        assert told["maintenance"][0]["who"] == "bert (board)"
        status, html = await running.get("/sign-in")
        assert (status, 'name="token"' in html) == (200, False)
    away = {"BOARD_USER_HEADER": "Remote-User", "BOARD_PROXIES": "10.0.0.0/8"}
    async with receiver(tmp_path, **away) as running:
        assert (await running.get("/", **name))[0] == 401


async def test_only_a_form_of_ours_counts(tmp_path: Path) -> None:
    async with scene(tmp_path, BOARD_TOKEN=TOKEN) as it:
        running = it.running
        running.session.headers["Authorization"] = f"Bearer {TOKEN}"
        await it.asked(SLOW)
        _, html = await running.get("/approvals")
        page = re.findall(r'name="page" value="([^"]+)"', html)[0]
        yes = {"page": page, "decision": "approve"}
        made, mac = page.split(".")
        refused: list[tuple[dict[str, str], dict[str, str], int]] = [
            ({**yes, "page": ""}, {}, 403),
            ({**yes, "page": f"{int(made) + 1}.{mac}"}, {}, 403),
            (yes, {"Sec-Fetch-Site": "cross-site"}, 403),
            (yes, {"Sec-Fetch-Site": "same-site"}, 403),
            ({**yes, "decision": "perhaps"}, {}, 400),
            ({**yes, "more": "x" * 9000}, {}, 400),
        ]
        for data, headers, status in refused:
            assert (await send(running, "/approvals/1", data, **headers))[0] == status, (
                data,
                headers,
            )
        async with running.session.post(running.url + "/approvals/1", json=yes) as answer:
            assert answer.status == 400
        for _ in range(2):  # a preview, a prefetch
            assert (await running.get("/approvals/1"))[0] == 405
        assert (await it.approvals())[0]["state"] == "asked"
        assert it.engine.done == []
        assert (await send(running, "/approvals/1", yes))[0] == 303
        assert (await send(running, "/approvals/1", yes))[0] == 409
        assert (await send(running, "/approvals/7", yes))[0] == 409
        await running.until(lambda i: i["steps"][0]["state"] == "done", "the restart")
        assert it.engine.done == ["restart sermon-uploader"]
        assert (await it.approvals())[0]["who"] == "somebody (board)"


async def test_what_is_sent_badly_is_refused_in_words(tmp_path: Path) -> None:
    async with receiver(tmp_path, BOARD_TOKEN=TOKEN, WEBHOOK_TOKEN="w") as running:
        await running.post(body(), Authorization="Bearer w")
        running.session.headers["Authorization"] = f"Bearer {TOKEN}"
        page = stamp((await running.get("/incidents/1"))[1].replace("sign-out", ""))
        cases = [
            ("/maintenance", {"length": "1s", "reason": "x"}, "from 1m to"),
            ("/maintenance", {"length": "1h", "reason": " "}, "a reason is needed"),
            ("/maintenance", {"length": "soon", "reason": "x"}, "allowed"),
            ("/incidents/1/note", {"text": " "}, "a text is needed"),
            ("/incidents/9/note", {"text": "x"}, "there is no incident 9"),
        ]
        for path, data, words in cases:
            status, said = await send(running, path, {"page": page, **data})
            assert (status, words in said) == (400, True), (path, data, said)
        assert (await send(running, "/incidents/1/note", {"page": page, "text": "<b>x</b>"}))[
            0
        ] == 303
        assert "&lt;b&gt;x&lt;/b&gt;" in (await running.get("/incidents/1"))[1]
        assert (await send(running, "/maintenance", {"page": page, "length": "1h", "reason": "<i>"}))[0] == 303  # fmt: skip
        assert (await send(running, "/maintenance/stop", {"page": page}))[0] == 303
        html = (await running.get("/maintenance"))[1]
        assert ("&lt;i&gt;" in html, "End maintenance now" in html) == (True, False)


async def test_hostile_labels_are_text_everywhere(tmp_path: Path) -> None:
    bad = '"><script>alert(1)</script>'
    labels = {"alertname": bad, "severity": "critical", "service": bad, "cause": bad}
    notes = {"summary": bad, "runbook_url": "javascript:alert(1)"}
    async with receiver(tmp_path) as running:
        await running.post(body(alert(labels=labels, annotations=notes)))
        for path in PAGES:
            html = (await running.get(path))[1]
            assert "<script>alert" not in html
            assert "javascript:" not in html


async def test_paging(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        await fill(running, 60)
        _, html = await running.get("/incidents")
        seen: list[str] = []
        while True:
            seen += re.findall(r'<h3><a href="/incidents/(\d+)"', html)
            older = re.findall(r'href="(/incidents\?before=\d+)"', html)
            if not older:
                break
            _, html = await running.get(older[0])
        assert seen == [str(n) for n in range(60, 0, -1)]
        _, html = await running.get("/audit?kind=open")
        assert html.count("<strong>open</strong>") == 50
        _, html = await running.get(re.findall(r'href="(/audit\?before=[^"]+)"', html)[0].replace("&amp;", "&"))  # fmt: skip
        assert html.count("<strong>open</strong>") == 10


async def fill(running: Running, count: int) -> None:
    """So many incidents that are over, each with an alert and a row of the trail."""

    def write(c: Any) -> None:
        for n in range(count):
            made = c.execute("INSERT INTO incidents (service, state, severity, opened_at, resolved_at, verdict) VALUES (?, 'resolved', 'critical', ?, ?, 'over') RETURNING id", (f"s{n}", n, n + 1)).fetchone()[0]  # fmt: skip
            c.execute("INSERT INTO alerts (incident_id, fingerprint, name, severity, labels, annotations, starts_at, first_seen, last_seen, ended_at) VALUES (?, ?, 'A', 'critical', '{}', '{}', 1, 1, 1, 2)", (made, f"f{n}"))  # fmt: skip
            c.execute("INSERT INTO events (incident_id, at, kind, words) VALUES (?, 1, 'open', 'x')", (made,))  # fmt: skip
            c.execute("INSERT INTO messages (incident_id, kind, notifier, ping, revision, delivered, due_at, since, message_id, posted_at) VALUES (?, 'card', 'dry', 0, 1, 1, 1, 1, 'm', 1)", (made,))  # fmt: skip

    await running.receiver._database.run(write)


async def test_what_each_alert_would_do_and_nothing_is_done(tmp_path: Path) -> None:
    async with application() as app, receiver(tmp_path, APP_URL=app.url, DRY_RUN="true") as running:
        _, html = await running.get("/policy")
        for words in ("ServiceDown", "NeedsRestart", "restart app @0s", "our own look disagrees", "DRY_RUN is true"):  # fmt: skip
            assert words in html, words
        assert await running.incidents() == []
        assert json.loads((await running.get("/api/audit"))[1])["audit"] == []
        app.well = False
        await running.post(body(alert("SoonAPerson")))
        await running.until(lambda i: i["steps"], "the step")
        before = await running.incidents()
        _, html = await running.get("/policy")
        assert "fails: HTTP 503" in html
        after = await running.incidents()
        assert [i["alerts"] for i in after] == [i["alerts"] for i in before]
        assert [len(i["steps"]) for i in after] == [len(i["steps"]) for i in before]


async def test_the_public_page(tmp_path: Path) -> None:
    async with application() as app:
        settings = {"APP_URL": app.url, "BOARD_TOKEN": TOKEN, "WEBHOOK_TOKEN": "w"}
        async with receiver(tmp_path, **settings) as running:
            await running.post(body(), Authorization="Bearer w")
            status, html = await running.get("/status")
            assert (status, "There is trouble" in html) == (200, True)
            for inner in ("ServiceDown", app.url, "Sermon Monitor 0", '<a href="/"', "Anna 0151"):
                assert inner not in html


async def test_the_stream_tells_of_news_and_ends_with_the_process(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        shown = re.findall(r'data-edition="(\w+)"', (await running.get("/incidents"))[1])[0]
        async with running.session.get(running.url + "/live") as stream:
            assert stream.content_type == "text/event-stream"
            assert await _edition(stream) == shown
            await running.post(body())
            assert await _edition(stream) != shown
            began = asyncio.get_running_loop().time()
            async with contextlib.AsyncExitStack() as streams:
                for wanted in [200] * 31 + [503]:
                    one = await streams.enter_async_context(
                        running.session.get(running.url + "/live")
                    )
                    assert one.status == wanted
    assert asyncio.get_running_loop().time() - began < 30


async def _edition(stream: aiohttp.ClientResponse) -> str:
    async with asyncio.timeout(30):
        async for line in stream.content:
            if line.startswith(b"data: "):
                return line.removeprefix(b"data: ").decode().strip()
    raise AssertionError("the stream ended")


async def test_deployments_as_json(tmp_path: Path) -> None:
    async with receiver(tmp_path) as running:
        assert json.loads((await running.get("/api/deployments"))[1]) == {"deployments": []}


async def test_many_who_guess_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who wait for their pause are few; the others are not even looked at, and alerts come through."""
    monkeypatch.setattr(access, "PAUSE_SECONDS", 0.2)
    async with receiver(tmp_path, BOARD_TOKEN=TOKEN) as running:
        guesses = [asyncio.create_task(send(running, "/sign-in", {"token": f"{n}"})) for n in range(40)]  # fmt: skip
        assert (await running.post(body()))[0] == 200
        statuses = [status for status, _ in await asyncio.gather(*guesses)]
        assert set(statuses) == {403, 503}
        assert statuses.count(403) <= access.MOST_WAITING + 1
        await signed_in(running)
