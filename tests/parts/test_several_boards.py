"""Several deployments in one receiver: the first page, each one's board and links, and what stays inside of each."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import time
from pathlib import Path

import pytest

from receiver.store.trouble import StoreError
from tests.parts.deployments_kit import (
    PLAINS,
    YONKERS,
    House,
    house,
    of,
    secret_of,
)

TOKEN = "b0ard-token"


async def _signed_in(it: House) -> None:
    async with it.session.post(
        f"{it.url}/sign-in", data={"token": TOKEN, "name": "Anna", "to": "/"}
    ) as answer:
        assert (answer.status, answer.url.path) == (200, "/")


async def test_one_signs_in_once_and_every_link_stays_inside(tmp_path: Path) -> None:
    async with house(tmp_path, BOARD_TOKEN=TOKEN) as it:
        await it.post(of(PLAINS), of(YONKERS, "SoonAPerson"))
        for path in ("/", "/api/at", f"/at/{YONKERS}/", f"/at/{YONKERS}/api/incidents", "/live"):
            assert (await it.get(path))[0] == 401, path
        async with it.session.get(
            f"{it.url}/at/{YONKERS}/audit", headers={"Accept": "text/html"}, allow_redirects=False
        ) as answer:
            assert answer.headers["Location"] == f"/at/{YONKERS}/sign-in?to=/audit"
        await _signed_in(it)
        seen, waiting = set(), {f"/at/{YONKERS}/"}
        while waiting:
            path = waiting.pop()
            seen.add(path)
            status, text = await it.get(path)
            assert status == 200, path
            links = re.findall(r'(?:href|src|action|data-live)="(/[^"#]*)', text)
            outside = {one for one in links if not one.startswith(f"/at/{YONKERS}/")}
            assert outside <= {"/"}, path
            pages = {one for one in re.findall(r'href="(/[^"#?]*)', text) if "assets" not in one}
            waiting |= pages - seen - {"/"}
        assert {p.removeprefix(f"/at/{YONKERS}") for p in seen} >= {"/", "/incidents", "/incidents/1", "/audit", "/policy"}  # fmt: skip
        assert PLAINS not in "".join([(await it.get(path))[1] for path in seen])


async def test_a_form_works_below_its_path(tmp_path: Path) -> None:
    async with house(tmp_path, BOARD_TOKEN=TOKEN) as it:
        await it.post(of(PLAINS), of(YONKERS))
        await _signed_in(it)
        stamp = re.findall(r'name="page" value="([^"]+)"', (await it.get(f"/at/{YONKERS}/maintenance"))[1])[0]  # fmt: skip
        form = {"page": stamp, "length": "30m", "reason": "new disk"}
        async with it.session.post(f"{it.url}/at/{YONKERS}/maintenance", data=form) as answer:
            assert (answer.status, answer.url.path) == (200, f"/at/{YONKERS}/maintenance")
        told = [json.loads((await it.get(f"/at/{n}/api/maintenance"))[1])["maintenance"] for n in (PLAINS, YONKERS)]  # fmt: skip
        assert [len(one) for one in told] == [0, 1], "a window is of one deployment alone"
        async with it.session.post(f"{it.url}/at/{YONKERS}/maintenance", data=form | {"page": "x"}) as answer:  # fmt: skip
            assert answer.status == 403
        async with it.session.get(f"{it.url}/at/{YONKERS}/") as answer:
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_the_first_page_tells_who_is_not_well(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        await it.post(of(YONKERS))
        page = (await it.get("/"))[1]
        assert "2 of 2 are not healthy" in page
        assert "Application:" in page
        assert "ServiceDown (critical): next: rollback" in page
        assert f'href="/at/{YONKERS}/"' in page
        told = {one["name"]: one for one in json.loads((await it.get("/api/at"))[1])["at"]}
        assert (told[YONKERS]["incidents"], told[PLAINS]["incidents"]) == (1, 0)
        assert told[YONKERS]["path"] == f"/at/{YONKERS}/"
        assert (await it.get(f"/at/{YONKERS}"))[0] == 200, "without its last slash too"
        assert (await it.get("/at/nobody/"))[0] == 404
        described = json.loads((await it.get(f"/at/{YONKERS}/api/openapi.json"))[1])
        assert described["servers"] == [{"url": f"/at/{YONKERS}"}]
        assert "/alerts" not in described["paths"]
        status, public = await it.get("/status")
        assert status == 404
        assert YONKERS not in public


async def test_one_that_hangs_does_not_keep_the_first_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.several.overview.PATIENCE_SECONDS", 0.2)
    async with house(tmp_path) as it:
        for_ever = asyncio.Event()

        async def hangs() -> dict[str, object]:
            await for_ever.wait()
            raise StoreError("never")

        monkeypatch.setattr(it.receivers[YONKERS].board, "summary", hangs)
        page = (await it.get("/"))[1]
        assert "Its store does not answer" in page
        assert f"/at/{PLAINS}/" in page


async def test_a_link_on_a_card_is_good_at_its_own_deployment_alone(tmp_path: Path) -> None:
    async with house(tmp_path, PUBLIC_URL="https://monitor.example") as it:
        links = it.receivers[YONKERS]._links
        expiry = int(time.time()) + 3600
        token = f"7.{expiry}.{links.signer.mac('link', 7, expiry)}"
        assert links.public_url == f"https://monitor.example/at/{YONKERS}"
        assert (await it.get(f"/at/{PLAINS}/approve/{token}"))[0] == 403, "not one of ours"
        assert (await it.get(f"/at/{YONKERS}/approve/{token}"))[0] == 410, (
            "it is, and nobody asks it"
        )
        assert (await it.get(f"/approve/{token}"))[0] == 404


async def test_github_signs_for_one_alone(tmp_path: Path) -> None:
    sent = json.dumps({"repository": {"full_name": "a/b"}, "workflow_run": {"id": 1}}).encode()
    mac = hmac.digest(secret_of(YONKERS).encode(), sent, "sha256").hex()
    headers = {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": f"sha256={mac}",
        "X-GitHub-Delivery": "d1",
        "X-GitHub-Event": "workflow_run",
    }
    async with house(tmp_path) as it:
        for name, wanted in ((YONKERS, 200), (PLAINS, 401)):
            url = f"{it.url}/at/{name}/webhooks/github"
            async with it.session.post(url, data=sent, headers=headers) as answer:
                assert answer.status == wanted


async def test_labels_are_text_wherever_they_point(tmp_path: Path) -> None:
    """A hostile label names another's path, or is one of ours: it is of whom it matches, or of nobody."""
    hostile = f"../at/{YONKERS}/"
    async with house(tmp_path) as it:
        bad = of(PLAINS, service=f'x" href="/at/{YONKERS}/approvals', path=hostile)
        await it.post(bad, of(hostile), of(YONKERS, "SoonAPerson", no_deployment="true"))  # fmt: skip
        assert len(await it.incidents(PLAINS)) == 2
        (yonkers,) = await it.incidents(YONKERS)
        assert {s["action"] for s in yonkers["steps"]} == {"person"}
        for path in (f"/at/{PLAINS}/", f"/at/{PLAINS}/incidents/1", "/"):
            page = (await it.get(path))[1]
            assert f'href="/at/{YONKERS}/approvals' not in page
        assert (await it.get(f"/at/{PLAINS}/../{YONKERS}/api/incidents"))[
            0
        ] == 200  # the client itself resolves it
        assert (await it.get(f"/at/{PLAINS}/%2e%2e%2f{YONKERS}/api/incidents"))[0] == 404
