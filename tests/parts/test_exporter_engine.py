"""The exporter on a real Engine: real containers printing the application's lines, counted to the line."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.parts.exporter_app import (
    FILES,
    LAST,
    UPLOAD,
    App,
    echo,
    ended,
    line,
    run,
    state_of,
    times,
    values_of,
)
from tests.parts.exporter_kit import Relay, Running, Samples, success
from tests.real.engine import DockerEngine
from tests.real.processes import wait_for

pytestmark = pytest.mark.engine


def _cut(samples: Samples) -> bool:
    """Both of its watchers have noticed, each on a connection of its own."""
    return success(samples, "containers") == success(samples, "access_log") == 0


def requests(samples: Samples, labels: tuple[str, str]) -> float:
    return samples["sermon_uploader_requests_total", *labels]


async def followed(running: Running) -> Samples:
    return await running.until(
        lambda s: sum(v for k, v in s.items() if k[0] == "sermon_monitor_log_streams") == 1,
        "an open log",
    )


async def test_lines_are_counted_over_stop_start_and_recreation(
    app: App, watching: Callable[..., Any]
) -> None:
    async with watching() as running:
        await running.until(lambda s: success(s, "access_log") == 1, "the Engine")
        await app.start(
            run(
                times(200, line(200, *FILES)),
                times(7, line(500, *FILES)),
                times(3, line(500, *UPLOAD, latency="1m3.2s")),
                echo(line(404, "GET", "/wp-login.php | 500 | 1s | ::1 | POST | /api/upload")),
                echo("09:15:02 | half a line"),
                f"({echo('2026/01/02 15:04:05 Discord test failed: timeout')}) >&2",
            )
        )
        samples = await running.until(ended(1), "the first container's lines")
        await running.until(
            lambda s: s["sermon_uploader_discord_notification_errors_total",] == 1, "stderr"
        )
        assert requests(samples, FILES) == 207
        assert samples["sermon_uploader_errors_total", *FILES] == 7
        assert samples["sermon_uploader_responses_total", "500", *UPLOAD] == 3
        assert samples["sermon_uploader_uploads_total",] == 3
        assert samples["sermon_uploader_upload_failures_total",] == 3
        assert samples["sermon_uploader_errors_total", "GET", "other"] == 0
        assert samples["sermon_uploader_log_lines_total", "unparsable"] == 1

        # The same container stops and runs its script again from the beginning.
        await app.docker("stop", "--time", "0", app.name)
        stopped = await running.until(
            lambda s: state_of(s, app.name, "exited") == 1, "the stopped container"
        )
        assert stopped[LAST] == 1
        assert not values_of(stopped, "container_cpu_usage_seconds_total", app.name)
        await app.docker("start", app.name)
        samples = await running.until(ended(2), "its second run")
        assert requests(samples, FILES) == 414

        # Another container takes its name: what it printed before we saw it counts.
        await app.remove()
        await app.start(run(times(5, line(200, *FILES))))
        samples = await running.until(ended(3), "its successor's lines")
        assert requests(samples, FILES) == 419
        await running.until(
            lambda s: s["container_restarts_total", app.name] == 2, "a start and a recreation"
        )


async def test_history_is_not_counted(app: App, watching: Callable[..., Any]) -> None:
    await app.start(run(times(50, line(500, *FILES))))
    await asyncio.to_thread(
        wait_for, lambda: "/api/health" in app.engine.docker("logs", app.name), "its history"
    )
    async with watching() as running:
        await followed(running)
        await app.say(run(echo(line(200, *FILES)), then="exit"))
        samples = await running.until(ended(1), "a new line")
    assert samples[LAST] == 1
    assert requests(samples, FILES) == 1
    assert samples["sermon_uploader_errors_total", *FILES] == 0


async def test_a_broken_connection_loses_nothing_and_counts_nothing_twice(
    engine: DockerEngine, app: App, watching: Callable[..., Any], tmp_path: Path
) -> None:
    relay = Relay(tmp_path / "relay.sock", engine.socket)
    await relay.start()
    try:
        async with watching(relay.host, LOG_SOURCE="engine") as running:
            await running.until(lambda s: success(s, "access_log") == 1, "the Engine")
            script = f"while true; do {times(20, line(200, *FILES))}; sleep 0.01; done"
            end = f"end() {{ {run(then='exit')}; }}; trap end TERM"
            await app.start(f"{end}; {script}")
            for count in (100, 200, 300):
                await running.until(lambda s, n=count: requests(s, FILES) > n, "more lines")
                await relay.stop()
                cut = await running.until(_cut, "the cut")
                assert not [key for key in cut if key[0].startswith("container_")]
                await relay.start()
                await running.until(lambda s: success(s, "containers") == 1, "the Engine again")
            await app.docker("stop", "--time", "30", app.name)
            samples = await running.until(ended(1), "the last line")
            printed = (await app.docker("logs", app.name)).count("/api/files")
            assert requests(samples, FILES) == printed
    finally:
        await relay.stop()


async def test_an_engine_that_falls_silent_is_noticed(
    engine: DockerEngine, app: App, watching: Callable[..., Any], tmp_path: Path
) -> None:
    """Its connections stay open and say nothing: only a question finds out."""
    relay = Relay(tmp_path / "relay.sock", engine.socket)
    await relay.start()
    try:
        async with watching(relay.host, LOG_SOURCE="engine") as running:
            await running.until(lambda s: success(s, "containers") == 1, "the Engine")
            await app.start(run(times(10, line(200, *FILES))))
            await running.until(ended(1), "its lines")
            relay.flowing.clear()
            await app.say(run(times(10, line(200, *FILES)), then="exit"))
            silent = await running.until(lambda s: success(s, "containers") == 0, "the silence")
            assert requests(silent, FILES) == 10
            relay.flowing.set()
            samples = await running.until(ended(2), "what was said meanwhile")
            assert requests(samples, FILES) == 20
            assert samples[LAST] == 2
    finally:
        relay.flowing.set()
        await relay.stop()


async def test_a_terminal_with_colours_and_long_lines(
    app: App, watching: Callable[..., Any]
) -> None:
    coloured = (
        "09:15:02 | \x1b[92m200\x1b[0m |         1.5ms | ::1 | \x1b[96mGET\x1b[0m | /api/files"
    )
    async with watching() as running:
        await running.until(lambda s: success(s, "access_log") == 1, "the Engine")
        await app.start(run(_long_path(), times(3, coloured)), "--tty")
        samples = await running.until(ended(1), "the terminal's lines")
    assert requests(samples, FILES) == 3
    assert requests(samples, ("GET", "other")) == 1
    assert samples["sermon_uploader_log_lines_total", "access"] == 5


async def test_a_line_in_several_entries_is_one(app: App, watching: Callable[..., Any]) -> None:
    async with watching() as running:
        await running.until(lambda s: success(s, "access_log") == 1, "the Engine")
        await app.start(run(_long_path(), echo(line(200, *FILES))))
        samples = await running.until(ended(1), "the lines")
    assert requests(samples, ("GET", "other")) == 1
    assert samples["sermon_uploader_log_lines_total", "access"] == 3
    assert sum(v for k, v in samples.items() if k[0] == "sermon_uploader_log_lines_total") == 3


def _long_path() -> str:
    """One request for a path of 100 kB, as scanners send them."""
    return f"printf '%s' {shlex.quote(line(404, 'GET', '/'))}; head -c 100000 /dev/zero | tr '\\0' a; echo"
