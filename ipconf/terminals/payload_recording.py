"""Records one person as they came: nothing is decoded, nothing encoded.

    async with PayloadRecorder("bob.webm") as recorder:
        for substream in bob.substreams:
            substream.select_terminal(recorder.create_track(substream.media_type, "Bob"))

It costs next to nothing, and what is in the file is what was sent, but for what was lost.
"""

from typing import ClassVar

from ..errors import NotSupportedError
from ..events import FileState
from ..model import Direction, MediaType
from .file_formats import PAYLOAD_FILES
from .payload_muxing import Numbered, PayloadWriter
from .payloads import Payload, PayloadTerminal
from .recorders import Recorder

AHEAD_PER_TRACK = 512
"""10 s of sound: payloads are small."""
BATCH = 16
"""A fifth of a second of sound and pictures: waking a thread costs more than writing a payload."""


class PayloadTrack(PayloadTerminal):
    """A track of a `PayloadRecorder`, for one substream."""

    terminal_class: ClassVar[str] = "payload recording track"

    def __init__(self, recorder: "PayloadRecorder", media_type: MediaType, name: str = "") -> None:
        name = name or f"{recorder.name} {media_type.value}"
        super().__init__(name, media_type, Direction.RENDER)
        self.recorder = recorder
        """The terminal that starts, pauses and stops it."""
        self._format = ""
        self._number = 0
        self._dropped = 0
        self._follows = False  # whether the picture before the next one is in the file

    @property
    def needs_key_frame(self) -> bool:
        """Whether the recorder has just begun, or missed pictures."""
        recorder = self.recorder
        if self.media_type is not MediaType.VIDEO or recorder.state is not FileState.ACTIVE:
            return False
        return not self._follows or recorder.dropped != self._dropped

    def write_payload(self, payload: Payload, at: float) -> None:
        """Record a payload; ignored unless the recorder is active.

        NotSupportedError when the file, or a track that has begun, is for other formats.
        """
        recorder = self.recorder
        if recorder.state is not FileState.ACTIVE or self.closed:
            return
        if self.media_type is MediaType.VIDEO:
            if payload.key_frame:
                self._follows, self._dropped = True, recorder.dropped
            elif self.needs_key_frame:
                return
        self._check(payload.format.name.lower())
        self._number += 1
        media = Numbered(payload, self._number, self.media_type)
        recorder.put(self, self._hosts[0] if self._hosts else None, media, at, payload.duration_s)

    def begin(self, *, new: bool) -> None:
        """The recorder starts, with a new file or after a pause; called by it."""
        self._follows = False
        self._dropped = self.recorder.dropped
        if new:
            self._format = ""

    def _check(self, name: str) -> None:
        if name == self._format:
            return
        path = self.recorder.path
        able = [e for e, kind in PAYLOAD_FILES.items() if name in kind.formats(self.media_type)]
        if path.suffix.lower() not in able:
            instead = f"record into {' or '.join(able)}, or " if able else ""
            raise NotSupportedError(
                f"{path.name} cannot hold {name}; {instead}decode it with a FileRecorder"
            )
        if self._format:
            raise NotSupportedError(
                f"{path.name} holds {self._format}, and now {name} comes: record into another file"
            )
        self._format = name


class PayloadRecorder(Recorder[PayloadTrack]):
    """Records what people send into one file, without decoding it.

    Each track is for the substream of one person. The ending of the name chooses the format: .mkv
    (Opus, G.711, VP8, H.264), .webm (Opus, VP8), .ogg (Opus alone) or .wav (G.711 alone). What is
    missing of sound becomes silence; pictures go on with a key frame, which is asked for. A person
    who is muted here (`Participant.set_enabled`) is not recorded meanwhile. All else is as with
    `FileRecorder`, but a track on which nothing has come for five seconds is for Opus or VP8.
    """

    terminal_class: ClassVar[str] = "payload recording"
    kinds = PAYLOAD_FILES
    ahead = AHEAD_PER_TRACK
    batch = BATCH

    def start(self) -> None:
        """As of every recorder; pictures begin with the next key frame."""
        before = self.state
        super().start()
        if before is not FileState.ACTIVE:
            for track in self.tracks:
                track.begin(new=before is FileState.IDLE)

    def _make_track(self, media_type: MediaType, name: str) -> PayloadTrack:
        return PayloadTrack(self, media_type, name)

    def _make_writer(self) -> PayloadWriter:
        return PayloadWriter(self.path)
