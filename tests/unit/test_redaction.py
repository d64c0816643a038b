"""Secrets are taken out of logs, whatever dress they come in, and in a time that hostile lines cannot stretch."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.redaction import LONGEST_LINE, MASK, SECRET_NAME, Redactor

S = "hunter2-S3cr3t"
HOOK = "https://discord.com/api/webhooks/123456789012345678/" + "aB3_-" * 13


@pytest.mark.parametrize(
    "line",
    [
        f"password={S}",
        f"PASSWORD: {S}",
        f'{{"user":"a","password":"{S}","x":1}}',
        f'{{"msg":"{{\\"password\\":\\"{S}\\"}}"}}',
        f"connecting with password '{S} and more'",
        f"db_passwd => {S}",
        f"MINIO_ROOT_PASSWORD={S} MINIO_ROOT_USER=admin",
        f"MINIO_SECRET_KEY: {S}",
        f"minio.secretKey={S}",
        f"accessKey = {S}",
        f"aws_secret_access_key={S}",
        f"GITHUB_TOKEN={S}",
        f"--minio-root-password {S} --quiet",
        f"-api-key={S}",
        f"/usr/bin/app --token {S}",
        f"the password is {S}",
        f"pass={S}",
        f"?X-Amz-Credential={S}/20260301/eu/s3&X-Amz-Signature={S}&X-Amz-Expires=60",
        f"x-amz-security-token: {S}",
        f"Authorization: Bearer {S}",
        f"authorization='Basic {S}'",
        f"Authorization: AWS4-HMAC-SHA256 Credential=AK/2026, Signature={S}",
        f"Cookie: a=1; session={S}",
        f"Set-Cookie: sid={S}; HttpOnly",
        f"got header bearer   {S}.{S}",
        f"postgres://sermon:{S}@db:5432/x",
        f"https://u:{S}/with/slash@example.org/",
        f"redis://:{S}@cache",
        f"https://hooks.slack.com/services/T000/B000/{S}",
        f"webhook_url={HOOK}#{S}",
        f"api_key\t=\t{S}",
        f"\x1b[31mpassword\x1b[0m={S}",
        f"client_secret:{S}",
        f"DISCORD_WEBHOOK_URL={S}",
        f"session_id={S}",
    ],
)
def test_a_secret_by_its_name_or_place(line: str) -> None:
    shown = Redactor().line(line)
    assert S not in shown
    assert "hunter2" not in shown
    assert MASK in shown


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2" * 15,
        "AKIAIOSFODNN7EXAMPLE",
        "glpat-abcdefghij1234567890",
        "xoxb-1234567890-abcdefghij",
        "dckr_pat_abcdefghij1234567890",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLWl0",
        "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs",
        HOOK.rpartition("/")[2],
    ],
)
@pytest.mark.parametrize("around", ["{}", "error: {} refused", '"{}"', "({})", "at={};"])
def test_a_secret_by_its_form(secret: str, around: str) -> None:
    line = around.format(HOOK if secret in HOOK else secret)
    assert secret not in Redactor().line(line)


@pytest.mark.parametrize(
    "line",
    [
        "12:30:01 | 500 |   1.234567ms | 10.0.0.7 | POST | /api/uploads/sermon",
        "2026/03/01 02:00:00 ERROR MinIO upload failed handler=Upload key=sermons/2026-03-01.wav error=refused",
        "panic: runtime error: invalid memory address or nil pointer dereference",
        "goroutine 1 [running]:",
        "image sha256:4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f",
        "revision 1f0c9aab1f0c9aab1f0c9aab1f0c9aab1f0c9aab",
        "GET http://minio:9000/minio/health/live: connection refused",
        "Memory pressure detected during upload alloc_mb=500 pressure_level=critical gc_cycles=9",
    ],
)
def test_what_helps_stays(line: str) -> None:
    assert Redactor().line(line) == line


KEY = ["-----BEGIN RSA PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED", *["MIIEow+/" * 8] * 5, "Ab9=", "-----END RSA PRIVATE KEY-----"]  # fmt: skip


def test_a_private_key_is_hidden_to_its_end() -> None:
    redactor = Redactor()
    assert [redactor.line(line) for line in KEY] == [MASK] * len(KEY)
    assert redactor.line("Ab9=") == "Ab9="


def test_other_lines_inside_a_key_are_shown_and_do_not_end_it() -> None:
    redactor = Redactor()
    mixed = [*KEY[:3], "12:30 | 200 | ok it goes on", *KEY[3:]]
    shown = [redactor.line(line) for line in mixed]
    assert shown[3] == mixed[3]
    assert {*shown[:3], *shown[4:]} == {MASK}


@pytest.mark.parametrize("kind", ["", "OPENSSH ", "EC ", "ENCRYPTED "])
def test_a_private_key_in_one_line(kind: str) -> None:
    redactor = Redactor()
    line = f'{{"key":"-----BEGIN {kind}PRIVATE KEY-----\\nMIIabc\\n-----END {kind}PRIVATE KEY-----\\n","at":1}}'
    assert "MIIabc" not in redactor.line(line)
    assert redactor.line("goes on") == "goes on"


def test_a_key_that_never_ends_does_not_hide_the_log_for_ever() -> None:
    redactor = Redactor()
    redactor.line("-----BEGIN PRIVATE KEY-----")
    for _ in range(300):
        redactor.line("QUJD")
    assert redactor.line("QUJD") == "QUJD"
    assert redactor.line("A" * 64) == MASK, "what looks like a key is hidden anyway"


def test_what_is_known_to_be_secret_is_hidden_wherever_it_stands() -> None:
    redactor = Redactor(["plain-word", "plain-word-longer", "abc"])
    shown = redactor.line("xplain-word-longerx plain-word abc")
    assert shown == f"x{MASK}x {MASK} abc", (
        "the longest first; what is too short would be found everywhere"
    )


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((n, True) for n in ("MINIO_SECRET_KEY", "API_KEY", "DB_PASS", "GITHUB_TOKEN", "DISCORD_WEBHOOK_URL", "KEY", "SENTRY_DSN", "AUTH")),
        *((n, False) for n in ("PATH", "PORT", "KEYBOARD", "MONKEY", "MINIO_ENDPOINT", "COMPASS")),
    ],
)  # fmt: skip
def test_names_of_secret_settings(name: str, secret: bool) -> None:
    assert bool(SECRET_NAME.search(name)) is secret


def test_a_secret_that_is_cut_in_two_is_not_shown() -> None:
    for shift in range(40):
        line = "x" * (LONGEST_LINE - 20 - shift) + " ghp_" + "a1B2" * 9
        assert "ghp_a1" not in Redactor().line(line)


@pytest.mark.parametrize(
    "piece",
    [
        "password", "password=", "-", "--token ", "://", "://a@", "eyJ", "eyJ.", "M" * 24 + ".", "/api/webhooks/1/",
        "-----BEGIN PRIVATE KEY", "-----BEGIN ", '"', '\\"', "a.", "_", "=>", "authorization", "\x1b[", "key_", "is is ", "AKIA",
    ],
)  # fmt: skip
def test_hostile_lines_cost_little_time(piece: str) -> None:
    """Two hundred of the longest lines, in a time that even a busy machine has."""
    line = piece * (LONGEST_LINE // len(piece) + 1)
    redactor = Redactor(["known-secret"])
    began = time.process_time()
    for _ in range(20):
        redactor.line(line)
    assert time.process_time() - began < 2.0


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_whatever_comes_it_is_one_printable_line(text: str) -> None:
    shown = Redactor().line(text)
    assert shown.isprintable() or shown == ""
    assert "\n" not in shown
