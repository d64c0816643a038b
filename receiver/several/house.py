"""Several receivers behind one listener: each alert goes to whose it is, each board is below a path of its own.

A receiver knows nothing of the others. What is shared is the listener, who is let in, and the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, copy_context
from typing import Any, TypeVar

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from receiver.app import App
from receiver.board.access import Access
from receiver.hearing.alertmanager import Webhook
from receiver.hearing.in_hand import InHand
from receiver.hearing.sorting import sort
from receiver.metrics import WEBHOOK_OUTCOMES
from receiver.paths import base
from receiver.service import Front, Receiver
from receiver.settings import ReceiverSettings
from receiver.several.labelled import Labelled
from receiver.several.overview import Overview
from receiver.store.database import StoreError

Result = TypeVar("Result")
OF_ALL = ("accepted", "unavailable", "busy")
"""Outcomes of webhooks that are counted for each deployment that they concern."""


class Member:
    """One deployment's receiver. What it logs has its name."""

    def __init__(self, receiver: Receiver, registry: CollectorRegistry) -> None:
        """``registry``: the receiver's own."""
        self.name = receiver.share.name
        self.receiver = receiver
        self.registry = registry
        self._context = _named(self.name)

    def call(self, work: Callable[[], Result]) -> Result:
        """Tasks that it begins are of this deployment too."""
        return self._context.run(work)

    async def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Beside the caller, and not ended with it."""
        task = asyncio.create_task(work, context=self._context, name=f"{self.name}")
        return await asyncio.shield(task)


def _named(name: str) -> Context:
    context = copy_context()
    context.run(lambda: structlog.contextvars.bind_contextvars(deployment=name))
    return context


class House:
    """``start`` raises what a receiver's does, with the deployment's name."""

    def __init__(
        self, settings: ReceiverSettings, members: Sequence[Member], registry: CollectorRegistry
    ) -> None:
        """``settings`` of the process; ``registry``: what is scraped."""
        self._settings = settings
        self._members = {member.name: member for member in members}
        own = CollectorRegistry()
        self._webhooks = Counter(
            "sermon_monitor_webhooks",
            "Webhook requests of Alertmanager, by what became of them.",
            ["outcome"],
            registry=own,
        )
        self._unmatched = Counter(
            "sermon_monitor_alerts_unmatched",
            "Alerts in accepted webhooks that no deployment's match names.",
            registry=own,
        )
        for outcome in set(WEBHOOK_OUTCOMES) - {*OF_ALL}:
            self._webhooks.labels(outcome)
        registry.register(Labelled({"": own, **{m.name: m.registry for m in members}}))

    async def start(self) -> web.Application:
        """Open every store, begin to work, and return what is to be listened with."""
        members = list(self._members.values())
        for member in members:
            try:
                await member.do(member.receiver.open())
            except StoreError as error:
                raise StoreError(f"{member.name}: {error}") from error
        first = members[0].receiver  # several processes on one PostgreSQL have its key in common
        access = Access(self._settings, first.signer, first.clock)
        front = Front(access, InHand(self._settings.max_body_bytes))
        application = App(self._settings, self.hear, self.count, self.ready).application()
        for member in members:
            member.call(member.receiver.begin)
            application.add_subapp(base(member.name), _board(member.receiver, front))
        self._overview = Overview(access, [m.receiver for m in members], self._settings)
        self._overview.add_to(application)
        return application

    async def hear(self, webhook: Webhook) -> int:
        """Committed by each deployment that it concerns. Raises StoreError where one could not."""
        shares = [member.receiver.share for member in self._members.values()]
        beats = {name: m.receiver.policy.heartbeat for name, m in self._members.items()}
        found = sort(webhook, shares, beats)
        if webhook.truncated_alerts:  # of anybody
            for name in self._members.keys() - found.parts.keys():
                self._members[name].receiver.missed("Alertmanager left alerts out of a message")
        ended = await asyncio.gather(
            *(self._tell(self._members[name], part) for name, part in found.parts.items())
        )
        if troubles := [words for words in ended if words]:
            raise StoreError("; ".join(troubles))
        self._unmatched.inc(found.unmatched)
        return len(webhook.alerts)

    async def _tell(self, member: Member, part: Webhook) -> str:
        """What its store says, in words; empty where the part is committed."""
        try:
            await member.do(member.receiver.hear(part))
        except StoreError as error:
            member.receiver.count("unavailable")
            return f"{member.name}: {error}"
        member.receiver.count("accepted")
        return ""

    def count(self, outcome: str) -> None:
        """Of a whole request; what was told to a deployment has been counted there."""
        if outcome == "busy":  # it may have been for any of them
            for member in self._members.values():
                member.receiver.count(outcome)
        elif outcome not in OF_ALL:
            self._webhooks.labels(outcome).inc()

    async def ready(self) -> str:
        """Why one of them is not, in words."""
        every = self._members.values()
        words = await asyncio.gather(*(one.receiver.ready() for one in every))
        return "; ".join(f"{one.name}: {why}" for one, why in zip(every, words, strict=True) if why)

    async def wait_failure(self) -> None:
        """Return only by raising what ended a task of one of them before its time."""
        waiting = [
            asyncio.create_task(m.receiver.wait_failure(), name=m.name)
            for m in self._members.values()
        ]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in waiting:
                task.cancel()

    async def stop(self) -> None:
        """All at once: what one has in hand is not waited for by the others."""
        await asyncio.gather(*(m.do(m.receiver.stop()) for m in self._members.values()))


def _board(receiver: Receiver, front: Front) -> web.Application:
    """One deployment's own pages."""

    async def readyz(_request: web.Request) -> web.Response:
        words = await receiver.ready()
        return web.Response(text=f"{words or 'ready'}\n", status=503 if words else 200)

    async def inside(request: web.Request) -> web.Response:
        raise web.HTTPPermanentRedirect(f"{request.path}/")

    application = web.Application()
    application.add_routes([web.get("", inside), web.get("/readyz", readyz)])
    receiver.add_pages(application, front)
    return application
