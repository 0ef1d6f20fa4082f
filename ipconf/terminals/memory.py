"""The terminal that is your own code: write and read media as numpy arrays or av frames.

microphone = MediaStreamTerminal(MediaType.AUDIO, Direction.CAPTURE, rate_hz=16_000)
await microphone.write(array)                  # goes out; waits while 200 ms are queued
speaker = MediaStreamTerminal(MediaType.AUDIO, Direction.RENDER, rate_hz=16_000)
async for samples in speaker: ...              # what arrives, int16 (n, channels)

Writing and reading end with the call. While a call is disconnected they wait: that may be connected
again. The two halves are in `media_capture` and `media_render`, what they share in `media_stream`.
"""

from .media_capture import MediaStreamCapture
from .media_render import MediaStreamRender
from .media_stream import MediaStreamTerminal

__all__ = ["MediaStreamCapture", "MediaStreamRender", "MediaStreamTerminal"]
