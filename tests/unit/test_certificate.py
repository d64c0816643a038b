"""The end of a certificate, from its bytes."""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from target.certificate import CertificateError, not_after

MADE = trustme.CA()


def der(ends: datetime) -> bytes:
    leaf = MADE.issue_cert("pi.example", not_after=ends)
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


@pytest.mark.parametrize("year", [2001, 2049, 2050, 2999])
def test_the_end(year: int) -> None:
    """From 2050 on the time is written in another way (RFC 5280)."""
    ends = datetime(year, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert not_after(der(ends)) == ends.timestamp()


GOOD = der(datetime(2040, 1, 1, tzinfo=UTC))


def test_one_that_is_cut_short() -> None:
    # In one test: the certificate, made anew in each process, is not always of the same length.
    for length in range(0, len(GOOD), 7):
        with pytest.raises(CertificateError):
            not_after(GOOD[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80",
        b"\x30\x85\x01\x00\x00\x00\x00",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x02\x01\x00",
        pytest.param(GOOD.replace(b"400101", b"401399"), id="no such day"),
        pytest.param(GOOD.replace(b"400101", b"4x0101"), id="no number"),
    ],
)
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(CertificateError):
        not_after(data)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(CertificateError):
        not_after(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_one_changed_byte(place: int, value: int) -> None:
    changed = GOOD[:place] + bytes([value]) + GOOD[place + 1 :]
    with contextlib.suppress(CertificateError):
        assert not_after(changed) is not None
