"""Signed links: a token is good for one approval and one time, and nobody else can make one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from receiver.approving.links import Link, Links
from receiver.notifiers.buttons import components, reachable
from receiver.signing import Signer
from receiver.telling.card import ApprovalLine
from tests.unit.test_gates import approval

NIGHT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
LINKS = Links(Signer(b"k" * 32), "https://monitor.example/here")
ASKED = approval("asked", id=7, expires_at=NIGHT)


def test_a_token_says_what_it_is_good_for() -> None:
    token = LINKS.token(ASKED)
    assert LINKS.read(token) == Link(7, NIGHT)
    assert LINKS.url(ASKED) == f"https://monitor.example/here/approve/{token}"
    assert Links(Signer(b"k" * 32), "").url(ASKED) == ""
    assert "kkkk" not in repr(LINKS)


@pytest.mark.parametrize(
    "other",
    [
        Links(Signer(b"l" * 32), "").token(ASKED),
        LINKS.token(approval("asked", id=8, expires_at=NIGHT)).replace("8.", "7.", 1),
        LINKS.token(ASKED).replace(".177", ".178", 1),
        LINKS.token(ASKED)[:-1],
        LINKS.token(ASKED) + "A",
        LINKS.token(ASKED) + "\n",
        " " + LINKS.token(ASKED),
        "0" + LINKS.token(ASKED),
        LINKS.token(ASKED).replace("7.", "\u0667.", 1),
        LINKS.stamp(LINKS.token(ASKED), NIGHT),
        "",
        "..",
        "7.1772330400.",
        "7" * 4000,
    ],
)
def test_what_we_have_not_signed_is_none(other: str) -> None:
    assert LINKS.read(other) is None


def test_a_page_is_of_one_link_and_has_an_age() -> None:
    token, later = LINKS.token(ASKED), NIGHT + timedelta(minutes=3)
    stamp = LINKS.stamp(token, NIGHT)
    assert LINKS.page_age(token, stamp, later) == timedelta(minutes=3)
    other = LINKS.token(approval("asked", id=8, expires_at=NIGHT))
    assert LINKS.page_age(other, stamp, later) is None
    made, mac = stamp.split(".")
    for wrong in (f"{int(made) + 1}.{mac}", mac, "", f"{made}.{token.split('.')[2]}"):
        assert LINKS.page_age(token, wrong, later) is None


@pytest.mark.parametrize(
    ("url", "fit"),
    [
        ("https://monitor.example/approve/x", True),
        ("http://192.168.1.4:5001/approve/x", True),
        ("http://localhost:5001/approve/x", False),
        ("http://127.0.0.1:5001/approve/x", False),
        ("http://pi:5001/approve/x", False),
        ("", False),
    ],
)
def test_a_button_leads_somewhere(url: str, fit: bool) -> None:
    assert reachable(url) is fit
    shown = components([ApprovalLine("Rollback to v1", url)])
    assert bool(shown) is fit


def test_buttons_keep_discords_limits() -> None:
    lines = [ApprovalLine("x" * 200, f"https://m.example/approve/{n}") for n in range(9)]
    (row,) = components([*lines, ApprovalLine("long", "https://m.example/" + "y" * 500)])
    assert [one["url"][-1] for one in row["components"]] == ["8", "7", "6", "5", "4"]
    assert all(len(one["label"]) <= 80 for one in row["components"])
    assert all("custom_id" not in one for one in row["components"])
