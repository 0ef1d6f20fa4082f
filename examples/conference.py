"""A conference in one process: Ann, Bob and Cho call a hub, over ICE and DTLS-SRTP.

Each says a tone; the program looks for the tones in what each of them hears, mutes one for all, and
lets a program join without any network.
"""

import asyncio
from contextlib import AsyncExitStack

import numpy as np

from ipconf import (
    CallSettings,
    Direction,
    Identity,
    LoopbackTsp,
    MediaServiceProvider,
    MediaStreamTerminal,
    MediaType,
    ToneTerminal,
)
from ipconf.terminals.memory import MediaStreamRender

AUDIO = MediaType.AUDIO
HERE = CallSettings(ice_addresses=["127.0.0.1"])
TONES = {"Ann": 440, "Bob": 660, "Cho": 880, "Robot": 1100}


async def heard_by(ear: MediaStreamRender, names: set[str]) -> str:
    """Wait until exactly these are heard; who they are."""
    async with asyncio.timeout(10):
        while True:
            sound = np.concatenate([await ear.read() for _ in range(10)])[:, 0]
            spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 48_000))
            found = {name for name, hz in TONES.items() if spectrum[hz] > spectrum.max() / 4}
            if found == names and spectrum.max() > 1e5:
                return " and ".join(sorted(found))


async def main() -> None:
    """Let them meet."""
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(MediaServiceProvider(Identity(name="Hub"), HERE))
        conference = await stack.enter_async_context(hub.create_conference("Choir"))
        ears, legs = {}, {}
        for name in ("Ann", "Bob", "Cho"):
            phone = await stack.enter_async_context(MediaServiceProvider(Identity(name=name), HERE))
            tsp = await stack.enter_async_context(LoopbackTsp(phone, hub))
            call, at_hub = tsp.pair({AUDIO})
            call.stream(AUDIO, Direction.CAPTURE).select_terminal(ToneTerminal(TONES[name]))
            ears[name] = MediaStreamTerminal(AUDIO, Direction.RENDER)
            call.stream(AUDIO, Direction.RENDER).select_terminal(ears[name])
            legs[name] = conference.add(at_hub)
            await tsp.connect(pair=(call, at_hub))
        for name, ear in ears.items():
            print(f"{name} hears {await heard_by(ear, set(ears) - {name})}")
        conference.mute(legs["Ann"])
        print("Ann is muted: Bob hears", await heard_by(ears["Bob"], {"Cho"}))
        robot = conference.add_local("Robot", ToneTerminal(TONES["Robot"]))
        print("A robot joins: Bob hears", await heard_by(ears["Bob"], {"Cho", "Robot"}))
        await conference.remove(robot)
        print("It has left: Bob hears", await heard_by(ears["Bob"], {"Cho"}))


if __name__ == "__main__":
    asyncio.run(main())
