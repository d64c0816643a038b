"""Which addresses are taken for a Discord webhook."""

from __future__ import annotations

import pytest

from receiver.webhook_url import validate_webhook_url

TOKEN = "s3cret-T_oken"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            f"https://discord.com/api/webhooks/1/{TOKEN}",
            f"https://discord.com/api/v10/webhooks/1/{TOKEN}",
        ),
        (
            f"https://discord.com:443/api/v9/webhooks/1/{TOKEN}/",
            f"https://discord.com/api/v10/webhooks/1/{TOKEN}",
        ),
        (
            f"https://ptb.discord.com/api/webhooks/1/{TOKEN}",
            f"https://ptb.discord.com/api/v10/webhooks/1/{TOKEN}",
        ),
        (
            f"https://discordapp.com/api/webhooks/1/{TOKEN}?thread_id=9",
            f"https://discordapp.com/api/v10/webhooks/1/{TOKEN}?thread_id=9",
        ),
        (
            f"http://127.0.0.1:8080/api/webhooks/1/{TOKEN}",
            f"http://127.0.0.1:8080/api/webhooks/1/{TOKEN}",
        ),
        (
            f"http://[::1]:80/api/v10/webhooks/1/{TOKEN}",
            f"http://[::1]:80/api/v10/webhooks/1/{TOKEN}",
        ),
    ],
)
def test_a_webhook_url_as_it_is_used(url: str, expected: str) -> None:
    assert validate_webhook_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        f"http://discord.com/api/webhooks/1/{TOKEN}",
        f"https://discord.com.evil.example/api/webhooks/1/{TOKEN}",
        f"https://discord.com@evil.example/api/webhooks/1/{TOKEN}",
        f"https://evil.example/api/webhooks/1/{TOKEN}",
        f"https://discord.com:8443/api/webhooks/1/{TOKEN}",
        f"https://discord.com/api/webhooks/x/{TOKEN}",
        f"https://discord.com/api/webhooks/1/{TOKEN}/messages/5",
        f"https://discord.com/api/webhooks/1/{TOKEN}?wait=false",
        f"https://discord.com/api/webhooks/1/{TOKEN}#x",
        f"http://127.0.0.1:port/api/webhooks/1/{TOKEN}",
        f"http://127.0.0.1.evil.example/api/webhooks/1/{TOKEN}",
        "https://discord.com/api/webhooks/1/",
        "",
    ],
)
def test_any_other_url_is_refused_without_the_token(url: str) -> None:
    with pytest.raises(ValueError, match="allowed: https://discord") as caught:
        validate_webhook_url(url)
    assert TOKEN not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
