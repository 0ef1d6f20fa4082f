"""GStreamer's webrtcbin over WHIP or WHEP; run by a Python that has PyGObject, as a program.

    webrtcbin_peer.py publish URL HZ       sends a tone and a red picture until its input is closed
    webrtcbin_peer.py play URL             prints a line of JSON for each half second it is played:
                                           {"hz", "dbov", "picture": [Y, U, V], "pictures"}

It offers by POST, and says DELETE at its end. Once answered it prints {"answer", "offer"}.
"""

from __future__ import annotations

import json
import sys
import threading
import urllib.request
from collections import deque
from urllib.parse import urljoin

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

RATE_HZ = 48_000
DIRECTION = GstWebRTC.WebRTCRTPTransceiverDirection
SENT = (
    "audiotestsrc is-live=true freq={hz} volume=0.1414 samplesperbuffer=960 "
    "! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay pt=96 ! queue ! w. "
    "videotestsrc is-live=true pattern=red ! video/x-raw,width=160,height=96,framerate=15/1 "
    "! videoconvert ! vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay pt=97 ! queue ! w."
)


def say(**values: object) -> None:
    """A line of JSON."""
    print(json.dumps(values), flush=True)


class Peer:
    """A pipeline around one webrtcbin."""

    def __init__(self, mode: str, url: str, hz: str) -> None:
        self.url = url
        self.session = ""
        self.sound: deque[bytes] = deque(maxlen=25)
        self.picture: list[float] = []
        self.pictures = 0
        self.loop = GLib.MainLoop()
        self.sends = mode == "publish"
        if self.sends:
            self.pipeline = Gst.parse_launch(f"webrtcbin name=w {SENT.format(hz=hz)}")
            self.bin = self.pipeline.get_by_name("w")
        else:
            self.pipeline = Gst.Pipeline.new("peer")
            self.bin = Gst.ElementFactory.make("webrtcbin", "w")
            self.pipeline.add(self.bin)
        self.bin.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.agent = self.bin.get_property("ice-agent")  # kept: it would be gone from the element
        self.agent.emit("add-local-ip-address", "127.0.0.1")
        self.bin.connect("pad-added", self.pad_added)
        self.bin.connect("on-negotiation-needed", self.needed)
        self.bin.connect("notify::ice-gathering-state", self.gathering)
        if not self.sends:
            for caps in (
                "application/x-rtp,media=audio,encoding-name=OPUS,payload=96,clock-rate=48000,"
                "encoding-params=(string)2",
                "application/x-rtp,media=video,encoding-name=VP8,payload=97,clock-rate=90000",
            ):
                found = Gst.Caps.from_string(caps)
                self.bin.emit("add-transceiver", DIRECTION.RECVONLY, found)
        self.pipeline.set_state(Gst.State.PLAYING)

    def needed(self, element: object) -> None:
        """All caps are known: offer, sending only where something is sent."""
        if self.sends:
            for index in range(2):
                transceiver = self.bin.emit("get-transceiver", index)
                transceiver.set_property("direction", DIRECTION.SENDONLY)
        self.promise = Gst.Promise.new_with_change_func(self.offered)
        self.bin.emit("create-offer", None, self.promise)

    def offered(self, promise: Gst.Promise) -> None:
        """The offer is there; set as text, as the structure loses its SDP on the way."""
        self.promise.wait()
        self.reply = self.promise.get_reply()  # kept, as what is in it is its own
        self.offer = self.reply.get_value("offer")
        text = self.offer.sdp.as_text()
        GLib.idle_add(self.set_description, "set-local-description", "OFFER", text)

    def set_description(self, signal: str, kind: str, text: str) -> None:
        """Hand a description over."""
        _, message = GstSdp.SDPMessage.new_from_text(text)
        kinds = GstWebRTC.WebRTCSDPType
        description = GstWebRTC.WebRTCSessionDescription.new(getattr(kinds, kind), message)
        self.bin.emit(signal, description, Gst.Promise.new())

    def gathering(self, *ignored: object) -> None:
        """With all candidates, POST the offer."""
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if self.bin.get_property("ice-gathering-state") == complete and not self.session:
            self.session = "?"
            GLib.idle_add(self.post)

    def post(self) -> bool:
        """Offer, and take the answer."""
        offer = self.bin.get_property("local-description").sdp.as_text()
        headers = {"Content-Type": "application/sdp"}
        request = urllib.request.Request(self.url, offer.encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                answer = response.read().decode()
                self.session = urljoin(self.url, response.headers["Location"])
        except urllib.error.HTTPError as exc:
            say(refused=exc.code, text=exc.read().decode(), offer=offer)
            self.loop.quit()
            return False
        self.set_description("set-remote-description", "ANSWER", answer)
        say(answer=answer, offer=offer)
        GLib.timeout_add(500, self.report)
        return False

    def pad_added(self, element: object, pad: Gst.Pad) -> None:
        """Something arrives: decode it."""
        if pad.get_direction() is not Gst.PadDirection.SRC:
            return
        sound = pad.get_current_caps().get_structure(0).get_value("media") == "audio"
        text = (
            "rtpopusdepay ! opusdec ! audioconvert ! audio/x-raw,format=S16LE,channels=1,rate=48000"
            if sound
            else "rtpvp8depay ! vp8dec ! videoconvert ! video/x-raw,format=I420"
        )
        sink = "appsink name=sink emit-signals=true sync=false"
        part = Gst.parse_bin_from_description(f"queue ! {text} ! {sink}", True)
        part.get_by_name("sink").connect("new-sample", self.heard if sound else self.seen)
        self.pipeline.add(part)
        part.sync_state_with_parent()
        pad.link(part.get_static_pad("sink"))

    def heard(self, sink: Gst.Element) -> Gst.FlowReturn:
        """A block of sound."""
        buffer = sink.emit("pull-sample").get_buffer()
        self.sound.append(buffer.extract_dup(0, buffer.get_size()))
        return Gst.FlowReturn.OK

    def seen(self, sink: Gst.Element) -> Gst.FlowReturn:
        """A picture: the colour in its middle."""
        sample = sink.emit("pull-sample")
        shape = sample.get_caps().get_structure(0)
        width, height = shape.get_value("width"), shape.get_value("height")
        buffer = sample.get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        stride, half = (width + 3) // 4 * 4, (width // 2 + 3) // 4 * 4
        start, quarter = stride * height, half * (height // 2)
        middle = half * (height // 4) + width // 8
        places = (stride * (height // 2) + width // 4, start + middle, start + quarter + middle)
        self.picture = [data[place] for place in places]
        self.pictures += 1
        return Gst.FlowReturn.OK

    def report(self) -> bool:
        """Say what was heard and seen of late."""
        if len(self.sound) < 25:
            hz, power = 0.0, 0.0
        else:
            samples = memoryview(b"".join(self.sound)).cast("h")
            rises = sum(a < 0 <= b for a, b in zip(samples, samples[1:], strict=False))
            hz = rises * RATE_HZ / len(samples)
            power = sum(s * s for s in samples[::7]) / max(1, len(samples) // 7)
        say(hz=hz, rms=power**0.5, picture=self.picture, pictures=self.pictures)
        return True

    def close(self) -> None:
        """Leave."""
        self.pipeline.set_state(Gst.State.NULL)
        if self.session.startswith("http"):
            request = urllib.request.Request(self.session, method="DELETE")
            urllib.request.urlopen(request, timeout=10).close()


def main() -> None:
    """Run until standard input is closed."""
    Gst.init(None)
    mode, url, *hz = sys.argv[1:]
    peer = Peer(mode, url, hz[0] if hz else "440")

    def wait() -> None:
        sys.stdin.read()
        GLib.idle_add(peer.loop.quit)

    threading.Thread(target=wait, daemon=True).start()
    peer.loop.run()
    peer.close()


if __name__ == "__main__":
    main()
