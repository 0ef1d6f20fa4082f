"""The arriving stream of each medium."""

from __future__ import annotations

from collections.abc import Callable

from .audio_render import AudioRenderStream
from .model import MediaType
from .render_base import RenderStream
from .rtp_streams import StreamOwner
from .video_render import VideoRenderStream

__all__ = ["RenderStream", "make_render_stream"]


def make_render_stream(owner: StreamOwner, media_type: MediaType) -> RenderStream:
    """The arriving stream of a medium."""
    makers: dict[MediaType, Callable[[StreamOwner], RenderStream]] = {
        MediaType.AUDIO: AudioRenderStream,
        MediaType.VIDEO: VideoRenderStream,
    }
    return makers[media_type](owner)
