"""When the certificate of a run can be made: every store has to confirm what messaging destroyed."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from services.retention.domain.orders import Standing

RUNNER: Final = "messaging"
"""Who decides item by item, and so says how much there is to confirm."""


class Counted(StrEnum):
    """What a store confirms: items, or the data keys that had sealed them."""

    ITEMS = "items"
    KEYS = "keys"


class Store(NamedTuple):
    """A service that holds something of an item, and confirms that it is gone."""

    name: str
    counted: Counted


STORES: Final = (
    Store("ediscovery", Counted.ITEMS),
    Store("keys", Counted.KEYS),
    Store(RUNNER, Counted.ITEMS),
)
"""Every store of which a certificate speaks, in the order of their names."""


class State(StrEnum):
    """How far the certificate of a run is."""

    NONE = "none"
    """Nothing was destroyed: there is nothing to certify."""
    WAITING = "waiting"
    """A store has not confirmed yet."""
    DUE = "due"
    """All have: it is being made."""
    ISSUED = "issued"


class Lacking(NamedTuple):
    """A store that has confirmed `confirmed` of `of`; `since` is when it could have begun, or did last."""

    store: str
    confirmed: int
    of: int
    since: datetime


class CertificateStanding(NamedTuple):
    """How far the certificate of a run is, and what it waits for."""

    state: State
    lacking: tuple[Lacking, ...] = ()


def certificate_of(standing: Standing) -> CertificateStanding | None:
    """Return how far the certificate of a run is; None for what is no run, or is not over."""
    completion = standing.completions.get(RUNNER)
    if not standing.runs or completion is None:
        return None
    if standing.issued is not None:
        return CertificateStanding(State.ISSUED)
    if not completion.done.destroyed:
        return CertificateStanding(State.NONE)
    lacking = tuple(each for each in (_lacking(standing, store) for store in STORES) if each is not None)
    return CertificateStanding(State.WAITING if lacking else State.DUE, lacking)


def _lacking(standing: Standing, store: Store) -> Lacking | None:
    completion = standing.completions[RUNNER]
    confirmed = standing.confirmed.get(store.name)
    number = 0 if confirmed is None else confirmed.number
    # whatever was destroyed had been sealed under a key, whatever is said of their number
    wanted = completion.done.destroyed if store.counted is Counted.ITEMS else max(completion.done.deks, 1)
    if number >= wanted:
        return None
    return Lacking(store.name, number, wanted, completion.at if confirmed is None else confirmed.at)
