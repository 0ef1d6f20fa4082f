"""What FFmpeg's own programs say of files that calls were recorded into."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from call_ends import Ends, EventLog, loopback
from peers import scenario
from senses import ALICE, AUDIO, RENDER, VIDEO

from ipconf import FileRecorder
from ipconf.events import StreamActive

pytestmark = pytest.mark.skipif(
    not (shutil.which("ffprobe") and shutil.which("ffmpeg")),
    reason="ffprobe and ffmpeg are not installed; they are in the package ffmpeg",
)

RECORDED_S = 2.0
CODECS = {
    "mkv": ["opus", "vp8"],
    "webm": ["opus", "vp8"],
    "mp4": ["aac", "h264"],
    "ogg": ["opus"],
    "mp3": ["mp3"],
    "wav": ["pcm_s16le"],
}


def output_of(*command: str) -> str:
    """What a program prints; its complaints make it fail."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def probed(path: Path) -> dict[str, Any]:
    shown = ("-show_streams", "-show_format", "-of", "json")
    found: dict[str, Any] = json.loads(output_of("ffprobe", "-v", "error", *shown, str(path)))
    return found


@scenario()
async def record_a_call(path: Path, lengths_s: list[float], *, video: bool) -> None:
    """Record into a file, and add for how long media came meanwhile."""
    async with loopback() as (tsp, x, y):
        Ends(x, 440, ALICE)
        log = EventLog(y)
        async with FileRecorder(path) as recorder:
            voice = recorder.create_track(AUDIO, "Alice's voice")
            y.stream(AUDIO, RENDER).select_terminal(voice)
            if video:
                y.stream(VIDEO, RENDER).select_terminal(recorder.create_track(VIDEO, "her face"))
            bob = Ends(y)
            await tsp.connect(pair=(x, y))
            await bob.gets(440, ALICE)
            began = await log.until(StreamActive)
            await asyncio.sleep(RECORDED_S)  # of real sound, on a real clock
            lengths_s.append(asyncio.get_running_loop().time() - began.at)


@pytest.mark.parametrize("ending", CODECS)
def test_what_a_call_recorded_is_what_ffprobe_finds(tmp_path: Path, ending: str) -> None:
    path, lengths_s = tmp_path / f"call.{ending}", list[float]()
    record_a_call(path, lengths_s, video=len(CODECS[ending]) > 1)
    found = probed(path)
    assert [stream["codec_name"] for stream in found["streams"]] == CODECS[ending]
    assert [float(found["format"]["duration"])] == pytest.approx(lengths_s, abs=0.2)
    names = [s.get("tags", {}) for s in found["streams"]]
    if ending in ("mkv", "webm"):
        assert [name["title"] for name in names] == ["Alice's voice", "her face"]
    if ending == "mp4":
        assert [name["handler_name"] for name in names] == ["Alice's voice", "her face"]
    begins = [float(stream.get("start_time", 0)) for stream in found["streams"]]
    assert max(begins) - min(begins) < 2  # whoever came first is recorded first
    as_they_are = ("-fps_mode", "passthrough", "-enc_time_base", "-1")  # the times of pictures vary
    output_of("ffmpeg", "-v", "error", "-i", str(path), *as_they_are, "-f", "null", "-")
