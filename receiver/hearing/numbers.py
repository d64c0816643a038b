"""A whole number as JSON has it: 5 and 5.0; ``true`` and ``"5"``, which pydantic takes too, are none."""

from __future__ import annotations

from typing import Any

from pydantic import BeforeValidator


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("allowed: a whole number")  # noqa: TRY004 - pydantic collects ValueError
    return value


WHOLE = BeforeValidator(_whole)
"""Behind the bounds of an ``Annotated[int, …]``, or they would not stand in its JSON Schema."""
