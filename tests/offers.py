"""Offers as other software writes them, and transports that exist on paper only.

The texts are our own, made from what such clients were seen to offer: numbers, order and oddities
are theirs; keys, names and addresses are invented.
"""

from __future__ import annotations

from aiortc import RTCDtlsParameters, RTCIceCandidate, RTCIceParameters
from aiortc.rtcdtlstransport import RTCDtlsFingerprint
from aiortc.sdp import MediaDescription

from ipconf.calls.negotiator import Negotiator
from ipconf.engine.session_config import PayloadFormat
from ipconf.model import CallSettings, MediaType
from ipconf.transports.base import Loss, PlainLine, SignalledTransport, WebRtcLine

AUDIO, VIDEO = MediaType.AUDIO, MediaType.VIDEO
_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "goog-remb"})
FORMATS = {
    AUDIO: (
        PayloadFormat(111, "opus", 48_000, 2, {"minptime": "10", "useinbandfec": "1"}),
        PayloadFormat(110, "telephone-event", 48_000, parameters={"0-15": ""}),
    ),
    VIDEO: (
        PayloadFormat(96, "VP8", 90_000, feedback=_FEEDBACK),
        PayloadFormat(97, "rtx", 90_000, parameters={"apt": "96"}, apt=96),
    ),
}
"""What these negotiators offer; which codecs there really are is not the matter here."""
DIGEST = ":".join(["5A"] * 32)
_KEYS = f"""a=ice-ufrag:aB3d
a=ice-pwd:0123456789abcdefghijklmn
a=ice-options:trickle
a=fingerprint:sha-256 {DIGEST}
a=setup:actpass
"""


class PaperTransport(SignalledTransport):
    """Has addresses and keys to write down, and remembers what it was told."""

    count = 0

    def __init__(self, settings: CallSettings, failure: Exception | None = None) -> None:
        super().__init__()
        PaperTransport.count += 1
        self.number = PaperTransport.count
        self.settings = settings
        self.failure = failure
        self.opened = self.closed_times = 0
        self.remote: MediaDescription | None = None
        self.offering: bool | None = None
        self.offered: bool | None = None
        self.role = ""
        self.candidates: list[RTCIceCandidate | None] = []
        self.losses: list[Loss | None] = []

    async def open(self, *, offering: bool = True) -> None:
        self.opened += 1
        self.offering = offering

    def describe(self, role: str) -> WebRtcLine | PlainLine:
        port = 40_000 + 2 * (self.number % 10_000)
        if self.settings.transport == "rtp":
            return PlainLine("192.0.2.5", port, port + (not self.settings.rtcp_mux))
        own = RTCIceCandidate(1, "1", "192.0.2.5", port, 1, "udp", "host")
        keys = RTCDtlsParameters([RTCDtlsFingerprint("sha-256", DIGEST)], role)
        return WebRtcLine(RTCIceParameters(f"own{self.number}", "p" * 22), [own], keys)

    async def connect(self, remote: MediaDescription, *, offered: bool, role: str) -> None:
        self.remote, self.offered, self.role = remote, offered, role
        if self.failure is not None:
            raise self.failure

    async def add_remote_candidate(self, candidate: RTCIceCandidate | None) -> None:
        self.candidates.append(candidate)

    def impair(self, loss: Loss | None) -> None:
        self.losses.append(loss)

    def send(self, datagram: bytes) -> None:
        raise AssertionError("nobody sends on paper")

    async def close(self) -> None:
        self.closed_times += 1


def negotiator(*media: MediaType, cname: str = "us@here", **changes: object) -> Negotiator:
    """A negotiator on paper, for these media or both."""
    settings = CallSettings(**changes)
    formats = {medium: FORMATS[medium] for medium in media or (AUDIO, VIDEO)}
    return Negotiator(formats, settings, lambda: PaperTransport(settings), cname)


