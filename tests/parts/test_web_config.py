"""WEB_CONFIG_FILE: TLS, client certificates and passwords as Prometheus' own programs have them."""

from __future__ import annotations

import asyncio
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import bcrypt
import pytest
import trustme
from aiohttp import web

from sermon_monitor.listening.basic_auth import BasicAuth
from sermon_monitor.listening.connections import Connections, Limits
from sermon_monitor.listening.listener import Listener
from sermon_monitor.listening.web_config import WebConfigError, WebConfiguration, read_web_config
from tests.real.daemons import Binaries, Prometheus
from tests.real.processes import free_port, spawn, wait_for
from tests.real.product import COMMAND

AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
HASH = bcrypt.hashpw(b"a password", bcrypt.gensalt(4)).decode()
TLS = "tls_server_config: {cert_file: cert.pem, key_file: key.pem"
MUTUAL = f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}}\n"


def lay_out(directory: Path, text: str, authority: trustme.CA = AUTHORITY) -> Path:
    """web.yml with a certificate for 127.0.0.1, and the authority that clients must have."""
    made = authority.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(directory / "key.pem")
    (directory / "cert.pem").write_bytes(b"".join(one.bytes() for one in made.cert_chain_pems))
    AUTHORITY.cert_pem.write_to_path(directory / "ca.pem")
    path = directory / "web.yml"
    path.write_text(text)
    return path


