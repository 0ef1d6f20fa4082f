"""A visit to a conference: who comes, goes and talks, in lines to print."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from ..call import Call
from ..events import (
    CallStateChanged,
    FileCause,
    FileTerminalEvent,
    ParticipantEvent,
    StreamFailed,
    TerminalFailed,
)
from ..model import CallSettings, CallState, Direction, Identity, LoopbackMode, MediaType
from ..msp import MediaServiceProvider
from ..participants import Participant
from ..private_ifaces import MulticastControl
from ..programs import ending, wait_until
from ..sdp import ConferenceDescription
from ..terminals.base import CaptureTerminal
from ..terminals.files import ClipPlayer, FileRecorder
from ..terminals.recording import RecordingTrack
from ..terminals.tones import NullTerminal, ToneTerminal
from .telling import (
    MEDIA_NEWS,
    Unused,
    told_at_first,
    told_of_media,
    told_of_people,
    told_of_place,
)

CLIP = Path(__file__).parents[1] / "demo" / "clips" / "alice.ogg"
"""Somebody who talks, over and over."""
FAILURES = (FileTerminalEvent, TerminalFailed, StreamFailed)
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
    loopback: LoopbackMode = LoopbackMode.SELECTIVE
    seconds: float | None = None
    """None stays until Ctrl-C or SIGTERM, or until it is cancelled."""
    record: Path | None = None


async def take_part(visit: Visit, say: Callable[[str], None]) -> bool:
    """Join, `say` what happens, and leave with a BYE, also when cancelled.

    Returns whether all is recorded that was to be. Raises what `create_call`, `Call.join` and the
    terminals do.
    """
    over = ending()
    recorder = None if visit.record is None else FileRecorder(visit.record)
    async with AsyncExitStack() as stack:
        msp = MediaServiceProvider(visit.identity, visit.settings)
        await stack.enter_async_context(msp)
        call = await stack.enter_async_context(msp.create_call(description=visit.description))
        call.query(MulticastControl).loopback_mode = visit.loopback
        unused = Unused(call)
        if recorder is not None:
            await stack.enter_async_context(recorder)
        _select(call, visit, recorder, stack)
        failed: list[Exception] = []
        watching = asyncio.create_task(_watch(call, say, over, failed))
        stack.push_async_callback(_end, call, watching)
        await call.join()
        say(f"{told_of_place(call, visit.description, unused)}.")
        for line in told_at_first(call, visit.description, unused, time.time()):
            say(line)
        await wait_until(over, visit.seconds)
        if call.error is not None:
            raise call.error
    return recorder is None or _is_recorded(recorder, failed, say)


def _select(call: Call, visit: Visit, recorder: FileRecorder | None, stack: AsyncExitStack) -> None:
    audio = MediaType.AUDIO
    if audio in call.media_types:
        voice = _voice(visit.send)
        if voice is not None:
            call.select_terminal(voice)
            stack.callback(voice.close)
        # Who talks is known of those who are decoded.
        call.stream(audio, Direction.RENDER).select_terminal(NullTerminal(audio))
    if recorder is not None:
        for medium in call.media_types:
            track = recorder.create_track(medium)
            call.stream(medium, Direction.RENDER).select_terminal(track)


def _is_recorded(recorder: FileRecorder, told: list[Exception], say: Callable[[str], None]) -> bool:
    """Whether all that was heard is in the file, which is complete by now, if there was anything.

    `told` are the failures that were told before.
    """
    if recorder.error is not None and not told:
        say(_not_recorded(recorder.error))
    path = recorder.path
    if recorder.error is None and not told and path.is_file() and not path.stat().st_size:
        path.unlink()
        say(f"Nothing was heard, so there is no {path}.")
    return recorder.error is None and not told


def _not_recorded(error: Exception | None) -> str:
    return f"Nothing is recorded any more: {error}"


def _voice(send: str) -> CaptureTerminal | None:
    if send == "none":
        return None
    return ToneTerminal() if send == "tone" else ClipPlayer(CLIP, loop=True)


async def _end(call: Call, watching: asyncio.Task[None]) -> None:
    watching.cancel()  # that we leave the others is no news
    await asyncio.wait([watching])
    await call.disconnect(FAREWELL)


async def _watch(
    call: Call, say: Callable[[str], None], over: asyncio.Event, failed: list[Exception]
) -> None:
    names: dict[Participant, str] = {}
    kinds = (ParticipantEvent, CallStateChanged, *FAILURES, *MEDIA_NEWS)
    async for event in call.events(*kinds):
        if isinstance(event, CallStateChanged):
            if event.state is CallState.DISCONNECTED:
                over.set()
        elif isinstance(event, FileTerminalEvent):
            if event.cause is FileCause.WRITE_ERROR and event.error is not None:
                failed.append(event.error)
                say(_not_recorded(event.error))
        elif isinstance(event, TerminalFailed | StreamFailed):
            name = event.stream.identity if event.terminal is None else event.terminal.identity
            say(f"{name} has failed: {event.error}")
            if isinstance(event.terminal, RecordingTrack) and event.error is not None:
                failed.append(event.error)
        elif isinstance(event, MEDIA_NEWS):
            say(told_of_media(event))
        elif isinstance(event, ParticipantEvent) and event.participant is not None:
            line = told_of_people(event, event.participant, names)
            if line:
                say(line)
