"""The access log on a real Engine, by both ways: counted to the line, resumed, rotated, with bounded memory."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.exposition import render
from exporter.traffic import Traffic
from exporter.traffic_families import TrafficFamilies
from target.access_log import parse_line
from tests.bench.log_lines import hostile_log
from tests.parts.exporter_app import FILES, LAST, App, ended, line, run, times
from tests.parts.exporter_kit import Samples, exporter, samples_of, success
from tests.real import processes
from tests.real.engine import DockerEngine
from tests.real.processes import wait_for

pytestmark = pytest.mark.engine

LINES = 200_000
REPEATS = int(os.environ.get("SERMON_MONITOR_LOG_REPEATS", "1"))
"""The long run has 50: ten million lines."""
WITHIN = 120.0 * (1 + REPEATS)
BOTH = pytest.mark.parametrize("source", ["auto", "engine"])


def counted(lines: Iterator[bytes]) -> Samples:
    """What the exact parser makes of them, line by line."""
    traffic = Traffic()
    for one in lines:
        traffic.add("one", parse_line(one.removesuffix(b"\n")))
    return samples_of(render(TrafficFamilies(traffic).samples(), "")[0].decode())


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(WITHIN + 120)
@BOTH
async def test_many_lines_and_hostile_ones_are_counted_exactly(
    app: App, watching: Callable[..., Any], tmp_path: Path, source: str
) -> None:
    written = tmp_path / "lines"
    with written.open("wb") as out:
        out.writelines(hostile_log(LINES))
    expected = counted(hostile_log(LINES))
    name = {"auto": "file", "engine": "engine"}[source]
    async with watching(LOG_SOURCE=source) as running:
        await running.until(lambda s: success(s, "access_log") == 1, "the Engine")
        begun = await running.samples()
        await app.start(
            run(
                "until [ -e /lines/go ]; do sleep 0.1; done",
                f"for i in $(seq {REPEATS}); do cat /lines/lines; done",
            ),
            *("--volume", f"{tmp_path}:/lines:ro"),
        )
        await running.until(lambda s: s["sermon_monitor_log_streams", name] == 1, "an open log")
        before = resident_bytes()
        (tmp_path / "go").touch()
        samples = await running.until(ended(1), "the last line", within=WITHIN, pause=0.5)
        grown = resident_bytes() - before
    for key, value in expected.items():
        if key == LAST or key[:1] == ("sermon_uploader_log_lines_total",):
            continue
        if key[1:3] == ("HEAD", "/api/health") or ("/api/health" in key and "HEAD" in key):
            continue
        assert samples[key] == pytest.approx(value * REPEATS), key
    lines = {k: v for k, v in samples.items() if k[0] == "sermon_uploader_log_lines_total"}
    assert sum(lines.values()) == LINES * REPEATS + 1
    assert (
        lines["sermon_uploader_log_lines_total", "unparsable"]
        == expected["sermon_uploader_log_lines_total", "unparsable"] * REPEATS
    )
    assert grown < 48 * 1024 * 1024
    new = {k for k in samples.keys() - begun.keys() if k[0].startswith("sermon_uploader_re")}
    assert {k[0] for k in new} <= {"sermon_uploader_responses_total"}
    assert len(new) <= 64 * len({k[1:] for k in begun if k[0] == "sermon_uploader_requests_total"})


@BOTH
async def test_rotation_at_speed_loses_nothing_or_says_so(
    app: App, watching: Callable[..., Any], source: str
) -> None:
    """max-size and max-file keep 3 MB: who is further behind cannot have the rest."""
    count = 60_000
    async with watching(LOG_SOURCE=source) as running:
        await running.until(lambda s: success(s, "access_log") == 1, "the Engine")
        one = line(200, *FILES)
        await app.start(
            run(f"sleep 2; yes '{one}' | head -n {count}"),
            *("--log-opt", "max-size=1m", "--log-opt", "max-file=3"),
        )
        samples = await running.until(ended(1), "the last line")
    read = samples["sermon_uploader_requests_total", *FILES]
    assert read <= count
    if read < count and source == "auto":
        assert samples["sermon_monitor_log_interruptions_total", "rotation"] >= 1


class Restartable(DockerEngine):
    """One whose daemon can be ended and started again over the same data."""

    def end(self) -> None:
        assert self._process is not None
        self._process.stop(grace_seconds=60)

    def begin(self) -> None:
        self._process = processes.spawn(self._command(), self.directory / "dockerd.log")
        wait_for(self._answers, "the Docker Engine", process=self._process)


@pytest.fixture
def own_engine(engine: DockerEngine, python_image: str, tmp_path: Path) -> Iterator[Restartable]:
    directory = Path(tempfile.mkdtemp(prefix="sermon-"))
    own = Restartable(directory)
    own.start()
    try:
        saved = tmp_path / "image.tar"
        engine.docker("save", "--output", str(saved), python_image)
        own.docker("load", "--input", str(saved))
        yield own
    finally:
        own.stop()
        shutil.rmtree(directory)


@BOTH
async def test_an_engine_that_is_stopped_and_started(
    own_engine: Restartable, python_image: str, tmp_path: Path, source: str
) -> None:
    app = App(own_engine, python_image)
    settings = {"APP_CONTAINERS": f"{app.name}.*", "APP_SERVICE": app.name, "LOG_SOURCE": source}
    async with exporter(tmp_path, own_engine.host, **settings) as running:
        await running.until(lambda s: success(s, "access_log") == 1, "the Engine")
        script = f"trap exit TERM; while true; do {times(20, line(200, *FILES))}; sleep 0.01; done"
        await app.start(script, "--restart", "always")
        await running.until(lambda s: s["sermon_uploader_requests_total", *FILES] > 200, "lines")
        await asyncio.to_thread(own_engine.end)
        gone = await running.until(lambda s: success(s, "containers") == 0, "the Engine's end")
        if source == "engine":
            assert success(gone, "access_log") == 0
        own_engine.begin()  # not in a thread: the process would end with it
        counted = gone["sermon_uploader_requests_total", *FILES]
        await running.until(
            lambda s: s["sermon_uploader_requests_total", *FILES] > counted + 200, "more lines"
        )
        await app.docker("update", "--restart", "no", app.name)
        await app.docker("stop", app.name)
        printed = (await app.docker("logs", app.name)).count("/api/files")
        samples = await running.until(
            lambda s: s["sermon_uploader_requests_total", *FILES] >= printed, "all of them"
        )
        assert samples["sermon_uploader_requests_total", *FILES] == printed
        if source == "engine":
            assert samples["sermon_monitor_log_interruptions_total", "connection"] >= 1
        await app.remove()
