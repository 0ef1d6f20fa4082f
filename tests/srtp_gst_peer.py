"""GStreamer's srtpenc and srtpdec in a group on `lo`; run by a Python with PyGObject, as a program.

srtp_gst_peer.py send GROUP PORT KEY CIPHER AUTH HZ    sends a tone as G.711 until it is killed
srtp_gst_peer.py play GROUP PORT KEY CIPHER AUTH       prints the pitch of each half second that it
                                                       could decrypt, in Hz
KEY is hexadecimal, salt included.
"""

from __future__ import annotations

import array
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

RATE_HZ = 8_000
SEND = (
    "audiotestsrc is-live=true freq={hz} volume=0.1414 samplesperbuffer=160 "
    "! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay max-ptime=20000000 ! srtpenc "
    'key="{key}" rtp-cipher={cipher} rtcp-cipher={cipher} rtp-auth={auth} rtcp-auth={auth} '
    "! udpsink host={group} port={port} multicast-iface=lo ttl-mc=0 auto-multicast=false"
)
PLAY = (
    "udpsrc address={group} port={port} multicast-iface=lo caps=application/x-srtp,media=audio,"
    "clock-rate=8000,encoding-name=PCMU,payload=0 ! srtpdec name=dec ! rtppcmudepay ! mulawdec "
    "! appsink name=out sync=false emit-signals=true"
)


class Player:
    """Counts the zero crossings of what it could decrypt."""

    def __init__(self) -> None:
        self.samples = array.array("h")

    def take(self, sink: Gst.Element) -> Gst.FlowReturn:
        """A piece of sound."""
        buffer = sink.emit("pull-sample").get_buffer()
        self.samples.frombytes(buffer.extract_dup(0, buffer.get_size()))
        if len(self.samples) >= RATE_HZ // 2:
            pairs = zip(self.samples, self.samples[1:], strict=False)
            print(sum(one < 0 <= other for one, other in pairs) * 2, flush=True)
            self.samples = array.array("h")
        return Gst.FlowReturn.OK


def main(mode: str, group: str, port: str, key: str, cipher: str, auth: str, hz: str = "") -> None:
    """Send or play until killed."""
    Gst.init(None)
    values = {"group": group, "port": port, "key": key, "cipher": cipher, "auth": auth, "hz": hz}
    pipeline = Gst.parse_launch((SEND if mode == "send" else PLAY).format(**values))
    if mode == "play":
        said = f"application/x-srtp,srtp-key=(buffer){key},srtp-cipher={cipher},srtp-auth={auth}"
        said += f",srtcp-cipher={cipher},srtcp-auth={auth}"
        caps = Gst.Caps.from_string(said)
        pipeline.get_by_name("dec").connect("request-key", lambda *_: caps)
        pipeline.get_by_name("out").connect("new-sample", Player().take)
    pipeline.set_state(Gst.State.PLAYING)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
