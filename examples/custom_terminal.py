"""A terminal of one's own: a metronome that tells its call about every beat.

An installed package offers it to every program with two lines in its pyproject.toml, and a program
that asks for `terminals.load_plugins()` has it:

    [project.entry-points."ipconf.terminals"]
    metronome = "custom_terminal:METRONOME"
"""

import asyncio
from dataclasses import dataclass

import numpy as np

from ipconf import (
    CallSettings,
    CaptureTerminal,
    Direction,
    LoopbackTsp,
    MediaServiceProvider,
    MediaType,
    TerminalClass,
    TerminalEvent,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat(TerminalEvent):
    """A click was sent; `number` counts them."""

    number: int


class Metronome(CaptureTerminal):
    """Clicks twice a second."""

    blocks = 0

    def read(self, now: float) -> np.ndarray:
        """The next 20 ms: every 25th time a click, else silence."""
        block = np.zeros((960, 1), np.int16)
        if self.blocks % 25 == 0:
            block[:96] = 8000
            self.post(Beat, number=self.blocks // 25 + 1)
        self.blocks += 1
        return block


METRONOME = TerminalClass(
    name="metronome",
    media_types=frozenset({MediaType.AUDIO}),
    directions=frozenset({Direction.CAPTURE}),
    make=lambda media_type, direction: Metronome("metronome", media_type, direction),
)


async def main() -> None:
    """Send it from one provider to another and print the first three beats."""
    here = CallSettings(ice_addresses=["127.0.0.1"])
    alice, bob = MediaServiceProvider(settings=here), MediaServiceProvider(settings=here)
    async with alice, bob, LoopbackTsp(alice, bob) as tsp:
        alice.terminals.register(METRONOME)
        metronome = alice.terminals.create("metronome", MediaType.AUDIO, Direction.CAPTURE)
        pair = call, _ = tsp.pair({MediaType.AUDIO})
        beats = call.events(Beat)
        call.stream(MediaType.AUDIO, Direction.CAPTURE).select_terminal(metronome)
        await tsp.connect(pair=pair)
        async for beat in beats:
            print(f"{beat.terminal.name}: beat {beat.number}")
            if beat.number == 3:
                break


if __name__ == "__main__":
    asyncio.run(main())
