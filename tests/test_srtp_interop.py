"""SRTP with others' implementations: FFmpeg's and GStreamer's, by keys from descriptions."""

from __future__ import annotations

import asyncio
import base64
import wave
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import numpy as np
import pytest
from call_ends import Ends, EventLog, provider
from multicast_lab import HERE, conference
from peers import LOCALHOST, PLAIN, scenario
from srtp_lab import crypto, encrypted
from test_multicast_interop import SYSTEM_PYTHON, needs_ffmpeg, needs_gstreamer
from transport_lab import free_ports

from ipconf import MediaType
from ipconf.events import AuthenticationFailed, NewParticipant, TspData
from ipconf.sdp import Connection, Media, write_description
from ipconf.sdp.keys import AES_32, AES_80, GCM_128, Crypto, read_crypto
from ipconf.transports.doubts import REPORTS
from ipconf.transports.line_keys import cryptos_of
from ipconf.tsp_data import Description

LIMIT_S = 25.0
HZ = 500


def base64_of(key: Crypto) -> str:
    return base64.b64encode(key.key).decode()


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[None]:
    """A program, killed when the test is over."""
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL)
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def sender(where: str, port: int, key: Crypto) -> list[str]:
    """FFmpeg that sends a tone as G.711, encrypted."""
    url = f"srtp://{where}:{port}?localaddr={LOCALHOST}&ttl=0&pkt_size=190"
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i"]
    command += [f"sine={HZ}:r=8000,volume=0.8", "-t", "20", "-c:a", "pcm_mulaw", "-ac", "1"]
    command += ["-cname", "ff@here", "-srtp_out_suite", key.suite]
    return [*command, "-srtp_out_params", base64_of(key), "-f", "rtp", url]


@needs_ffmpeg
@pytest.mark.parametrize("suite", [AES_80, AES_32])
@scenario(60.0)
async def test_ffmpeg_sends_to_a_group(suite: str) -> None:
    """With the short tag it shortens RTCP's as well, which RFC 4568 section 6.2 does not."""
    port, key = free_ports(2), crypto(suite)
    description = encrypted(conference(Media(medium="audio", port=port, formats=("0",))), key)
    async with provider("Us", HERE) as msp:
        call = msp.create_call(description=description)
        us, log = Ends(call), EventLog(call)
        await call.join()
        async with running(*sender(description.groups[0], port, key)):
            await us.hears(HZ, dbov=-23.0)
            if suite == AES_32:
                failed = await log.until(AuthenticationFailed, limit_s=LIMIT_S)
                assert failed.text == REPORTS
                return
            came = await log.until(NewParticipant, limit_s=LIMIT_S)
            assert came.participant is not None and came.participant.cname == "ff@here"
        assert not log.of(AuthenticationFailed)


@needs_ffmpeg
@scenario(60.0)
async def test_ffmpeg_sends_to_one_of_us(tmp_path: Path) -> None:
    first, key = free_ports(4), crypto()
    description = conference(
        Media(medium="audio", port=first + 2, formats=("0",)),
        connection=Connection(address=LOCALHOST),
    )
    settings = HERE.replace(port_range=(first, first + 1))
    async with provider("Us", settings) as msp:
        call = msp.create_call(description=encrypted(description, key))
        us = Ends(call)
        await call.join()
        async with running(*sender(LOCALHOST, first, key)):
            await us.hears(HZ, dbov=-23.0)


@needs_ffmpeg
@scenario(60.0)
async def test_ffmpeg_with_another_key_is_told() -> None:
    port = free_ports(2)
    description = encrypted(conference(Media(medium="audio", port=port, formats=("0",))))
    async with provider("Us", HERE) as msp:
        call = msp.create_call(description=description)
        log = EventLog(call)
        await call.join()
        async with running(*sender(description.groups[0], port, crypto(seed=99))):
            event = await log.until(AuthenticationFailed, limit_s=LIMIT_S)
            assert "wrong key" in event.text


