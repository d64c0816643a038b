"""``python -m tests.fuzz [TARGET…] [--runs N] [--seconds N] [--keep]``: atheris on every parser, one after the other.

Each runs in a process of its own: a finding ends that one, and stands where the output says. ``--keep``
writes what reaches new branches back into the corpora.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz import corpora

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in corpora.CORPUS.glob("*.txt"))
SLOW_SECONDS, MOST_MIB = 5, 1024
"""By the clock on the wall: on a busy machine a second passes without us."""
_LAST = re.compile(
    r"^#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+).*?exec/s: (\d+) rss: (\d+)Mb", re.MULTILINE
)
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")


def child(name: str, arguments: list[str]) -> None:
    """In the process that is fuzzed: what is imported here is instrumented."""
    import atheris  # noqa: PLC0415 - only here, and only where there is a wheel of it

    with atheris.instrument_imports(include=["target", "exporter", "receiver", "sermon_monitor"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    atheris.Setup([name, *arguments], TARGETS[name].try_one)
    atheris.Fuzz()


def fuzz(name: str, runs: int, seconds: int, *, keep: bool, findings: Path) -> dict[str, Any]:
    """What it came to: executions, branches (edges of the instrumented code), problems."""
    with tempfile.TemporaryDirectory(prefix="sermon-fuzz-") as scratch:
        found = Path(scratch) / "corpus"
        found.mkdir()
        for number, one in enumerate(corpora.read(name)):
            (found / f"seed-{number}").write_bytes(one)
        words = [
            *(sys.executable, "-m", "tests.fuzz", "--child", name, str(found)),
            *(f"-runs={runs}", f"-max_total_time={seconds}", f"-timeout={SLOW_SECONDS}"),
            *(f"-rss_limit_mb={MOST_MIB}", "-max_len=4096", "-print_final_stats=1"),
            f"-artifact_prefix={findings}/{name}-",
        ]  # fmt: skip
        ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)  # fmt: skip
        if keep and ended.returncode == 0:
            corpora.write(name, _smallest(name, found, Path(scratch)))
    last = [*_LAST.finditer(ended.stderr)]
    done = _DONE.search(ended.stderr)
    return {
        "target": name,
        "executions": int(done[1]) if done else int(last[-1][1]) if last else 0,
        "seconds": int(done[2]) if done else None,
        "edges": int(last[-1][2]) if last else 0,
        "features": int(last[-1][3]) if last else 0,
        "rss_mib": int(last[-1][5]) if last else 0,
        "well": ended.returncode == 0,
        "words": ""
        if ended.returncode == 0
        else f"exit {ended.returncode}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}",
    }


def _smallest(name: str, found: Path, scratch: Path) -> list[bytes]:
    """Merged by libFuzzer: one input for each thing that only it reaches."""
    smaller = scratch / "smaller"
    smaller.mkdir()
    words = [
        sys.executable,
        "-m",
        "tests.fuzz",
        "--child",
        name,
        "-merge=1",
        str(smaller),
        str(found),
    ]
    subprocess.run(words, cwd=ROOT, capture_output=True, check=False, timeout=300)
    return [path.read_bytes() for path in smaller.iterdir()] + corpora.read(name)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3:])
        return
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument(
        "targets", nargs="*", choices=[*NAMES, []], metavar="TARGET", help=", ".join(NAMES)
    )
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions of each")
    parser.add_argument("--seconds", type=int, default=600, help="at most for each")
    parser.add_argument("--keep", action="store_true", help="write the corpora anew")
    parser.add_argument(
        "--findings", type=Path, default=ROOT / "build" / "fuzz", help="where what it finds is put"
    )
    given = parser.parse_args()
    given.findings.mkdir(parents=True, exist_ok=True)
    well = True
    for name in given.targets or NAMES:
        told = fuzz(name, given.runs, given.seconds, keep=given.keep, findings=given.findings)
        words = told.pop("words")
        print(json.dumps(told), flush=True)
        if not told["well"]:
            well = False
            print(words, flush=True)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
