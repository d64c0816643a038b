"""What the tests of a state have in common: every verb, looks first, the place as it was before each change."""

from __future__ import annotations

from recovery.verbs import VERBS
from tests.parts.matrix.cells import CHANGES, LOOKS, Cell, change, look
from tests.parts.matrix.page import compare
from tests.parts.matrix.place import Place


def every_verb(place: Place, state: str) -> None:
    place.arrange(state)
    found: dict[str, Cell] = {verb.name: look(place, state, verb) for verb in LOOKS}
    fresh = True
    for verb in CHANGES:
        if not fresh:
            place.arrange(state)
        if verb.name == "cleanup":
            place.litter()
        found[verb.name] = change(place, state, verb)
        fresh = found[verb.name].outcome in ("refused", "nothing", "already")
    compare(place.layout, state, [found[verb.name] for verb in VERBS])
