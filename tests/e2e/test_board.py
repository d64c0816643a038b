"""The board in a real browser, before the real process, in the middle of an incident.

``UPDATE_PICTURES=1`` writes docs/pictures anew.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.conftest import tier_missing
from tests.e2e.board_kit import DESK, PHONE, PUBLIC, ROOT, Scene, alert, problems, scene
from tests.parts.receiver_kit import ended
from tests.real.browser import chromium
from tests.real.debian import DebianError

pytestmark = pytest.mark.asyncio(loop_scope="module")
PICTURES = ROOT / "docs" / "pictures"
PATHS = {
    "now": "/",
    "incidents": "/incidents",
    "incident": "/incidents/1",
    "approvals": "/approvals",
    "deployments": "/deployments",
    "maintenance": "/maintenance",
    "policy": "/policy",
    "audit": "/audit",
    "status": "/status",
    "sign-in": "/sign-in",
}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
JUDGED = {"phone": "dark", "desk": "light"}
"""Each page in both schemes and on both screens; all four at once would double what axe costs."""
SHOWN = {
    ("now", "phone", "dark"),
    ("now", "desk", "light"),
    ("incident", "phone", "light"),
    ("incident", "desk", "dark"),
    ("approvals", "phone", "dark"),
    ("deployments", "desk", "light"),
    ("policy", "desk", "dark"),
}
"""Which of the pictures are kept as documentation."""
DOWN = alert("ServiceDown", "The sermon uploader does not answer", cause="app")
ERRORS = alert("HighErrorRate", "12 of 40 requests failed in 3 minutes")
SLOW = alert("UploadsAreSlow", "Uploads take 9 s", "warning", service="uploads")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Down since a moment ago: restarted in vain; and somebody is asked whether to restart for another reason."""
    try:
        async with (
            chromium() as browser,
            scene(tmp_path_factory.mktemp("board"), browser) as made,
        ):
            made.uploader.well = False
            await made.post(DOWN, ERRORS)
            await made.until(ended("restart", "done", "failed"), "the restart", 1)
            await made.post(SLOW)
            await made.until(lambda i: i["approvals"], "the question", 2)
            await made.discord.wait_until(
                lambda d: any(m.body.get("components") for m in d.messages), 60
            )
            yield made
    except DebianError as problem:
        tier_missing(f"no Chromium: {problem}")


@pytest.mark.parametrize("screen", ["phone", pytest.param("desk", marks=pytest.mark.long)])
async def test_every_page_for_everybody(it: Scene, screen: str) -> None:
    """axe finds nothing serious; nothing is wider than the screen; the policy of the
    page breaks nothing on it."""
    size = {"phone": PHONE, "desk": DESK}[screen]
    context = await it.context(viewport=size)
    stranger = await it.context(signed_in=False, viewport=size)
    wrong, said = {}, []
    for name, path in PATHS.items():
        page = await (stranger if name in ("status", "sign-in") else context).new_page()
        page.on(
            "console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: said.append(str(error)))
        await page.goto(path)
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            if (name, screen, scheme) in SHOWN and os.environ.get("UPDATE_PICTURES"):
                await picture(page, f"board-{name}-{screen}")
            await page.evaluate(
                "for (const one of document.querySelectorAll('details')) one.open = true"
            )
            if scheme == JUDGED[screen] and (found := await problems(page)):
                wrong[path, scheme] = found
        await page.close()
    assert wrong == {}
    assert said == []
    await context.close()
    await stranger.close()


async def picture(page: Page, name: str) -> None:
    """As a person sees it first, in few bytes."""
    PICTURES.mkdir(exist_ok=True)
    await page.evaluate("scrollTo(0, 0)")
    await page.screenshot(path=PICTURES / f"{name}.png", scale="css")


async def test_a_stranger_gets_nowhere(it: Scene) -> None:
    context = await it.context(signed_in=False)
    page = await context.new_page()
    for name, path in PATHS.items():
        if name == "status":
            continue
        await page.goto(path)
        await expect(page).to_have_title("Sign in · Sermon Monitor")
        assert "ServiceDown" not in await page.content()
    await page.goto("/status")
    shown = await page.locator("main").inner_text()
    assert "There is trouble with uploading sermons" in shown
    for inner in ("ServiceDown", "127.0.0.1", "v1.9", "incident", "HTTP"):
        assert inner not in shown
    await page.goto("/sign-in")
    await page.get_by_label("token").fill("a guess")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    await page.goto("/")
    await expect(page).to_have_title("Sign in · Sermon Monitor")
    await context.close()


async def test_another_page_sends_nothing_for_me(it: Scene) -> None:
    """A page of somebody else's, in a browser that is signed in, sends the form of an approval."""
    context = await it.context()
    page = await context.new_page()
    await page.route(
        "http://evil.example/",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<form method=post action="{it.product.url}/approvals/1"><input name=page value="1.x">'
            "<button name=decision value=approve>Win</button></form>",
        ),
    )
    await page.goto("http://evil.example/")
    async with page.expect_response("**/approvals/1") as answer:
        await page.get_by_role("button", name="Win").click()
    assert (await answer.value).status in (401, 403)
    assert it.engine.done == ["restart sermon-uploader"]
    assert (await it.get("/api/approvals"))["approvals"][0]["state"] == "asked"
    await context.close()


