"""Whether growth explains a shortage: a table, and the question as it is put to Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from receiver.deciding.growth import _EACH, _WHOLE, Shares, explain, look
from receiver.http import Http, open_session

APPS = frozenset({"app"})
DAY = timedelta(days=1)
NIGHT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("used", "now", "before", "after", "explained", "words"),
    [
        (95, {"app": 60}, {"app": 20}, {"app": 22}, True, "takes 40 % of the memory more"),
        (95, {"app": 60}, {}, {"app": 22}, True, "without that 57 % would be in use"),
        # Heavy from the start: the version before it was lighter.
        (95, {"app": 60}, {"app": 20}, {"app": 58}, True, "takes 40 %"),
        (98, {"app": 30}, {"app": 25}, {"app": 25}, False, "it is not the cause"),
        (95, {"app": 40, "minio": 50}, {"app": 30, "minio": 5}, {}, False, "minio has grown most"),
        (95, {"app": 10}, {"app": 30}, {"app": 30}, False, "it is not the cause"),
        (95, {"app": 60}, {}, {}, None, "does not know how much"),
        (95, {"minio": 60}, {"minio": 2}, {}, None, "does not know how much"),
        (95, {}, {}, {}, None, "does not know how much"),
        (91, {"app": 31}, {"app": 30}, {"app": 30}, True, "without that 90 %"),
    ],
)
def test_growth(
    used: float,
    now: Mapping[str, float],
    before: Mapping[str, float],
    after: Mapping[str, float],
    explained: bool | None,
    words: str,
) -> None:
    said = explain(Shares(used, now, before, after), APPS, "memory", 90, DAY)
    assert (said.explained, words in said.words) == (explained, True), said


@pytest.mark.parametrize(
    ("url", "deployed", "words"),
    [
        (None, NIGHT - DAY, "PROMETHEUS_URL is not set"),
        ("http://127.0.0.1:9", None, "the ledger does not know"),
        ("http://127.0.0.1:9", NIGHT + DAY, "the ledger does not know"),
        ("http://127.0.0.1:9", NIGHT - DAY, "could not be asked about growth"),
    ],
)
async def test_what_cannot_be_asked_is_not_proposed(
    url: str | None, deployed: datetime | None, words: str
) -> None:
    async with open_session() as session:
        said = await look(Http(session), url, "cpu", APPS, deployed, 95, NIGHT)
    assert (said.explained, words in said.words) == (None, True), said


def test_the_questions_are_about_this_job_alone() -> None:
    for text in (*_WHOLE.values(), *_EACH.values()):
        assert text.count("{") == text.count('{job="sermon-uploader"')
