"""The image's health check, against our own listener in each way that it can be set."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest

from sermon_monitor import alive
from sermon_monitor.listening.web_config import WebConfiguration
from tests.parts.test_web_config import MUTUAL, TLS, lay_out, served
from tests.real.processes import free_port, spawn, wait_for
from tests.real.product import COMMAND

PASSWORD = f"basic_auth_users: {{anna: '{bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}'}}\n"
WAYS = {
    "plain": "",
    "a password": PASSWORD,
    "TLS": f"{TLS}}}\n",
    "TLS and a password": f"{TLS}}}\n{PASSWORD}",
    "client certificates": MUTUAL,
    "client certificates, TLS 1.2": MUTUAL.replace("}", ", max_version: TLS12}"),
}


def look(**environ: str) -> subprocess.CompletedProcess[str]:
    """As the image runs it: nothing but Python's own is at hand."""
    words = [sys.executable, "-I", "-S", alive.__file__]
    return subprocess.run(words, env=environ, capture_output=True, text=True, check=False, timeout=30)  # fmt: skip


@pytest.mark.parametrize("hint", [True, False], ids=["told", "not told"])
@pytest.mark.parametrize("text", WAYS.values(), ids=WAYS)
async def test_what_lives_is_well(tmp_path: Path, text: str, hint: bool) -> None:
    path = lay_out(tmp_path, text)
    environ = {"WEB_CONFIG_FILE": str(path)} if hint else {}
    async with served(WebConfiguration(path)) as server:
        listen = f"0.0.0.0:{server.port}"
        seen = await asyncio.to_thread(look, EXPORTER_LISTEN=listen, **environ)
        assert (seen.returncode, seen.stderr) == (0, "")
        elsewhere = f"127.0.0.1:{free_port()}"
        seen = await asyncio.to_thread(
            look, EXPORTER_LISTEN=elsewhere, RECEIVER_LISTEN=f":{server.port}", **environ
        )
        assert seen.returncode == 0


def test_what_is_not_there_is_not_well() -> None:
    seen = look(EXPORTER_LISTEN=f"[::]:{free_port()}", RECEIVER_LISTEN=f":{free_port()}")
    assert seen.returncode == 1
    assert "EXPORTER_LISTEN" in seen.stderr
    assert "RECEIVER_LISTEN" in seen.stderr
    assert "Traceback" not in seen.stderr


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 503 No\r\n\r\n", b"SSH-2.0-x\r\n", b"\x15\3\3\0\2\2\x28"]
)
async def test_another_answer_is_not_well(answer: bytes) -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for hint in ("", "/no/such.yml"):
            seen = await asyncio.to_thread(look, EXPORTER_LISTEN=f":{port}", WEB_CONFIG_FILE=hint)
            assert seen.returncode == 1
            assert "Traceback" not in seen.stderr


def test_a_process_that_hangs_is_not_well(tmp_path: Path) -> None:
    path = lay_out(tmp_path, f"{TLS}}}\n")
    listen = f"127.0.0.1:{free_port()}"
    settings = {
        "PATH": os.environ["PATH"],
        "EXPORTER_LISTEN": listen,
        "RECEIVER_LISTEN": listen.replace("127.0.0.1", "127.0.0.2"),
        "STATE_DIR": str(tmp_path / "state"),
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "WEB_CONFIG_FILE": str(path),
    }
    process = spawn([COMMAND, "serve", "--only", "exporter"], tmp_path / "log", env=settings)
    try:
        wait_for(lambda: not look(**settings).returncode, "it is well", process=process)
        os.kill(process.pid, signal.SIGSTOP)
        seen = look(**settings)
        assert seen.returncode == 1
        assert "no answer within" in seen.stderr
        os.kill(process.pid, signal.SIGCONT)
        wait_for(lambda: not look(**settings).returncode, "it is well again", process=process)
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.stop()