async def test_without_javascript(it: Scene) -> None:
    context = await it.context(java_script_enabled=False, viewport=PHONE)
    page = await context.new_page()
    await page.goto("/")
    await page.get_by_role("link", name="ServiceDown").first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Incident 1: sermon-uploader")
    await page.get_by_label("It stands on the card").fill("Bert drives there")
    await page.get_by_role("button", name="Note it").click()
    await expect(page.locator(".timeline .person").first).to_contain_text("Bert drives there")
    await expect(page.locator(".timeline .person").first).to_contain_text("Anna (board)")
    await page.get_by_role("link", name="Maintenance").click()
    await page.get_by_label("Why").fill("updates of the Pi")
    await page.get_by_role("button", name="Begin").click()
    await expect(page.locator("main")).to_contain_text("updates of the Pi")
    await page.get_by_role("button", name="End maintenance now").click()
    await expect(page.get_by_role("button", name="End maintenance now")).to_have_count(0)
    await page.get_by_role("button", name="Sign out").click()
    await page.goto("/")
    await expect(page).to_have_title("Sign in · Sermon Monitor")
    await context.close()


async def test_with_the_keyboard_alone(it: Scene) -> None:
    context = await it.context(viewport=DESK)
    page = await context.new_page()
    await page.goto("/incidents/1")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="To the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    gates = page.locator("summary").first
    await gates.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("details[open] .gates").first).to_be_visible()
    await context.close()


async def test_from_the_card_to_the_action(it: Scene) -> None:
    """Looking, as a preview of the link does, approves nothing; the button on the page does, once."""
    public = next(
        str(row["components"][0]["url"])
        for message in reversed(it.discord.messages)
        for row in message.body.get("components", [])
    )
    path = public.removeprefix(PUBLIC)
    context = await it.context(signed_in=False, viewport=PHONE, color_scheme="dark")
    page = await context.new_page()
    for _ in range(3):
        assert (await page.goto(path)) is not None
    assert await problems(page) == []
    assert it.engine.done == ["restart sermon-uploader"]
    assert (await it.get("/api/approvals"))["approvals"][0]["state"] == "asked"
    if os.environ.get("UPDATE_PICTURES"):
        await picture(page, "approval-phone")
    await page.get_by_role("button", name="Yes, do it").click()
    await expect(page.get_by_role("heading", name="Approved")).to_be_visible()
    await it.until(ended("restart", "done", "failed"), "the restart", 2)
    assert it.engine.done == ["restart sermon-uploader"] * 2
    await context.close()


async def test_the_page_follows_the_incident(it: Scene) -> None:
    """Without a reload: what a script left on the page is still there when it is over."""
    context = await it.context(viewport=DESK)
    now, one = await context.new_page(), await context.new_page()
    await now.goto("/")
    await one.goto("/incidents/1")
    for page in (now, one):
        await page.evaluate("window.sameAsBefore = true")
    await one.locator("summary").first.click()
    await expect(one.locator("h1 + .lead")).to_contain_text("open, critical")
    await it.post(alert("ContainerNotRunning", "The container of the application is gone"))
    await expect(one.locator("main")).to_contain_text("ContainerNotRunning", timeout=60_000)
    await expect(one.locator("details[open]").first).to_be_visible()
    it.uploader.well = True
    gone = alert("ContainerNotRunning", "It is back")
    await it.post(*({**one, "status": "resolved"} for one in (DOWN, ERRORS, SLOW, gone)))
    await expect(one.locator("h1 + .lead")).to_contain_text("over", timeout=60_000)
    await expect(now.locator("h1")).to_have_text(re.compile("All is well"), timeout=60_000)
    await expect(now.locator("#news")).to_contain_text("Changed at")
    for page in (now, one):
        assert await page.evaluate("window.sameAsBefore")
    assert await problems(now) == []
    # The process goes away and comes back: the page finds it by itself.
    await asyncio.to_thread(it.product.stop)
    await expect(one.locator("#news")).to_contain_text("lost", timeout=60_000)
    await asyncio.to_thread(it.product.start)
    await expect(one.locator("#news")).to_contain_text("answers again", timeout=60_000)
    await context.close()
