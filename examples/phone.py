"""A telephone over plain RTP talks to a multicast group.

How its offer comes here, by SIP say, is up to you; here it stands below. The telephone is FFmpeg,
which sends a tone as G.711, in a thread. The group is on this machine alone.
"""

import asyncio
import re
import time
from contextlib import AsyncExitStack, closing

import av
import numpy as np

from ipconf import CallSettings, Direction, Identity, MediaServiceProvider, MediaType, NullTerminal
from ipconf.events import AttendeeTalking, ParticipantEvent, TspData
from ipconf.tsp_data import Description

AUDIO = MediaType.AUDIO
HERE = "127.0.0.1"
GROUP = CallSettings(multicast_interface=HERE, multicast_ttl=0, rtcp_min_interval_s=0.5)
PLAIN = CallSettings(transport="rtp", rtp_address=HERE)
TEA = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=Tea
c=IN IP4 239.255.42.43/0
t=0 0
m=audio 42430 RTP/AVP 111 110
a=rtpmap:111 opus/48000/2
a=rtpmap:110 telephone-event/48000
a=fmtp:110 0-16
"""
TALK_S = 4.0
TOLD_OF = {"Gate", "desk@example.org"}
OFFER = """v=0
o=- 5 5 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 42440 RTP/AVP 0 101
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
"""


def telephone(port: int, seconds: float) -> None:
    """Send 440 Hz to that port, 50 packets a second."""
    tone = (8000 * np.sin(2 * np.pi * 440 / 8000 * np.arange(160))).astype(np.int16)
    where = f"rtp://{HERE}:{port}?localrtpport=42440&localrtcpport=42441"
    with closing(av.open(where, "w", "rtp", options={"cname": "desk@example.org"})) as out:
        stream = out.add_stream("pcm_mulaw", rate=8000, layout="mono")
        for number in range(round(seconds * 50)):
            frame = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, number * 160
            out.mux(stream.encode(frame))
            time.sleep(0.02)


async def main() -> None:
    """Let the telephone talk to Ann, who is in the group."""
    async with AsyncExitStack() as stack:
        ann, gate = [
            await stack.enter_async_context(MediaServiceProvider(Identity(name=name), GROUP))
            for name in ("Ann", "Gate")
        ]
        member = ann.create_call({AUDIO}, description=TEA)
        member.stream(AUDIO, Direction.RENDER).select_terminal(NullTerminal(AUDIO))
        await member.join()

        conference = await stack.enter_async_context(gate.create_conference("Tea"))
        group = gate.create_call({AUDIO}, description=TEA)
        conference.add(group)
        await group.join()

        answers = gate.events(TspData)
        desk = gate.create_call({AUDIO}, PLAIN)
        conference.add(desk)
        desk.receive_tsp_data(Description(type="offer", sdp=OFFER))
        answer = (await anext(answers)).data
        assert isinstance(answer, Description), answer  # else it is a Disconnect with the reason
        port, formats = re.findall(r"m=audio (\d+) RTP/AVP (.*)", answer.sdp)[0]
        print("The telephone is answered with the formats", formats.strip())

        talkers = conference.events(AttendeeTalking)
        talks = asyncio.create_task(asyncio.to_thread(telephone, int(port), TALK_S))
        print("Who talks:", (await anext(talkers)).attendee.name)
        news = member.events(ParticipantEvent)
        while {person.name for person in member.participants} != TOLD_OF:
            await anext(news)
        print("In the group Ann is told of", *sorted(TOLD_OF))
        await talks


if __name__ == "__main__":
    asyncio.run(main())
