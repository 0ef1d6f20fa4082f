"""The sending stream of each medium."""

from __future__ import annotations

from collections.abc import Callable

from .audio_capture import AudioCaptureStream
from .capture_base import CaptureStream
from .model import MediaType
from .rtp_streams import StreamOwner
from .video_capture import VideoCaptureStream

__all__ = ["CaptureStream", "make_capture_stream"]


def make_capture_stream(owner: StreamOwner, media_type: MediaType) -> CaptureStream:
    """The sending stream of a medium."""
    makers: dict[MediaType, Callable[[StreamOwner], CaptureStream]] = {
        MediaType.AUDIO: AudioCaptureStream,
        MediaType.VIDEO: VideoCaptureStream,
    }
    return makers[media_type](owner)
