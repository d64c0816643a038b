"""Pictures with the real library and a real Prometheus; and with a child, a Prometheus and a Discord that misbehave."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from receiver.pictures import child, studio
from receiver.pictures.child import draw
from receiver.store import pictures
from receiver.store.database import reading
from target.version_keeper import LedgerFile
from target.versions import Ledger, Release
from tests.parts.receiver_kit import Running, alert, application, body, receiver
from tests.real.daemons import Binaries, Prometheus
from tests.standins.discord import Discord
from tests.unit.test_pictures import example

RULES = """
groups:
  - name: g
    rules:
      - alert: ThingBad
        expr: sermon_thing_ratio{job="sermon-uploader"} > 0.1
        labels: {severity: critical, service: sermon-uploader}
        annotations: {description: "{{ $value | humanizePercentage }} are bad"}
"""
ROOT = Path(__file__).resolve().parents[2]
MANY = 10_000
LABELS = {"alertname": "ThingBad", "severity": "critical", "service": "sermon-uploader", "job": "sermon-uploader", "name": 'the "$1" one', "cluster": "an external label"}  # fmt: skip
BLUE = (0x5E, 0xB1, 0xFF)


@pytest.fixture(scope="module")
def prometheus(
    binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """With an hour of one series, and a minute of ten thousand others of the same name."""
    place = tmp_path_factory.mktemp("prometheus")
    now = int(time.time())
    own = [
        f'sermon_thing_ratio{{job="sermon-uploader",name="the \\"$1\\" one"}} {0.01 if at < now - 900 else 0.4} {at}'
        for at in range(now - 3600, now + 1, 15)
    ]
    others = [
        f'sermon_thing_ratio{{job="sermon-uploader",name="n{number}"}} 0.9 {now - 30}'
        for number in range(MANY)
    ]
    text = "\n".join(["# TYPE sermon_thing_ratio gauge", *own, *others, "# EOF\n"])
    (place / "openmetrics.txt").write_text(text)
    text_file, data = place / "openmetrics.txt", place / "prometheus-data"
    blocks: list[str | Path] = ["tsdb", "create-blocks-from", "openmetrics", text_file, data]
    subprocess.run([binaries.promtool, *blocks], check=True, capture_output=True)
    daemon = Prometheus(
        binaries.prometheus, place, "rule_files: [rules.yml]\n", {"rules.yml": RULES}
    )
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(studio, "LOOK_AGAIN", studio.LOOK_AGAIN / 100)
    monkeypatch.setattr(studio, "AGAIN_AFTER", studio.AGAIN_AFTER / 200)
    monkeypatch.setattr(pictures, "SETTLES", pictures.SETTLES * 0)


@pytest.fixture
async def discord() -> AsyncIterator[Discord]:
    async with Discord(rate_limit=(1000, 1.0)) as standin:
        yield standin


def firing(status: str = "firing", **changes: Any) -> dict[str, Any]:
    given = {"labels": LABELS, "annotations": {"summary": "Much is $bad$"}, **changes}
    return alert("ThingBad", status, **given)


def drawn(number: int) -> Any:
    return lambda incident: (incident["picture"] or {}).get("number") == number


def given_up(incident: dict[str, Any]) -> bool:
    return bool(incident["picture"] and incident["picture"]["state"] == "given up")


def given_up_of(number: int, incident: dict[str, Any]) -> bool:
    return incident["id"] == number and given_up(incident)


def told(number: int, discord: Discord) -> bool:
    return len(discord.messages) >= number


def pixels(png: bytes) -> tuple[Image.Image, int]:
    """The picture, and how much of it has the curve's own colour."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    return image, sum(image.getpixel((x, y)) == BLUE for x in range(image.width) for y in range(0, image.height, 4))  # fmt: skip


