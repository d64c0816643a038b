"""``python -m tests.fuzz [TARGET…] [--runs N] [--seconds N] [--keep]``: atheris on every parser, one after the other.

Each runs in a process of its own: a finding ends that one, and stands where the output says. ``--keep``
adds what takes other branches to the corpora.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.fuzz import corpora
from tests.fuzz.measures import MOST_GROWTH, PACKAGES, Watched, branches, needed
from tests.fuzz.mutation import mutator

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in corpora.CORPUS.glob("*.txt"))
TIMEOUT_SECONDS, MOST_MIB = 60, 1024
"""By the clock on the wall, for what never ends: how slow an execution may be, measures.py says."""
_LAST = re.compile(
    r"^#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+).*?exec/s: (\d+) rss: (\d+)Mb", re.MULTILINE
)
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")


def child(name: str, told: str, arguments: list[str]) -> None:
    """In the process that is fuzzed: what is imported here is instrumented."""
    import atheris  # noqa: PLC0415 - only here, and only where there is a wheel of it

    with atheris.instrument_imports(include=list(PACKAGES)):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    target = TARGETS[name]
    changing = {}
    if target.json_at is not None:

        def of_bytes(data: bytes, most: int) -> bytes:
            """Atheris puts its own in place of this name only when it begins."""
            changed: bytes = atheris.Mutate(data, most)
            return changed

        changing["custom_mutator"] = mutator(target.json_at, of_bytes)
    atheris.Setup([name, *arguments], Watched(target.try_one, Path(told)), **changing)
    atheris.Fuzz()


def look(name: str, found: Path, scratch: Path, keep: bool) -> None:
    """In a process of its own, without atheris: branches of the whole corpus, and what is worth to be kept."""
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    run = TARGETS[name].try_one
    inputs = [path.read_bytes() for path in sorted(found.iterdir())]
    (scratch / "looked").write_text(json.dumps(asdict(branches(run, inputs, scratch))))
    if keep:
        known = corpora.read(name)
        corpora.write(name, [*known, *needed(run, known, inputs)])


def fuzz(name: str, runs: int, seconds: int, *, keep: bool, findings: Path) -> dict[str, Any]:
    """What it came to: executions, branches, problems. ``edges`` are of the bytecode, as libFuzzer sees it."""
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - not before atheris in its own process

    with tempfile.TemporaryDirectory(prefix="sermon-fuzz-") as directory:
        scratch = Path(directory)
        found, told, words = scratch / "corpus", scratch / "told", scratch / "words"
        found.mkdir()
        for number, one in enumerate(corpora.read(name)):
            (found / f"seed-{number}").write_bytes(one)
        known = [f'"{_escaped(word)}"\n' for word in TARGETS[name].words]
        words.write_text("".join(known))
        ended = _child(
            *("--child", name, str(told), str(found)),
            *(f"-runs={runs}", f"-max_total_time={seconds}", f"-timeout={TIMEOUT_SECONDS}"),
            *(f"-rss_limit_mb={MOST_MIB}", f"-max_len={TARGETS[name].longest}"),
            *(f"-artifact_prefix={findings}/{name}-", "-print_final_stats=1"),
            *([f"-dict={words}"] if known else []),
        )
        looked = _child("--look", name, str(found), str(scratch), *(["keep"] if keep else []))
        branched = json.loads((scratch / "looked").read_text()) if looked.returncode == 0 else {}
        measured = json.loads(told.read_text()) if told.exists() else {}
    last = [*_LAST.finditer(ended.stderr)]
    done = _DONE.search(ended.stderr)
    grown = measured.get("growth_blocks", 0) > MOST_GROWTH
    well = ended.returncode == looked.returncode == 0 and not grown
    return {
        "target": name,
        "executions": int(done[1]) if done else int(last[-1][1]) if last else 0,
        "seconds": int(done[2]) if done else None,
        "branches": f"{branched.get('taken')} of {branched.get('all')}",
        "edges": int(last[-1][2]) if last else 0,
        "rss_mib": int(last[-1][5]) if last else 0,
        **measured,
        "corpus": len(corpora.read(name)),
        "well": well,
        "missed": branched.get("missed", []),
        "words": "" if well else f"{_end(ended)}{_end(looked)}{'it grows' if grown else ''}",
    }


def _child(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _end(ended: subprocess.CompletedProcess[str]) -> str:
    return f"exit {ended.returncode}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}\n"


def _escaped(word: str) -> str:
    """As libFuzzer's dictionaries have it."""
    return "".join(f"\\x{byte:02X}" for byte in word.encode())


def main() -> None:
    match sys.argv[1:2]:
        case ["--child"]:
            child(sys.argv[2], sys.argv[3], sys.argv[4:])
            return
        case ["--look"]:
            look(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), keep="keep" in sys.argv[5:])
            return
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument(
        "targets", nargs="*", choices=[*NAMES, []], metavar="TARGET", help=", ".join(NAMES)
    )
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions of each")
    parser.add_argument("--seconds", type=int, default=1800, help="at most for each")
    parser.add_argument("--keep", action="store_true", help="add to the corpora")
    parser.add_argument("--missed", action="store_true", help="say which branches were never taken")
    parser.add_argument(
        "--findings", type=Path, default=ROOT / "build" / "fuzz", help="where what it finds is put"
    )
    given = parser.parse_args()
    given.findings.mkdir(parents=True, exist_ok=True)
    well = True
    for name in given.targets or NAMES:
        told = fuzz(name, given.runs, given.seconds, keep=given.keep, findings=given.findings)
        words, missed = told.pop("words"), told.pop("missed")
        print(json.dumps(told), flush=True)
        if given.missed:
            print(*missed, sep="\n", flush=True)
        if not told["well"]:
            well = False
            print(words, flush=True)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
