"""A visit to a conference: who comes, goes and talks, in lines to print."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from ..call import Call
from ..events import (
    AuthenticationEvent,
    CallEvent,
    CallStateChanged,
    DigitBegan,
    NewParticipant,
    ParticipantActive,
    ParticipantEvent,
    ParticipantInactive,
    ParticipantInfoChanged,
    ParticipantLeft,
    ParticipantRecovered,
    ParticipantTimedOut,
)
from ..model import (
    SDES_CONTROLS,
    CallSettings,
    CallState,
    Direction,
    GoneReason,
    Identity,
    LoopbackMode,
    MediaType,
)
from ..msp import MediaServiceProvider
from ..participants import Participant
from ..private_ifaces import MulticastControl
from ..sdp import ConferenceDescription
from ..terminals.base import CaptureTerminal
from ..terminals.files import ClipPlayer, FileRecorder
from ..terminals.tones import NullTerminal, ToneTerminal

CLIP = Path(__file__).parents[1] / "demo" / "clips" / "alice.ogg"
"""Somebody who talks, over and over."""
MEDIA_NEWS = (AuthenticationEvent, DigitBegan)
SENDS = ("tone", "clip", "none")
FAREWELL = "ipconf join has ended"


@dataclass(frozen=True, slots=True)
class Visit:
    """What is joined, as whom, and how."""

    description: ConferenceDescription
    identity: Identity
    settings: CallSettings
    send: str = "none"
    """One of `SENDS`."""
    loopback: LoopbackMode = LoopbackMode.NONE
    seconds: float | None = None
    """None stays until SIGTERM, or until it is cancelled."""
    record: Path | None = None


async def take_part(visit: Visit, say: Callable[[str], None]) -> None:
    """Join, `say` what happens, and leave with a BYE, also when cancelled.

    Raises what `create_call`, `Call.join` and the terminals do.
    """
    over = asyncio.Event()
    async with AsyncExitStack() as stack:
        msp = MediaServiceProvider(visit.identity, visit.settings)
        await stack.enter_async_context(msp)
        call = await stack.enter_async_context(msp.create_call(description=visit.description))
        call.query(MulticastControl).loopback_mode = visit.loopback
        await _select(call, visit, stack)
        watching = asyncio.create_task(_watch(call, say, over))
        stack.push_async_callback(_end, call, watching)
        with suppress(NotImplementedError):  # on Windows
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
        await call.join()
        say(_welcome(call, visit))
        with suppress(TimeoutError):
            async with asyncio.timeout(visit.seconds):
                await over.wait()
        if call.error is not None:
            raise call.error


async def _select(call: Call, visit: Visit, stack: AsyncExitStack) -> None:
    audio = MediaType.AUDIO
    if audio in call.media_types:
        voice = _voice(visit.send)
        if voice is not None:
            call.select_terminal(voice)
            stack.callback(voice.close)
        # Who talks is known of those who are decoded.
        call.stream(audio, Direction.RENDER).select_terminal(NullTerminal(audio))
    if visit.record is not None:
        recorder = await stack.enter_async_context(FileRecorder(visit.record))
        for medium in call.media_types:
            track = recorder.create_track(medium)
            call.stream(medium, Direction.RENDER).select_terminal(track)


def _voice(send: str) -> CaptureTerminal | None:
    if send == "none":
        return None
    return ToneTerminal() if send == "tone" else ClipPlayer(CLIP, loop=True)


async def _end(call: Call, watching: asyncio.Task[None]) -> None:
    watching.cancel()  # that we leave the others is no news
    await asyncio.wait([watching])
    await call.disconnect(FAREWELL)


def _welcome(call: Call, visit: Visit) -> str:
    where = ", ".join(visit.description.groups) or "one place"
    media = " and ".join(medium.value for medium in call.media_types)
    return f"In {visit.description.name}, {media} at {where}."


async def _watch(call: Call, say: Callable[[str], None], over: asyncio.Event) -> None:
    names: dict[Participant, str] = {}
    async for event in call.events(ParticipantEvent, CallStateChanged, *MEDIA_NEWS):
        if isinstance(event, CallStateChanged):
            if event.state is CallState.DISCONNECTED:
                over.set()
        elif isinstance(event, MEDIA_NEWS):
            say(told_of_media(event))
        elif isinstance(event, ParticipantEvent) and event.participant is not None:
            line = _told(event, event.participant, names)
            if line:
                say(line)


def told_of_media(event: CallEvent) -> str:
    """What came with the media of a call, one of `MEDIA_NEWS`, in words."""
    if isinstance(event, AuthenticationEvent):
        return f"ssrc {event.ssrc:08x}, {event.stream.media_type.value}: {event.text}"
    assert isinstance(event, DigitBegan)
    name = "somebody" if event.participant is None else event.participant.name
    return f"{name} presses {event.digit}"


def _told(
    event: ParticipantEvent, person: Participant, names: dict[Participant, str]
) -> str | None:
    """What an event says in words; None for what nobody wants to know."""
    before = names.get(person, person.name)
    name = names[person] = person.name
    match event:
        case NewParticipant():
            return f"{name} is here"
        case ParticipantRecovered():
            return f"{name} is here again"
        case ParticipantInfoChanged() if name != before:
            return f"{before} is called {name}"
        case ParticipantActive():
            return f"{name} talks"
        case ParticipantInactive():
            return f"{name} is silent"
        case ParticipantTimedOut():
            return f"{name} has vanished"
        case ParticipantLeft(reason=GoneReason.BYE):
            del names[person]
            text = event.text.translate(SDES_CONTROLS)
            return f"{name} has left" + (f": {text}" if text else "")
        case ParticipantLeft():
            del names[person]
            return f"{name} is not here any more"
    return None
