"""What a multicast group costs one of its members: who talks, who is silent, its description.

everybody else, in one process ── RTP and RTCP, to a group on `lo` ──> the member that is measured
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median

from aiortc.sdp import SessionDescription

from ipconf.load.sounds import is_heard
from ipconf.sdp import ConferenceDescription, Media, parse_description, write_description
from ipconf.sdp.fields import Bandwidth

from .children import Child
from .gauges import cpu_of_process, cpu_us_each
from .machine import Machine, described
from .report import Broken, Plan, Row, attempt
from .rtcp_crowd import BANDWIDTH_BPS

MEMBERS, TALKERS = 200, 3
SILENT = 10_000
TALK_GOAL, SILENT_GOAL, MEMORY_GOAL_MB, PARSE_GOAL_MS = 0.10, 0.02, 20.0, 1.0
SETTLING_S = 3.0
SYSTEM_PYTHON = Path("/usr/bin/python3")
"""Debian's, which has PyGObject, where that is installed."""
PLAYED_PER_S = 20
"""Buffers of the mix that rtpbin plays at least, of whatever length they are."""
DESCRIPTION_ATTRIBUTES = 30


def _conference() -> ConferenceDescription:
    """Sound in a group that nobody else uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1] & ~1
    bandwidth = Bandwidth(modifier="AS", value=BANDWIDTH_BPS // 1000)
    return ConferenceDescription.new(
        "Benchmark",
        now=time.time(),
        host="127.0.0.1",
        group=f"239.255.{random.randrange(200)}.{random.randrange(1, 255)}",
        media=(Media.audio(min(port, 65_000)).replace(bandwidths=(bandwidth,)),),
    )


class Rtpbin:
    """A process of `rtpbin_member.py`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._cpu, self._at = 0.0, 0.0

    def begin(self) -> None:
        """From here on it is measured."""
        self._cpu, self._at = cpu_of_process(self._process.pid), time.monotonic()

    async def end(self, members: int) -> float:
        """Cores that it took; Broken if it did not play, or does not know so many members."""
        passed = time.monotonic() - self._at
        core = (cpu_of_process(self._process.pid) - self._cpu) / passed
        output, _ = await self._process.communicate(b"")
        told = json.loads(output)
        if told["played"] < PLAYED_PER_S * passed or told["members"] < members:
            raise Broken(f"rtpbin played and knew too little: {told}")
        return core


def _has_gstreamer() -> bool:
    probe = ["-c", "import gi; gi.require_version('Gst', '1.0')"]
    if not SYSTEM_PYTHON.exists():
        return False
    return subprocess.run([SYSTEM_PYTHON, *probe], capture_output=True).returncode == 0


