"""YAML that somebody else wrote: whatever is in it, one error in words, and soon."""

from __future__ import annotations

import time

import pytest
import yaml

from receiver.deciding.expectations import ExpectationError, parse_expectations
from receiver.deciding.policy import PolicyError, parse_policy
from receiver.github.definition import Definition
from receiver.hearing.listing import ListingError, parse_status
from target.compose_file import ComposeFileError, find_image
from target.yaml_text import YamlError, compose_yaml, parse_yaml

UNREADABLE = [
    *("{a", "a: &a [*a]", "a: 2026-13-45", "a: !!int x", "a: !!float x", "a: !!timestamp x"),
    *("a: !!bool x", "!!int ''", "!!float ''", "a: 0x_", r'a: "\UFFFFFFFF"', "a: " + "9" * 5000),
    *("? [a]\n: b", "a: *b", "- 1\n---\n- 2", "!!python/name:os.system x", "\x00", "[" * 900),
    "\n".join(["l0: &l0 [x]", *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9))]),
    "\n".join(["l0: &l0 {x: 1}", *(f"l{n}: &l{n}\n  <<: [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9))]),
]  # fmt: skip


@pytest.mark.parametrize("text", UNREADABLE, ids=[text[:24] for text in UNREADABLE])
def test_what_cannot_be_read_is_one_error_for_all_who_read(text: str) -> None:
    begun = time.thread_time()
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        with pytest.raises(YamlError) as refused:
            parse_yaml(text, loader)
        assert str(refused.value)
    with pytest.raises(PolicyError, match="not YAML"):
        parse_policy(text)
    with pytest.raises(ExpectationError, match="not YAML"):
        parse_expectations(text, "x.yml")
    with pytest.raises(ValueError, match="not YAML"):
        Definition(text)
    with pytest.raises(ComposeFileError):
        find_image(text, "app")
    with pytest.raises(ListingError):
        parse_status({"config": {"original": text}, "uptime": "2026-03-01T10:00:00Z"})
    assert time.thread_time() - begun < 10


def test_what_can_be_read() -> None:
    text = "a: &a {b: 1}\nc:\n  <<: *a\n  d: 2026-01-02\n"
    assert parse_yaml(text) == yaml.safe_load(text)
    assert parse_yaml(text.encode(), yaml.CSafeLoader) == yaml.safe_load(text)
    assert parse_yaml("") is None
    assert isinstance(compose_yaml(text), yaml.MappingNode)
    many = f"a: &a [{', '.join('x' * 100)}]\nb: [{', '.join(['*a'] * 100)}]\n"
    assert len(parse_yaml(many)["b"]) == 100
