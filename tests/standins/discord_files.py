"""What Discord takes as attachments. Pure.

Source: discord-api-docs, reference, "Uploading Files": every part ``files[n]`` has its entry in
``attachments`` with ``id`` n; since API v10 the list holds all that the message is to keep. A listed
attachment that is no longer there is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.standins.discord_problems import Problems

MOST_UPLOADED = 10 * 1024 * 1024
MOST_FILES = 10
MOST_DESCRIPTION = 1024


def check_attachments(
    listed: Any,
    files: Mapping[str, tuple[str, bytes]],
    there: Mapping[str, Mapping[str, Any]],
    problems: Problems,
) -> list[dict[str, Any]]:
    """The attachments that the message has then; an uploaded one has ``content`` and no id yet."""
    numbers = {}
    for part in files:
        match = re.fullmatch(r"files\[(\d{1,2})\]", part)
        if match:
            numbers[match[1]] = part
        else:
            problems.add((part,), "BASE_TYPE_BAD", f"Not a part that is known: {part}")
    kept: list[dict[str, Any]] = []
    for index, one in enumerate(listed if isinstance(listed, list) else []):
        number = str(one.get("id", "")) if isinstance(one, dict) else ""
        if number in numbers:
            kept.append(_upload(one, *files[numbers.pop(number)], index, problems))
        elif number in there:
            kept.append(dict(there[number]))
        elif not number.isdecimal() or len(number) < 15:
            words = "Attachment data not found"
            problems.add(("attachments", str(index)), "ATTACHMENT_NOT_FOUND", words)
    for number in numbers:  # uploaded without an entry: appended under its own name
        kept.append(_upload({}, *files[numbers[number]], len(kept), problems))
    if len(kept) > MOST_FILES:
        problems.add(("attachments",), "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    return kept


def _upload(
    entry: Mapping[str, Any], name: str, content: bytes, index: int, problems: Problems
) -> dict[str, Any]:
    name = str(entry.get("filename") or name)
    about = str(entry.get("description") or "")
    place = ("attachments", str(index))
    if not re.fullmatch(
        r"[A-Za-z0-9_.-]{1,260}", name
    ):  # others Discord renames: we shall not rely on it
        problems.add((*place, "filename"), "STRING_TYPE_REGEX", f"{name!r} would be renamed")
    if len(about) > MOST_DESCRIPTION:
        problems.add((*place, "description"), "BASE_TYPE_MAX_LENGTH", "Must be 1024 or fewer.")
    return {
        "id": "",
        "filename": name,
        "size": len(content),
        "description": about,
        "content": content,
    }
