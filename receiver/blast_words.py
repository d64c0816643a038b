"""What a step would stop, restart or delete, and for how long: for whoever is to approve it. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def rollback(containers: Sequence[str]) -> str:
    return (
        f"{_and(containers)} is stopped and started with the other image: one to three minutes without"
        " the application, and uploads under way break off. MinIO and its data stay as they are."
    )


def restart(containers: Sequence[str]) -> str:
    return f"{_and(containers)} is restarted: up to a minute; uploads under way break off."


def _and(names: Sequence[str]) -> str:
    if not names:
        return "the application"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
