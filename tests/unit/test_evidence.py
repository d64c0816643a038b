"""The evidence as one text: on record in golden/, bounded, and whole whatever the Engine answers.

``UPDATE_GOLDEN=1 pytest tests/unit/test_evidence.py`` writes the golden file anew; read it as a diff.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.evidence import (
    LONGEST_SHOWN,
    MOST_BYTES,
    Gathered,
    compose,
    exit_words,
    file_name,
    mount_sources,
)
from receiver.host_state import Disk, host_lines, load_line, memory_line, pressure_line
from target.engine_frames import Event
from target.engine_tail import LogLine
from target.versions import Release

GOLDEN = Path(__file__).parent / "golden" / "evidence.txt"
NIGHT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
SECRET = "hunter2-S3cr3t"
RAW: dict[str, Any] = {
    "Id": "4f" * 32,
    "Name": "/sermon-uploader-backend",
    "Image": "sha256:" + "1a" * 32,
    "Created": "2026-02-28T20:00:00Z",
    "RestartCount": 7,
    "Path": "/app/server",
    "Args": ["--token", SECRET, "--port=8000"],
    "State": {
        "Status": "restarting",
        "Running": False,
        "OOMKilled": True,
        "ExitCode": 137,
        "Error": "",
        "StartedAt": "2026-03-01T01:59:00Z",
        "FinishedAt": "2026-03-01T01:59:50Z",
        "Health": {
            "Status": "unhealthy",
            "FailingStreak": 3,
            "Log": [{"End": "2026-03-01T01:59:40Z", "ExitCode": 1, "Output": f"wget: http://u:{SECRET}@x/ refused\n"}],
        },
    },
    "Config": {
        "Image": "ghcr.io/a/sermon-uploader:master-1f0c9aa",
        "Env": ["PATH=/bin", f"MINIO_SECRET_KEY={SECRET}", "DB_PASS=plain-word-secret", "EMPTY="],
    },
    "HostConfig": {"Memory": 536870912, "NanoCpus": 1500000000, "RestartPolicy": {"Name": "unless-stopped"}},
    "NetworkSettings": {"Ports": {"8000/tcp": [{"HostPort": "8000"}]}},
    "Mounts": [
        {"Type": "bind", "Source": "/opt/minio-data", "Destination": "/data", "RW": True},
        {"Type": "bind", "Source": "/etc/localtime", "Destination": "/etc/localtime", "RW": False},
    ],
}  # fmt: skip
LOG = (
    LogLine(NIGHT - timedelta(seconds=20), 1, b"01:59:40 | 200 |   1.234567ms | 10.0.0.7 | GET | /api/health"),
    LogLine(NIGHT - timedelta(seconds=11), 2, b"WARN Critical memory pressure usage_mb=511"),
    LogLine(NIGHT - timedelta(seconds=10), 2, f"password={SECRET} and plain-word-secret".encode()),
    LogLine(NIGHT - timedelta(seconds=10), 2, b"\xff\xfe\x1b[31mnot UTF-8\x00"),
)  # fmt: skip
NANO = int(NIGHT.timestamp()) * 10**9
EVENTS = (
    Event("start", "4f", NANO - 60 * 10**9),
    Event("oom", "4f", NANO - 11 * 10**9),
    Event("die", "4f", NANO - 10 * 10**9, {"exitCode": "137"}),
)
RELEASE = Release("sermon-uploader-backend", "app", "sha256:1", "", "master-1f0c9aa", "1f0c9aa", "1.1.0", NIGHT - timedelta(hours=6), verdict="unknown")  # fmt: skip
FULL = Gathered(
    container="sermon-uploader-backend",
    reason="ContainerCrashLooping",
    at=NIGHT,
    inspection=RAW,
    log=LOG,
    events=EVENTS,
    host=("load: 3.10 (1 min) 2.00 (5 min) 1.00 (15 min), 4 processors", f"disk {Disk('/', 10**11, 10**10).words}"),
    deployments=(RELEASE,),
)  # fmt: skip


def test_the_text_is_the_one_on_record() -> None:
    found = compose(FULL, ["own-known-secret"])
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(found.body, encoding="utf-8")
    assert found.body == GOLDEN.read_text(encoding="utf-8")
    assert SECRET not in found.body
    assert "plain-word-secret" not in found.body, "the values of its secret settings are known"
    assert found.summary == ("out of memory, exit code 137, restarted 7 times by its policy")


def test_it_stays_small_and_keeps_the_newest_lines() -> None:
    log = [LogLine(NIGHT, 1, f"{n} {'x' * 5000}".encode()) for n in range(300)]
    body = compose(Gathered("c", "A", NIGHT, inspection=RAW, log=log)).body
    assert len(body.encode()) <= MOST_BYTES
    assert "older ones left out)" in body
    assert " 299 xxx" in body
    assert " 0 xxx" not in body
    assert max(map(len, body.splitlines())) <= LONGEST_SHOWN + 40


def test_what_could_not_be_found_out_is_said() -> None:
    found = compose(Gathered("c", "A", NIGHT, problems=["the Engine does not answer"]))
    assert found.summary == "the Engine does not answer"
    assert "== What could not be found out ==\nthe Engine does not answer" in found.body
    assert "== Container ==" not in found.body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*RAW, *RAW["State"], *RAW["Config"]]), inner, max_size=6)
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(RAW)), JSON))
@settings(max_examples=50, deadline=None)
def test_whatever_the_engine_answers_there_is_a_text(changes: dict[str, Any]) -> None:
    raw = {**RAW, **changes}
    assert compose(Gathered("c", "A", NIGHT, inspection=raw, events=EVENTS)).body
    assert all(path.startswith("/") for path in mount_sources(raw))


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "without an error"), (137, "SIGKILL"), (139, "SIGSEGV"), (135, "signal 7"), (99, "code 99")],
)  # fmt: skip
def test_exit_codes_in_words(code: int, words: str) -> None:
    assert words in exit_words(code)


@pytest.mark.parametrize("name", ["a", "../../x", "", "ß" * 300, "a b\n", "..", "-"])
def test_file_names_are_such_that_nobody_renames_them(name: str) -> None:
    made = file_name(12, 3, name)
    assert made.startswith("evidence-12-3-")
    assert made.isascii()
    assert not set(made) & set("/\\ \n")
    assert len(made) < 100


def test_the_machine(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    (proc / "pressure").mkdir(parents=True)
    (proc / "loadavg").write_text("3.10 2.00 1.00 2/300 4242\n")
    (proc / "meminfo").write_text(
        "MemTotal:  4000000 kB\nMemAvailable: 1000000 kB\nSwapTotal: 0 kB\n"
    )
    (proc / "pressure" / "io").write_text(
        "some avg10=1.00 avg60=2.00 avg300=3.00 total=5\nfull avg10=0.10 avg60=0.20 avg300=0.30 total=4\n"
    )
    lines = host_lines(proc, tmp_path, ["/proc", "/missing"])
    assert lines[0].startswith("load: 3.10 (1 min) 2.00 (5 min) 1.00 (15 min)")
    assert lines[1] == "memory: MemTotal 3906 MiB, MemAvailable 976 MiB, SwapTotal 0 MiB"
    assert lines[2] == "pressure cpu: the kernel does not tell (a Raspberry Pi needs psi=1)"
    assert "full 0.1" in lines[4]
    assert [line.split(":")[0] for line in lines[5:]] == ["disk /", "disk /missing"]


def test_what_the_kernel_does_not_say() -> None:
    assert load_line("", 4) == "load: cannot be read"
    assert memory_line("?") == "memory: cannot be read"
    assert "does not tell" in pressure_line("io", "garbage")
    assert Disk("/", 0, 0).words == "/: does not answer or is not there"