def paper(negotiator: Negotiator) -> list[PaperTransport]:
    """The transports of a negotiator's agreement."""
    transports = [bearer.transport for bearer in negotiator.bearers]
    assert all(isinstance(transport, PaperTransport) for transport in transports)
    return transports  # type: ignore[return-value]


CHROMIUM = f"""v=0
o=- 4216748190352671188 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS 7f3c-stream
m=audio 51234 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 192.0.2.77
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:2871463119 1 udp 2122260223 192.0.2.77 51234 typ host generation 0 network-id 1
a=candidate:1052344167 1 udp 2122194687 2a0f6f5d-2f4b-4b2f-9b51-0d3a6b0f5f11.local 51235 typ host
a=candidate:4019512095 1 tcp 1518280447 192.0.2.77 9 typ host tcptype active generation 0
{_KEYS}a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:7f3c-stream microphone
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3735928559 cname:Zm9vYmFyYmF6cXV4
a=ssrc:3735928559 msid:7f3c-stream microphone
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 45 46 98 99 100 101 123
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
{_KEYS}a=mid:1
a=extmap:14 urn:ietf:params:rtp-hdrext:toffset
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:13 urn:3gpp:video-orientation
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id
a=sendrecv
a=msid:7f3c-stream camera
a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:102 H264/90000
a=rtcp-fb:102 nack pli
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:103 rtx/90000
a=fmtp:103 apt=102
a=rtpmap:45 AV1/90000
a=fmtp:45 level-idx=5;profile=0;tier=0
a=rtpmap:46 rtx/90000
a=fmtp:46 apt=45
a=rtpmap:98 VP9/90000
a=fmtp:98 profile-id=0
a=rtpmap:99 rtx/90000
a=fmtp:99 apt=98
a=rtpmap:100 red/90000
a=rtpmap:101 rtx/90000
a=fmtp:101 apt=100
a=rtpmap:123 ulpfec/90000
a=ssrc-group:FID 1111 2222
a=ssrc:1111 cname:Zm9vYmFyYmF6cXV4
a=ssrc:1111 msid:7f3c-stream camera
a=ssrc:2222 cname:Zm9vYmFyYmF6cXV4
a=ssrc:2222 msid:7f3c-stream camera
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
{_KEYS}a=mid:2
a=sctp-port:5000
a=max-message-size:262144
"""
"""A browser with microphone, camera and a data channel."""

FIREFOX = f"""v=0
o=mozilla...THIS_IS_SDPARTA-128.0 8823641970226175541 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
a=fingerprint:sha-256 {DIGEST}
a=group:BUNDLE 0 1
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:0123456789abcdef0123456789abcdef
a=ice-ufrag:f1ref0x0
a=mid:0
a=msid:{{6f0b}} {{a1}}
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=setup:actpass
a=ssrc:4022250974 cname:{{5c3b0a52}}
m=video 9 UDP/TLS/RTP/SAVPF 120 124 121 125 126 127
c=IN IP4 0.0.0.0
a=recvonly
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:5 urn:ietf:params:rtp-hdrext:toffset
a=fmtp:126 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1
a=fmtp:120 max-fs=12288;max-fr=60
a=fmtp:124 apt=120
a=fmtp:121 max-fs=12288;max-fr=60
a=fmtp:125 apt=121
a=fmtp:127 apt=126
a=ice-pwd:0123456789abcdef0123456789abcdef
a=ice-ufrag:f1ref0x0
a=mid:1
a=rtcp-fb:120 nack
a=rtcp-fb:120 nack pli
a=rtcp-fb:120 ccm fir
a=rtcp-fb:120 goog-remb
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:120 VP8/90000
a=rtpmap:124 rtx/90000
a=rtpmap:121 VP9/90000
a=rtpmap:125 rtx/90000
a=rtpmap:126 H264/90000
a=rtpmap:127 rtx/90000
a=setup:actpass
a=ssrc:17 cname:{{5c3b0a52}}
"""
"""A browser that shares a fingerprint among its lines and only watches."""

