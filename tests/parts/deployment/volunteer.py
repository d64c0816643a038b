"""A person at the terminal of the machine who follows the guide: types its commands, says yes, writes down what came."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from recovery.checks.endpoints import PROBE_SECONDS
from tests.parts.deployment import typist
from tests.parts.deployment.kit import COMMAND, ROOT, Env
from tests.real.project import Project

GUIDE = ROOT / "docs" / "rollback-and-recovery.md"
UNDER_SYSTEMD = ("systemctl", "journalctl", "systemd-sysusers", "chown", "/opt/sermon-monitor/")
"""Typed in tests/parts/test_units.py, where a systemd is."""
LOOKS = ("df", "free", "docker")
FIGURES = "(the machine's own figures)"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def typed(heading: str | None = None) -> list[str]:
    """The commands of the guide's ``sh`` blocks, below ``heading`` alone where one is given, without sudo."""
    text = GUIDE.read_text(encoding="utf-8")
    if heading is not None:
        (text,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    return [line.removeprefix("sudo ") for block in blocks for line in block.splitlines() if line]


def at_a_terminal(line: str) -> bool:
    return not line.startswith(UNDER_SYSTEMD)


@dataclass
class Volunteer:
    """Types on the machine of ``project``; ``said`` is what was typed and what came back."""

    project: Project
    env: Env
    said: list[tuple[str, int, str]] = field(default_factory=list)

    def type(self, line: str) -> int:
        """Run the line as a shell does, at a terminal where whoever is asked says yes; its exit code."""
        master, slave = pty.openpty()
        os.write(master, b"y\n")
        environment = {
            **self.env,
            "PATH": f"{COMMAND.parent}:{os.environ['PATH']}",
            "COLUMNS": "110",
        }
        try:
            code, output = self._run(line, environment, slave)
        finally:
            os.close(slave)
            os.close(master)
        assert "Traceback" not in output, output
        self.said.append((line, code, output))
        return code

    def _run(self, line: str, environment: Env, terminal: int) -> tuple[int, str]:
        with tempfile.NamedTemporaryFile() as file:
            if line.split(maxsplit=1)[0] in typist.PROGRAMS and "$(" not in line:
                words, told = shlex.split(line), Path(file.name)
                code = typist.typed(words, environment, ROOT, os.ttyname(terminal), told)
            else:
                code = subprocess.run(
                    ["bash", "-c", line],
                    env=environment,
                    cwd=ROOT,
                    stdin=terminal,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    timeout=240,
                    check=False,
                ).returncode
            return code, Path(file.name).read_text(encoding="utf-8", errors="replace")

    def transcript(self, title: str) -> str:
        """What was typed and said, with what differs from machine to machine made alike."""
        parts = [f"# {title}\n", "Written by the tests on a real Docker Engine with a small stand-in of the application.\n"]  # fmt: skip
        for line, code, output in self.said:
            told = FIGURES if line.startswith(LOOKS) else self._alike(output)
            text = "\n".join(row.rstrip() for row in told.splitlines())
            parts.append(f"```console\n$ {line}\n{text}\n```\n\nExit code {code}.\n")
        return "\n".join(parts)

    def _alike(self, text: str) -> str:
        text = _ESCAPES.sub("", text)
        for ours, theirs in (
            (str(self.project.directory), "/opt/sermon-uploader"),
            (self.env["BACKUP_DIR"], "/opt/sermon-uploader-backups"),
            (self.env["STATE_DIR"], "/var/lib/sermon-monitor"),
            (self.project.app_url, "http://127.0.0.1:8000"),
            (self.project.minio_url, "http://127.0.0.1:9000"),
            (self.project.engine.host, "unix:///var/run/docker.sock"),
            (str(self.project.engine.directory), "/var/lib/docker"),
        ):
            text = text.replace(ours, theirs)
        for pattern, same in (
            (r"\b(127\.0\.0\.1|0\.0\.0\.0):\d{5}", r"\1:8000"),
            (r"(?<=port )\d{5}", "8000"),
            (r"\b[0-9a-f]{64}\b", "0123456789ab" * 5 + "0123"),
            (r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12}\b", "0123456789ab"),
            (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?", "2026-03-01T02:00:00"),
            (r"\b20\d{6}(-|T)\d{6}(\.\d+)?", r"20260301\g<1>020000"),
            (r"sport = :\d+", "sport = :8000"),
            (r"\(last \d\d:\d\d:\d\d\)", "(last 02:00:00)"),
            (r"\bload \d+\.\d+", "load 3.10"),
            (r"\bpid \d+", "pid 4711"),
            (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", "2026/03/01 02:00:00"),
            (r"\b\d\d:\d\d:\d\d (?=\|)", "02:00:00 "),
            (r"(?m)(?<=  )\d\d:\d\d:\d\d$", "02:00:00"),
            (r"\| \d+(\.\d+)?(µs|ms|s) \|", "| 120µs |"),
            (r"\b\d+\.\d+ (s|ms)\b", r"0 \1"),
            (r"\b10\.2\d\d\.\d+\.\d+\b", "172.18.0.1"),
            (f"within {typist.PROBE_SECONDS:.0f} s", f"within {PROBE_SECONDS:.0f} s"),
            (r"\d+ %", "33 %"),
            (r"\d+(\.\d+)? (GiB|MiB|KiB)\b", r"50.0 \2"),
            (r"Do this\? \[y/N\]: ", "Do this? [y/N]: y\n"),
        ):
            text = re.sub(pattern, same, text)
        return text
