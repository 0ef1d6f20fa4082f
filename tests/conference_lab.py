"""A conference of parties that each say a tone of their own, and what each hears of the others."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import numpy as np
from memory_calls import MemoryProvider, Plug
from peers import eventually
from senses import AUDIO, CAPTURE, RENDER

from ipconf import (
    Call,
    CallSettings,
    Conference,
    Identity,
    LoopbackTsp,
    MediaServiceProvider,
    ToneTerminal,
)
from ipconf.hub.call_legs import CallLeg
from ipconf.model import AUDIO_RATE_HZ
from ipconf.terminals.base import RenderTerminal, Samples

FIRST_HZ, STEP_HZ = 400, 170
"""The tones of the parties; no one is a harmonic of another."""
TONE_DBOV = -20.0
LOUDNESS_DB = 1.5
"""So close to what it should be must a tone come."""
ABSENT_DB = 40.0
"""So far below a party's tone is what counts as not there."""
WINDOW_BLOCKS = 15
"""0.3 s."""


class Ear(RenderTerminal):
    """Keeps the latest 0.3 s."""

    def __init__(self) -> None:
        super().__init__("ear", AUDIO, RENDER)
        self.blocks: deque[Samples] = deque(maxlen=WINDOW_BLOCKS)

    def write(self, media: object, at: float) -> None:
        assert isinstance(media, np.ndarray)
        self.blocks.append(media)

    def levels(self, tones: Iterable[float]) -> dict[float, float]:
        """How loud each of these tones was of late, in dBov; -127 for what is not there."""
        if len(self.blocks) < WINDOW_BLOCKS:
            return dict.fromkeys(tones, -127.0)
        channels = min(block.shape[1] for block in self.blocks)
        sound = np.concatenate([block[:, :channels] for block in self.blocks]).astype(float)
        window = np.hanning(len(sound))[:, np.newaxis]
        spectra = np.abs(np.fft.rfft(sound * window, AUDIO_RATE_HZ, axis=0)) / window.sum()
        found = {}
        for hz in tones:
            peak = spectra[round(hz) - 8 : round(hz) + 9].max()
            found[hz] = float(20 * np.log10(max(peak * np.sqrt(2) / 32768, 1e-6)))
        return found


class Party:
    """Somebody far away: a provider with a call into the conference."""

    def __init__(self, name: str, hz: float, provider: MediaServiceProvider) -> None:
        self.name = name
        self.hz = hz
        self.provider = provider
        self.ear = Ear()
        self.call: Call
        self.leg: CallLeg

    @property
    def knows(self) -> set[str]:
        """The names of the people that this party finds in its call, but for the mixer's own."""
        return {person.name for person in self.call.participants} - {"Hub"}


class Meeting:
    """A conference, its hub, and everybody who is on the phone with it."""

    def __init__(self, hub: MediaServiceProvider, conference: Conference) -> None:
        self.hub = hub
        self.conference = conference
        self.parties: dict[str, Party] = {}

    def __getitem__(self, name: str) -> Party:
        return self.parties[name]

    def heard_by(self, name: str, but_for: Iterable[str] = ()) -> dict[str, float]:
        """How loud a party hears everybody, in dB over the tone as it was said."""
        tones = {party.hz: party.name for party in self.parties.values()}
        levels = self.parties[name].ear.levels(tones)
        return {tones[hz]: level - TONE_DBOV for hz, level in levels.items()}

    async def hears(self, name: str, truth: Mapping[str, float] | Iterable[str]) -> None:
        """Return when a party hears exactly these, as loud as they are or so many dB louder."""
        gains = dict(truth) if isinstance(truth, Mapping) else dict.fromkeys(truth, 0.0)

        def right() -> bool:
            heard = self.heard_by(name)
            return all(
                abs(heard[other] - gains[other]) < LOUDNESS_DB
                if other in gains
                else heard[other] < -ABSENT_DB
                for other in self.parties
            )

        try:
            await eventually(right)
        except AssertionError:
            heard = {k: round(v, 1) for k, v in self.heard_by(name).items()}
            raise AssertionError(f"{name} hears {heard} instead of {gains}") from None

    async def hear_each_other(self, names: Iterable[str] | None = None) -> None:
        """Return when each of these hears all the others of them, and nobody else."""
        group = set(self.parties if names is None else names)
        for name in group:
            await self.hears(name, group - {name})


@asynccontextmanager
async def meeting(
    names: str, settings: CallSettings | None = None, **others: CallSettings
) -> AsyncIterator[Meeting]:
    """These parties, one letter each, are in a conference; in memory unless there are settings.

    `others` are the settings of single parties.
    """
    board: dict[int, Plug] = {}
    free = count(2, 2)

    def provider(name: str, chosen: CallSettings | None) -> MediaServiceProvider:
        if chosen is None:
            return MemoryProvider(name, board, free)
        return MediaServiceProvider(Identity(name=name), chosen)

    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(provider("Hub", settings))
        conference = await stack.enter_async_context(hub.create_conference("test"))
        found = Meeting(hub, conference)
        for number, name in enumerate(names):
            chosen = others.get(name, settings)
            party = Party(name, FIRST_HZ + STEP_HZ * number, provider(name, chosen))
            await stack.enter_async_context(party.provider)
            await join(stack, found, party)
        yield found


async def join(stack: AsyncExitStack, there: Meeting, party: Party) -> None:
    """A party comes with a call of its own."""
    tsp = await stack.enter_async_context(LoopbackTsp(party.provider, there.hub))
    party.call, far = tsp.pair({AUDIO})
    party.call.stream(AUDIO, CAPTURE).select_terminal(ToneTerminal(frequency_hz=party.hz))
    party.call.stream(AUDIO, RENDER).select_terminal(party.ear)
    party.leg = there.conference.add(far)
    there.parties[party.name] = party
    await tsp.connect(pair=(party.call, far))
