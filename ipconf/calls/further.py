"""Sent streams that an application creates besides those that a call has (MSPI: CreateStream)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Protocol, overload

from ..errors import InvalidStreamError, MaxStreamsError, NotSupportedError
from ..model import CallState, Direction, MediaType, name_of
from ..rtp_streams import Stream, StreamOwner
from ..streams.capture import CaptureStream
from ..streams.making import make_capture_stream


class StreamMaker(StreamOwner, Protocol):
    """What creating streams needs of a call."""

    identity: str

    @property
    def state(self) -> CallState:
        """Where the call is in its life."""

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All of them."""


class FurtherStreams(Sequence[CaptureStream]):
    """The created streams of a call, in their order: pictures that are sent besides the camera's.

    Each takes a section of those that `video_sections` gives the first stream.
    """

    def __init__(self, call: StreamMaker) -> None:
        self._call = call
        self._streams: list[CaptureStream] = []
        self._numbers = count(2)

    @overload
    def __getitem__(self, index: int) -> CaptureStream: ...

    @overload
    def __getitem__(self, index: slice) -> list[CaptureStream]: ...

    def __getitem__(self, index: int | slice) -> CaptureStream | list[CaptureStream]:
        return self._streams[index]

    def __len__(self) -> int:
        return len(self._streams)

    def create(self, media_type: MediaType, direction: Direction) -> CaptureStream:
        """Another one; MaxStreamsError says why there cannot be one."""
        call = self._call
        if media_type is not MediaType.VIDEO or direction is not Direction.CAPTURE:
            raise MaxStreamsError(
                f"{call.identity} has the one stream for {media_type.value} {direction.value} "
                "already; use stream()"
            )
        if call.state not in (CallState.IDLE, CallState.DISCONNECTED):
            raise MaxStreamsError(
                f"{call.identity} is being connected, or is: create streams before that"
            )
        sections = call.settings.video_sections
        if len(self._streams) + 1 >= sections:
            raise MaxStreamsError(
                f"{call.identity} has video_sections={sections}, of which none is left for another "
                "stream; set it higher, or use stream()"
            )
        stream = make_capture_stream(call, media_type)
        stream.identity = f"{stream.identity} {next(self._numbers)}"
        self._streams.append(stream)
        return stream

    def remove(self, stream: Stream) -> None:
        """Close one that was created; its section is the first stream's when the call is next
        negotiated.
        """
        if stream not in self._call.streams:
            raise InvalidStreamError(
                f"{name_of(stream)} is no stream of {self._call.identity}; take one of its "
                "`streams`"
            )
        if stream not in self._streams:
            raise NotSupportedError(
                f"{stream.identity} lives as long as its call; stop() it instead"
            )
        self._streams = [other for other in self._streams if other is not stream]
        stream.close()
