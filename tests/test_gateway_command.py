"""`ipconf gateway` as people run it: members of a group and guests meet; what cannot be opened."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from call_ends import Ends, EventLog, provider
from gateway_lab import CNAME, NAME, Guest
from join_lab import Joined, main, visits
from multicast_lab import HERE, conference, sound_and_pictures
from peers import LOCALHOST, eventually, scenario, together
from recording_lab import sound_of
from senses import ALICE, BOB, RED
from terminal_lab import file_tracks
from test_multicast_interop import RMS, Rtpbin, needs_gstreamer, rtpbin

from ipconf import (
    CallSettings,
    ConferenceDescription,
    DigitControl,
    GoneReason,
    Identity,
    MediaServiceProvider,
    MediaType,
    ToneTerminal,
)
from ipconf.events import ParticipantLeft
from ipconf.gateway.run import FAREWELL
from ipconf.model import AUDIO_RATE_HZ
from ipconf.sdp import write_description
from ipconf.tsp.socket import SocketTsp
from ipconf.tsp_data import Disconnect

OPTIONS = ("--interface", LOCALHOST, "--ttl", "0", "--listen", f"{LOCALHOST}:0")


@asynccontextmanager
async def gateway(
    description: ConferenceDescription, path: Path, *options: str
) -> AsyncIterator[tuple[Joined, int]]:
    """A process of it, and the port where it takes calls; ended when the test is over."""
    file = path / "tea.sdp"
    file.write_text(write_description(description))
    async with visits() as run:
        process = await run(file, *OPTIONS, *options, program="gateway")
        found = re.search(r"guests call 127\.0\.0\.1:(\d+)\.", "".join(process.lines))
        assert found, (process.lines, await process.end())
        yield process, int(found[1])


def named(peer: Rtpbin) -> dict[int, str]:
    """The names of whom a member of GStreamer's knows, by SSRC or CSRC."""
    told = [said for said in peer.said if "name" in said.get("described", {})]
    return {said["of"]: said["described"]["name"] for said in told}


@needs_gstreamer
@scenario(90.0)
async def test_gstreamer_and_aiortc_hear_see_and_know_one_another(tmp_path: Path) -> None:
    tea = sound_and_pictures()
    async with (
        gateway(tea, tmp_path, "--name", "Gate") as (process, port),
        rtpbin("send", tea, 660),
        rtpbin("watch", tea) as listener,
        Guest(880, ALICE) as guest,
    ):
        guest.name = "Gus"
        await guest.call(port)

        def is_the_guest(said: dict[str, Any]) -> bool:
            return abs(said.get("hz", 0) - 880) < 5 and abs(said["rms"] / RMS - 1) < 0.2

        def is_of_the_guest(said: dict[str, Any]) -> bool:
            return "sees" in said and bool(np.abs(np.subtract(said["sees"], ALICE)).max() < 12)

        heard = await listener.says(is_the_guest)
        await listener.says(is_of_the_guest)
        await guest.hears(660)  # and nothing else is as loud, the own tone neither
        await guest.sees((RED, RED))
        await guest.reads("Gst Person", "Listener", "Gate")
        told = guest.names[guest.ssrc_of("Gst Person") or 0]
        assert told[CNAME] == "gst@example.test"
        assert guest.ssrc_of("Gst Person") in guest.contributors
        assert "Gus" not in {items.get(NAME) for items in guest.names.values()}
        await listener.says(lambda said: "Gus" in named(listener).values())
        # whose guests contribute
        await listener.says(lambda said: named(listener).get(heard["ssrc"]) == "Gate")
        await process.lists("group: Gst Person", "group: Listener", "guest: Gus")
        talkers = {line.split(": ")[0] for line in process.lines if line.endswith(" talks")}
        assert talkers == {"group", "guest"}
        assert await process.end(signal.SIGTERM) == (0, "")
        assert await guest.is_dismissed() == FAREWELL
        await listener.says(lambda said: said.get("left") == heard["ssrc"])


