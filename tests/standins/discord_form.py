"""What Discord accepts as a message: its limits and the words of its refusals. Pure.

Sources: discord-api-docs, resources/message (embed limits, allowed mentions) and resources/webhook.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from tests.standins.discord_problems import Problems

EMBEDS_PER_MESSAGE = 10
EMBED_TOTAL = 6000
CONTENT = 2000
FLAGS_EDITABLE = 4 | 32768
"""SUPPRESS_EMBEDS and IS_COMPONENTS_V2."""
FLAG_SILENT = 4096
FLAG_COMPONENTS_V2 = 32768
_MENTION_TYPES = ("users", "roles", "everyone")


def utf16_length(text: str) -> int:
    """Length in UTF-16 code units, the strictest reading of the documented "characters"."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def check_message(body: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """The message as Discord would store it: trimmed, unknown keys dropped. Refusals go to ``problems``."""
    message: dict[str, Any] = {}
    if "content" in body:
        message["content"] = _text(body["content"], CONTENT, ("content",), problems) or ""
    if "embeds" in body:
        message["embeds"] = _embeds(body["embeds"], problems)
    if "components" in body:
        message["components"] = _components(body["components"], problems)
    if "flags" in body:
        message["flags"] = _integer(body["flags"] or 0, 0, 2**31, ("flags",), problems) or 0
    if body.get("allowed_mentions") is not None:
        _allowed_mentions(body["allowed_mentions"], problems)
    if body.get("username") is not None:
        message["username"] = _username(body["username"], problems)
    if message.get("flags", 0) & FLAG_COMPONENTS_V2 and (body.get("content") or body.get("embeds")):
        problems.add(
            ("flags",),
            "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
            "The 'content' and 'embeds' fields cannot be used when using MessageFlags.IS_COMPONENTS_V2",
        )
    return message


def is_empty(message: Mapping[str, Any]) -> bool:
    return not any(message.get(part) for part in ("content", "embeds", "components", "attachments"))


def _text(value: Any, limit: int, path: tuple[str, ...], problems: Problems) -> str | None:
    """An optional string, trimmed; numbers are taken as their text, as Discord does."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        problems.add(path, "STRING_TYPE_CONVERT", f'Could not interpret "{value}" as string.')
        return None
    text = str(value).strip()
    if utf16_length(text) > limit:
        problems.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")
    return text


def _required(value: Any, limit: int, path: tuple[str, ...], problems: Problems) -> str:
    text = _text(value, limit, path, problems)
    if text is None or text == "":
        problems.add(path, "BASE_TYPE_REQUIRED", "This field is required")
    return text or ""


