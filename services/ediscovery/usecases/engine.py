"""Whether the search engine answers: everything else here waits for it, and goes on by itself."""

from dataclasses import dataclass
from typing import NamedTuple

from services.ediscovery.domain.errors import IndexUnavailable
from services.ediscovery.ports.engine import Engine, EngineSigns


class EngineState(NamedTuple):
    """Whether the engine answers, and what it says of itself or why it does not."""

    answers: bool
    said: str


@dataclass(frozen=True, slots=True)
class WatchEngine:
    """Asks the engine now and then, shows what it finds, and tells who asks."""

    engine: Engine
    signs: EngineSigns

    async def __call__(self) -> EngineState:
        """Ask now."""
        try:
            state = EngineState(answers=True, said=await self.engine.state())
        except IndexUnavailable as error:
            state = EngineState(answers=False, said=error.reason)
        self.signs.engine(None if state.answers else state.said)
        return state
