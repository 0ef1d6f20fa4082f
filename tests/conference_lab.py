"""A conference of parties that each say a tone of their own, and what each hears of the others."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import numpy as np
from memory_calls import MemoryProvider, Plug
from numpy.typing import NDArray
from peers import _bounded, _threads, eventually, open_sockets
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
from ipconf.tsp_data import Connect

FIRST_HZ, STEP_HZ = 400, 170
"""The tones of the parties; no one is a harmonic of another."""
TONE_DBOV = -20.0
LOUDNESS_DB = 1.5
"""So close to what it should be must a tone come."""
ABSENT_DB = 40.0
"""So far below a party's tone is what counts as not there."""
WINDOW_BLOCKS = 15
"""0.3 s."""
SECOND_BLOCKS = 50
SECOND_DB, SECOND_ABSENT_DB = 2.0, 30.0
"""The same for a whole second, as power around a tone: it may have a gap and a joint."""
AROUND_HZ = 40
"""What belongs to a tone whose phase has jumped."""
SECONDS = 4
"""Of so many one must be right: on a busy machine there are gaps, which says nothing."""

DELIVERY_S = 0.0005
"""So long a datagram may be on its way within this machine."""

Truth = Mapping[str, float] | Iterable[str]
"""Who is heard: as loud as they are, or so many dB louder."""


class PatientSelector(selectors.DefaultSelector):
    """Waits hardly at all, and adds up for how long it should have."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        brief = None if timeout is None else min(timeout, DELIVERY_S)
        ready = super().select(brief)
        if not ready and timeout is not None:
            self.waited_s += max(timeout, 0.0)
        return ready


class PatientLoop(asyncio.SelectorEventLoop):
    """A loop for which time passes only while it has nothing to do.

    So no tick is ever late, however busy the machine is, and nobody waits for a pause to end. Its
    sockets are real ones; what they carry within this machine takes no time.
    """

    def __init__(self) -> None:
        self._patient = PatientSelector()
        super().__init__(self._patient)

    def time(self) -> float:
        return self._patient.waited_s


def patiently(
    limit_s: float = 60.0,
) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Callable[..., None]]:
    """As `peers.scenario`, in a `PatientLoop`, whose seconds `limit_s` are."""

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            threads, sockets = _threads(), open_sockets()
            with asyncio.Runner(loop_factory=PatientLoop) as runner:
                runner.run(_bounded(test(*args, **kwargs), limit_s))
            assert _threads() <= threads, "threads are left"
            assert open_sockets() <= sockets, "sockets are left"

        return run

    return decorate


class Ear(RenderTerminal):
    """Keeps the latest second."""

    def __init__(self) -> None:
        super().__init__("ear", AUDIO, RENDER)
        self.blocks: deque[Samples] = deque(maxlen=SECOND_BLOCKS)

    def write(self, media: object, at: float) -> None:
        assert isinstance(media, np.ndarray)
        self.blocks.append(media)

    def levels(self, tones: Iterable[float]) -> dict[float, float]:
        """How loud each of these tones was in the latest 0.3 s, in dBov; -127 for one that was not
        there.
        """
        blocks = list(self.blocks)[-WINDOW_BLOCKS:]
        if len(blocks) < WINDOW_BLOCKS:
            return dict.fromkeys(tones, -127.0)
        spectra, window = _spectra(blocks)
        spectra = np.sqrt(spectra) / window.sum()
        found = {}
        for hz in tones:
            peak = spectra[round(hz) - 8 : round(hz) + 9].max()
            found[hz] = float(20 * np.log10(max(peak * np.sqrt(2) / 32768, 1e-6)))
        return found

    def powers(self, tones: Iterable[float]) -> dict[float, float]:
        """How loud it was around each of these tones in all that is kept, in dBov."""
        spectra, window = _spectra(list(self.blocks))
        spectra = spectra.max(axis=1) * 2 / (AUDIO_RATE_HZ * np.square(window).sum())
        found = {}
        for hz in tones:
            power = spectra[round(hz) - AROUND_HZ : round(hz) + AROUND_HZ + 1].sum() / 32768**2
            found[hz] = float(10 * np.log10(max(power, 1e-12)))
        return found


def _spectra(blocks: list[Samples]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The power at each Hz in each channel, not normalised, and the window that was used."""
    channels = min(block.shape[1] for block in blocks)
    sound = np.concatenate([block[:, :channels] for block in blocks]).astype(float)
    window = np.hanning(len(sound))[:, np.newaxis]
    return np.square(np.abs(np.fft.rfft(sound * window, AUDIO_RATE_HZ, axis=0))), window


