"""Descriptions of conferences for tests."""

from __future__ import annotations

from ipconf.sdp import ConferenceDescription, Media

NOW = 1_515_405_600.0
"""Seconds since 1970; in NTP's count 3724394400."""
SEMINAR = """\
v=0
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1
s=SDP Seminar
i=A seminar on the session description protocol
u=https://www.example.com/seminars/sdp.pdf
e=j.doe@example.com (Jane Doe)
p=+1 617 555-6011
c=IN IP4 239.255.12.40/127
b=CT:128
t=3724394400 3724398000
r=7d 1h 0 25h
z=3724394401 -1h 3724398001 0
k=prompt
a=recvonly
a=x-one:two:three
x=of no known type
m=audio 49170 RTP/AVP 111 0 8 101
i=Sound
b=AS:64
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10; useinbandfec=1
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=sendrecv
m=video 51372/2 RTP/AVPF 96 31
c=IN IP6 ff15::101/3
b=TIAS:500000
k=clear:secret
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack pli
a=rtcp-fb:* ccm fir
y=0100000001
m=application 32416 udp wb
c=IN IP4 239.255.12.42/1/2
""".replace("\n", "\r\n")
"""All kinds of lines, as this package writes them."""


def tea(**changes: object) -> ConferenceDescription:
    """A small conference that begins at `NOW`."""
    media = (Media.audio(),)
    new = ConferenceDescription.new(
        "Tea", now=NOW, host="192.0.2.1", group="239.255.7.7", media=media
    )
    return new.replace(**changes) if changes else new
