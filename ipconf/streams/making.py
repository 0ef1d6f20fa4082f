"""The streams of a call: one for each medium and direction."""

from __future__ import annotations

from collections.abc import Callable

from ..model import MediaType
from ..rtp_streams import StreamOwner
from .audio_capture import AudioCaptureStream
from .audio_render import AudioRenderStream
from .capture import CaptureStream
from .render import RenderStream
from .video_capture import VideoCaptureStream
from .video_render import VideoRenderStream


def make_capture_stream(owner: StreamOwner, media_type: MediaType) -> CaptureStream:
    """The sending stream of a medium."""
    makers: dict[MediaType, Callable[[StreamOwner], CaptureStream]] = {
        MediaType.AUDIO: AudioCaptureStream,
        MediaType.VIDEO: VideoCaptureStream,
    }
    return makers[media_type](owner)


def make_render_stream(owner: StreamOwner, media_type: MediaType) -> RenderStream:
    """The arriving stream of a medium."""
    makers: dict[MediaType, Callable[[StreamOwner], RenderStream]] = {
        MediaType.AUDIO: AudioRenderStream,
        MediaType.VIDEO: VideoRenderStream,
    }
    return makers[media_type](owner)