@needs_ffmpeg
@pytest.mark.parametrize("suite", [AES_80, AES_32])
@scenario(60.0)
async def test_ffmpeg_plays_what_we_send(suite: str, tmp_path: Path) -> None:
    port = free_ports(2)
    media = Media(medium="audio", port=port, formats=("0",))
    description = encrypted(conference(media), crypto(suite))
    sdp, heard = tmp_path / "tea.sdp", tmp_path / "heard.wav"
    await asyncio.to_thread(sdp.write_text, write_description(description))
    command = ["ffmpeg", "-nostdin", "-loglevel", "error"]
    command += ["-protocol_whitelist", "file,rtp,srtp,udp", "-localaddr", LOCALHOST]
    command += ["-i", str(sdp), "-t", "2", str(heard)]
    async with provider("Us", HERE) as msp:
        call = msp.create_call(description=description)
        Ends(call, 880)
        await call.join()
        process = await asyncio.create_subprocess_exec(*command)
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 0
    assert abs(_pitch(heard) - 880) < 15


def _pitch(path: Path) -> float:
    with wave.open(str(path)) as file:
        rate, frames = file.getframerate(), file.readframes(file.getnframes())
    samples = np.frombuffer(frames, np.int16).astype(float)[-rate:]
    assert len(samples) == rate and np.abs(samples).max() > 1000
    return float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(rate)))))


GST = str(Path(__file__).with_name("srtp_gst_peer.py"))
OF_GSTREAMER = {AES_80: ("aes-128-icm", "hmac-sha1-80"), GCM_128: ("aes-128-gcm", "null")}


@needs_gstreamer
@pytest.mark.parametrize("suite", OF_GSTREAMER)
@scenario(60.0)
async def test_gstreamer_sends_to_a_group(suite: str) -> None:
    port, key = free_ports(2), crypto(suite)
    description = encrypted(conference(Media(medium="audio", port=port, formats=("0",))), key)
    group, about = description.groups[0], (key.key.hex(), *OF_GSTREAMER[suite])
    async with provider("Us", HERE) as msp:
        call = msp.create_call(description=description)
        us = Ends(call)
        await call.join()
        async with running(SYSTEM_PYTHON, GST, "send", group, str(port), *about, str(HZ)):
            await us.hears(HZ)


@needs_gstreamer
@pytest.mark.parametrize("suite", OF_GSTREAMER)
@scenario(60.0)
async def test_gstreamer_plays_what_we_send(suite: str) -> None:
    port, key = free_ports(2), crypto(suite)
    description = encrypted(conference(Media(medium="audio", port=port, formats=("0",))), key)
    group, about = description.groups[0], (key.key.hex(), *OF_GSTREAMER[suite])
    command = (SYSTEM_PYTHON, GST, "play", group, str(port), *about)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout is not None
    try:
        async with provider("Us", HERE) as msp, asyncio.timeout(LIMIT_S):
            call = msp.create_call(description=description)
            Ends(call, 880)
            await call.join()
            while abs(int(await process.stdout.readline()) - 880) > 15:
                pass
    finally:
        process.kill()
        await process.wait()


PHONE = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/SAVP 0
a=crypto:{key}
"""


@needs_ffmpeg
@scenario(60.0)
async def test_a_call_whose_far_end_is_ffmpeg(tmp_path: Path) -> None:
    """It offers a key, we answer with one of our own, and each encrypts with its own."""
    port, key = free_ports(2), crypto(tag=4)
    sdp, heard = tmp_path / "call.sdp", tmp_path / "heard.wav"
    async with provider("Us", PLAIN) as msp:
        call = msp.create_call({MediaType.AUDIO})
        us = Ends(call, 880)
        with closing(msp.events(TspData)) as posted:
            offer = PHONE.format(port=port, key=key.to_value())
            call.receive_tsp_data(Description(type="offer", sdp=offer))
            answer = (await posted.wait_for(TspData)).data
        assert isinstance(answer, Description)
        await call.wait_connected()
        (ours,) = (read_crypto(value) for values in cryptos_of(answer.sdp) for value in values)
        assert ours.tag == 4 and ours.key != key.key
        text = PHONE.format(port=port, key=ours.to_value())
        await asyncio.to_thread(sdp.write_text, text)
        command = ["ffmpeg", "-nostdin", "-loglevel", "error"]
        command += ["-protocol_whitelist", "file,rtp,srtp,udp"]
        process = await asyncio.create_subprocess_exec(
            *command, "-i", str(sdp), "-t", "2", str(heard)
        )
        local = call._media.channels[0].transport.local  # type: ignore[attr-defined]
        async with running(*sender(*local, key)), asyncio.timeout(LIMIT_S):
            await us.hears(HZ, dbov=-23.0)
            assert await process.wait() == 0
    assert abs(_pitch(heard) - 880) < 15
