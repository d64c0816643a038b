"""Whether what waits to be told is still worth telling. Pure."""

from __future__ import annotations

from receiver.records import Message
from receiver.store.heard import RESOLVED, Heard
from receiver.store.history import History


def why_overtaken(message: Message, history: History | None, heard: Heard | None) -> str:
    """Why a message is not sent any more, in words; empty where it is. A card never is: it is rendered anew."""
    if history is None or heard is None:
        return ""
    over = history.incident.state == "resolved"
    if message.kind == "files" and heard.card_id is None:
        return "there is no card that files could be attached to"
    if message.kind == "call":
        return _call(message, heard, over=over)
    if message.kind == "note" and message.topic == RESOLVED:
        return _resolved(heard, over=over)
    return ""


def _call(message: Message, heard: Heard, *, over: bool) -> str:
    if over:
        return "a call is not made any more: the incident is over"
    later = heard.posted_at is not None and heard.posted_at > message.since
    if later and heard.posted_ring >= message.ring:
        return "a call is not made any more: the card itself came later, said the same and rang"
    return ""


def _resolved(heard: Heard, *, over: bool) -> str:
    if not over:
        return "that it is over is not told any more: it has come back"
    if not heard.wait_for_the_end:
        return "that it is over is not told apart from the card: nobody had been rung"
    return ""