class Tape(RenderTerminal):
    """Keeps everything."""

    def __init__(self) -> None:
        super().__init__("tape", AUDIO, RENDER)
        self.blocks: list[Samples] = []

    def write(self, media: object, at: float) -> None:
        assert isinstance(media, np.ndarray)
        self.blocks.append(media)


class Party:
    """Somebody far away: a provider with a call into the conference."""

    def __init__(self, name: str, hz: float, provider: MediaServiceProvider) -> None:
        self.name = name
        self.hz = hz
        self.provider = provider
        self.ear = Ear()
        self.tsp: LoopbackTsp
        self.call: Call
        self.far: Call
        """The hub's end of the call."""
        self.leg: CallLeg

    @property
    def codecs(self) -> tuple[str, str]:
        """What it sends, and what it is sent."""
        agreed = self.call.stream(AUDIO, CAPTURE)._agreed  # type: ignore[attr-defined]
        way = self.leg.outlet.outlet
        return ("" if agreed is None else agreed.send.name), (
            "" if way is None else way.format.name
        )

    async def call_again(self, *, hub_offers: bool = False, **changes: Any) -> None:
        """A new offer in the call as it is, with other settings of the far end."""
        self.call.settings = self.call.settings.replace(**changes)
        offers, answers = (self.far, self.call) if hub_offers else (self.call, self.far)
        offers.receive_tsp_data(Connect())
        await offers.wait_connected()
        await answers.wait_connected()

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

    async def hears(self, name: str, truth: Truth) -> None:
        """Return when a party hears exactly these, as loud as they are or so many dB louder."""
        gains = _gains(truth)

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

    async def all_hear(
        self,
        truth: Mapping[str, Truth],
        within_db: float = SECOND_DB,
        absent_db: float = SECOND_ABSENT_DB,
    ) -> None:
        """Check that for a whole second from now on each of these hears exactly whom it should.

        `absent_db` below their tones are those whom it should not hear.
        """
        for _ in range(SECONDS):
            for name in truth:
                self.parties[name].ear.blocks.clear()
            await eventually(
                lambda: all(len(self.parties[name].ear.blocks) == SECOND_BLOCKS for name in truth),
                "a second of sound for everybody",
            )
            wrong = self.wrong(truth, within_db, absent_db)
            if not wrong:
                return
        raise AssertionError("; ".join(wrong))

    def wrong(
        self,
        truth: Mapping[str, Truth],
        within_db: float = SECOND_DB,
        absent_db: float = SECOND_ABSENT_DB,
        ignored: Iterable[str] = (),
    ) -> list[str]:
        """What was not right in the latest second; whoever is ignored may be heard or not."""
        tones = {party.hz: party.name for party in self.parties.values()}
        found = []
        for name, wanted in truth.items():
            gains = _gains(wanted)
            for hz, power in self.parties[name].ear.powers(tones).items():
                other, heard_db = tones[hz], power - TONE_DBOV
                gain_db = gains.get(other)
                if other in ignored:
                    continue
                if gain_db is None and heard_db > -absent_db:
                    found.append(f"{name} hears {other} at {heard_db:.1f} dB")
                elif gain_db is not None and abs(heard_db - gain_db) > within_db:
                    found.append(f"{name} hears {other} at {heard_db:.1f} dB, not {gain_db:.1f}")
        return found


def everybody(names: Iterable[str]) -> dict[str, Iterable[str]]:
    """Each of these hears all the others of them."""
    group = set(names)
    return {name: group - {name} for name in group}


def _gains(truth: Truth) -> dict[str, float]:
    return dict(truth) if isinstance(truth, Mapping) else dict.fromkeys(truth, 0.0)


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
    party.tsp = tsp
    party.call, party.far = tsp.pair({AUDIO})
    party.call.stream(AUDIO, CAPTURE).select_terminal(ToneTerminal(frequency_hz=party.hz))
    party.call.stream(AUDIO, RENDER).select_terminal(party.ear)
    party.leg = there.conference.add(party.far)
    there.parties[party.name] = party
    await tsp.connect(pair=(party.call, party.far))
