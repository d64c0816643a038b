"""The one line that a bad setting costs: its name, its value, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo


def setting_problem(error: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    """One of pydantic's errors in our words; ``fields`` by their names in capitals. Shows no secret."""
    if not error["loc"]:
        return _words(error, None)
    name = str(error["loc"][0]).upper()
    # A URL's password, which may hold a slash, and its query.
    shown = re.sub(r"//.*@", "//…@", repr(error.get("input")))
    shown = re.sub(r"(://[^?]*)\?.*", r"\1?…'", shown)[:80]
    if "SecretStr" in str(fields[name].annotation):
        shown = "(hidden)"
    return f"{name}={shown}: {_words(error, fields[name])}"


def _words(error: Mapping[str, Any], field: FieldInfo | None) -> str:
    """The error types are those of https://docs.pydantic.dev/latest/errors/validation_errors/."""
    context = error.get("ctx") or {}
    match error["type"]:
        case "bool_parsing":
            allowed = "true or false"
        case "int_parsing" | "int_parsing_size":
            allowed = f"a whole number{_range(field)}"
        case "greater_than_equal" | "less_than_equal":
            allowed = f"a number{_range(field)}"
        case "string_too_long":
            allowed = f"up to {context['max_length']} characters"
        case "string_pattern_mismatch":
            allowed = f"what matches {context['pattern']}"
        case "literal_error":
            allowed = context["expected"]
        case _:
            return str(error["msg"]).removeprefix("Value error, ")
    return f"allowed: {allowed}"


def _range(field: FieldInfo | None) -> str:
    """The field's own bounds, both of them, whichever was passed."""
    bounds = {
        name: getattr(one, name)
        for one in (field.metadata if field else ())
        for name in ("ge", "le")
        if hasattr(one, name)
    }
    if bounds.keys() == {"ge", "le"}:
        return f" from {bounds['ge']} to {bounds['le']}"
    return "".join(
        f", {name} {bounds[key]}"
        for key, name in (("ge", "at least"), ("le", "at most"))
        if key in bounds
    )
