"""The board as a whole: put together, its routes, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from receiver.board.access import Access
from receiver.board.api import Api
from receiver.board.forms import Forms
from receiver.board.frame import Frame
from receiver.board.glance import Glance
from receiver.board.live import Live
from receiver.board.looking import look, read_ledger
from receiver.board.outlook import Seer
from receiver.board.pages import Pages
from receiver.board.sign_in import SignIn
from receiver.clock import Clock
from receiver.deciding.situation import Lookout
from receiver.hearing.intake import Intake
from receiver.http import Http
from receiver.store import approvals, news
from receiver.store.database import Database
from target.versions import Ledger


class Board:
    """``access``: who may look and decide; ``unready`` says what is wrong with the process."""

    def __init__(
        self,
        access: Access,
        database: Database,
        intake: Intake,
        lookout: Lookout,
        http: Http,
        clock: Clock,
        wake: Callable[[], None],
        unready: Callable[[], str],
        deployment: str = "",
    ) -> None:
        settings = lookout.settings
        self._frame = Frame(settings.zone, deployment)
        self._glance = Glance(lambda: look(settings, lookout.confirmer))
        self._database = database
        self._live = Live(self.edition)

        async def ledger() -> Ledger:
            return await asyncio.to_thread(read_ledger, settings)

        self._api = Api(access, database, lookout.calendar, ledger, clock, wake, self._frame.base)
        seer = Seer(database, intake, _imagining(lookout, http), clock)
        self._pages = Pages(
            access, self._frame, database, lookout, self._glance, seer, clock, unready
        )
        self._sign_in = SignIn(access, self._frame)
        self._forms = Forms(self._pages, access, database, clock, wake)

    def add_to(self, application: web.Application) -> None:
        application.add_routes(
            [
                *self._api.routes(),
                *self._frame.routes(),
                *self._pages.routes(),
                *self._sign_in.routes(),
                *self._forms.routes(),
                web.get("/live", self._pages.for_readers(lambda r, _visitor: self._live.stream(r))),
            ]
        )
        application.on_shutdown.append(self._stop)

    async def edition(self) -> str:
        """Another one once there is news. Raises StoreError."""
        return await self._database.run(news.edition)

    async def summary(self) -> dict[str, Any]:
        """What ``judge`` says of now, and how much waits for a person. Raises StoreError."""
        waiting = await self._database.run(approvals.waiting)
        return {**await self._pages.judged(), "waiting": waiting}

    async def _stop(self, _application: web.Application) -> None:
        self._live.stop()
        await self._glance.stop()


def _imagining(lookout: Lookout, http: Http) -> Lookout:
    """One that asks no Alertmanager, which knows nothing of alerts that do not fire."""
    settings = lookout.settings.model_copy(update={"alertmanager_url": None})
    other = Lookout(settings, lookout.policy, lookout.confirmer, http)
    other.router, other.way_back, other.causes = lookout.router, lookout.way_back, lookout.causes
    other.ways = lookout.ways
    return other