@pytest.mark.daemons
async def test_from_an_alert_to_its_last_picture(
    tmp_path: Path, prometheus: Prometheus, discord: Discord
) -> None:
    """The card first, the picture after it; at the end another takes its place, on the card and the board."""
    deployed(tmp_path)
    async with (
        application() as app,
        receiver(
            tmp_path,
            APP_URL=app.url,
            DISCORD_WEBHOOK_URL=discord.url,
            PROMETHEUS_URL=prometheus.url,
            TIMEZONE="Europe/Berlin",
        ) as running,
    ):
        await running.post(body(firing()))
        incident = await running.until(drawn(1), "the first picture")
        await discord.wait_until(lambda d: d.messages and d.messages[0].attachments, 60)
        card = discord.messages[0]
        assert card.versions[0].body["attachments"] == [], "the card waited for its picture"
        (file,) = card.attachments
        assert file["filename"] == "incident-1-signal-1.png"
        assert file["description"] == incident["picture"]["words"][:900]
        assert "between 1 % and 40 %" in file["description"]
        assert "fires above 10 %" in file["description"]
        assert "v2 is deployed" in file["description"]
        assert "v1" not in file["description"]
        image, curve = pixels(card.files[file["id"]])
        assert image.size == (1000, incident["picture"]["height"])
        assert curve > 100
        assert image.getpixel((2, 2)) == (0x2B, 0x2D, 0x31)
        await on_the_board(running, incident, card.files[file["id"]])

        await running.post(body(firing("resolved", endsAt="2026-03-01T02:30:00Z")))
        incident = await running.until(drawn(2), "the last picture")
        assert "the incident is over" in incident["picture"]["words"]
        await discord.wait_until(
            lambda d: (
                [a["filename"] for a in d.messages[0].attachments] == ["incident-1-signal-2.png"]
            ),
            60,
        )
        # An edit of the card keeps it, and another look draws nothing more.
        await running.post(body(firing("firing")))
        await running.until(
            lambda i: i["state"] == "open" and i["reopened"], "the incident to come back"
        )
        await discord.wait_until(lambda d: "came back" in str(d.messages[0].body), 60)
        assert [a["filename"] for a in card.attachments] == ["incident-1-signal-2.png"]


def deployed(directory: Path) -> None:
    """v1 ran when we came; v2 has taken over half an hour ago."""
    now = datetime.now(UTC)
    old, new = (
        Release("app", f"app:{tag}", f"sha256:{tag}", "", tag, "", "", now - ago)
        for tag, ago in (("v1", timedelta(minutes=50)), ("v2", timedelta(minutes=30)))
    )
    ledger = Ledger((replace(old, until=new.since), new))
    LedgerFile(directory / "state" / "versions.json").save(ledger)


async def on_the_board(running: Running, incident: dict[str, Any], png: bytes) -> None:
    status, html = await running.get("/incidents/1")
    assert status == 200
    assert '<img src="/incidents/1/picture.png?n=1" width="1000"' in html
    assert "fires above 10 %" in html
    async with running.session.get(running.url + "/incidents/1/picture.png?n=1") as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")
        assert "img-src 'self'" in answer.headers["Content-Security-Policy"]
        assert await answer.read() == png
    assert (await running.get("/incidents/2/picture.png"))[0] == 404


class Liar:
    """A Prometheus that answers whatever ``series`` says."""

    def __init__(self) -> None:
        self.url = ""
        self.series: Any = []
        self.asked = 0

    async def rules(self, _request: web.Request) -> web.Response:
        rule = {"name": "ThingBad", "query": "a > 1", "labels": None, "annotations": None}
        return web.json_response({"data": {"groups": [{"rules": [rule]}]}})

    async def query(self, _request: web.Request) -> web.Response:
        return web.json_response({"data": {"result": []}})

    async def query_range(self, _request: web.Request) -> web.Response:
        self.asked += 1
        text = self.series if isinstance(self.series, str) else json.dumps(self.series)
        return web.Response(text=text, content_type="application/json")


@asynccontextmanager
async def liar() -> AsyncIterator[Liar]:
    one, served = Liar(), web.Application()
    served.router.add_get("/api/v1/rules", one.rules)
    served.router.add_get("/api/v1/query", one.query)
    served.router.add_get("/api/v1/query_range", one.query_range)
    async with TestServer(served) as server:
        one.url = str(server.make_url("")).rstrip("/")
        yield one


def result(*series: Any) -> Any:
    return {"data": {"result": list(series)}}