FFMPEG = f"""v=0
o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1
s=FFmpegPublishSession
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:9f3a
a=ice-pwd:0123456789abcdef0123456789abcdef
a=fingerprint:sha-256 {DIGEST}
a=setup:passive
a=mid:0
a=sendonly
a=msid:FFmpeg audio
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=ssrc:77 cname:FFmpeg
a=ssrc:77 msid:FFmpeg audio
m=video 9 UDP/TLS/RTP/SAVPF 106 105
c=IN IP4 0.0.0.0
a=ice-ufrag:9f3a
a=ice-pwd:0123456789abcdef0123456789abcdef
a=fingerprint:sha-256 {DIGEST}
a=setup:passive
a=mid:1
a=sendonly
a=msid:FFmpeg video
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:106 H264/90000
a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:105 rtx/90000
a=fmtp:105 apt=106
a=ssrc-group:FID 88 89
a=ssrc:88 cname:FFmpeg
a=ssrc:89 cname:FFmpeg
"""
"""A publisher over WHIP: sends only, DTLS server, no header extensions, video we cannot decode."""

GSTREAMER = f"""v=0
o=- 7015264928834 0 IN IP4 0.0.0.0
s=-
t=0 0
a=ice-options:trickle
a=group:BUNDLE audio0 video1
m=audio 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=setup:actpass
a=ice-ufrag:gStR
a=ice-pwd:0123456789abcdefghijklmn
a=rtcp-mux
a=rtcp-rsize
a=sendrecv
a=rtpmap:96 OPUS/48000/2
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 transport-cc
a=fmtp:96 sprop-maxcapturerate=48000;sprop-stereo=0
a=ssrc:501 msid:user123@host-9f webrtctransceiver0
a=ssrc:501 cname:user123@host-9f
a=mid:audio0
a=fingerprint:sha-256 {DIGEST}
a=candidate:1 1 UDP 2015363327 192.0.2.88 41000 typ host
a=candidate:2 1 TCP 1015021823 192.0.2.88 9 typ host tcptype active
m=video 0 UDP/TLS/RTP/SAVPF 97
c=IN IP4 0.0.0.0
a=setup:actpass
a=bundle-only
a=ice-ufrag:gStR
a=ice-pwd:0123456789abcdefghijklmn
a=rtcp-mux
a=rtcp-rsize
a=sendrecv
a=rtpmap:97 VP8/90000
a=rtcp-fb:97 nack pli
a=rtcp-fb:97 ccm fir
a=ssrc:502 msid:user123@host-9f webrtctransceiver1
a=ssrc:502 cname:user123@host-9f
a=mid:video1
a=fingerprint:sha-256 {DIGEST}
"""
"""A pipeline with max-bundle: port 0 is no refusal there."""

TELEPHONE = """v=0
o=- 3398754531 1127654098 IN IP4 192.0.2.66
s=-
c=IN IP4 192.0.2.66
t=0 0
m=audio 18000 RTP/AVP 96 9 0 8 101
a=rtpmap:96 opus/48000/2
a=fmtp:96 stereo=1;sprop-stereo=1
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=rtcp:18001
a=rtcp-rsize
a=ssrc:99 cname:sip:alice@192.0.2.66
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
a=sendrecv
a=label:1
a=ptime:20
m=video 18002 RTP/AVP 96
a=rtpmap:96 VP8/90000
a=fmtp:96 max-fs=3600
a=rtcp:18003
a=rtcp-fb:* nack pli
a=sendrecv
a=label:2
"""
"""A SIP telephone: plain RTP, one address for the session, one payload type in two lines."""

WEBRTC_OFFERS = {
    "chromium": CHROMIUM,
    "firefox": FIREFOX,
    "ffmpeg": FFMPEG,
    "gstreamer": GSTREAMER,
}
