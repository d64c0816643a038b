"""Full disks, dead mounts, hostile ledgers, and secrets near by: every scrape answers in time and tells what it knows, and no more."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from exporter.collectors.versions import LEDGER_FILE
from target.version_keeper import MAX_LEDGER_BYTES, LedgerFile
from target.versions import Ledger
from tests.bench.webhooks import body
from tests.parts.exporter_kit import WITHIN, exporter, samples_of, success
from tests.parts.scripted_engine import ScriptedEngine
from tests.real.processes import fetch, free_port, spawn, wait_for
from tests.real.product import COMMAND, Product

IN_TIME = {"X-Prometheus-Scrape-Timeout-Seconds": "10"}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@contextmanager
def small_disk(at: Path) -> Iterator[Path]:
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


@needs_root
def test_a_full_disk_under_the_state(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    settings = {
        "APP_URL": nobody,
        "MINIO_URL": nobody,
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "DRY_RUN": "true",
    }
    with small_disk(tmp_path / "disk") as disk:
        product = Product(disk, settings)
        product.log_file = tmp_path / "log"
        try:
            product.start()
            healthy = samples_of(product.metrics())
            fill(disk)
            for number in range(5):
                status, _ = product.post(body(number, 1))
                samples = samples_of(product.metrics())
                assert success(samples, "host") == success(samples, "process") == 1
                assert success(samples, "versions") == success(healthy, "versions")
                assert {key[0] for key in healthy} <= {key[0] for key in samples}
            assert status == 503
            assert samples["sermon_monitor_webhooks_total", "unavailable"] >= 1
            (disk / "filler").unlink()
            wait_for(lambda: product.post(body(9, 1))[0] == 200, "webhooks are taken again")
            product.stop()
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            start_on_trouble(product)
            subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
            wait_for(lambda: product.post(body(9, 1))[0] == 200, "it can be written again")
            product.stop()
            fill(disk)
            start_on_trouble(product)
            (disk / "filler").unlink()
            wait_for(lambda: product.post(body(9, 1))[0] == 200, "there is room again")
        finally:
            product.stop()


def start_on_trouble(product: Product) -> None:
    """It starts all the same, says why it cannot work, and is scraped."""
    product.process = spawn([COMMAND, "serve"], product.log_file, env=product.environment)
    wait_for(
        lambda: fetch(f"{product.url}/healthz")[0] == 200, "the receiver", process=product.process
    )
    refused_and_scraped(product)
    status, words = fetch(f"{product.url}/readyz")
    assert status == 503
    assert b"goes on by itself" in words, words


def refused_and_scraped(product: Product) -> None:
    assert product.post(body(8, 1))[0] == 503
    wait_for(lambda: "node_load1 " in product.metrics(), "metrics", process=product.process)


_DEAD_MOUNT = """
import ctypes, os, sys
fuse = os.open("/dev/fuse", os.O_RDWR)
os.set_inheritable(fuse, True)  # while it is open, and nobody reads it, nothing below the mount answers
words = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"dead", os.fsencode(sys.argv[1]), b"fuse", 0, words):
    sys.exit(os.strerror(ctypes.get_errno()))