def trusting(authority: trustme.CA, client: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if client:
        client.issue_cert("prometheus@example.org").configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "not YAML"),
        ("a: &a [*a]", "not YAML"),
        ("a: !!timestamp S3CR3T", "not YAML"),
        ("a: !!bool S3CR3T", "not YAML"),
        ("- a", "the file: "),
        ("tls_config: {}", "tls_config: not supported here"),
        ("http_server_config: {http2: true}", "http_server_config: not supported here"),
        ("tls_server_config: {cert_file: cert.pem}", "tls_server_config.key_file"),
        (f"{TLS}, min_version: TLS10}}", "allowed: 'TLS12' or 'TLS13'"),
        (f"{TLS}, client_auth_type: RequireAnyClientCert}}", "client_auth_type: allowed"),
        (f"{TLS}, client_auth_type: RequireAndVerifyClientCert}}", "needs a client_ca_file"),
        (f"{TLS}, client_ca_file: none.pem, client_auth_type: VerifyClientCertIfGiven}}", "No such"),
        ("tls_server_config: {cert_file: no.pem, key_file: key.pem}", "No such file"),
        ("tls_server_config: {cert_file: key.pem, key_file: key.pem}", "no certificate and key"),
        ("tls_server_config: {cert_file: cert.pem, key_file: web.yml}", "no certificate and key"),
        ("basic_auth_users: {anna: plain-S3CR3T}", "allowed: a bcrypt hash"),
        ("basic_auth_users: {anna: {S3CR3T: 1}}", "basic_auth_users.anna"),
        ("x: 'S3CR3T", "not YAML"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_and_shows_no_secret(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(WebConfigError) as refused:
        WebConfiguration(lay_out(tmp_path, text))
    assert said in str(refused.value)
    assert "S3CR3T" not in str(refused.value)


def test_an_encrypted_key_asks_nobody_for_its_password(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as pem  # noqa: PLC0415 - of this test

    path = lay_out(tmp_path, f"{TLS}}}")
    key = pem.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    locked = key.private_bytes(
        pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"x")
    )
    (tmp_path / "key.pem").write_bytes(locked)
    with pytest.raises(WebConfigError, match="without a password"):
        WebConfiguration(path)


@pytest.mark.parametrize("text", ["", "{}", "basic_auth_users: {}", f"{TLS}}}"])
def test_what_can_be_used(tmp_path: Path, text: str) -> None:
    assert WebConfiguration(lay_out(tmp_path, text)).wanted is text.startswith("tls")
    assert HASH not in repr(read_web_config(lay_out(tmp_path, f"basic_auth_users: {{a: {HASH}}}")))


@dataclass
class Served:
    url: str
    port: int
    room: Connections


@asynccontextmanager
async def served(configuration: WebConfiguration) -> AsyncIterator[Served]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    room = Connections(Limits(most=8), lambda _: None)
    auth = BasicAuth(configuration.users)
    app = web.Application(middlewares=[room.middleware, auth.middleware])
    app.router.add_get("/metrics", answer)
    app.router.add_get("/healthz", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    secure = configuration.context if configuration.wanted else None
    listener = Listener(runner.server, room, secure)
    await listener.start("127.0.0.1", 0)
    (port,) = listener.ports
    try:
        yield Served(f"{'https' if secure else 'http'}://127.0.0.1:{port}", port, room)
    finally:
        listener.stop()
        await runner.cleanup()


async def status(url: str, context: ssl.SSLContext | bool = True, **headers: str) -> int:
    connector = aiohttp.TCPConnector(ssl=context)
    async with (
        aiohttp.ClientSession(connector=connector, headers=headers) as session,
        session.get(f"{url}/metrics") as answer,
    ):
        await answer.read()
        return answer.status


async def test_only_who_has_a_certificate_of_ours_is_let_in(tmp_path: Path) -> None:
    async with served(WebConfiguration(lay_out(tmp_path, MUTUAL))) as there:
        assert await status(there.url, trusting(AUTHORITY, AUTHORITY)) == 200
        for nobody in (trusting(AUTHORITY), trusting(AUTHORITY, STRANGER)):
            with pytest.raises(aiohttp.ClientError):
                await status(there.url, nobody)
        with pytest.raises(aiohttp.ClientError):
            await status(there.url.replace("https", "http"))
        old = trusting(AUTHORITY, AUTHORITY)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await status(there.url, old) == 200


async def test_tls_1_2_is_refused_where_1_3_is_the_least(tmp_path: Path) -> None:
    path = lay_out(tmp_path, f"{TLS}, min_version: TLS13}}")
    async with served(WebConfiguration(path)) as there:
        assert await status(there.url, trusting(AUTHORITY)) == 200
        old = trusting(AUTHORITY)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(aiohttp.ClientError):
            await status(there.url, old)


async def test_who_does_not_shake_hands_is_in_nobodys_way(tmp_path: Path) -> None:
    async with served(WebConfiguration(lay_out(tmp_path, f"{TLS}}}"))) as there:
        silent = [await asyncio.open_connection("127.0.0.1", there.port) for _ in range(40)]
        assert await status(there.url, trusting(AUTHORITY)) == 200
        assert len(there.room) <= 8
        for _, writer in silent:
            writer.close()


async def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sermon_monitor.listening.web_config.LOOK_AGAIN_SECONDS", 0.0)
    async with served(WebConfiguration(lay_out(tmp_path, f"{TLS}}}"))) as there:
        assert await status(there.url, trusting(AUTHORITY)) == 200
        (tmp_path / "cert.pem").write_text("half of a cert")
        assert await status(there.url, trusting(AUTHORITY)) == 200
        (tmp_path / "web.yml").unlink()
        assert await status(there.url, trusting(AUTHORITY)) == 200
        lay_out(tmp_path, f"{TLS}}}", STRANGER)
        assert await status(there.url, trusting(STRANGER)) == 200
        with pytest.raises(aiohttp.ClientError):
            await status(there.url, trusting(AUTHORITY))


async def test_passwords_are_asked_for_and_follow_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sermon_monitor.listening.web_config.LOOK_AGAIN_SECONDS", 0.0)
    path = lay_out(tmp_path, f"basic_auth_users: {{anna: '{HASH}'}}")

    def named(name: str, password: str) -> str:
        return aiohttp.encode_basic_auth(name, password)

    async with served(WebConfiguration(path)) as there:
        assert await status(there.url) == 401
        right = named("anna", "a password")
        for _ in range(2):  # the second time it is remembered
            assert await status(there.url, Authorization=right) == 200
        for wrong in (
            named("anna", "another"),
            named("anna", ""),
            named("bert", "a password"),
            named("anna", "a password\0"),
            named("anna", "a" * 100),
            "Basic ???",
            "Bearer a password",
        ):
            assert await status(there.url, Authorization=wrong) == 401, wrong
        async with aiohttp.ClientSession() as session, session.get(f"{there.url}/healthz") as open_:
            assert open_.status == 200
        many = await asyncio.gather(
            *(status(there.url, Authorization=named("anna", f"guess {n}")) for n in range(6))
        )
        assert set(many) == {401}
        other = bcrypt.hashpw(b"changed", bcrypt.gensalt(4)).decode()
        path.write_text(f"basic_auth_users: {{anna: '{other}'}}")
        assert await status(there.url, Authorization=right) == 401
        assert await status(there.url, Authorization=named("anna", "changed")) == 200


@pytest.mark.daemons
def test_a_real_prometheus_scrapes_by_tls_with_its_certificate(
    tmp_path: Path, binaries: Binaries
) -> None:
    ours, port = tmp_path / "ours", free_port()
    ours.mkdir()
    path = lay_out(ours, MUTUAL + f"basic_auth_users: {{prometheus: '{HASH}'}}\n")
    client = AUTHORITY.issue_cert("prometheus@example.org")
    theirs = {
        "ca.pem": AUTHORITY.cert_pem.bytes().decode(),
        "client.pem": client.cert_chain_pems[0].bytes().decode(),
        "client.key": client.private_key_pem.bytes().decode(),
    }
    config = f"""
scrape_configs:
  - job_name: sermon-uploader
    scheme: https
    scrape_interval: 1s
    tls_config: {{ca_file: ca.pem, cert_file: client.pem, key_file: client.key}}
    basic_auth: {{username: prometheus, password: a password}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
    settings = {
        "PATH": os.environ["PATH"],
        "EXPORTER_LISTEN": f"127.0.0.1:{port}",
        "STATE_DIR": str(tmp_path / "state"),
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "APP_URL": f"http://127.0.0.1:{free_port()}",
        "WEB_CONFIG_FILE": str(path),
    }
    process = spawn([COMMAND, "serve", "--only", "exporter"], tmp_path / "log", env=settings)
    prometheus = Prometheus(binaries.prometheus, tmp_path / "prometheus", config, files=theirs)
    try:
        prometheus.start()
        query = f"{prometheus.url}/api/v1/query?query=up%7Bjob%3D%22sermon-uploader%22%7D+%3D%3D+1"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        wait_for(
            lambda: b'"value":' in opener.open(query, timeout=5).read(),
            "a scrape by TLS",
            process=process,
        )
    finally:
        prometheus.stop()
        process.stop()
