"""Digits with GStreamer's rtpdtmfsrc and rtpdtmfdepay (RFC 4733), in a group on `lo`, both ways."""

from __future__ import annotations

import asyncio
import json
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from call_ends import Ends, EventLog, provider
from join_lab import visits
from multicast_lab import HERE, conference
from peers import scenario
from senses import AUDIO, RENDER
from transport_lab import free_ports

from ipconf import ConferenceDescription, DigitControl, ToneTerminal
from ipconf.engine.telephone_events import DIGITS
from ipconf.events import DigitBegan, DigitEnded, DigitsSent
from ipconf.sdp import Media, write_description

SYSTEM_PYTHON = "/usr/bin/python3"
PEER = Path(__file__).with_name("dtmf_peer.py")
LIMIT_S = 25.0
ASKED = "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst; Gst.init(None)"
HAS = f"{ASKED}; assert Gst.ElementFactory.find('rtpdtmfsrc')"


def _has_gstreamer() -> bool:
    if not Path(SYSTEM_PYTHON).exists():
        return False
    return subprocess.run([SYSTEM_PYTHON, "-c", HAS], capture_output=True).returncode == 0


needs_gstreamer = pytest.mark.skipif(
    not _has_gstreamer(),
    reason="needs GStreamer's dtmf plug-in, with PyGObject for Debian's Python",
)


def telephones() -> ConferenceDescription:
    """A conference of people with G.711 and telephone events."""
    media = Media(medium="audio", port=free_ports(2), formats=("0", "101"))
    media = media.with_attribute("rtpmap", "101 telephone-event/8000")
    return conference(media.with_attribute("fmtp", "101 0-15"))


@asynccontextmanager
async def gstreamer(mode: str, description: ConferenceDescription) -> AsyncIterator[Process]:
    """A process of `dtmf_peer.py` in the group of a description."""
    place = (description.groups[0], str(description.media[0].port))
    command = [SYSTEM_PYTHON, str(PEER), mode, *place]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _said(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        said = json.loads(await process.stdout.readline())
    assert isinstance(said, dict)
    return said


@needs_gstreamer
@scenario(60.0)
async def test_what_gstreamer_presses_is_told() -> None:
    """It talks as well, under the same SSRC; while a key is pressed it does not."""
    description = telephones()
    async with provider("Us", HERE) as msp, gstreamer("press", description) as peer:
        call = msp.create_call(description=description)
        us, log = Ends(call), EventLog(call)
        await call.join()
        await us.hears(660)
        assert peer.stdin is not None
        for number in (5, 11, 15):
            peer.stdin.write(f"{number}\n".encode())
            began = await log.until(DigitBegan, limit_s=LIMIT_S)
            assert began.digit == DIGITS[number]
            assert began.substream in call.stream(AUDIO, RENDER).substreams
            over = await log.until(DigitEnded)
            assert over.digit == began.digit
            assert over.duration_s == pytest.approx(0.4, abs=0.1)
            assert over.at - began.at == pytest.approx(0.4, abs=0.15)
        await us.hears(660)
        peer.stdin.close()
        await peer.wait()


@needs_gstreamer
@scenario(60.0)
async def test_the_command_says_who_presses(tmp_path: Path) -> None:
    description = telephones()
    path = tmp_path / "tea.sdp"
    path.write_text(write_description(description))
    async with visits() as join, gstreamer("press", description) as peer:
        there = await join(path, "--interface", "127.0.0.1")
        assert await _said(peer) == {"ready": True}
        await there.until(lambda: any(line.endswith(" is here") for line in there.lines))
        assert peer.stdin is not None
        peer.stdin.write(b"9\n")
        await there.until(lambda: any(line.endswith(" presses 9") for line in there.lines))


@needs_gstreamer
@scenario(60.0)
async def test_gstreamer_reads_what_we_press() -> None:
    description = telephones()
    async with provider("Us", HERE) as msp, gstreamer("listen", description) as peer:
        call = msp.create_call(description=description)
        call.select_terminal(ToneTerminal())
        log = EventLog(call)
        await call.join()
        assert await _said(peer) == {"ready": True}
        control = call.query(DigitControl)
        assert control.accepted == DIGITS[:16]
        control.send("06*D", duration_s=0.2, gap_s=0.1)
        numbers, tone_s = [], 0.0
        while len(numbers) < 4 or tone_s < 0.8:
            said = await _said(peer)
            tone_s = said.get("tone_s", tone_s)
            numbers += [said["number"]] if "number" in said else []
        assert numbers == [0, 6, 10, 15]
        assert (await log.until(DigitsSent)).unsent == ""
        while "tone_s" not in (said := await _said(peer)):
            pass
        assert said["tone_s"] == pytest.approx(0.8)  # what is repeated is told once
