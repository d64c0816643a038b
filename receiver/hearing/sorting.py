"""Whose an alert is, where one receiver serves several deployments. Pure.

An alert goes to the one deployment whose ``match`` it carries, never to two: the file of deployments is
refused where that could be. What is of none goes to the default; where there is none, to the first, marked
as nobody's, so that people see it and nothing is done about it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from receiver.hearing.alertmanager import Alert, Webhook
from receiver.records import NOBODYS

DEPLOYMENT = "deployment"
"""The label that the receiver's metrics have, so that an alert about them says whom it is about."""


@dataclass(frozen=True)
class Claim:
    """What a deployment says is its own."""

    name: str
    match: Mapping[str, str]
    """Labels with the values that its alerts have, all of them."""
    default: bool = False
    """It takes what is nobody's as its own."""

    def holds(self, labels: Mapping[str, str]) -> bool:
        return bool(self.match) and all(labels.get(k) == v for k, v in self.match.items())


@dataclass(frozen=True)
class Share:
    """What of all alerts is one deployment's."""

    name: str = ""
    claims: Sequence[Claim] = ()
    """Of all deployments, in the file's order; empty: everything is its own."""

    @property
    def match(self) -> Mapping[str, str]:
        return next((one.match for one in self.claims if one.name == self.name), {})

    def has(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert is told to this deployment."""
        return not self.claims or self.name == (
            owner(self.claims, labels) or heir(self.claims).name
        )

    def take(self, alert: Alert) -> Alert | None:
        """The alert as this deployment is told of it; None where it is another's."""
        if not self.has(alert.labels):
            return None
        own = not self.claims or owner(self.claims, alert.labels) or heir(self.claims).default
        return alert if own else _marked(alert)


ALL = Share()


def owner(claims: Sequence[Claim], labels: Mapping[str, str]) -> str | None:
    """The deployment that the labels name, as those of our own metrics do; else the one whose match they carry."""
    named = labels.get(DEPLOYMENT)
    if named is not None and any(one.name == named for one in claims):
        return named
    return next((one.name for one in claims if one.holds(labels)), None)


def heir(claims: Sequence[Claim]) -> Claim:
    """Who takes what is nobody's."""
    return next((one for one in claims if one.default), claims[0])


def overlap(one: Claim, other: Claim) -> bool:
    """Whether one alert could be of both."""
    common = one.match.keys() & other.match.keys()
    apart = any(one.match[label] != other.match[label] for label in common)
    return bool(one.match and other.match) and not apart


@dataclass(frozen=True)
class Sorted:
    """A webhook, taken apart."""

    parts: Mapping[str, Webhook]
    """By the deployment that is concerned."""
    unmatched: int
    """How many of its alerts no deployment's match named; heartbeats are not among them."""


def sort(
    webhook: Webhook, shares: Sequence[Share], heartbeats: Mapping[str, Collection[str]]
) -> Sorted:
    """``heartbeats``: by deployment, the alerts that say that monitoring works: they go to all who know them."""
    parts: dict[str, list[Alert]] = {}
    unmatched = 0
    for alert in webhook.alerts:
        beats = [name for name, names in heartbeats.items() if alert.name in names]
        for name in beats:
            parts.setdefault(name, []).append(alert)
        if beats:
            continue
        unmatched += owner(shares[0].claims, alert.labels) is None
        for share in shares:
            if (mine := share.take(alert)) is not None:
                parts.setdefault(share.name, []).append(mine)
    apart = {n: webhook.model_copy(update={"alerts": alerts}) for n, alerts in parts.items()}
    return Sorted(apart, unmatched)


def _marked(alert: Alert) -> Alert:
    """With the label that keeps it apart: an incident of its own, and nothing is done."""
    return alert.model_copy(update={"labels": {**alert.labels, NOBODYS: "true"}})