def _integer(
    value: Any, low: int, high: int, path: tuple[str, ...], problems: Problems
) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        problems.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
        return None
    if value > high:
        problems.add(path, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {high}.")
    if value < low:
        problems.add(
            path, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {low}."
        )
    return value


def _url(value: Any, limit: int, path: tuple[str, ...], problems: Problems) -> str | None:
    text = _text(value, limit, path, problems)
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        problems.add(
            path,
            "URL_TYPE_INVALID_SCHEME",
            f"Scheme \"{parts.scheme}\" is not supported. Scheme must be one of ('http', 'https').",
        )
    elif not parts.hostname or re.search(r"\s", text):
        problems.add(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")
    return text


def _list(value: Any, limit: int, path: tuple[str, ...], problems: Problems) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        problems.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return []
    if len(value) > limit:
        problems.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")
    return value


def _object(value: Any, path: tuple[str, ...], problems: Problems) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.add(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return {}
    return value


def _embeds(value: Any, problems: Problems) -> list[dict[str, Any]]:
    embeds = []
    for index, raw in enumerate(_list(value, EMBEDS_PER_MESSAGE, ("embeds",), problems)):
        path = ("embeds", str(index))
        embed = _embed(_object(raw, path, problems), path, problems)
        if embed:
            embeds.append({"type": "rich", **embed})
    if sum(map(_embed_size, embeds)) > EMBED_TOTAL:
        problems.add(
            ("embeds",),
            "MAX_EMBED_SIZE_EXCEEDED",
            f"Embed size exceeds maximum size of {EMBED_TOTAL}",
        )
    return embeds


def _embed(raw: Mapping[str, Any], path: tuple[str, ...], problems: Problems) -> dict[str, Any]:
    """One embed; keys without a value are dropped, so that {} means that nothing would be shown."""
    embed: dict[str, Any] = {
        "title": _text(raw.get("title"), 256, (*path, "title"), problems),
        "description": _text(raw.get("description"), 4096, (*path, "description"), problems),
        "fields": _fields(raw.get("fields"), (*path, "fields"), problems),
    }
    for part, key, limit in (("footer", "text", 2048), ("author", "name", 256)):
        inner = _object(raw.get(part), (*path, part), problems)
        if inner:
            embed[part] = {
                **inner,
                key: _required(inner.get(key), limit, (*path, part, key), problems),
            }
    for part in ("image", "thumbnail"):
        inner = _object(raw.get(part), (*path, part), problems)
        if inner:
            embed[part] = {"url": _url(inner.get("url"), 2048, (*path, part, "url"), problems)}
    embed = {key: value for key, value in embed.items() if value}
    decoration = {
        "url": _url(raw.get("url"), 2048, (*path, "url"), problems),
        "color": _integer(raw.get("color"), 0, 16_777_215, (*path, "color"), problems),
        "timestamp": _timestamp(raw.get("timestamp"), (*path, "timestamp"), problems),
    }
    return embed | {k: v for k, v in decoration.items() if v is not None} if embed else {}


def _fields(value: Any, path: tuple[str, ...], problems: Problems) -> list[dict[str, Any]]:
    fields = []
    for index, raw in enumerate(_list(value, 25, path, problems)):
        place = (*path, str(index))
        item = _object(raw, place, problems)
        fields.append(
            {
                "name": _required(item.get("name"), 256, (*place, "name"), problems),
                "value": _required(item.get("value"), 1024, (*place, "value"), problems),
                "inline": bool(item.get("inline", False)),
            }
        )
    return fields


def _embed_size(embed: Mapping[str, Any]) -> int:
    texts = [embed.get("title"), embed.get("description")]
    texts += [embed.get("footer", {}).get("text"), embed.get("author", {}).get("name")]
    for item in embed.get("fields", ()):
        texts += [item["name"], item["value"]]
    return sum(utf16_length(text) for text in texts if text)


def _timestamp(value: Any, path: tuple[str, ...], problems: Problems) -> str | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(str(value)).isoformat()
    except ValueError:
        problems.add(path, "DATE_TIME_TYPE_PARSE", f"Could not parse {value}. Should be ISO8601.")
        return None


def _username(value: Any, problems: Problems) -> str:
    name = _text(value, 80, ("username",), problems) or ""
    for word in ("clyde", "discord"):
        if word in name.lower():
            problems.add(
                ("username",), "USERNAME_INVALID_CONTAINS", f'Username cannot contain "{word}"'
            )
    return name


def _components(value: Any, problems: Problems) -> list[dict[str, Any]]:
    """Action rows of link buttons: all that a webhook without an application may send."""
    rows = []
    for index, raw in enumerate(_list(value, 5, ("components",), problems)):
        path = ("components", str(index))
        row = _object(raw, path, problems)
        if row.get("type") != 1:
            problems.add((*path, "type"), "BASE_TYPE_CHOICES", "Value must be one of (1,).")
        buttons = _list(row.get("components"), 5, (*path, "components"), problems)
        if not buttons:
            problems.add(
                (*path, "components"), "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length."
            )
        for place, button in enumerate(buttons):
            where = (*path, "components", str(place))
            _button(_object(button, where, problems), where, problems)
        rows.append(row)
    return rows


def _button(button: Mapping[str, Any], path: tuple[str, ...], problems: Problems) -> None:
    if button.get("type") != 2 or button.get("style") != 5 or "custom_id" in button:
        problems.add(
            path,
            "COMPONENT_TYPE_INVALID",
            "Only link buttons (type 2, style 5, no custom_id) may be sent by this webhook.",
        )
    if not _url(button.get("url"), 512, (*path, "url"), problems):
        problems.add((*path, "url"), "BASE_TYPE_REQUIRED", "This field is required")
    if not button.get("emoji"):
        _required(button.get("label"), 80, (*path, "label"), problems)


def _allowed_mentions(value: Any, problems: Problems) -> None:
    path = ("allowed_mentions",)
    allowed = _object(value, path, problems)
    parse = _list(allowed.get("parse"), 3, (*path, "parse"), problems)
    for index, kind in enumerate(parse):
        if kind not in _MENTION_TYPES:
            problems.add(
                (*path, "parse", str(index)),
                "BASE_TYPE_CHOICES",
                f"Value must be one of {_MENTION_TYPES}.",
            )
    for kind in ("users", "roles"):
        ids = _list(allowed.get(kind), 100, (*path, kind), problems)
        for index, one in enumerate(ids):
            if not re.fullmatch(r"\d{1,20}", str(one)):
                problems.add(
                    (*path, kind, str(index)),
                    "NUMBER_TYPE_COERCE",
                    f'Value "{one}" is not snowflake.',
                )
        if ids and kind in parse:
            problems.add(
                path,
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.',
            )
