"""A conference with cameras to be recorded, and what is in the files."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np
from memory_calls import MemoryProvider, Plug
from peers import eventually
from senses import AUDIO, CAPTURE, RENDER, VIDEO, Picture, PictureTerminal, Witness

from ipconf import (
    Call,
    CallSettings,
    Conference,
    Identity,
    LoopbackTsp,
    MediaServiceProvider,
    ToneTerminal,
)
from ipconf.terminals.base import RenderTerminal
from ipconf.tsp_data import Connect


class Listener(RenderTerminal):
    """Hears the conference at a far end."""

    def __init__(self, witness: Witness) -> None:
        super().__init__("listener", AUDIO, RENDER)
        self._witness = witness

    def write(self, media: Any, at: float) -> None:
        self._witness.heard.put_nowait(media)


class Guest:
    """Somebody far away, who says a tone and shows a picture."""

    def __init__(self, name: str, hz: float, picture: Picture | None) -> None:
        self.name, self.hz, self.picture = name, hz, picture
        self.witness = Witness()
        self.tsp: LoopbackTsp
        self.call: Call
        self.far: Call
        """The hub's end of the call."""

    def show(self, picture: Picture) -> None:
        """Switch the camera on."""
        self.camera = PictureTerminal(picture)
        self.call.stream(VIDEO, CAPTURE).select_terminal(self.camera)

    async def speak(self, codec: str) -> None:
        """Offer nothing but that codec from now on."""
        self.call.settings = self.call.settings.replace(audio_codecs=(codec,))
        self.call.receive_tsp_data(Connect())
        await eventually(lambda: self.codec == codec, "the codec has changed")

    @property
    def codec(self) -> str:
        """What their sound is sent in."""
        agreed = self.call.stream(AUDIO, CAPTURE)._agreed  # type: ignore[attr-defined]
        return "" if agreed is None else str(agreed.send.name)

    def hide(self) -> None:
        """Switch it off."""
        self.call.stream(VIDEO, CAPTURE).unselect_terminal(self.camera)


class Gathering:
    """A conference and its guests, all in one process; in memory unless there are settings."""

    def __init__(self, stack: AsyncExitStack, settings: CallSettings | None) -> None:
        self._stack = stack
        self._settings = settings
        self._board: dict[int, Plug] = {}
        self._free = count(2, 2)
        self.guests: dict[str, Guest] = {}
        self.hub = self._provider("Hub")
        self.conference: Conference
        self._providers: dict[str, MediaServiceProvider] = {}

    def _provider(self, name: str) -> MediaServiceProvider:
        if self._settings is None:
            return MemoryProvider(name, self._board, self._free)
        return MediaServiceProvider(Identity(name=name), self._settings)

    async def open(self) -> None:
        """Begin the conference."""
        await self._stack.enter_async_context(self.hub)
        self.conference = self.hub.create_conference("Weekly")
        await self._stack.enter_async_context(self.conference)

    async def join(self, name: str, hz: float, picture: Picture | None = None) -> Guest:
        """Somebody comes; by the same name it is the same person again."""
        guest = self.guests[name] = Guest(name, hz, picture)
        provider = self._providers.get(name)
        if provider is None:
            provider = self._providers[name] = self._provider(name)
            await self._stack.enter_async_context(provider)
        guest.tsp = await self._stack.enter_async_context(LoopbackTsp(provider, self.hub))
        guest.call, guest.far = guest.tsp.pair({AUDIO, VIDEO})
        guest.call.stream(AUDIO, CAPTURE).select_terminal(ToneTerminal(frequency_hz=hz))
        guest.call.stream(AUDIO, RENDER).select_terminal(Listener(guest.witness))
        if picture is not None:
            guest.show(picture)
        self.conference.add(guest.far)
        await guest.tsp.connect(pair=(guest.call, guest.far))
        await eventually(lambda: name in self.names, f"{name} is there")
        return guest

    async def leave(self, guest: Guest) -> None:
        """Somebody hangs up."""
        await guest.call.disconnect("bye")
        await eventually(lambda: guest.name not in self.names, f"{guest.name} has left")

    @property
    def names(self) -> set[str]:
        """Who is in the conference."""
        return {person.name for person in self.conference.attendees}


@asynccontextmanager
async def gathering(settings: CallSettings | None = None) -> AsyncIterator[Gathering]:
    """A conference without anybody yet."""
    async with AsyncExitStack() as stack:
        found = Gathering(stack, settings)
        await found.open()
        yield found


async def recorded(recording: Any, seconds: float) -> None:
    """Return when so much more is recorded."""
    until = recording.position_s + seconds
    await eventually(lambda: recording.position_s >= until, "it is recorded")


def index_of(path: Path) -> dict[str, Any]:
    """The index beside a file."""
    found: dict[str, Any] = json.loads(path.with_name(path.name + ".json").read_text())
    return found


def track_of(path: Path, name: str, medium: str, **more: str) -> list[dict[str, Any]]:
    """What the index says of somebody's tracks for a medium."""
    wanted = {"name": name, "medium": medium, **more}
    return [t for t in index_of(path)["tracks"] if all(t[k] == v for k, v in wanted.items())]


def packet_times(path: Path, number: int) -> list[float]:
    """Where the packets of a track are, in seconds; tracks count from 1."""
    with av.open(str(path)) as container:
        stream = container.streams[number - 1]
        return [
            float(packet.pts * packet.time_base)
            for packet in container.demux(stream)
            if packet.pts is not None and packet.size
        ]


def sound_of(path: Path, number: int) -> list[tuple[float, np.ndarray]]:
    """The decoded sound of a track, each piece with its place; mono float."""
    with av.open(str(path)) as container:
        stream = container.streams[number - 1]
        return [
            (float(frame.time), frame.to_ndarray().reshape(frame.layout.nb_channels, -1)[0])
            for frame in container.decode(stream)
        ]


def tone_hz(path: Path, number: int, from_s: float, to_s: float, rate_hz: int = 48_000) -> float:
    """The strongest tone of a track in that part."""
    parts = [sound for at, sound in sound_of(path, number) if from_s <= at < to_s]
    wave = np.concatenate(parts).astype(float)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(spectrum.argmax()) * rate_hz / len(wave)
