"""Crowd processes with a planted defect in the SDK; each `crowd_that_…` module plays one."""

from collections.abc import Callable, Iterable
from uuid import UUID

from libs.client.state import Shown, Timeline
from libs.contracts.socket import Entry
from services.runner.demo.crowd import main

AFTER = 5
Spoil = Callable[[list[Shown]], list[Shown]]


def play_with(spoil: Spoil) -> None:
    """Run a crowd in which one delivery, after the first few, is spoiled by `spoil`."""
    honest = Timeline.take_entries
    calls = 0

    def take_entries(self: Timeline, conversation: UUID, entries: Iterable[Entry]) -> list[Shown]:
        nonlocal calls
        shown = honest(self, conversation, entries)
        calls += 1
        return spoil(shown) if calls == AFTER else shown

    Timeline.take_entries = take_entries  # type: ignore[method-assign]
    main()


def dropped(shown: list[Shown]) -> list[Shown]:
    return shown[1:]


def doubled(shown: list[Shown]) -> list[Shown]:
    return shown[:1] + shown


def play_swapped() -> None:
    """Run a crowd in which two deliveries of the same person in the same conversation change places."""
    honest = Timeline.take_entries
    kept: dict[Timeline, list[Shown]] = {}
    swapped = False

    def take_entries(self: Timeline, conversation: UUID, entries: Iterable[Entry]) -> list[Shown]:
        nonlocal swapped
        shown = honest(self, conversation, entries)
        if not swapped and not kept:
            kept[self] = shown
            return []
        held = kept.get(self, [])
        if held and shown and held[0].conversation == shown[0].conversation:
            swapped = True
            return shown + kept.pop(self)
        return shown

    Timeline.take_entries = take_entries  # type: ignore[method-assign]
    main()
