"""GStreamer's telephone events in a multicast group on `lo`; a program for a Python with PyGObject.

dtmf_peer.py press GROUP PORT     says a tone as PCMU, and for each line on its input, a number of
                                  RFC 4733, presses that key for 0.4 s, under the same SSRC
dtmf_peer.py listen GROUP PORT    prints a line of JSON for each event that begins: {"number"}, and
                                  four times a second {"tone_s"}, how long they have lasted so far
"""

from __future__ import annotations

import json
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

RATE_HZ = 8_000
PRESSED_MS = 400
TALKS = (
    "audiotestsrc is-live=true freq=660 volume=0.1414 samplesperbuffer=160 "
    "! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay pt=0 max-ptime=20000000 "
    "! mux.sink_0 "
    "rtpdtmfsrc pt=101 packet-redundancy=3 ! mux.priority_sink_0 "
    "rtpdtmfmux name=mux ! udpsink host={group} port={port} multicast-iface=lo ttl-mc=0 "
    "auto-multicast=false"
)
LISTENS = (
    "udpsrc address={group} port={port} multicast-iface=lo "
    "caps=application/x-rtp,media=audio,clock-rate=8000 ! rtpptdemux name=demux"
)
FORMATS = {0: "PCMU", 101: "TELEPHONE-EVENT"}
PARTS = {
    0: "fakesink async=false",
    101: "rtpdtmfdepay ! audio/x-raw,format=S16LE,rate=8000 "
    "! appsink name=sink emit-signals=true sync=false async=false",
}

saying = threading.Lock()


def say(**values: object) -> None:
    """A line of JSON, from any thread."""
    with saying:
        print(json.dumps(values), flush=True)


class Peer:
    """A pipeline that talks and presses keys, or listens."""

    def __init__(self, mode: str, group: str, port: int) -> None:
        self.loop = GLib.MainLoop()
        self.tone_octets = 0
        text = (TALKS if mode == "press" else LISTENS).format(group=group, port=port)
        self.pipeline = Gst.parse_launch(text)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::element", self.told)
        bus.connect("message::error", lambda bus, message: say(error=str(message.parse_error())))
        if mode == "listen":
            demux = self.pipeline.get_by_name("demux")
            demux.connect("request-pt-map", self.caps_of)
            demux.connect("pad-added", self.pad_added)
            GLib.timeout_add(250, self.report)
        self.pipeline.set_state(Gst.State.PLAYING)

    def caps_of(self, demux: Gst.Element, number: int) -> Gst.Caps | None:
        """What a payload type is."""
        if number not in FORMATS:
            return None
        return Gst.Caps.from_string(
            f"application/x-rtp,media=audio,clock-rate={RATE_HZ},payload={number},"
            f"encoding-name={FORMATS[number]}"
        )

    def pad_added(self, demux: Gst.Element, pad: Gst.Pad) -> None:
        """Packets of one more payload type arrive."""
        number = int(pad.get_name().removeprefix("src_"))
        part = Gst.parse_bin_from_description(PARTS[number], True)
        if number == 101:
            part.get_by_name("sink").connect("new-sample", self.heard)
        self.pipeline.add(part)
        part.sync_state_with_parent()
        pad.link(part.get_static_pad("sink"))

    def heard(self, sink: Gst.Element) -> Gst.FlowReturn:
        """A piece of the tone that was made of an event."""
        self.tone_octets += sink.emit("pull-sample").get_buffer().get_size()
        return Gst.FlowReturn.OK

    def told(self, bus: object, message: Gst.Message) -> None:
        """An event has begun."""
        values = message.get_structure()
        if values.get_name() == "dtmf-event":
            say(number=values.get_int("number").value)

    def report(self) -> bool:
        """Say how much tone there was."""
        if self.tone_octets:
            say(tone_s=self.tone_octets / 2 / RATE_HZ)
        return True

    def press(self, number: int) -> None:
        """Hold a key for a while."""
        self.key(f"number=(int){number},volume=(int)10,start=(boolean)true")
        GLib.timeout_add(PRESSED_MS, self.key, "start=(boolean)false")

    def key(self, about: str) -> bool:
        """Tell the source of events what a finger does."""
        text = f"dtmf-event,type=(int)1,method=(int)1,{about}"
        values, _ = Gst.Structure.from_string(text)
        self.pipeline.send_event(Gst.Event.new_custom(Gst.EventType.CUSTOM_UPSTREAM, values))
        return False


def main() -> None:
    """Run until the input is closed."""
    mode, group, port = sys.argv[1:]
    Gst.init(None)
    peer = Peer(mode, group, int(port))

    def obey() -> None:
        for line in sys.stdin:
            GLib.idle_add(lambda number=int(line): peer.press(number) and False)
        GLib.idle_add(peer.loop.quit)

    threading.Thread(target=obey, daemon=True).start()
    say(ready=True)
    peer.loop.run()
    peer.pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
