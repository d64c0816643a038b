"""Pinning an image in a compose file: only its span changes, and back again to the byte."""

from __future__ import annotations

import textwrap

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from target.compose_file import ComposeFileError, find_image, forget, pin, unpin, unquoted

DIGEST = "hub/app@sha256:" + "0f" * 32


def compose(line: str) -> str:
    return (
        f"services:\n  # ours\n  app:\n    ports: ['1:1']\n    {line}\n  db:\n    image: x:1 # db\n"
    )


@pytest.mark.parametrize(
    ("line", "pinned"),
    [
        ("image: hub/app:pi5", f"image: {DIGEST} # sermon-monitor: was hub/app:pi5"),
        ("image:   hub/app:pi5", f"image:   {DIGEST} # sermon-monitor: was hub/app:pi5"),
        (
            'image: "hub/app:${TAG:-a #b}"',
            f'image: {DIGEST} # sermon-monitor: was "hub/app:${{TAG:-a #b}}"',
        ),
        ("image: 'hub/app:pi5'", f"image: {DIGEST} # sermon-monitor: was 'hub/app:pi5'"),
        (
            "image: hub/app:pi5   # moves",
            f"image: {DIGEST} # sermon-monitor: was hub/app:pi5   # moves",
        ),
        ('"image": hub/app', f'"image": {DIGEST} # sermon-monitor: was hub/app'),
        ("image: hub/app:pi5\r", f"image: {DIGEST} # sermon-monitor: was hub/app:pi5\r"),
        (
            "image: ${REPO}/app:${TAG:?no tag}",
            f"image: {DIGEST} # sermon-monitor: was ${{REPO}}/app:${{TAG:?no tag}}",
        ),
    ],
)
def test_only_the_image_changes_and_comes_back(line: str, pinned: str) -> None:
    text = compose(line)
    done = pin(text, "app", DIGEST)
    assert done == compose(pinned)
    assert yaml.safe_load(done)["services"]["app"]["image"] == DIGEST
    assert yaml.safe_load(done)["services"]["db"]["image"] == "x:1"
    assert unpin(done, "app") == text


def test_a_second_pin_keeps_the_first_original() -> None:
    text = compose("image: hub/app:pi5 # moves")
    twice = pin(pin(text, "app", DIGEST), "app", "sermon-monitor/known-good:app-0123456789ab")
    assert "was hub/app:pi5 # moves" in twice
    assert twice.count("sermon-monitor: was") == 1
    assert unpin(twice, "app") == text


def test_unpinning_what_is_not_pinned_changes_nothing() -> None:
    text = compose("image: hub/app:pi5")
    assert unpin(text, "app") == text


def test_the_last_line_may_have_no_end() -> None:
    text = "services: \n  app: \n    image: a:1"
    assert unpin(pin(text, "app", DIGEST), "app") == text


def test_compose_files_own_tags_and_a_byte_order_mark_do_no_harm() -> None:
    text = "\ufeffservices:\n  app:\n    ports: !reset []\n    image: a:1\n"
    done = pin(text, "app", DIGEST)
    assert f"    image: {DIGEST} # sermon-monitor: was a:1\n" in done
    assert unpin(done, "app") == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no services:"),
        ("[]", "has no services:"),
        ("services: {db: {image: a}}", "has no app:"),
        ("services:\n  app:\n    build: .\n", "service app has no image:"),
        ("services:\n  app: {image: a, ports: []}\n", "line of its own"),
        ("services:\n  app:\n    image: &i a:1\n  b:\n    image: *i\n", "anchor"),
        ("services:\n  b:\n    image: &i a:1\n  app:\n    image: *i\n", "alias"),
        ("services:\n  app:\n    image: !!str a:1\n", "tag"),
        ("services:\n  app:\n    image:\n      a:1\n", "line of its key"),
        ("services:\n  app:\n    image: >-\n      a:1\n", "several lines"),
        ("services:\n  app:\n    image: [a]\n", "not a plain text"),
        ("services:\n  app:\n    image:\n", "line of its key"),
        ("services:\n\tapp: 1", "not a YAML file"),
        ("a: 1\n---\nb: 2\n", "not a YAML file"),
        ("services: \x00", "not a YAML file"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_words(text: str, words: str) -> None:
    with pytest.raises(ComposeFileError, match=words):
        pin(text, "app", DIGEST)


def test_a_merged_image_is_not_mistaken_for_ones_own() -> None:
    text = "x: &x\n  image: a:1\nservices:\n  app:\n    <<: *x\n"
    with pytest.raises(ComposeFileError, match="has no image:"):
        find_image(text, "app")


def test_what_would_not_read_back_is_not_written() -> None:
    with pytest.raises(ComposeFileError):
        pin(compose("image: a:1"), "app", "a: 1\n  b")


_words = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=30
)


@given(
    _words, st.sampled_from(["", " # moves", "  #", " # was it?"]), st.sampled_from(["\n", "\r\n"])
)
def test_any_image_line_comes_back_to_the_byte(image: str, comment: str, end: str) -> None:
    written = "'" + image.replace("'", "''") + "'"
    text = textwrap.dedent(
        f"""\
        services:
          app:
            image: {written}{comment}
            restart: always
        """
    ).replace("\n", end)
    done = pin(text, "app", DIGEST)
    assert yaml.safe_load(done)["services"]["app"] == {"image": DIGEST, "restart": "always"}
    assert unpin(done, "app") == text


@pytest.mark.parametrize(
    ("written", "value"),
    [("a:1", "a:1"), ("'a:1'", "a:1"), ('"a:${T}"', "a:${T}"), ("[", "["), ("", "")],
)
def test_a_scalar_is_unquoted(written: str, value: str) -> None:
    assert unquoted(written) == value


def test_the_note_of_a_pin_can_go_without_its_image() -> None:
    text = "services:\n  app:\n    image: hub/app:new # sermon-monitor: was hub/app:old  # ours\n"
    assert forget(text, "app") == "services:\n  app:\n    image: hub/app:new  # ours\n"
    assert forget(forget(text, "app"), "app") == forget(text, "app")
