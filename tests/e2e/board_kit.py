"""The process as it is started, in the middle of an incident, with a browser before it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page

from target.version_keeper import LedgerFile
from target.versions import Facts, Ledger, judge, observe
from tests.parts.acting_engine import ActingEngine
from tests.parts.receiver_kit import TIMING, body
from tests.real.product import Product
from tests.standins.discord import Discord

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "t0ken-of-the-b0ard"
PUBLIC = "https://monitor.church.example"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1200, "height": 800}
SLOW = {
    "alert": "UploadsAreSlow",
    "category": "performance",
    "severity": "warning",
    "discord": "grouped",
    "confirm": "probe",
    "steps": ["ask restart app @0m"],
}
WITHIN = 60.0


def policy_text() -> str:
    """The shipped table, with the tests' short times and one more row."""
    table = yaml.safe_load((ROOT / "monitoring" / "policy.yml").read_text())
    table["timing"] |= TIMING
    table["alerts"].append(SLOW)
    return yaml.safe_dump(table)


class Uploader:
    """The application and MinIO; ``well`` is what both say of the application."""

    def __init__(self) -> None:
        self.well = True
        self.url = ""

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "?"}, status=200 if self.well else 503)

    async def live(self, _request: web.Request) -> web.Response:
        return web.Response()


def alert(
    name: str, summary: str, severity: str = "critical", status: str = "firing", **labels: str
) -> dict[str, Any]:
    fixed = {"alertname": name, "severity": severity, "service": "sermon-uploader"}
    return {
        "status": status,
        "labels": {**fixed, "category": "health", "job": "sermon-uploader", **labels},
        "annotations": {
            "summary": summary,
            "runbook_url": f"https://github.com/example/monitor/blob/main/docs/runbooks/{name}.md",
        },
        "startsAt": datetime.now(UTC).isoformat(),
        "fingerprint": f"fp-{name}",
    }


@dataclass
class Scene:
    """Everything around the process, and the browser."""

    product: Product
    discord: Discord
    engine: ActingEngine
    uploader: Uploader
    browser: Browser
    session: aiohttp.ClientSession

    async def post(self, *alerts: dict[str, Any]) -> None:
        async with self.session.post(self.product.url + "/alerts", json=body(*alerts)) as answer:
            assert answer.status == 200, await answer.text()

    async def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.session.get(self.product.url + path, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return json.loads(await answer.text())

    async def until(
        self, condition: Callable[[dict[str, Any]], Any], what: str, number: int
    ) -> dict[str, Any]:
        """Ask until ``condition`` holds of the incident; that one."""
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(WITHIN):
                while not condition(found := await self.get(f"/api/incidents/{number}")):  # noqa: ASYNC110 - it lies behind HTTP
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"waited for {what}: {json.dumps(found, indent=1)}") from None
        return found

    async def context(self, *, signed_in: bool = True, **options: Any) -> BrowserContext:
        """As a person's own browser: with its own cookies."""
        context = await self.browser.new_context(
            base_url=self.product.url, locale="en-GB", timezone_id="Europe/Berlin", **options
        )
        if signed_in:
            page = await context.new_page()
            await sign_in(page)
            await page.close()
        return context


async def sign_in(page: Page, name: str = "Anna") -> None:
    await page.goto("/sign-in")
    await page.get_by_label("Your name").fill(name)
    await page.get_by_label("token").fill(TOKEN)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/")


async def problems(page: Page, *rules: str) -> list[str]:
    """What is wrong with a page as it is shown: by axe (by these rules alone), or wider than its screen."""
    wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return await grave(page, *rules) + ([f"{wider} px wider than the screen"] if wider > 0 else [])


async def grave(page: Page, *rules: str) -> list[str]:
    """What axe-core finds that is serious or critical, a line each."""
    options = {"runOnly": list(rules)} if rules else {}
    found = await Axe().run(page, options={**options, "resultTypes": ["violations"]})
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:3]}"
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def write_ledger(state: Path) -> None:
    """Three versions: one left as bad, one that proved good, one that has just come."""
    state.mkdir(parents=True)
    ledger, began = Ledger(), datetime.now(UTC) - timedelta(days=9)
    for number, (version, good) in enumerate(
        (("v1.8.0", True), ("v1.9.0", True), ("v1.9.1", False))
    ):
        facts = Facts(
            f"ghcr.io/example/sermon-uploader:{version}",
            f"sha256:{number + 1}" + "0" * 63,
            tag=version,
            revision=f"{number + 7}f0c9aa" + "0" * 33,
            version=version,
        )
        ledger = observe(ledger, "sermon-uploader", facts, began)
        for hours in (0, 1):
            ledger = judge(ledger, "sermon-uploader", good, began + timedelta(hours=hours), timedelta(minutes=15))  # fmt: skip
        began += timedelta(days=4, hours=12)
    LedgerFile(state / "versions.json").save(ledger)


@asynccontextmanager
async def scene(directory: Path, browser: Browser) -> AsyncIterator[Scene]:
    """Ready, with nothing reported yet."""
    uploader, served = Uploader(), web.Application()
    served.router.add_get("/api/health", uploader.health)
    served.router.add_get("/minio/health/{what}", uploader.live)
    engine = ActingEngine(directory / "engine.sock")
    (directory / "backups").mkdir()
    (directory / "backups" / "before-update").touch()
    (directory / "policy.yml").write_text(policy_text())
    write_ledger(directory / "product" / "state")
    async with (
        Discord(rate_limit=(1000, 1.0)) as discord,
        TestServer(served) as server,
        engine.serving(),
        aiohttp.ClientSession() as session,
    ):
        engine.add("a" * 64, "sermon-uploader")
        uploader.url = str(server.make_url("")).rstrip("/")
        product = Product(
            directory / "product",
            {
                "APP_URL": uploader.url,
                "MINIO_URL": uploader.url,
                "DOCKER_HOST": engine.host,
                "POLICY_FILE": str(directory / "policy.yml"),
                "BACKUP_DIR": str(directory / "backups"),
                "DISCORD_WEBHOOK_URL": discord.url,
                "PUBLIC_URL": PUBLIC,
                "BOARD_TOKEN": TOKEN,
                "TIMEZONE": "Europe/Berlin",
                "CONTACTS": "Anna 0151 234",
            },
        )
        try:
            await asyncio.to_thread(product.start)
            yield Scene(product, discord, engine, uploader, browser, session)
        finally:
            await asyncio.to_thread(product.stop)
