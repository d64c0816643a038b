"""A whole scrape of ours against only asking the Engine for each container's stats, all at once."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from tests.bench import report
from tests.bench.kernel import cpu_seconds
from tests.bench.report import Figure, Tell
from tests.bench.watched import Watched

SCRAPES = 3
_API = "http://engine/v1.41/containers"


def measure(watched: Watched, rounds: int, tell: Tell) -> list[Figure]:
    ours, asked = [], []
    for number in range(1, rounds + 1):
        tell(f"the Engine's stats of {watched.count} containers, round {number} of {rounds}")
        ours.append(watched.both.cold_seconds(SCRAPES, 1.0) * 1e3)
        asked.append(asyncio.run(_ask(watched)) * 1e3)
    return [
        report.paired(
            f"whole scrape, {watched.count} containers",
            "CPU ms",
            ours,
            asked,
            "the Engine's one-shot stats: client and Engine",
        )
    ]


async def _ask(watched: Watched) -> float:
    """CPU seconds, ours and the Engine's, of one answer for every running container."""
    engine = watched.fleet.engine_pids()
    connector = aiohttp.UnixConnector(path=str(watched.fleet.engine.socket), limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        before = time.process_time() + cpu_seconds(engine)
        listed = await _json(session, f"{_API}/json")
        await asyncio.gather(
            *(
                _json(session, f"{_API}/{one['Id']}/stats?stream=false&one-shot=true")
                for one in listed
            )
        )
        return time.process_time() + cpu_seconds(engine) - before


async def _json(session: aiohttp.ClientSession, url: str) -> list[dict[str, str]]:
    async with session.get(url) as answer:
        answer.raise_for_status()
        read: list[dict[str, str]] = await answer.json()
        return read
