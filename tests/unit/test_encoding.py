"""Who gets gzip, and that it is gzip; who gets OpenMetrics."""

from __future__ import annotations

import gzip

import pytest

from exporter.encoding import OPENMETRICS_TYPE as OM
from exporter.encoding import compress, gzip_wanted, openmetrics_wanted


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


@pytest.mark.parametrize(
    "header",
    [
        OM,
        OM.upper(),
        f"{OM};version=1.0.0",
        f'{OM}; Version="1.0.0"; charset=utf-8',
        f"{OM};version=1.0.0;q=0.5, text/plain;version=0.0.4;q=0.3, */*;q=0.1",
        f"text/plain;q=0.2,{OM};q=0.2",
        f"{OM};q=0, {OM};version=1.0.0;q=0.001",
        f"{OM};version=12.1",
        f"text/plain;q=0,{OM};q=0.1",
        f"text/plain;q=x,{OM};q=0.1",
    ],
)
def test_openmetrics(header: str) -> None:
    assert openmetrics_wanted(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "*/*",
        "application/*",
        "text/plain",
        f"{OM};q=0",
        f"{OM};version=1.0.0;q=0.000",
        f"{OM};q=0,*/*",
        f"{OM};q=0.2,text/plain;q=0.3",
        f"{OM};q=0.9,text/plain",
        f"{OM};version=0.0.1",
        f"{OM};version=",
        f"{OM};version=1.x",
        f"{OM};q=2",
        f"{OM};q=",
        f"{OM};q=1e0",
        f"{OM}x",
        ",;,=;q" * 2000,
        "x" * 2000 + f",{OM}",
    ],
)
def test_no_openmetrics(header: str) -> None:
    assert not openmetrics_wanted(header)


@pytest.mark.parametrize("body", [b"", b"x", b'up{a="b"} 1\n' * 100_000])
def test_it_is_gzip(body: bytes) -> None:
    assert gzip.decompress(compress(body)) == body
