"""When a certificate ends, read from its DER bytes: also of one that nobody vouches for.

Python's ssl tells the fields of a certificate only when it has verified it, and one wants to know most
when it has not.
"""

from __future__ import annotations

from datetime import UTC, datetime

# Tags: X.680 and X.690 (DER); the fields in their order: RFC 5280, 4.1.
_SEQUENCE = 0x30
_VERSION = 0xA0
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
_FIELDS_BEFORE_VALIDITY = 3
"""serialNumber, signature, issuer."""


class CertificateError(ValueError):
    """The bytes are no certificate, or its end cannot be read."""


def not_after(der: bytes) -> float:
    """The end of the certificate's validity as Unix time in seconds. Raises CertificateError."""
    certificate, _ = _element(der, _SEQUENCE)
    fields, _ = _element(certificate, _SEQUENCE)
    if fields[:1] == bytes([_VERSION]):
        _, fields = _element(fields, None)
    for _ in range(_FIELDS_BEFORE_VALIDITY):
        _, fields = _element(fields, None)
    validity, _ = _element(fields, _SEQUENCE)
    _, ends = _element(validity, None)
    text, _ = _element(ends, None)
    return _time(ends[0], text)


def _element(data: bytes, tag: int | None) -> tuple[bytes, bytes]:
    """The content of the first element and what follows it. ``tag`` None: of any kind."""
    if len(data) < 2 or (tag is not None and data[0] != tag):
        raise CertificateError("not the fields of a certificate")
    length, begin = data[1], 2
    if length & 0x80:
        begin += length & 0x7F
        if not 2 < begin <= 6:  # DER has no endless form, and no certificate needs 4 GiB
            raise CertificateError("a length that no certificate has")
        length = int.from_bytes(data[2:begin], "big")
    end = begin + length
    if end > len(data):
        raise CertificateError("cut short")
    return data[begin:end], data[end:]


def _time(tag: int, text: bytes) -> float:
    """RFC 5280, 4.1.2.5: always in Zulu and with seconds; a year of two digits is 1950 to 2049."""
    if tag not in (_UTC_TIME, _GENERALIZED_TIME) or text[-1:] != b"Z" or not text[:-1].isdigit():
        raise CertificateError("an end that is no time")
    digits = text[:-1].decode("ascii")
    if tag == _UTC_TIME:
        digits = ("19" if digits >= "5" else "20") + digits
    try:
        if len(digits) != 14:
            raise CertificateError("an end that is no time")
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise CertificateError("an end that is no time") from error
