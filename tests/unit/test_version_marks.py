"""What a person, or a label, says of a version; and how a version is named."""

from __future__ import annotations

import pytest

from target.versions import (
    Ledger,
    bad_revisions,
    condemn,
    irreversible_since,
    mark,
    matching,
    observe,
    same_commit,
)
from tests.unit.test_versions import APP, at, facts, proved


def names(ledger: Ledger, wanted: str) -> list[str]:
    return [release.image_id for release in matching(ledger, APP, wanted)]


def three() -> Ledger:
    """v1 and v2 proved good, v3 runs; each has a commit and a registry digest."""
    ledger = Ledger()
    for minute, name in ((0, "a1"), (100, "b2"), (200, "c3")):
        more = {
            "image_id": f"sha256:{name * 32}",
            "revision": name * 20,
            "digest": f"r/app@sha256:{name * 32}",
            "version": f"1.{name[1]}",
        }
        if name == "c3":
            return observe(ledger, APP, facts(name, **more), at(minute))
        ledger = proved(ledger, name, minute, **more)
    return ledger


@pytest.mark.parametrize(
    "wanted",
    ["a1", "1.1", "a1a1a1a", "A1A1A1A1", "a1" * 20, "a1" * 32, f"sha256:{'a1' * 32}", f"r/app@sha256:{'a1' * 32}", "app:a1", "1.1 (a1a1a1a)"],
)  # fmt: skip
def test_a_version_is_named_in_any_way(wanted: str) -> None:
    assert names(three(), wanted) == [f"sha256:{'a1' * 32}"]


@pytest.mark.parametrize("wanted", ["", "a", "a1a1a1", "nothing", "z" * 8, ".*"])
def test_what_names_no_version(wanted: str) -> None:
    assert names(three(), wanted) == []


def test_two_images_of_one_tag_are_two() -> None:
    ledger = three()
    ledger = observe(ledger, APP, facts("a1", image_id="sha256:other"), at(300))
    assert names(ledger, "a1") == ["sha256:other", f"sha256:{'a1' * 32}"]


def test_a_mark_is_on_every_release_of_the_image() -> None:
    first = three().releases[0]
    ledger = observe(three(), APP, facts("a1", image_id=first.image_id), at(300))
    marked = mark(ledger, APP, first.image_id, irreversible=True, verdict="bad")
    assert [r.irreversible for r in marked.releases] == [True, False, False, True]
    assert [r.verdict for r in marked.releases] == ["bad", "good", "unknown", "bad"]
    assert mark(ledger, "other", first.image_id, irreversible=True) == ledger
    cleared = mark(marked, APP, first.image_id, irreversible=False)
    assert [r.verdict for r in cleared.releases] == ["bad", "good", "unknown", "bad"]
    assert not any(r.irreversible for r in cleared.releases)


@pytest.mark.parametrize(
    ("marked", "back_to", "barred"),
    [
        ((), 0, None),
        ((2,), 1, 2),
        ((2,), 0, 2),
        ((1,), 1, None),  # it reads its own data
        ((1,), 0, 1),  # one in between has written what the oldest cannot read
        ((0,), 0, None),
        ((0, 1), 1, None),
    ],
)
def test_no_version_older_than_an_irreversible_one_follows_it(
    marked: tuple[int, ...], back_to: int, barred: int | None
) -> None:
    ledger = three()
    images = [release.image_id for release in ledger.releases]
    revisions = [release.revision for release in ledger.releases]
    for number in marked:
        ledger = mark(ledger, APP, images[number], irreversible=True)
    for found in (
        irreversible_since(ledger, APP, images[back_to]),
        irreversible_since(ledger, APP, "", revisions[back_to][:7]),
    ):
        assert (found.image_id if found else None) == (None if barred is None else images[barred])


def test_a_version_that_the_ledger_has_never_seen_is_older_than_all() -> None:
    ledger = mark(three(), APP, three().releases[0].image_id, irreversible=True)
    assert irreversible_since(ledger, APP, "", "9" * 40) is not None
    assert irreversible_since(three(), APP, "", "9" * 40) is None


def test_the_label_counts_until_a_person_says_otherwise() -> None:
    labelled = facts("v2", irreversible=True)
    ledger = observe(proved(Ledger(), "v1", 0), APP, labelled, at(60))
    assert ledger.releases[-1].irreversible
    ledger = mark(ledger, APP, labelled.image_id, irreversible=False)
    for minute, name in ((90, "v1"), (120, "v2")):
        again = labelled if name == "v2" else facts(name)
        ledger = observe(ledger, APP, again, at(minute))
    assert not ledger.releases[-1].irreversible


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1f0c9aa", "1f0c9aab" * 5, True),
        ("1F0C9AAB" * 5, "1f0c9aa", True),
        ("1f0c9a", "1f0c9aab" * 5, False),
        ("", "", False),
        ("", "1f0c9aa", False),
        ("1f0c9aa", "2f0c9aa", False),
    ],
)
def test_commits_may_be_shortened(one: str, other: str, same: bool) -> None:
    assert same_commit(one, other) == same


def test_bad_commits_are_those_whose_last_verdict_is_bad() -> None:
    ledger = condemn(three(), APP, three().releases[1].image_id)
    assert bad_revisions(ledger, APP) == (three().releases[1].revision,)
    assert bad_revisions(ledger, "other") == ()
