"""What every way out has in common: one error that carries a verdict, and what a notifier does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from receiver.records import Ring
    from receiver.telling.card import IncidentView
    from receiver.telling.note import Note


@dataclass(frozen=True)
class File:
    """What is to be attached to a message; its name is that of no other file there."""

    name: str
    content: bytes
    about: str
    """What it is, in words; for those who cannot see a picture, the picture."""
    media_type: str = "text/plain; charset=utf-8"
    replaces: tuple[str, ...] = ()
    """Names of files that it takes the place of."""


class DeliveryError(Exception):
    """A message or a command did not go out, or nobody knows whether it did.

    ``permanent``: sending the same again cannot help. ``retry_after``: seconds to wait before the
    next try, where the destination named them or its kind of refusal asks for them.
    ``ambiguous``: it may have taken effect; look it up, or accept a double, before sending again.
    ``gone``: the destination takes nothing any more until it is set up anew: keep the message.
    ``code``: the destination's own error code where it has one (Discord's), else the HTTP status.
    The words never hold a secret.
    """

    def __init__(
        self,
        words: str,
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        ambiguous: bool = False,
        gone: bool = False,
        code: int | None = None,
    ) -> None:
        super().__init__(words)
        self.words = words
        self.permanent = permanent
        self.retry_after = retry_after
        self.ambiguous = ambiguous
        self.gone = gone
        self.code = code


class Notifier(Protocol):
    """A place where people read an incident's card."""

    name: str

    async def send(self, view: IncidentView, message_id: str | None, *, ring: Ring) -> str:
        """Create the card when ``message_id`` is None, else edit it.

        Returns the id to remember: a new one where the old card is gone or can no longer be edited.
        An edit never makes a telephone ring, whatever ``ring`` says. Raises DeliveryError.
        """
        ...

    async def call(self, view: IncidentView, *, ring: Ring) -> str:
        """A short message of its own that rings beside the card. Returns its id. Raises DeliveryError."""
        ...

    async def attach(self, message_id: str, files: Sequence[File]) -> Mapping[str, str]:
        """Attach to a message those of ``files`` that are not there yet, and keep what they do not replace.

        Returns the id of each by its name. Safe to repeat. Raises DeliveryError.
        """
        ...

    async def post(self, note: Note, *, ring: Ring) -> str:
        """A message that is no card. Returns its id. Raises DeliveryError."""
        ...
