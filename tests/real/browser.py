"""A real Chromium, Debian's, driven by Playwright; nothing is downloaded by either."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

from tests.real import debian

PACKAGES = ("chromium", "fonts-dejavu-core")
# Without these it keeps trying to reach the outside. As root it has no sandbox.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Headless. Raises DebianError where it is not there and cannot be installed."""
    program = shutil.which("chromium")
    if program is None:
        debian.install(*PACKAGES)
        program = shutil.which("chromium")
    os.environ["NODE_DISABLE_COMPILE_CACHE"] = "1"  # or Playwright's own program leaves one in /tmp
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()
