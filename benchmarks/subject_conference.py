"""A process to measure: the hub of the load generator, whose listeners may hear mixes of their own.

`python -m benchmarks.subject_conference [--uvloop]`; see `ipconf.load.hub`.
"""

from __future__ import annotations

from ipconf.load.hub import Hub

from .children import serve

PLAIN_LEGS = 2
"""The first one talks, the second one hears it as it is."""
GAIN_STEP = 0.01


class Conference(Hub):
    """The first leg is heard by each but the second at a loudness of its own, if asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.commands = {**self.commands, "spread": self.spread}

    async def spread(self) -> None:
        """Give each listener but the second leg a mix that nobody else hears."""
        legs = [self.conference.leg_of(call) for call in self._calls]
        for number, listener in enumerate(legs[PLAIN_LEGS:], 1):
            self.conference.set_gain(1 - number * GAIN_STEP, legs[0], listener)


if __name__ == "__main__":
    serve(lambda: Conference().commands)