LIES: dict[str, Any] = {
    "nothing": result(),
    "no JSON": "<html>",
    "no object": [1],
    "an error": {"status": "error"},
    "another's series": result({"metric": {"name": "x"}, "values": [[time.time(), "1"]]}),
    "no numbers": result(
        {"metric": {}, "values": [[time.time(), "NaN"], [time.time() - 60, "+Inf"]]}
    ),
    "too large": result({"metric": {}, "values": [[time.time(), "1e300"]]}),
    "another century": result({"metric": {}, "values": [[1e18, "1"], [-1e300, "1"]]}),
    "infinite times": '{"data":{"result":[{"metric":{},"values":[[Infinity,"1"],[NaN,"1"]]}]}}',
    "no values": result({"metric": {}}),
    "labels that are none": result({"metric": [], "values": []}),
    "values that are none": result({"metric": {}, "values": [1, 2]}),
    "too much": result(*({"metric": {}, "values": [[1, "1"]] * 100} for _ in range(1000))),
}


async def test_a_prometheus_that_lies_costs_the_picture_alone(
    tmp_path: Path, discord: Discord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio, "TRIES", 1)
    async with (
        liar() as lying,
        receiver(tmp_path, PROMETHEUS_URL=lying.url, DISCORD_WEBHOOK_URL=discord.url) as running,
    ):
        for number, (name, series) in enumerate(LIES.items(), 1):
            lying.series = series
            labels = {**LABELS, "service": f"s{number}", "name": "n"}
            status, _ = await running.post(body(firing(labels=labels, fingerprint=name)))
            assert status == 200
            incident = await running.until(partial(given_up_of, number), f"giving up: {name}")
            assert incident["picture"]["problem"], name
            assert (await running.get(f"/incidents/{number}"))[1].count(
                "No picture of the signal"
            ) == 1
        await discord.wait_until(lambda d: len({m.id for m in d.messages}) >= len(LIES), 60)
        assert all(not message.attachments for message in discord.messages)
        assert running.receiver.unready() == ""


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


async def test_a_receiver_whose_child_dies_goes_on(
    tmp_path: Path, discord: Discord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "COMMAND", python("import os; os.abort()"))
    async with (
        liar() as lying,
        receiver(tmp_path, PROMETHEUS_URL=lying.url, DISCORD_WEBHOOK_URL=discord.url) as running,
    ):
        lying.series = result({"metric": {}, "values": [[time.time() - 60, "1"]]})
        await running.post(body(firing()))
        incident = await running.until(given_up, "giving up")
        assert "ended by signal 6" in incident["picture"]["problem"]
        assert incident["picture"]["tries"] == studio.TRIES == lying.asked
        await discord.wait_until(lambda d: d.messages, 60)
        assert running.receiver.unready() == ""


async def test_a_refused_picture_leaves_card_and_evidence_alone(
    tmp_path: Path, discord: Discord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever Discord says of the file, cards go out at once, and the last picture is tried again."""
    made = tmp_path / "made.png"
    made.write_bytes((await draw(example().to_json(), tmp_path)).body)
    if os.environ.get("UPDATE_PICTURES"):
        (ROOT / "docs" / "pictures" / "signal.png").write_bytes(made.read_bytes())
    monkeypatch.setattr(child, "COMMAND", python(f"import sys; sys.stdout.buffer.write(open({str(made)!r}, 'rb').read())"))  # fmt: skip
    async with (
        liar() as lying,
        receiver(tmp_path, PROMETHEUS_URL=lying.url, DISCORD_WEBHOOK_URL=discord.url) as running,
    ):
        lying.series = result({"metric": {}, "values": [[time.time() - 60, "1"]]})
        discord.fail_next(500, method="GET", times=1000)  # what comes before an upload
        await running.post(body(firing()))
        await running.until(drawn(1), "the picture")
        for number in range(2, 6):
            began = time.monotonic()
            labels = {**LABELS, "service": f"s{number}"}
            await running.post(body(firing(labels=labels, fingerprint=f"f{number}")))
            await discord.wait_until(partial(told, number), 60)
            assert time.monotonic() - began < 20
        assert all(not message.attachments for message in discord.messages)
    with reading(tmp_path / "state" / "receiver.sqlite3") as c:
        known = pictures.of_incident(c, 1)
        assert known is not None
        assert (known.state, known.attachment_id) == ("drawn", None)
