"""Who gets gzip, and that it is gzip."""

from __future__ import annotations

import gzip

import pytest

from exporter.encoding import compress, gzip_wanted


@pytest.mark.parametrize(
    "header",
    [
        "gzip",
        "GZIP",
        "x-gzip",
        "deflate, gzip",
        "gzip, deflate, br",
        "br;q=0.9,gzip;q=0.1",
        "gzip;q=1",
        "gzip ; Q=0.001",
        "gzip;q=1.000",
        " gzip ",
    ],
)
def test_wanted(header: str) -> None:
    assert gzip_wanted(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "identity",
        "gzip;q=0",
        "gzip;q=0.",
        "gzip;q=0.000",
        "gzip;q = 0",
        "deflate, gzip;q=0",
        "gzip;q=",
        "gzip;q=x",
        "gzip;q=-1",
        "gzip;q=2",
        "gzip;level=9",
        "gzipx",
        "\x00gzip",
        ";q=1",
        "," * 8000,
        "x" * 2000 + ",gzip",
        "gzip;q=" + "0" * 5000 + "1",
    ],
)
def test_not_wanted(header: str) -> None:
    assert not gzip_wanted(header)


@pytest.mark.parametrize("body", [b"", b"x", b'up{a="b"} 1\n' * 100_000])
def test_it_is_gzip(body: bytes) -> None:
    assert gzip.decompress(compress(body)) == body
