"""Records a conference as it would be seen: the mix of all, and everybody's pictures in one.

The mix is what a listener hears who is nobody. Pictures are decoded as for any other terminal, in
the provider's pool; they are composed in the file's thread, which encodes them, too.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import av
import numpy as np

from ..errors import ConfigurationError, MediaError
from ..events import FileState
from ..model import AUDIO_FRAME_S, AUDIO_FRAME_SAMPLES, Direction, MediaType
from ..pipelines.mosaic import DEFAULT_SIZE, Mosaic, Tile
from ..terminals.base import RenderTerminal, Samples
from ..terminals.file_formats import FORMATS, format_of
from ..terminals.muxing import Media, MediaWriter
from ..terminals.recorder import Recording
from ..terminals.recording import FileRecorder
from .local_legs import LocalLeg
from .recording import ConferenceRecording
from .recording_hooks import dismiss, listen
from .recording_stage import Floor, Stage

if TYPE_CHECKING:
    from ..conference import Conference

DEFAULT_FPS = 15.0
MAX_FPS = 30.0
MIN_SIDE, MAX_SIDE = 64, 1920
QUICK_VP8 = {"cpu-used": "16"}
"""Less than half the time of 8; a mosaic is 44 dB from what was drawn instead of 45."""
SILENT_S = 1.0
"""So long nothing is heard before the file goes on without."""
MAX_TILES = 16
"""People in a mosaic; of more those who talked last."""


class Scene(NamedTuple):
    """What is seen at a moment, before it is composed."""

    tiles: tuple[Tile, ...]


class SceneWriter(MediaWriter):
    """A media file whose pictures are composed where they are encoded."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        super().__init__(path, size)
        if self._format.video == "libvpx":
            options = self._format.video_options | QUICK_VP8
            self._format = self._format._replace(video_options=options)
        self._mosaic = Mosaic(size)

    def write(
        self, media: Media | Scene, at: float, track: Hashable = None, source: object = None
    ) -> None:
        """As of every writer; a scene is a picture."""
        if isinstance(media, Scene):
            media = self._mosaic.compose(media.tiles)
        super().write(media, at, track, source)


class SceneRecorder(FileRecorder):
    """A file recorder that takes scenes; `failed` is told on the loop why writing failed."""

    def __init__(
        self, path: Path, size: tuple[int, int], failed: Callable[[MediaError], None]
    ) -> None:
        super().__init__(path, size=size)
        self._scene_size = size
        self._when_failed = failed

    def show(self, scene: Scene, at: float) -> None:
        """Record what is seen."""
        self.put(self.video, None, scene, at, 0.0)

    def _make_writer(self) -> MediaWriter:
        return SceneWriter(self.path, self._scene_size)

    def _failed(self, recording: Recording) -> None:
        super()._failed(recording)
        assert isinstance(recording.error, MediaError)
        self._when_failed(recording.error)


class Ear(RenderTerminal):
    """Hears the conference for a recorder."""

    terminal_class: ClassVar[str] = "conference recording ear"

    def __init__(self, recorder: SceneRecorder) -> None:
        super().__init__("conference recording", MediaType.AUDIO, Direction.RENDER)
        self._track = recorder.audio
        self.heard_at = math.inf
        """When it heard something last."""

    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        self.heard_at = at
        self._track.write(media, at)

    def keep_up(self, now: float, within_s: float) -> None:
        """Where nobody is, nothing is heard; the file goes on in silence."""
        if now - self.heard_at > within_s:
            self.write(np.zeros((AUDIO_FRAME_SAMPLES, 1), np.int16), now)


class MixRecording(ConferenceRecording):
    """Records the mix and, where the file can have them, composed pictures, at most `fps` a second.

    Raises ConfigurationError for an unknown ending, an impossible size or rate. The pictures of
    those in the main room are seen, and their sound is heard.
    """

    def __init__(
        self,
        conference: Conference,
        path: str | Path,
        stage: Stage | None = None,
        *,
        size: tuple[int, int] = DEFAULT_SIZE,
        fps: float = DEFAULT_FPS,
    ) -> None:
        super().__init__(conference, path)
        _check(size, fps)
        seen = format_of(self.path, FORMATS).limit(MediaType.VIDEO) > 0
        self._stage = (stage or Stage(conference, MAX_TILES)) if seen else None
        self._recorder = SceneRecorder(self.path, size, self._fail)
        self._period_s = 1 / fps
        self._next_at = 0.0
        self._frame_timer: asyncio.TimerHandle | None = None
        self._last: Scene | None = None
        self._ear = Ear(self._recorder)
        self._leg: LocalLeg | None = None

    @property
    def dropped(self) -> int:
        return self._recorder.dropped

    @property
    def is_writing(self) -> bool:
        return self._recorder.is_writing

    def start(self) -> None:
        """As of every recording; the picture as it is then is the first one."""
        if self.state is FileState.PAUSED:
            self._recorder.start()
            self._last = None
        super().start()

    def pause(self) -> None:
        """As of every recording."""
        self._recorder.pause()
        super().pause()

    async def wait_complete(self) -> None:
        await self._recorder.wait_complete()

    # -- inside

    def _open(self) -> None:
        if self._stage is not None:
            self._recorder.create_track(MediaType.VIDEO, "Conference")
        self._recorder.start()
        self._ear.heard_at = self.conference.now()
        self._leg = listen(self.conference, self._ear)
        if self._stage is not None:
            self._next_at = asyncio.get_running_loop().time()
            self._frame()

    def _work(self) -> None:
        if self.state is FileState.ACTIVE:
            self._ear.keep_up(self.conference.now(), SILENT_S)
        if self._stage is not None:
            self._stage.look(self.conference.now())

    def _finish(self) -> None:
        self._ear.keep_up(self._origin + self.position_s, AUDIO_FRAME_S)
        if self._frame_timer is not None:
            self._frame_timer.cancel()
        if self._leg is not None:
            dismiss(self._leg)
        if self._stage is not None:
            self._stage.end()
        self._recorder.close()

    def _frame(self) -> None:
        """Show what is seen now, if that is anything new, and come back for the next one."""
        assert self._stage is not None
        loop = asyncio.get_running_loop()
        self._next_at = max(self._next_at + self._period_s, loop.time())
        self._frame_timer = loop.call_at(self._next_at, self._frame)
        if self.state is not FileState.ACTIVE:
            return
        now = self.conference.now()
        scene = Scene(self._stage.tiles(now))
        if scene != self._last:
            self._last = scene
            self._recorder.show(scene, now)


class SpeakerRecording(MixRecording):
    """Records the mix, and the picture of who has the floor."""

    def __init__(
        self,
        conference: Conference,
        path: str | Path,
        *,
        size: tuple[int, int] = DEFAULT_SIZE,
        fps: float = DEFAULT_FPS,
    ) -> None:
        super().__init__(conference, path, Floor(conference), size=size, fps=fps)


def _check(size: tuple[int, int], fps: float) -> None:
    if not all(
        isinstance(side, int) and MIN_SIDE <= side <= MAX_SIDE and side % 2 == 0 for side in size
    ):
        raise ConfigurationError(
            f"a picture of {size}: give width and height, both even, {MIN_SIDE} to {MAX_SIDE}"
        )
    if not 0 < fps <= MAX_FPS:
        raise ConfigurationError(f"{fps} pictures a second: give up to {MAX_FPS:g}")
