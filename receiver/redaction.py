"""Takes secrets out of text of unknown origin, line by line. Pure.

What is hidden: private keys (by state, because a key has many lines), credentials in URLs and headers,
the values of what is called password, token, secret or key, the known forms of tokens, and every text
that the caller knows to be secret. Too much hidden is a nuisance; too little is a leak.

Every expression looks at a place once, without one repetition inside another, so that a line costs time
in proportion to its length; a line is cut before it is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "[redacted]"
LONGEST_LINE = 4096
"""Characters of a line that are looked at; what follows is dropped."""
LONGEST_KEY = 200
"""Lines after the beginning of a private key in which its end is waited for."""
_SHORTEST_KNOWN = 6  # a shorter text would be found where it is none

_SENSITIVE = (
    r"(?:password|passwd|passphrase|passcode|pwd|secret|token|credential|signature"
    r"|api[_-]?key|access[_-]?key|private[_-]?key|encryption[_-]?key|signing[_-]?key|auth[_-]?key"
    r"|session[_-]?id|webhook[_-]?url)"
)
SECRET_NAME = re.compile(rf"(?i){_SENSITIVE}|(?:^|_)(?:key|pass|auth|dsn|cookie)(?:$|_)")
"""Names of settings whose values are secret."""
_VALUE = r"""(?:\\{0,3}"[^"]*|'[^']*|[^\s&]+)"""
_SEPARATOR = r"""\\{0,3}["'`]?\s{0,3}(?:=>|[:=])\s{0,3}"""
_WEBHOOK_URL = r"(?i)(/api(?:/v\d{1,2})?/webhooks/\d{1,20}/)[\w-]{8,}"
_PATTERNS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?i)((?:authorization|cookie)[\"']?\s{0,3}[:=]).*", rf"\1 {MASK}"),
        (r"(?i)\b(bearer|basic)\s{1,3}[\w.~+/=-]{6,}", rf"\1 {MASK}"),
        (_WEBHOOK_URL, rf"\1{MASK}"),
        (r"(?i)(hooks\.slack\.com/services/)[\w/-]{8,}", rf"\1{MASK}"),
        (r"(://)[^\s\"'<>]{1,300}@", rf"\1{MASK}@"),
        (rf"(?i)({_SENSITIVE}[\w.-]{{0,40}}{_SEPARATOR}){_VALUE}", rf"\1{MASK}"),
        (rf"(?i)((?<=[-_]){_SENSITIVE}[\w-]{{0,20}}\s{{1,3}})[^\s-]\S*", rf"\1{MASK}"),
        (rf"(?i)({_SENSITIVE}\s{{1,3}})(?:\"[^\"]*|'[^']*)", rf"\1{MASK}"),
        (rf"(?i)(\b(?:pass|pw|key[_-]?id|sig){_SEPARATOR}){_VALUE}", rf"\1{MASK}"),
        (rf"(?i)({_SENSITIVE}\s{{1,3}}(?:is|was)\s{{1,3}})\S+", rf"\1{MASK}"),
        (r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{15,}|dckr_pat_[\w-]{15,})", MASK),
        (r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bxox[abeprs]-[\w-]{10,}|\bsk-[\w-]{20,}", MASK),
        (r"\beyJ[\w-]{8,}\.[\w-]{8,}[\w.-]*", MASK),
        (r"\b[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}", MASK),
    )
)
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=]{1,80}|[A-Z][A-Za-z-]{2,30}: .*")
_ONLY_BASE64 = re.compile(r"[A-Za-z0-9+/]{60,}={0,2}")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]{0,20}[@-~]")


class Redactor:
    """Fed with the lines of one text in their order. ``known``: texts that are secret wherever they stand."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        worth = {text for text in known if len(text) >= _SHORTEST_KNOWN}
        self.known = tuple(sorted(worth, key=len, reverse=True))
        self._key_lines = 0
        """How many more lines may belong to a private key."""

    def line(self, text: str) -> str:
        """One line, without control characters and secrets."""
        cut = text[:LONGEST_LINE]
        if len(text) > LONGEST_LINE:  # the last word may be half of a secret
            cut = cut[: max(cut.rfind(" "), LONGEST_LINE - 512)] + " …"
        shown = "".join(c if c.isprintable() else " " for c in _ESCAPES.sub("", cut))
        for secret in self.known:
            shown = shown.replace(secret, MASK)
        shown = self._without_keys(shown)
        for pattern, replacement in _PATTERNS:
            shown = pattern.sub(replacement, shown)
        return shown

    def _without_keys(self, text: str) -> str:
        begins = _KEY_BEGINS.search(text)
        if begins:
            ends = _KEY_ENDS.search(text, begins.end())
            self._key_lines = 0 if ends else LONGEST_KEY
            return f"{text[: begins.start()]}{MASK}{text[ends.end() :] if ends else ''}"
        bare = text.strip()
        if self._key_lines:
            self._key_lines -= 1
            if ends := _KEY_ENDS.search(text):
                self._key_lines = 0
                return f"{MASK}{text[ends.end() :]}"
            if _KEY_BODY.fullmatch(bare):
                return MASK
        # Another line in between must not show the rest of a key.
        return MASK if _ONLY_BASE64.fullmatch(bare) else text
