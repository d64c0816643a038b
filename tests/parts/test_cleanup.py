"""A full disk: what goes by itself, what a person must approve, and what never goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from receiver.deciding.policy import PolicyError, parse_policy
from receiver.garbage import size
from target.engine import Image
from target.version_keeper import LedgerFile
from target.versions import Ledger, facts_of, judge, observe
from tests.parts.acting_engine import ActingEngine
from tests.parts.approval_kit import fetch, press, scene, stamp
from tests.parts.receiver_kit import alert, body, ended, policy_text

NOW = datetime.now(UTC)
OLD, YOUNG = (int((NOW - timedelta(days=days)).timestamp()) for days in (90, 3))
FULL = {"alertname": "Full", "severity": "critical", "service": "app", "mountpoint": "/"}
REPOSITORY = "ghcr.io/church/sermon-uploader"


def number(digit: str) -> str:
    return f"sha256:{digit * 64}"


def image(digit: str, *tags: str, made: int = OLD) -> dict[str, Any]:
    return {"Id": number(digit), "RepoTags": list(tags), "RepoDigests": [], "Size": 5 << 20, "SharedSize": -1, "Created": made, "Containers": -1}  # fmt: skip


def stock(engine: ActingEngine, state: Path) -> None:
    """v9 runs, v8 was good; the rest is of all kinds."""
    engine.containers["a" * 64]["Image"] = number("9")
    engine.containers["a" * 64]["Config"]["Image"] = f"{REPOSITORY}:v9"
    engine.cache_bytes = 3 << 30
    engine.images = [
        image("9", f"{REPOSITORY}:v9"),
        image("8", f"{REPOSITORY}:v8", "sermon-monitor/known-good:app-8"),
        image("5", f"{REPOSITORY}:v5"),
        image("4", f"{REPOSITORY}:v4"),
        image("3", f"{REPOSITORY}:v3", made=YOUNG),
        image("d", "<none>:<none>"),
        image("e"),
        image("f", "postgres:15"),
        image("7", "sermon-monitor/known-good:app-7"),
    ]
    ledger, began = Ledger(), NOW - timedelta(days=60)
    for digit, good in (("8", True), ("9", False)):
        tag = f"{REPOSITORY}:v{digit}"
        facts = facts_of(tag, Image(number(digit), (tag,), (), "", ""))
        for hours in (0, 1):
            ledger = observe(ledger, "sermon-uploader", facts, began)
            now = began + timedelta(hours=hours)
            ledger = judge(ledger, "sermon-uploader", good, now, timedelta(minutes=15))
        began += timedelta(days=1)
    state.mkdir(exist_ok=True)
    LedgerFile(state / "versions.json").save(ledger)


def cleanups(incident: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {s["target"]: s for s in incident["steps"] if s["action"] == "cleanup"}


async def test_what_can_be_made_again_goes_and_the_rest_is_asked(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        stock(it.engine, tmp_path / "state")
        url = await it.asked(alert("Full", labels=FULL))
        assert sorted(it.engine.done) == ["prune build cache", f"remove {number('d')}", f"remove {number('e')}"]  # fmt: skip
        incident = await it.running.until(lambda i: cleanups(i)["safe"]["state"] == "done", "it")
        words = cleanups(incident)["safe"]["words"]
        assert (
            "removed 3.0 GiB of build cache and 2 images (up to 10.0 MiB) without a name" in words
        )
        assert "; /etc had " in words
        _, html, _ = await fetch(it, url)
        assert "2 unused versions of the application" in html
        for tag in ("v5", "v4"):
            assert f"{REPOSITORY}:{tag}" in html
        for kept in (f"{REPOSITORY}:v9", f"{REPOSITORY}:v8", f"{REPOSITORY}:v3", "postgres"):
            assert kept not in html
        it.engine.done.clear()
        # A third one has become unused meanwhile: it is not what was approved.
        it.engine.images.append(image("6", f"{REPOSITORY}:v6"))
        assert (await press(it, url, stamp(html)))[0] == 200
        await it.told(lambda d: it.url != url)
        assert it.engine.done == []
        _, html, _ = await fetch(it, it.url)
        assert "3 unused versions" in html
        # One of them is started before it is done: it stays.
        assert (await press(it, it.url, stamp(html)))[0] == 200
        incident = await it.running.until(lambda i: cleanups(i)["images"]["state"] == "done", "it")
        assert sorted(it.engine.done) == [f"remove {number(d)}" for d in "456"]
        assert {one["Id"] for one in it.engine.images} == {number(d) for d in "98f73"}
        assert "3 images (up to 15.0 MiB) of old versions" in cleanups(incident)["images"]["words"]


async def test_no_means_that_named_images_stay(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        stock(it.engine, tmp_path / "state")
        url = await it.asked(alert("Full", labels=FULL))
        _, html, _ = await fetch(it, url)
        await press(it, url, stamp(html), "deny")
        await it.running.until(lambda i: cleanups(i)["images"]["state"] == "refused", "the end")
        assert {one["Id"] for one in it.engine.images} == {number(d) for d in "98543f7"}


@pytest.mark.parametrize("ledger", ["none", "broken"])
async def test_without_a_ledger_no_named_image_is_proposed(tmp_path: Path, ledger: str) -> None:
    async with scene(tmp_path) as it:
        stock(it.engine, tmp_path / "state")
        path = tmp_path / "state" / "versions.json"
        path.unlink() if ledger == "none" else path.write_text("{")
        await it.running.post(body(alert("Full", labels=FULL)))
        incident = await it.running.until(
            lambda i: cleanups(i)["images"]["state"] == "refused", "the refusal"
        )
        words = cleanups(incident)["images"]["words"]
        assert words == "no unused version of the application is older than 30d"
        assert incident["approvals"] == []


async def test_another_disk_is_full(tmp_path: Path) -> None:
    """Deleting images gives no room there; /proc stands for a disk of its own."""
    async with scene(tmp_path) as it:
        stock(it.engine, tmp_path / "state")
        await it.running.post(body(alert("Full", labels={**FULL, "mountpoint": "/proc"})))
        incident = await it.running.until(ended("cleanup", "refused"), "the refusal")
        await it.running.until(lambda i: ended("person", "done")(i) or len(i["steps"]) > 2, "call")
        assert "/proc is full, and Docker's images are on another disk" in str(incident["steps"])
        assert it.engine.done == []


async def test_in_a_dry_run_nothing_goes_and_nobody_is_asked(tmp_path: Path) -> None:
    async with scene(tmp_path, DRY_RUN="true") as it:
        stock(it.engine, tmp_path / "state")
        await it.running.post(body(alert("Full", labels=FULL)))
        incident = await it.running.until(
            lambda i: all(s["state"] == "refused" for s in cleanups(i).values()), "the refusals"
        )
        assert it.engine.done == []
        assert incident["approvals"] == []


def test_named_images_must_be_asked_for() -> None:
    row = "\n  - {alert: A, severity: critical, discord: now, steps: [cleanup images @0m]}\n"
    with pytest.raises(PolicyError, match="must be asked for: ask cleanup images @0m"):
        parse_policy(policy_text(row))


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1 << 20, "1.0 MiB"), (3 << 30, "3.0 GiB"), (1 << 50, "1024.0 TiB")],
)  # fmt: skip
def test_sizes(count: int, words: str) -> None:
    assert size(count) == words