os.symlink(f"/proc/{os.getpid()}", sys.argv[2] + "/1")
os.execv(sys.argv[3], [sys.argv[3], "serve", "--only", "exporter"])
"""
"""Mounts a FUSE filesystem that never says a word, and becomes the exporter."""


@needs_root
def test_a_dead_mount(tmp_path: Path) -> None:
    """In a mount namespace of its own, where it is in nobody's way."""
    proc, dead, port = tmp_path / "proc", tmp_path / "dead", free_port()
    proc.mkdir()
    dead.mkdir()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            (proc / entry.name).symlink_to(entry)
    settings = {
        "PATH": os.environ["PATH"],
        "EXPORTER_LISTEN": f"127.0.0.1:{port}",
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "STATE_DIR": str(tmp_path / "state"),
        "PROC_ROOT": str(proc),
        "APP_URL": f"http://127.0.0.1:{free_port()}",
        "MINIO_URL": f"http://127.0.0.1:{free_port()}",
    }
    command = [sys.executable, "-c", _DEAD_MOUNT, str(dead), str(proc), str(COMMAND)]
    process = spawn(
        ["unshare", "--mount", "--propagation", "private", *command],
        tmp_path / "log",
        env=settings,
    )
    url = f"http://127.0.0.1:{port}/metrics"
    try:
        wait_for(lambda: fetch(url)[0] == 200, "the exporter", process=process)
        for _ in range(5):
            began = time.monotonic()
            status, text = fetch(url)
            took = time.monotonic() - began
            samples = samples_of(text.decode())
            assert (status, success(samples, "host")) == (200, 1)
            told = {key: value for key, value in samples.items() if str(dead) in key}
            assert {key[0] for key in told} >= {"node_filesystem_device_error"}
            error = {key: one for key, one in told.items() if key[0].endswith("_device_error")}
            assert [(key[2], one) for key, one in error.items()] == [("mountpoint timeout", 1)]
            assert not [key for key in told if key[0] == "node_filesystem_size_bytes"]
            assert [key for key in samples if key[0] == "node_filesystem_size_bytes"]
            # The scrape says so itself when it was not given its time: 10 s where nobody says another.
            assert samples["sermon_monitor_collector_duration_seconds", "host"] < 9.5
        assert took < WITHIN
    finally:
        process.stop()


def release(**fields: Any) -> dict[str, Any]:
    facts = dict.fromkeys(("image", "image_id", "digest", "tag", "revision", "version"), "x")
    return {"service": "app", **facts, "since": "2026-03-01T10:00:00Z", **fields}


def ledger(*releases: Any, **fields: Any) -> bytes:
    return json.dumps({"releases": releases, **fields}).encode()


NO_LEDGER = {
    "empty": b"",
    "cut off": ledger(release())[:-9],
    "binary": bytes(range(256)) * 100,
    "nul": b"\0" * 4096,
    "another": b'"versions"',
    "deep": b"[" * 1_000_000,
    "deep in a field": b'{"releases": ' + b'{"a":' * 100_000,
    "huge": b" " * (MAX_LEDGER_BYTES + 1) + b"{}",
    "numbers": ledger(1, 2.5, None, True),
    "text for a time": ledger(release(since="yesterday")),
    "a time without an end": ledger(release(since=10**400)),
    "a list for a name": ledger(release(service=["app"])),
    "no verdict": ledger(release(verdict="perhaps")),
    "not a number": b'{"releases": [], "forgotten": NaN}',
    "a lone surrogate": b'{"releases": [{"service": "\\ud800"}]}',
}
ODD_FILES = ("directory", "pipe", "endless device", "link to nothing", "link to itself")


def put(path: Path, odd: str) -> None:
    match odd:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "endless device":
            path.symlink_to("/dev/zero")
        case "link to nothing":
            path.symlink_to("nothing")
        case _:
            path.symlink_to(path.name)


async def test_hostile_version_ledgers(tmp_path: Path) -> None:
    """One exporter sees them one after the other, and a sound one in between."""
    path = tmp_path / "state" / LEDGER_FILE
    path.parent.mkdir()
    engine = ScriptedEngine(tmp_path / "engine.sock")
    async with engine.serving(), exporter(tmp_path, engine.host) as running:
        await running.until(lambda s: success(s, "versions") == 1, "the Engine")
        for name in (*NO_LEDGER, *ODD_FILES):
            if name in NO_LEDGER:
                path.write_bytes(NO_LEDGER[name])
            else:
                path.unlink()
                put(path, name)
            wanted = 1.0 if name == "link to nothing" else 0.0
            async with asyncio.timeout(WITHIN):
                samples = samples_of(await running.text(**IN_TIME))
                assert success(samples, "versions") == wanted, name
                for other in ("host", "probes", "containers", "access_log", "process"):
                    assert success(samples, other) == 1, (name, other)
                if name == "directory":
                    path.rmdir()
                else:
                    path.unlink()
                LedgerFile(path).save(Ledger())
                sound = samples_of(await running.text(**IN_TIME))
                assert success(sound, "versions") == 1, name
                assert sound["sermon_uploader_deployments_total",] == 0


