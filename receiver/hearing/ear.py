"""Takes what a webhook tells one deployment: committed first, then said and acted on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from receiver.clock import Clock
from receiver.deciding.decision import Decision
from receiver.hearing.alertmanager import Alert, Webhook
from receiver.hearing.intake import Intake, accept
from receiver.metrics import Metrics
from receiver.store.database import Database

log = structlog.get_logger("receiver")


class Ear:
    """``arrived`` is called after each commit."""

    def __init__(
        self,
        intake: Intake,
        database: Database,
        metrics: Metrics,
        clock: Clock,
        arrived: Callable[[Webhook], None],
    ) -> None:
        self._intake = intake
        self._database = database
        self._metrics = metrics
        self._clock = clock
        self._arrived = arrived

    async def hear(self, webhook: Webhook) -> int:
        """How many alerts were committed. Raises StoreError."""
        taken = await self._database.run(
            lambda c: accept(c, self._intake, webhook, self._clock.now())
        )
        self._note(taken)
        self._arrived(webhook)
        return len(taken)

    def _note(self, taken: Sequence[tuple[Alert, Decision]]) -> None:
        """Counters, and one line in the log for what a body says of one alert of one service."""
        # One decision is of one kind: a hundred alerts are few kinds.
        times = Counter([id(decision) for _, decision in taken])
        kinds: Counter[tuple[str, ...]] = Counter()
        for alert, decision in {id(one[1]): one for one in taken}.values():
            told = (alert.status, alert.severity, alert.name, alert.service)
            kinds[*told, decision.kind, decision.reason] += times[id(decision)]
        for (status, severity, name, service, kind, reason), count in kinds.items():
            self._metrics.alerts.labels(status, severity).inc(count)
            if kind == "repeat":
                continue
            log.info(
                "alert",
                alert=name,
                status=status,
                service=service,
                decision=kind,
                reason=reason,
                count=count,
            )