@asynccontextmanager
async def _rtpbin(conference: ConferenceDescription) -> AsyncIterator[Rtpbin | None]:
    """One in that group; None where there is no GStreamer."""
    if not _has_gstreamer():
        yield None
        return
    program = Path(__file__).with_name("rtpbin_member.py")
    process = await asyncio.create_subprocess_exec(
        SYSTEM_PYTHON, program, conference.groups[0], str(conference.media[0].port),
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip
    try:
        yield Rtpbin(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _talk(plan: Plan) -> Row:
    """Three talk, and nearly two hundred listen; we and rtpbin hear the same packets."""
    conference = _conference()
    others = MEMBERS - 1
    machine = Machine.now()
    place = {"group": conference.groups[0], "port": conference.media[0].port}
    cores, theirs = [], None
    async with (
        Child("subject_group") as member,
        Child("subject_crowd") as crowd,
        _rtpbin(conference) as rtpbin,
    ):
        await member.ask("join", sdp=write_description(conference))
        await asyncio.sleep(1.0)
        await crowd.ask("introduce", members=others, talkers=TALKERS, **place)
        await member.ask("known", count=others)
        await crowd.ask("go_on")
        await asyncio.sleep(SETTLING_S)
        if rtpbin is not None:
            rtpbin.begin()
        for _ in range(plan.pick(3, 1)):
            used = await member.ask("measure", seconds=plan.window_s, talkers=TALKERS)
            if not all(is_heard(level, TALKERS) for level in used["levels"]):
                raise Broken(f"of three who talk these levels were heard: {used['levels']}")
            cores.append(used["cpu"] / used["seconds"])
        if rtpbin is not None:
            theirs = await rtpbin.end(others)
    peer = "no GStreamer" if theirs is None else f"GStreamer's rtpbin beside it: {theirs:.3f}"
    name = f"group: {MEMBERS} members of whom {TALKERS} talk, CPU of one who joins"
    goal = None if plan.quick else TALK_GOAL
    return Row(name, median(cores), "core", goal, f"{peer}; {described([machine])}")


async def _silence(plan: Plan) -> tuple[Row, Row]:
    """Many whom only their RTCP tells of."""
    count = plan.pick(SILENT, SILENT // 10)
    conference = _conference()
    place = {"group": conference.groups[0], "port": conference.media[0].port}
    async with Child("subject_group") as member, Child("subject_crowd") as crowd:
        await member.ask("join", sdp=write_description(conference))
        await asyncio.sleep(1.0)
        before = await member.ask("resident")
        await crowd.ask("introduce", members=count, **place)
        await member.ask("known", count=count)
        grown = await member.ask("resident") - before
        await crowd.ask("go_on")
        await asyncio.sleep(SETTLING_S)
        used = await member.ask("measure", seconds=2 * plan.window_s, talkers=0)
    name = f"group: {count:,} silent members"
    core = used["cpu"] / used["seconds"]
    memory = "what the process grows by: session, roster, people; each has told CNAME, NAME, TOOL"
    traffic = f"reports as often as {BANDWIDTH_BPS // 1000} kbit/s allow; with the call itself"
    judged = not plan.quick
    return (
        Row(f"{name}, memory", grown / 1e6, "MB", MEMORY_GOAL_MB if judged else None, memory),
        Row(f"{name}, CPU", core, "core", SILENT_GOAL if judged else None, traffic),
    )


def _full_description() -> str:
    """Two media and thirty attributes, with all else that a description may have."""
    audio = Media.audio().with_attribute("fmtp", "111 minptime=10;useinbandfec=1")
    video = Media.video()
    for number in range((DESCRIPTION_ATTRIBUTES - 3) // 2):
        audio = audio.with_attribute(f"x-sound-{number}", f"value {number} of something")
    while len(audio.attributes) + len(video.attributes) < DESCRIPTION_ATTRIBUTES:
        video = video.with_attribute(f"x-picture-{len(video.attributes)}", "value of something")
    full = ConferenceDescription.new(
        "A full description", now=time.time(), host="127.0.0.1", group="239.255.1.2",
        media=(audio, video),
    ).replace(
        information="What it is about", uri="https://example.net/conference",
        emails=("somebody@example.net",), phones=("+1 555 0100",),
    )  # fmt: skip
    return write_description(full)


def _parse(plan: Plan) -> Row:
    text = _full_description()
    count = plan.pick(200, 20)

    def ours() -> int:
        for _ in range(count):
            parse_description(text)
        return count

    def theirs() -> int:
        for _ in range(count):
            SessionDescription.parse(text)
        return count

    runs = [(cpu_us_each(ours) / 1e3, cpu_us_each(theirs) / 1e3) for _ in range(plan.pick(7, 3))]
    our_ms, their_ms = (median(column) for column in zip(*runs, strict=True))
    attributes = text.count("\r\na=")
    note = f"{attributes} attributes, {len(text)} bytes; aiortc's parser: {their_ms:.2f} ms"
    return Row("group: parse a description, CPU", our_ms, "ms", PARSE_GOAL_MS, note)


async def run(plan: Plan) -> AsyncIterator[Row]:
    """Each in processes of its own, but the parsers."""
    yield await attempt(partial(_talk, plan))
    for row in await attempt(partial(_silence, plan)):
        yield row
    yield _parse(plan)
