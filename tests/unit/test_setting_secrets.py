"""A setting that is refused is shown, but nothing of it that may be a secret."""

from __future__ import annotations

import re

import pytest

from tests.unit.test_settings import problem


@pytest.mark.parametrize(
    "url",
    ["http://h/?S3CR3T=1", "http://u:S3/CR3T@h/", "http://u:S3CR3T@h/?S3CR3T", "http://a@S3CR3T@h"],
)
@pytest.mark.parametrize("name", ["PROMETHEUS_URL", "APP_URL", "HEARTBEAT_URL"])
def test_what_may_be_a_secret_in_a_url_is_not_shown(name: str, url: str) -> None:
    if (name, url) == ("HEARTBEAT_URL", "http://h/?S3CR3T=1"):
        return  # there it is allowed
    said = problem({name: url})
    assert said.startswith(f"{name}=")
    assert not {"S3", "CR3T"} & set(re.findall(r"S3|CR3T", said))
