"""Members of a group who are not ours: GStreamer's rtpbin and FFmpeg, on `lo`, both ways."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import subprocess
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from call_ends import Ends, EventLog, provider
from multicast_lab import HERE, conference, sound_and_pictures
from peers import eventually, scenario
from senses import ALICE, AUDIO, HEIGHT, RED, VIDEO, WIDTH, is_picture
from transport_lab import free_ports

from ipconf import ConferenceDescription, GoneReason
from ipconf.events import NewParticipant, ParticipantLeft, ParticipantTimedOut
from ipconf.sdp import Media, write_description

SYSTEM_PYTHON = "/usr/bin/python3"
LIMIT_S = 25.0
RMS = 32768 * 10 ** (-20 / 20)
"""Of a tone at -20 dBov."""


def _has_gstreamer() -> bool:
    asked = ["-c", "import gi; gi.require_version('Gst', '1.0')"]
    if not Path(SYSTEM_PYTHON).exists():
        return False
    return subprocess.run([SYSTEM_PYTHON, *asked], capture_output=True).returncode == 0


needs_gstreamer = pytest.mark.skipif(
    not _has_gstreamer(), reason="needs GStreamer with PyGObject for Debian's Python"
)
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")


class Rtpbin:
    """A process of `rtpbin_peer.py`."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []
        """All that it has said, as far as somebody has waited for it."""

    async def says(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The next line for which that is so."""
        assert self.process.stdout is not None
        before = len(self.said)
        try:
            async with asyncio.timeout(LIMIT_S):
                while line := await self.process.stdout.readline():
                    self.said.append(json.loads(line))
                    if condition(self.said[-1]):
                        return dict(self.said[-1])
        except TimeoutError:
            pass
        raise AssertionError(self.said[before:])

    async def leave(self) -> None:
        """Let it say BYE."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()


@asynccontextmanager
async def rtpbin(
    mode: str, description: ConferenceDescription, hz: int = 0
) -> AsyncIterator[Rtpbin]:
    """One in the group of a description, killed when the test is over."""
    peer = str(Path(__file__).with_name("rtpbin_peer.py"))
    group, port = description.groups[0], str(description.media[0].port)
    command = [SYSTEM_PYTHON, peer, mode, group, port, str(hz)]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        yield Rtpbin(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@needs_gstreamer
@scenario(60.0)
async def test_we_hear_see_and_know_a_member_of_gstreamers() -> None:
    description = sound_and_pictures()
    async with provider("Us", HERE) as msp, rtpbin("send", description, 660) as peer:
        call = msp.create_call(description=description)
        us, log = Ends(call), EventLog(call)
        await call.join()
        await log.until(
            NewParticipant, lambda e: e.participant and e.participant.name == "Gst Person",
            limit_s=LIMIT_S,
        )  # fmt: skip
        await us.hears(660)
        person = next(p for p in call.participants if p.name == "Gst Person")
        await eventually(lambda: len(person.substreams) == 2, "sound and pictures are theirs")
        assert us.seen.qsize()
        assert person.cname == "gst@example.test"
        items = {kind.name: text for kind, text in person.items.items()}
        assert items == {
            "NAME": "Gst Person",
            "EMAIL": "gst@mail.test",
            "PHONE": "+1555",
            "LOC": "lab",
            "TOOL": "gsttool",
            "NOTE": "hello",
        }
        await peer.leave()
        left = await log.until(ParticipantLeft, lambda e: e.participant is person)
        assert left.reason is GoneReason.BYE


@needs_gstreamer
@scenario(60.0)
async def test_a_crash_of_gstreamers_is_noticed() -> None:
    description = sound_and_pictures()
    settings = HERE.replace(member_timeout_s=6.0)
    async with provider("Us", settings) as msp, rtpbin("send", description, 660) as peer:
        call = msp.create_call(description=description)
        us, log = Ends(call), EventLog(call)
        await call.join()
        await us.hears(660)
        await log.until(NewParticipant, limit_s=LIMIT_S)
        peer.process.kill()
        await log.until(ParticipantTimedOut, limit_s=LIMIT_S)
        await eventually(lambda: not call.participants)


@needs_gstreamer
@scenario(60.0)
async def test_gstreamer_hears_and_sees_us_knows_us_and_sees_us_leave() -> None:
    description = sound_and_pictures()
    async with provider("Us", HERE) as msp, rtpbin("watch", description) as peer:
        call = msp.create_call(description=description)
        Ends(call, 880, ALICE)
        log = EventLog(call)
        await call.join()
        await peer.says(lambda s: abs(s.get("hz", 0) - 880) < 10 and abs(s["rms"] / RMS - 1) < 0.2)
        await peer.says(lambda s: "sees" in s and np.abs(np.subtract(s["sees"], ALICE)).max() < 12)
        listener = await log.until(
            NewParticipant, lambda e: e.participant and e.participant.name == "Listener",
            limit_s=LIMIT_S,
        )  # fmt: skip
        assert listener.participant is not None and not listener.participant.substreams
        await call.disconnect("so long")
        ssrc = (await peer.says(lambda said: "left" in said))["left"]
        assert ssrc


@needs_gstreamer
@scenario(60.0)
async def test_gstreamer_reads_our_name() -> None:
    description = conference(Media.audio(free_ports(2)))
    async with provider("Us", HERE) as msp, rtpbin("play", description) as peer:
        call = msp.create_call(description=description)
        await call.join()
        said = await peer.says(lambda said: "name" in said.get("described", {}))
        assert said["described"]["name"] in ("Us", "Listener")
        while said["described"].get("name") != "Us":
            said = await peer.says(lambda said: "described" in said)
        assert said["described"]["cname"] == call.local_participant.identity


def telephones() -> ConferenceDescription:
    """Of formats that FFmpeg numbers as we do."""
    port = free_ports(4)
    return conference(Media(medium="audio", port=port, formats=("0",)), Media.video(port + 2))


@needs_ffmpeg
@scenario(60.0)
async def test_a_group_in_which_ffmpeg_sends() -> None:
    description = telephones()
    sound, pictures = (f"rtp://{description.groups[0]}:{m.port}" for m in description.media)
    command = ["ffmpeg", "-nostdin", "-loglevel", "error"]
    command += ["-re", "-f", "lavfi", "-i", "sine=500:r=8000,volume=0.8"]
    command += ["-re", "-f", "lavfi", "-i", f"color=red:s={WIDTH}x{HEIGHT}:r=15"]
    to_group = ["-t", "8", "-cname", "ff@here", "-rtpflags", "send_bye", "-f", "rtp"]
    command += ["-map", "0:a", "-c:a", "pcm_mulaw", "-ac", "1", *to_group]
    command += [f"{sound}?localaddr=127.0.0.1&ttl=0&pkt_size=172"]
    command += ["-map", "1:v", "-c:v", "libvpx", "-deadline", "realtime", "-g", "15", *to_group]
    command += [f"{pictures}?localaddr=127.0.0.1&ttl=0"]
    async with provider("Us", HERE) as msp:
        call = msp.create_call(description=description)
        us, log = Ends(call), EventLog(call)
        await call.join()
        process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL)
        level = 20 * math.log10(0.8 / 8 / math.sqrt(2))  # lavfi's sine has an eighth of full scale
        came, _, _ = await asyncio.gather(
            log.until(NewParticipant, limit_s=LIMIT_S),
            us.hears(500, dbov=level),
            us.sees((RED, RED)),
        )
        assert came.participant is not None and came.participant.cname == "ff@here"
        assert came.participant.media_types == {AUDIO, VIDEO}
        left = await log.until(ParticipantLeft, limit_s=LIMIT_S)
        assert left.reason is GoneReason.BYE
        assert await process.wait() == 0


@needs_ffmpeg
@scenario(60.0)
async def test_ffmpeg_plays_a_group_by_its_description(tmp_path: Path) -> None:
    description = telephones()
    sdp, played = tmp_path / "tea.sdp", tmp_path / "played.mkv"
    await asyncio.to_thread(sdp.write_text, write_description(description))
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-protocol_whitelist", "file,rtp,udp"]
    command += ["-localaddr", "127.0.0.1", "-i", str(sdp), "-t", "3", "-c", "copy", str(played)]
    async with provider("Us", HERE) as msp:
        call = msp.create_call(description=description)
        Ends(call, 880, ALICE)
        await call.join()
        process = await asyncio.create_subprocess_exec(*command)
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 0
    with av.open(played) as file:
        frames = list(file.decode(video=0))
    with av.open(played) as file:
        blocks = [f.to_ndarray().reshape(-1, 1) for f in file.decode(audio=0)]
    assert is_picture(frames[-1], ALICE) and len(frames) > 20
    second = np.concatenate(blocks)[-8000:]
    assert np.abs(np.fft.rfft(second[:, 0])).argmax() == pytest.approx(880, abs=2)
