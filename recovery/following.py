"""logs --follow: what the containers go on to write. It is loaded where it is asked for: aiohttp costs a second of a Pi."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from recovery.log_analysis import Seen, seen
from target.engine import Container, EngineError
from target.engine_stream import EngineStream
from target.engine_tail import following

AGAIN_SECONDS = 2.0


class Followed(NamedTuple):
    """A container, and the moment of its last line that was shown."""

    container: Container
    shown: datetime


def follow(
    host: str,
    followed: Sequence[Followed],
    again: Callable[[str], Container],
    show: Callable[[Seen], None],
    say: Callable[[str], None],
) -> None:
    """Until KeyboardInterrupt. ``again`` finds a container by its name, or raises EngineError."""
    asyncio.run(_all(EngineStream(host), followed, again, show, say))


async def _all(
    stream: EngineStream,
    followed: Sequence[Followed],
    again: Callable[[str], Container],
    show: Callable[[Seen], None],
    say: Callable[[str], None],
) -> None:
    await asyncio.gather(*(_one(stream, one, again, show, say) for one in followed))


async def _one(
    stream: EngineStream,
    followed: Followed,
    again: Callable[[str], Container],
    show: Callable[[Seen], None],
    say: Callable[[str], None],
) -> None:
    """A container that stops, or is made anew under its name, is waited for; that is said once."""
    container, since, said = followed.container, _after(followed.shown), ""
    while True:
        trouble = ""
        try:
            async for line in following(stream, container, since):
                since = _after(line.moment)
                show(seen(container.name, line))
        except EngineError as error:
            trouble = str(error)
        try:
            found = await asyncio.to_thread(again, container.name)
            if not found.running:
                trouble = f"it is {found.state}"
            elif found.id != container.id:
                trouble = ""
            container = found
        except EngineError as error:
            trouble = str(error)
        if trouble and trouble != said:
            say(f"{container.name}: {trouble}; waiting for it")
        said = trouble
        await asyncio.sleep(AGAIN_SECONDS)


def _after(moment: datetime) -> int:
    """In nanoseconds, just after it: a line that was shown is not shown again."""
    return round(moment.timestamp() * 1e6) * 1000 + 1000
