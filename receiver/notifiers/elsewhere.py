"""The second destination: any service that apprise knows, told by a child process that ends.

apprise (the extra ``elsewhere``) speaks to a hundred services by addresses such as ``mailto://``, ``tgram://`` or
``ntfys://``; it stays out of this process, and what it writes about its addresses, which are secrets, out of the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import sys
from collections.abc import Sequence

from pydantic import SecretStr

from receiver.telling.delivery import DeliveryError

DEADLINE_SECONDS = 60.0
INSTALL = 'pip install "sermon-monitor[elsewhere]"'


def installed() -> bool:
    """Whether the extra is there. Nothing is loaded."""
    return importlib.util.find_spec("apprise") is not None


class Elsewhere:
    """All of FALLBACK_URLS together: told when one of them took it."""

    def __init__(self, urls: Sequence[SecretStr], *, deadline: float = DEADLINE_SECONDS) -> None:
        self._urls = tuple(urls)
        self._deadline = deadline

    async def tell(self, title: str, text: str) -> str:
        """How many took it, in words. Raises DeliveryError where none did."""
        taken = await self._child({"title": title, "text": text})
        if not any(taken):
            raise DeliveryError("no address of FALLBACK_URLS took it")
        return f"{sum(taken)} of {len(taken)} addresses"

    async def unknown(self) -> list[int]:
        """Which addresses, from 1, apprise cannot make sense of. Nothing is sent. Raises DeliveryError."""
        known = await self._child({})
        return [number for number, good in enumerate(known, 1) if not good]

    async def _child(self, message: dict[str, str]) -> list[bool]:
        asked = {"urls": [url.get_secret_value() for url in self._urls], **message}
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "receiver.notifiers.apprise_child"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(self._deadline):
                out, _ = await child.communicate(json.dumps(asked).encode())
        except TimeoutError:
            raise DeliveryError(f"apprise did not end within {self._deadline:g} s") from None
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        return _answer(out, len(self._urls))


def _answer(out: bytes, count: int) -> list[bool]:
    try:
        found = json.loads(out)
    except ValueError:
        found = None
    sound = isinstance(found, list) and len(found) == count
    if not sound or not all(isinstance(one, bool) for one in found):
        words = "apprise gave no sound answer" if installed() else f"apprise is missing: {INSTALL}"
        raise DeliveryError(words)
    return list(found)
