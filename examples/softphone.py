"""A softphone: it rings, answers, plays a tone, records the far end and tells who is there.

Two of them in one process. Bob is busy the first time that Alice calls, and answers the second.
"""

import asyncio

from ipconf import (
    Call,
    CallSettings,
    Direction,
    FileRecorder,
    Identity,
    IpconfError,
    MediaServiceProvider,
    MediaType,
    SocketTsp,
    ToneTerminal,
)
from ipconf.errors import CallDeclinedError
from ipconf.events import NewParticipant

HERE = "127.0.0.1"
RING_S = 0.3
TALK_S = 1.0


class Softphone:
    """Takes one call at a time, and makes them."""

    def __init__(self, name: str, hz: float) -> None:
        self.name, self.hz, self.busy = name, hz, False
        self.msp = MediaServiceProvider(Identity(name=name), CallSettings(ice_addresses=[HERE]))
        self.tsp = SocketTsp(self.msp, self.ring)
        self.recorder = FileRecorder(f"{name}.wav")

    async def ring(self, call: Call) -> None:
        """Somebody calls: returning answers the call, the error declines it."""
        if self.busy:
            raise CallDeclinedError(f"{self.name} is busy")
        print(f"{self.name}: it rings")
        await asyncio.sleep(RING_S)  # cancelled if the caller hangs up meanwhile
        self.pick_up(call)

    def pick_up(self, call: Call) -> None:
        """Send a tone, record what comes."""
        audio = MediaType.AUDIO
        call.stream(audio, Direction.CAPTURE).select_terminal(ToneTerminal(self.hz))
        call.stream(audio, Direction.RENDER).select_terminal(self.recorder.audio)

    async def call(self, port: int) -> None:
        """Call whoever listens there, and hang up after a while."""
        async with await self.tsp.dial(HERE, port, {MediaType.AUDIO}) as call:
            people = call.events(NewParticipant)
            self.pick_up(call)
            try:
                await call.wait_connected()
            except IpconfError as error:
                print(f"{self.name}: {error}")
                return
            await anext(people)
            print(f"{self.name}: {call.participants[0].name} is there")
            await asyncio.sleep(TALK_S)


async def main() -> None:
    """Let Alice call Bob twice."""
    alice, bob = Softphone("Alice", 440), Softphone("Bob", 660)
    async with alice.msp, bob.msp, alice.tsp, bob.tsp, alice.recorder, bob.recorder:
        port = await bob.tsp.listen(HERE)
        bob.busy = True
        await alice.call(port)
        bob.busy = False
        await alice.call(port)
    for phone in (alice, bob):
        print(f"{phone.name}: {phone.recorder.path} is complete: {phone.recorder.error is None}")


if __name__ == "__main__":
    asyncio.run(main())
