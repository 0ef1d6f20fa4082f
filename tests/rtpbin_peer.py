"""GStreamer's rtpbin in a multicast group on `lo`; run by a Python with PyGObject, as a program.

rtpbin_peer.py send GROUP PORT HZ      sends a tone and a red picture (to PORT + 2), with all
                                       SDES items, and says BYE when its input is closed
rtpbin_peer.py play GROUP PORT         prints a line of JSON for each half second of each source:
                                       {"hz", "rms", "ssrc"}, and {"described", "of"} or {"left"}
                                       for sources, CSRCs included
rtpbin_peer.py watch GROUP PORT        the same, and of pictures (on PORT + 2) each half second
                                       {"sees", "ssrc"}: Y, U and V of the left and the right half
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

RATE_HZ = 48_000
SDES = {
    "cname": "gst@example.test",
    "name": "Gst Person",
    "email": "gst@mail.test",
    "phone": "+1555",
    "location": "lab",
    "tool": "gsttool",
    "note": "hello",
}
LISTENER = {"cname": "rx@example.test", "name": "Listener"}
OUT = "udpsink host={group} port={port} multicast-iface=lo ttl-mc=0 auto-multicast=false"
SOUND = (
    "audiotestsrc is-live=true freq={hz} volume=0.1414 samplesperbuffer=960 "
    "! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay pt=111 ! rb.send_rtp_sink_0 "
)
PICTURES = (
    "videotestsrc is-live=true pattern=red ! video/x-raw,width=160,height=96,framerate=15/1 "
    "! videoconvert ! vp8enc deadline=1 keyframe-max-dist=15 ! rtpvp8pay pt=96 "
    "! rb.send_rtp_sink_1 "
)
PLAYED = (
    "udpsrc address={group} port={port} multicast-iface=lo caps=application/x-rtp,media=audio,"
    "clock-rate=48000,encoding-name=OPUS,payload=111 ! rb.recv_rtp_sink_0 "
    "udpsrc address={group} port={rtcp} multicast-iface=lo ! rb.recv_rtcp_sink_0 "
)
WATCHED = (
    "udpsrc address={group} port={port} multicast-iface=lo caps=application/x-rtp,media=video,"
    "clock-rate=90000,encoding-name=VP8,payload=96 ! rb.recv_rtp_sink_1 "
    "udpsrc address={group} port={rtcp} multicast-iface=lo ! rb.recv_rtcp_sink_1 "
)
HEARD = (
    "queue ! rtpopusdepay ! opusdec ! audioconvert ! audioresample "
    "! audio/x-raw,format=S16LE,channels=1,rate=48000 "
    "! appsink name=sink emit-signals=true sync=false"
)
SEEN = (
    "queue ! rtpvp8depay ! vp8dec ! videoconvert ! video/x-raw,format=Y444 "
    "! appsink name=sink emit-signals=true sync=false"
)

saying = threading.Lock()


def say(**values: object) -> None:
    """A line of JSON, from any thread."""
    with saying:
        print(json.dumps(values), flush=True)


class Peer:
    """A pipeline around one rtpbin."""

    def __init__(self, mode: str, group: str, port: int, hz: str) -> None:
        self.sound: dict[int, deque[bytes]] = {}
        self.seen_at: dict[int, float] = {}
        self.loop = GLib.MainLoop()
        sends = mode == "send"
        text = "rtpbin name=rb "
        for session in range(1 if mode == "play" else 2):
            rtp = OUT.format(group=group, port=port + 2 * session)
            rtcp = OUT.format(group=group, port=port + 2 * session + 1)
            text += f"rb.send_rtcp_src_{session} ! {rtcp} sync=false async=false "
            if sends:
                text += f"rb.send_rtp_src_{session} ! {rtp} "
        text += (SOUND + PICTURES if sends else PLAYED).format(
            group=group, port=port, rtcp=port + 1, hz=hz
        )
        if mode == "watch":
            text += WATCHED.format(group=group, port=port + 2, rtcp=port + 3)
        self.pipeline = Gst.parse_launch(text)
        self.bin = self.pipeline.get_by_name("rb")
        items = Gst.Structure.new_empty("application/x-rtp-source-sdes")
        for name, value in (SDES if sends else LISTENER).items():
            items.set_value(name, value)
        self.bin.set_property("sdes", items)
        if not sends:
            self.bin.connect("pad-added", self.pad_added)
            self.bin.connect("on-ssrc-sdes", self.described)
            self.bin.connect("on-bye-ssrc", lambda rb, session, ssrc: say(left=ssrc))
            GLib.timeout_add(500, self.report)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::eos", lambda *ignored: self.loop.quit())
        bus.connect("message::error", lambda bus, message: say(error=str(message.parse_error())))
        self.pipeline.set_state(Gst.State.PLAYING)

    def described(self, rb: Gst.Element, session: int, ssrc: int) -> None:
        """A source has told who it is."""
        source = rb.emit("get-internal-session", session).emit("get-source-by-ssrc", ssrc)
        sdes = source.get_property("sdes")
        items = [sdes.nth_field_name(n) for n in range(sdes.n_fields())]
        told = {name: sdes.get_string(name) for name in items if sdes.get_string(name)}
        say(described=told, of=ssrc)

    def pad_added(self, element: object, pad: Gst.Pad) -> None:
        """Something arrives: decode it."""
        if not pad.get_name().startswith("recv_rtp_src"):
            return
        session, ssrc = map(int, pad.get_name().split("_")[-3:-1])
        part = Gst.parse_bin_from_description(SEEN if session else HEARD, True)
        sink = part.get_by_name("sink")
        if session:
            sink.connect("new-sample", self.seen, ssrc)
        else:
            sound = self.sound[ssrc] = deque[bytes](maxlen=25)
            sink.connect("new-sample", self.heard, sound)
        self.pipeline.add(part)
        part.sync_state_with_parent()
        pad.link(part.get_static_pad("sink"))

    def heard(self, sink: Gst.Element, sound: deque[bytes]) -> Gst.FlowReturn:
        """A block of sound."""
        buffer = sink.emit("pull-sample").get_buffer()
        sound.append(buffer.extract_dup(0, buffer.get_size()))
        return Gst.FlowReturn.OK

    def seen(self, sink: Gst.Element, ssrc: int) -> Gst.FlowReturn:
        """A picture: say what its middle line shows, if that was not said a moment ago."""
        sample = sink.emit("pull-sample")
        if time.monotonic() - self.seen_at.get(ssrc, 0) < 0.5:
            return Gst.FlowReturn.OK
        self.seen_at[ssrc] = time.monotonic()
        form, buffer = sample.get_caps().get_structure(0), sample.get_buffer()
        width, height = form.get_value("width"), form.get_value("height")
        planes = buffer.extract_dup(0, buffer.get_size())
        stride = len(planes) // 3 // height
        lines = [planes[(n * height + height // 2) * stride :][:width] for n in range(3)]
        middle = width // 2
        sides = [[line[: middle - 8], line[middle + 8 :]] for line in lines]
        say(sees=[[sum(s[n]) / len(s[n]) for s in sides] for n in range(2)], ssrc=ssrc)
        return Gst.FlowReturn.OK

    def report(self) -> bool:
        """Say what was heard of late, of whom enough was heard."""
        for ssrc, sound in tuple(self.sound.items()):
            samples = memoryview(b"".join(tuple(sound))).cast("h")
            if len(sound) == sound.maxlen:
                rises = sum(a < 0 <= b for a, b in zip(samples, samples[1:], strict=False))
                power = sum(s * s for s in samples[::7]) / max(1, len(samples) // 7)
                say(hz=rises * RATE_HZ / len(samples), rms=power**0.5, ssrc=ssrc)
                sound.clear()
        return True

    def leave(self) -> None:
        """Say BYE, and be gone once that is out."""
        self.pipeline.send_event(Gst.Event.new_eos())
        GLib.timeout_add(3000, self.loop.quit)  # a listener has no stream that could end


def main() -> None:
    """Run until standard input is closed."""
    Gst.init(None)
    mode, group, port, *hz = sys.argv[1:]
    peer = Peer(mode, group, int(port), hz[0] if hz else "440")

    def wait() -> None:
        sys.stdin.read()
        GLib.idle_add(peer.leave)

    threading.Thread(target=wait, daemon=True).start()
    peer.loop.run()
    peer.pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
