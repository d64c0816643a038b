"""Where no destination is configured: the card goes to the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from receiver.records import Ring
from receiver.telling.card import IncidentView, compose
from receiver.telling.delivery import File
from receiver.telling.note import Note


class Dry:
    """Logs each card instead of sending it."""

    name = "dry"

    def __init__(self) -> None:
        self._log = structlog.get_logger("receiver.dry")

    async def send(self, view: IncidentView, message_id: str | None, *, ring: Ring) -> str:
        """Never fails; the id is that of the incident."""
        card = compose(view)
        fields = [f"{name}:\n{value}" for name, value in card.fields]
        text = "\n".join([card.title, card.description, *fields, card.footer])
        verb = "card_created" if message_id is None else "card_edited"
        self._log.info(verb, incident=view.id, ring=ring.name.lower(), card=text)
        return message_id or f"dry-{view.id}"

    async def call(self, view: IncidentView, *, ring: Ring) -> str:
        """Never fails."""
        self._log.info(
            "person_called", incident=view.id, ring=ring.name.lower(), call=compose(view).call
        )
        return f"dry-call-{view.id}"

    async def attach(self, message_id: str, files: Sequence[File]) -> Mapping[str, str]:
        """Never fails."""
        self._log.info("files_attached", message_id=message_id, files=[one.name for one in files])
        return {one.name: f"dry-{one.name}" for one in files}

    async def post(self, note: Note, *, ring: Ring) -> str:
        """Never fails."""
        fields = [f"{field.name}:\n{field.value}" for field in note.fields]
        text = "\n".join(filter(None, [note.title, note.text, *fields]))
        self._log.info("note_posted", ring=ring.name.lower(), note=text)
        return "dry-note"
