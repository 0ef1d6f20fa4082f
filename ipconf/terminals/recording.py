"""Records calls into media files.

    async with FileRecorder("call.mkv") as recorder:        # begins; the file is complete after
        stream.select_terminal(recorder.audio)              # the track that all may share
        other.select_terminal(recorder.create_track(MediaType.AUDIO, "Bob"))    # one of its own

Streams and substreams that share an audio track are mixed.
"""

from pathlib import Path
from typing import ClassVar

import av

from ..model import AUDIO_FRAME_S, Direction, MediaType
from .base import RenderTerminal, Samples, TerminalHost
from .file_formats import FORMATS, check_size
from .muxing import MediaWriter
from .recorders import Recorder

AHEAD_PER_TRACK = 64
"""1.3 s of sound."""


class RecordingTrack(RenderTerminal):
    """A track of a `FileRecorder`; those for audio can be on several streams at once."""

    terminal_class: ClassVar[str] = "file recording track"
    records: ClassVar[bool] = True

    def __init__(self, recorder: "FileRecorder", media_type: MediaType, name: str = "") -> None:
        name = name or f"{recorder.name} {media_type.value}"
        super().__init__(name, media_type, Direction.RENDER)
        self.recorder = recorder
        """The terminal that starts, pauses and stops it (MSPI: get_ControllingTerminal)."""
        self.shared = media_type is MediaType.AUDIO

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        """Record media of your own; ignored unless the recorder is active."""
        self._record(None, media, at)

    def render(self, host: TerminalHost, media: Samples | av.VideoFrame, at: float) -> None:
        """Record what a stream received."""
        self._record(host, self.at_volume(media), at)

    def _record(self, host: TerminalHost | None, media: Samples | av.VideoFrame, at: float) -> None:
        length_s = 0.0 if isinstance(media, av.VideoFrame) else AUDIO_FRAME_S
        self.recorder.put(self, host, media, at, length_s)


class FileRecorder(Recorder[RecordingTrack]):
    """Records sound and pictures into one file, on the time of the call (MSPI: ITMediaRecord).

    It records from `start` to `stop`, or inside `async with`, after which the file is complete
    (otherwise: `await wait_complete()`). It outlives calls and providers: one that you made, not
    `msp.terminals.create`, has its thread and an incomplete file until you stop or close it.

    The ending of the name chooses the format (`ipconf.terminals.file_formats.FORMATS`); `size` is
    width and height of the video, by default those of the first picture. The tracks of the file are
    those that there are when the first media arrive. A file that is there already is overwritten.
    Raises ConfigurationError for an unknown ending or an impossible size.

    What happens is told by `FileTerminalEvent`s. When the disk is full, or writing fails otherwise,
    it is WRITE_ERROR; what was written until then can be played.
    """

    terminal_class: ClassVar[str] = "file recording"
    kinds = FORMATS
    ahead = AHEAD_PER_TRACK

    def __init__(self, path: str | Path, *, size: tuple[int, int] | None = None) -> None:
        self._size = check_size(size)
        super().__init__(path)

    def _make_track(self, media_type: MediaType, name: str) -> RecordingTrack:
        return RecordingTrack(self, media_type, name)

    def _make_writer(self) -> MediaWriter:
        return MediaWriter(self.path, self._size)