@scenario(90.0)
async def test_members_and_guests_in_both_directions(tmp_path: Path) -> None:
    """Members of ours: they see the guest's pictures, under the guest's name."""
    tea = sound_and_pictures()
    async with (
        gateway(tea, tmp_path) as (process, port),
        provider("Ann", HERE) as msp,
        Guest(880, ALICE) as guest,
    ):
        call = msp.create_call(description=tea)
        ann, log = Ends(call, 440, BOB), EventLog(call)
        await call.join()
        guest.name = "Gus"
        await guest.call(port)
        await together(ann.gets(880, ALICE), guest.gets(440, BOB))
        await eventually(lambda: {p.name for p in call.participants} == {"Gateway", "Gus"})
        gus = next(p for p in call.participants if p.name == "Gus")
        sound = next(s for s in gus.sources if s.contributing)
        assert sound.mixer is not None and len({s.ssrc for s in gus.sources} - {sound.ssrc}) <= 1
        shown = {s.participant.name for s in call.streams[-1].substreams if s.participant}
        assert shown == {"Gus"}
        await guest.reads("Ann")
        await guest.close()
        left = await log.until(
            ParticipantLeft, lambda e: e.participant and e.participant.name == "Gus"
        )
        assert left.reason is GoneReason.BYE
        await process.says("guest: Gus has left")
        await call.disconnect("so long")
        await process.says("group: Ann has left: so long")
        assert await process.end(signal.SIGINT) == (0, "")


@scenario(60.0)
async def test_a_gateway_that_is_full_says_so_and_takes_whoever_comes_later(tmp_path: Path) -> None:
    async with gateway(conference(), tmp_path, "--max-guests", "1") as (process, port):
        async with Guest(880) as first, Guest(660) as second:
            first.name = "First"
            await first.call(port)
            refused = await second.ask(port)
            assert isinstance(refused, Disconnect)
            assert refused.reason == "the gateway is full: it takes 1 guests"
            await process.lists("guest: First")
        await process.says("guest: First has left")
        async with Guest(880) as third:
            third.name = "Third"
            await third.call(port)
            await process.lists("guest: Third")
        assert await process.end(signal.SIGTERM) == (0, "")


@scenario(60.0)
async def test_keys_that_a_guest_presses_are_told(tmp_path: Path) -> None:
    settings = CallSettings(ice_addresses=(LOCALHOST,), rtcp_min_interval_s=0.5)
    async with (
        gateway(conference(), tmp_path) as (process, port),
        MediaServiceProvider(Identity(name="Dora"), settings) as msp,
        SocketTsp(msp) as tsp,
    ):
        call = await tsp.dial(LOCALHOST, port, (MediaType.AUDIO,))
        call.select_terminal(ToneTerminal())
        await call.wait_connected()
        await process.lists("guest: Dora")
        call.query(DigitControl).send("5")
        await process.says("guest: Dora presses 5")
        await call.disconnect()
        assert await process.end(signal.SIGTERM) == (0, "")


@scenario(60.0)
async def test_what_is_said_on_both_sides_is_recorded(tmp_path: Path) -> None:
    tea, recording = conference(), tmp_path / "heard.mkv"
    async with (
        gateway(tea, tmp_path, "--record", str(recording)) as (process, port),
        provider("Ann", HERE) as msp,
        Guest(880) as guest,
    ):
        call = msp.create_call(description=tea)
        ann = Ends(call, 440)
        await call.join()
        await guest.call(port)
        await together(ann.hears(880), guest.hears(440))
        await asyncio.sleep(1.0)  # of both, to be measured
        assert await process.end(signal.SIGTERM) == (0, "")
        assert await guest.is_dismissed() == FAREWELL
    number = 1 + file_tracks(recording).index("audio")
    wave = np.concatenate([sound for _, sound in sound_of(recording, number)])[-AUDIO_RATE_HZ:]
    tones = strongest_hz(wave)
    assert tones == [pytest.approx(440, abs=3), pytest.approx(880, abs=3)]


