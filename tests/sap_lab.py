"""SAP between us and FFmpeg, in a network namespace of its own: run as a program in there.

`multicast_lab.in_namespace` runs this file so; each of `SCENES` prints what it saw as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from multicast_lab import OURS, OURS_IPV6

from ipconf.directory import SapNews, SapPort, SapSettings
from ipconf.sdp import ConferenceDescription, Media

GROUP, PORT = "239.255.12.40", 27150
LIMIT_S = 20.0
TONE = ("-re", "-f", "lavfi", "-i", "sine", "-ar", "8000", "-c:a", "pcm_mulaw")


async def ffmpeg(*arguments: str) -> asyncio.subprocess.Process:
    """FFmpeg, with nothing to ask."""
    return await asyncio.create_subprocess_exec(
        "ffmpeg", "-nostdin", "-loglevel", "error", *arguments, stdout=asyncio.subprocess.DEVNULL
    )


async def ffmpeg_announces() -> object:
    """A tone that FFmpeg sends and announces for a second."""
    seen: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    def note(news: SapNews) -> None:
        description = news.conference.description
        formats = description.media[0].payload_formats
        seen.put_nowait(
            {
                "what": news.what.value,
                "name": description.name,
                "groups": description.groups,
                "ttl": description.connection and description.connection.ttl,
                "port": description.media[0].port,
                "formats": [f.name for f in formats],
            }
        )

    url = f"sap://{GROUP}:{PORT}?announce_addr=224.2.127.254&ttl=1"
    async with SapPort(OURS, on_news=note), asyncio.timeout(LIMIT_S):
        process = await ffmpeg(*TONE, "-t", "1", "-metadata", "title=A tone", "-f", "sap", url)
        assert await process.wait() == 0
        return [await seen.get() for _ in range(2)]


async def ffmpeg_listens() -> object:
    """FFmpeg's demuxer finds what we announce, and plays it."""
    audio = Media(medium="audio", port=PORT, formats=("0",))
    description = ConferenceDescription.new(
        "Found by FFmpeg", now=time.time(), host=OURS, group=GROUP, media=(audio,)
    )
    async with SapPort(OURS, settings=SapSettings(min_interval_s=0.3)) as port:
        port.announce(description, ttl=1)
        player = await ffmpeg(*TONE, "-f", "rtp", f"rtp://{GROUP}:{PORT}?ttl=1&localaddr={OURS}")
        try:
            probe = await asyncio.create_subprocess_exec(
                "ffprobe", "-loglevel", "error", "-of", "json", "-show_streams",
                "-analyzeduration", "200000", "-read_intervals", "%+#20", "-show_packets", "sap://239.255.255.255",
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            async with asyncio.timeout(LIMIT_S):
                output, _ = await probe.communicate()
        finally:
            player.terminate()
            await player.wait()
    found = json.loads(output)
    return {
        "codecs": [stream["codec_name"] for stream in found["streams"]],
        "packets": len(found["packets"]),
    }


async def two_of_us_over_ipv6() -> object:
    """One announces, the other listens, in the group of the site."""
    seen: asyncio.Queue[str] = asyncio.Queue()

    def note(news: SapNews) -> None:
        where = f"by {news.conference.sender} in {news.conference.group}"
        seen.put_nowait(f"{news.what.value} {where}")

    description = ConferenceDescription.new(
        "Six", now=time.time(), host=OURS_IPV6, group="ff15::8000:7"
    )
    async with SapPort(OURS_IPV6, on_news=note), asyncio.timeout(LIMIT_S):
        async with SapPort(OURS_IPV6) as port:
            port.announce(description, ttl=1)
            first = await seen.get()
        return [first, await seen.get()]


SCENES: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
    scene.__name__: scene for scene in (ffmpeg_announces, ffmpeg_listens, two_of_us_over_ipv6)
}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(SCENES[sys.argv[1]]())))
