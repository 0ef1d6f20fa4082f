"""A gateway in one process: Ann in a multicast group and Gus over WebRTC meet in a conference.

The group is on this machine alone. What lets them meet is three lines: a conference, the call that
joins the group, and each guest's call, added to it.
"""

import asyncio
from contextlib import AsyncExitStack, closing

from ipconf import (
    Call,
    CallSettings,
    Direction,
    Identity,
    MediaServiceProvider,
    MediaType,
    NullTerminal,
    SocketTsp,
    ToneTerminal,
)
from ipconf.events import AttendeeTalking, ParticipantEvent

AUDIO = MediaType.AUDIO
HERE = "127.0.0.1"
GROUP = CallSettings(multicast_interface=HERE, multicast_ttl=0, rtcp_min_interval_s=0.5)
WEB = CallSettings(ice_addresses=[HERE])
TEA = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=Tea
c=IN IP4 239.255.42.42/0
t=0 0
m=audio 42420 RTP/AVP 111 110
a=rtpmap:111 opus/48000/2
a=rtpmap:110 telephone-event/48000
a=fmtp:110 0-16
"""


def talk(call: Call, hz: float) -> None:
    """Send a tone, and take what comes."""
    call.stream(AUDIO, Direction.CAPTURE).select_terminal(ToneTerminal(hz))
    call.stream(AUDIO, Direction.RENDER).select_terminal(NullTerminal(AUDIO))


async def told_of(call: Call, names: set[str]) -> str:
    """Wait until exactly these are there, by what RTCP says; who they are."""
    async with asyncio.timeout(20):
        with closing(call.events(ParticipantEvent)) as news:
            while {person.name for person in call.participants} != names:
                await anext(news)
    return " and ".join(sorted(names))


async def main() -> None:
    """Let them meet."""
    async with AsyncExitStack() as stack:
        ann, gus, gate = [
            await stack.enter_async_context(MediaServiceProvider(Identity(name=name), WEB))
            for name in ("Ann", "Gus", "Gate")
        ]
        conference = await stack.enter_async_context(gate.create_conference("Tea"))
        talkers = conference.events(AttendeeTalking)
        group = gate.create_call({AUDIO}, GROUP, TEA)
        conference.add(group)
        await group.join()

        def take(call: Call) -> None:
            """Somebody calls: let them in."""
            conference.add(call)

        door = await stack.enter_async_context(SocketTsp(gate, take))
        port = await door.listen(HERE)

        member = ann.create_call({AUDIO}, GROUP, TEA)
        talk(member, 440)
        await member.join()
        phone = await stack.enter_async_context(SocketTsp(gus))
        guest = await phone.dial(HERE, port, {AUDIO})
        talk(guest, 880)
        await guest.wait_connected()

        print("In the group Ann is told of", await told_of(member, {"Gate", "Gus"}))
        print("Over WebRTC Gus is told of", await told_of(guest, {"Ann", "Gate"}))
        heard = {(await anext(talkers)).attendee.name for _ in range(2)}
        print("Each hears the other:", " and ".join(sorted(heard)))


if __name__ == "__main__":
    asyncio.run(main())