async def test_a_ledger_and_an_image_do_not_choose_how_long_an_answer_is(tmp_path: Path) -> None:
    path = tmp_path / "state" / LEDGER_FILE
    path.parent.mkdir()
    long = "v" * 1_000_000
    good = release(
        image=long, image_id="sha256:2", revision=long, digest=long, version=long, verdict="good"
    )
    path.write_bytes(ledger(good, release(image=long, image_id="sha256:1"), forgotten=10**400))
    engine = ScriptedEngine(tmp_path / "engine.sock")
    engine.add("a" * 64, "app")
    settings = {"APP_CONTAINERS": "app", "APP_SERVICE": "app"}
    async with engine.serving(), exporter(tmp_path, engine.host, **settings) as running:
        samples = await running.until(
            lambda s: [key for key in s if key[0] == "sermon_uploader_known_good_info"], "it"
        )
        assert max(len(text) for key in samples for text in key) < 2000


SECRET = "S3CR3T-9f1c"


class Telling(ScriptedEngine):
    """Its containers have secrets wherever people put them."""

    def add(self, key: str, name: str = "", **state: Any) -> None:
        super().add(key, name, **state)
        self.containers[key] |= {
            "Path": "/bin/app",
            "Args": ["--password", SECRET],
            "LogPath": f"/nowhere/{SECRET}",
            "Mounts": [{"Source": f"/run/{SECRET}", "Destination": "/run/secret"}],
        }
        self.containers[key]["Config"] |= {
            "Env": [f"MINIO_SECRET_KEY={SECRET}", f"DISCORD_WEBHOOK_URL=https://d/{SECRET}"],
            "Cmd": ["--password", SECRET],
            "Labels": {"com.docker.compose.project": "sermons", "token": SECRET, SECRET: "x"},
            "Healthcheck": {"Test": ["CMD", "curl", f"http://u:{SECRET}@localhost/"]},
        }
        self.containers[key]["State"] |= {
            "Error": f"cannot pull with {SECRET}",
            "Health": {"Status": "unhealthy", "Log": [{"ExitCode": 1, "Output": SECRET}]},
        }


async def leaky(_: web.Request) -> web.Response:
    return web.Response(
        status=500, text=SECRET, headers={"Set-Cookie": f"session={SECRET}", "X-Why": SECRET}
    )


@pytest.mark.parametrize("reachable", [True, False])
async def test_no_secret_gets_into_a_metric_or_a_log(tmp_path: Path, reachable: bool) -> None:
    engine = Telling(tmp_path / "engine.sock")
    engine.add("a" * 64, "app")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / LEDGER_FILE).write_bytes(b'{"' + SECRET.encode())
    app = web.Application()
    app.router.add_get("/{path:.*}", leaky)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    if reachable:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    url = f"http://127.0.0.1:{port}"
    settings = {"APP_CONTAINERS": "app", "APP_URL": url, "MINIO_URL": url, "APP_HEALTH_BODY": "ok"}
    try:
        with capture_logs() as logs:
            async with engine.serving(), exporter(tmp_path, engine.host, **settings) as running:
                await running.until(lambda s: ("sermon_uploader_up",) in s, "a probe")
                await running.until(
                    lambda s: (
                        [key for key in s if key[0] == "container_last_seen"]
                        or [key for key in s if key[0] == "container_state"]
                    ),
                    "the container",
                )
                for accept in ("", "application/openmetrics-text"):
                    text = await running.text(Accept=accept)
                    assert 'name="app"' in text
                    assert SECRET not in text
    finally:
        await runner.cleanup()
    assert logs
    assert SECRET not in repr(logs)