@scenario(60.0)
async def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    full = tmp_path / "heard.wav"
    full.symlink_to("/dev/full")
    async with gateway(conference(), tmp_path, "--record", str(full)) as (process, port):
        async with Guest(880) as guest:
            await guest.call(port)
            await process.until(lambda: any("No space left" in line for line in process.lines))
        assert await process.end(signal.SIGINT) == (1, "")


def strongest_hz(wave: np.ndarray) -> list[float]:
    """The two strongest tones of a second of sound, those next to the first apart."""
    spectrum = np.abs(np.fft.rfft(wave.astype(float) * np.hanning(len(wave)), AUDIO_RATE_HZ))
    first = int(spectrum.argmax())
    spectrum[first - 10 : first + 11] = 0
    return sorted([float(first), float(spectrum.argmax())])


@pytest.mark.parametrize(
    ("text", "options", "code", "said"),
    [
        (None, (), 2, "No such file"),
        ("hello\n", (), 2, "tea.sdp: line 1, 'hello': a description begins with v=0"),
        ("tea", ("--name", "x" * 300), 2, "an SDES item holds 255"),
        ("tea", ("--listen", "5077"), 2, "--listen 5077: give HOST:PORT"),
        ("tea", ("--listen", "127.0.0.1:99999"), 2, "give HOST:PORT"),
        (
            "tea",
            ("--listen", "203.0.113.1:5077"),
            2,
            "--listen: cannot bind any port on 203.0.113.1",
        ),
        ("tea", ("--max-guests", "0"), 2, "--max-guests 0: give at least 1"),
        ("tea", ("--video-slots", "16"), 2, "--video-slots 16: give 1 to 15"),
        ("tea", ("--udp-ports", "4000"), 2, "--udp-ports 4000: give two ports"),
        ("tea", ("--udp-ports", "5000-4000"), 2, "give the lower number first"),
        ("tea", ("--ice-addresses", "here"), 2, "--ice-addresses here: that is no IP address"),
        ("tea", ("--ice-addresses", ""), 2, "--ice-addresses: give at least one"),
        ("tea", ("--ice-addresses", "192.0.2.77"), 2, "--ice-addresses: cannot bind any port on"),
        ("tea", ("--public-address", "here"), 2, "--public-address here: that is no IP address"),
        ("tea", ("--ttl", "256"), 2, "--ttl 256: give at most 255"),
        ("tea", ("--interface", "nowhere0"), 2, "there is no interface 'nowhere0'"),
        ("tea", ("--record", "x.doc"), 2, "--record x.doc: end the name in"),
        ("board", (), 1, "has application, and nothing that the call is to have"),
        ("silent", (), 1, "has no audio"),
    ],
)
def test_what_cannot_be_opened(
    text: str | None,
    options: tuple[str, ...],
    code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tea = conference()
    texts = {
        "tea": write_description(tea),
        "board": write_description(tea.edit_media(0, medium="application")),
        "silent": write_description(
            sound_and_pictures().replace(media=sound_and_pictures().media[1:])
        ),
    }
    path = tmp_path / "tea.sdp"
    if text is not None:
        path.write_text(texts.get(text, text))
    assert main(["gateway", str(path), *OPTIONS, *options]) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("ipconf gateway: ") and said in err
    assert len(err.splitlines()) == 1


def test_a_port_that_is_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tea.sdp"
    path.write_text(write_description(conference()))
    with socket.create_server((LOCALHOST, 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["gateway", str(path), *OPTIONS, "--listen", f"{LOCALHOST}:{port}"]) == 1
    assert f"cannot listen at {LOCALHOST}:{port}" in capsys.readouterr().err


def test_options_that_make_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    """FULL would bring the mix back to everybody, and is not on offer."""
    for options in (("--for", "0"), ("--loopback", "full"), ("--max-guests", "many")):
        with pytest.raises(SystemExit) as exit_:
            main(["gateway", "tea.sdp", *options])
        assert exit_.value.code == 2
    assert "invalid choice: 'full'" in capsys.readouterr().err
