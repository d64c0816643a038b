"""The sign of life that goes out: somebody outside this machine notices when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from sqlite3 import Connection
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from receiver.clock import Clock
from receiver.http import Http
from receiver.metrics import Metrics
from receiver.store import messages
from receiver.store.database import Database, StoreError
from receiver.telling.delivery import DeliveryError
from target.probe import USER_AGENT

log = structlog.get_logger("heartbeat")
LEAST_SECONDS = 60.0
"""Between two signs of life."""


class Heartbeat:
    """One GET of HEARTBEAT_URL when the Watchdog has come, while the receiver is ready."""

    def __init__(
        self,
        url: SecretStr | None,
        http: Http,
        database: Database,
        metrics: Metrics,
        clock: Clock,
        unready: Callable[[], str],
        least_seconds: float = LEAST_SECONDS,
    ) -> None:
        self._url = url
        self._http = http
        self._database = database
        self._metrics = metrics
        self._clock = clock
        self._unready = unready
        self._least_seconds = least_seconds
        self._came = asyncio.Event()
        self._said: tuple[str, str] = ("", "")

    def beat(self) -> None:
        """The Watchdog has come."""
        self._came.set()

    async def run(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            if self._url is not None:
                try:
                    await self._once(self._url)
                except Exception:  # a fault of ours here must not stop what else the receiver does
                    log.exception("our own fault; trying again at the next Watchdog")
                # What comes in this time is passed on at its end.
                await asyncio.sleep(self._least_seconds)

    async def _once(self, url: SecretStr) -> None:
        problem = self._unready() or await self._unwritable()
        if problem:
            self._note("withheld", problem)
            return
        try:
            answer = await self._http.request(
                "GET",
                url,
                headers={"User-Agent": USER_AGENT},
                secret_parts=secret_parts(url),
                follow=True,
            )
        except DeliveryError as error:
            self._note("failed", error.words)
            return
        if 200 <= answer.status < 300:
            self._note("sent", "")
        else:
            self._note("failed", f"HTTP {answer.status}")

    async def _unwritable(self) -> str:
        def prove(c: Connection) -> None:
            messages.prove_writable(c, self._clock.now())

        try:
            await self._database.run(prove)
        except StoreError as error:
            return str(error)
        return ""

    def _note(self, outcome: str, problem: str) -> None:
        """Counted each time; one line in the log for a change."""
        self._metrics.heartbeats.labels(outcome).inc()
        if (outcome, problem) == self._said:
            return
        self._said = outcome, problem
        if outcome == "sent":
            log.info("the sign of life goes out")
        else:
            log.warning("no sign of life went out", outcome=outcome, problem=problem)


def secret_parts(url: SecretStr) -> tuple[SecretStr, ...]:
    """All of the URL that is not its host: nobody knows which part a service takes for the key."""
    text = url.get_secret_value()
    parts = urlsplit(text)
    pieces = [*parts.path.split("/"), *parts.query.replace("=", "&").split("&")]
    long = [piece for piece in pieces if len(piece) >= 8]
    return tuple(SecretStr(one) for one in (text, parts.path, parts.query, *long) if len(one) > 1)
