"""Real peers publish (WHIP) and play (WHEP): aiortc, FFmpeg and GStreamer; and how they end."""

from __future__ import annotations

import json
import logging
import math
import shutil
import subprocess
import sys
from pathlib import Path

import aioice.ice
import aioice.stun
import pytest
from peers import eventually, scenario
from senses import ALICE, BOB, RED
from whip_lab import Player, Program, Publisher, Site, site
from whip_muxer import key_pair

from ipconf.bridge import guests
from ipconf.bridge.settings import BridgeSettings

SYSTEM_PYTHON = "/usr/bin/python3"
"""Which has PyGObject, where GStreamer is installed."""


def encoder(there: Site, hz: float, picture: str, *options: str) -> Program:
    """FFmpeg, which publishes those."""
    url = f"{there.url}/whip/lobby?name=Encoder"
    return Program(sys.executable, "whip_muxer.py", url, str(hz), picture, *options)


def webrtcbin(there: Site, mode: str, path: str, *arguments: str) -> Program:
    """GStreamer's WebRTC element; without it the test is skipped."""
    asked = ["-c", "import gi; gi.require_version('GstWebRTC', '1.0')"]
    if shutil.which(SYSTEM_PYTHON) is None or subprocess.run([SYSTEM_PYTHON, *asked]).returncode:
        pytest.skip("GStreamer's webrtcbin is not installed for the system's Python")
    return Program(SYSTEM_PYTHON, "webrtcbin_peer.py", mode, there.url + path, *arguments)


@scenario()
async def test_who_publishes_is_heard_and_seen_by_who_plays() -> None:
    async with (
        site() as there,
        Publisher(there, "Ann", 440, ALICE) as ann,
        Player(there, slots=2) as player,
    ):
        await ann.join()
        await player.join()
        await there.holds("Ann", "Player")
        await player.gets(440, ALICE)
        async with Publisher(there, "Bob", None, BOB) as bob:
            await bob.join(trickles=True)
            await player.sees(BOB)
            await bob.end()
            await there.holds("Ann", "Player")
        await player.hears(440)


@scenario()
async def test_ffmpeg_publishes_sound_and_h264(tmp_path: Path) -> None:
    async with site() as there, Player(there) as player:
        await player.join()
        async with encoder(there, 523, "BOB", *key_pair(tmp_path)) as ffmpeg:
            await player.gets(523, BOB)
            await there.holds("Encoder", "Player")
            assert await ffmpeg.end() == 0, ffmpeg.lines
        await there.holds("Player")


@scenario()
async def test_ffmpeg_with_a_key_that_is_refused_is_told_of_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without a certificate it makes one with a P-224 key, which our OpenSSL does not take."""
    caplog.set_level(logging.INFO, "ipconf.bridge")
    async with site() as there, encoder(there, 523, "BOB") as ffmpeg:
        await eventually(lambda: ffmpeg.process.returncode is not None)
        assert any("Input/output error" in line for line in ffmpeg.lines)
        reasons = [
            record.fields["reason"] for record in caplog.records if record.msg == "guest left"
        ]
        assert len(reasons) == 1 and "DTLS handshake failed" in reasons[0], reasons
        assert there.people() == {} and not there.bridge.msp.calls


@scenario()
async def test_two_encoders_of_one_kind_are_two_people(tmp_path: Path) -> None:
    """FFmpeg says "FFmpeg" for a CNAME in its SDP, and nothing of itself in RTCP."""
    keys = key_pair(tmp_path)
    async with (
        site() as there,
        Player(there, slots=2) as player,
        encoder(there, 523, "BOB", *keys),
        encoder(there, 740, "ALICE", *keys),
    ):
        await player.join()
        await there.holds("Encoder", "Encoder (2)", "Player")
        await player.sees(BOB)
        await player.sees(ALICE)


@scenario()
async def test_who_is_killed_is_gone_when_ice_consent_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.05)
    async with site() as there, encoder(there, 523, "BOB", *key_pair(tmp_path)) as ffmpeg:
        await there.holds("Encoder")
        monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.02)
        ffmpeg.kill()
        await eventually(lambda: not there.people() and not there.bridge.msp.calls)


@scenario()
async def test_who_falls_silent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """ICE goes on, and neither RTP nor RTCP comes; 25 s of that are too long for a test."""
    usual = BridgeSettings.call_settings
    soon = lambda self: usual(self).replace(member_timeout_s=1.0)  # noqa: E731
    monkeypatch.setattr(BridgeSettings, "call_settings", soon)
    monkeypatch.setattr(guests, "VANISHED_S", 0.2)
    async with site() as there, Publisher(there, "Ann", 440, None) as ann:
        await ann.join()
        await there.holds("Ann")

        async def nothing(data: bytes) -> None:
            """Stands in for sending."""

        monkeypatch.setattr(ann.transceiver("audio").sender.transport, "_send_rtp", nothing)
        await eventually(lambda: not there.people() and not there.bridge.msp.calls)


@scenario()
async def test_who_closes_dtls_is_gone_at_once() -> None:
    async with site() as there, Publisher(there, "Ann", 440, None) as ann:
        await ann.join()
        await there.holds("Ann")
        await ann.close()
        await there.holds()
        assert (await there.ask("DELETE", ann.session)).status == 404


@scenario()
async def test_webrtcbin_publishes() -> None:
    async with site() as there, Player(there) as player:
        await player.join()
        async with webrtcbin(there, "publish", "/whip/lobby?name=Gst", "610") as gst:
            await player.gets(610, (RED, RED))
            await there.holds("Gst", "Player")
            assert await gst.end() == 0, gst.lines
        await there.holds("Player")


@scenario()
async def test_webrtcbin_plays() -> None:
    async with site() as there, Publisher(there, "Ann", 440, ALICE) as ann:
        await ann.join()
        async with webrtcbin(there, "play", "/whep/lobby?name=Gst") as gst:
            await eventually(lambda: any(_played(line) for line in gst.lines), str(gst.lines))
            await there.holds("Ann", "Gst")
            assert await gst.end() == 0, gst.lines
        await there.holds("Ann")


def _played(line: str) -> bool:
    """Whether webrtcbin says that it heard 440 Hz at -20 dBov and saw the left of ALICE."""
    told = json.loads(line)
    return (
        abs(told.get("hz", 0) - 440) < 3
        and abs(20 * math.log10(told["rms"] / 32768) + 20) < 1.5
        and told["pictures"] > 5
        and all(abs(a - b) < 12 for a, b in zip(told["picture"], ALICE[0], strict=True))
    )
