"""GStreamer's rtpbin as a member of a multicast group on `lo` that plays all it hears.

`rtpbin_member.py GROUP PORT`, run by a Python with PyGObject, as a program. Once its input is
closed it prints a line of JSON: how many buffers of the mix there were, and how many members.
"""

from __future__ import annotations

import json
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

PIPELINE = (
    "rtpbin name=rb "
    "udpsrc address={group} port={port} multicast-iface=lo caps=application/x-rtp,media=audio,"
    "clock-rate=48000,encoding-name=OPUS,payload=111 ! rb.recv_rtp_sink_0 "
    "udpsrc address={group} port={rtcp} multicast-iface=lo ! rb.recv_rtcp_sink_0 "
    "audiomixer name=mix ! audio/x-raw,format=S16LE,rate=48000,channels=1 "
    "! fakesink name=sink sync=true"
)
VOICE = (
    "rtpopusdepay ! opusdec ! audioconvert "
    "! capsfilter caps=audio/x-raw,format=S16LE,rate=48000,channels=1"
)


def main() -> None:
    """Play until standard input is closed."""
    Gst.init(None)
    group, port = sys.argv[1], int(sys.argv[2])
    pipeline = Gst.parse_launch(PIPELINE.format(group=group, port=port, rtcp=port + 1))
    rtpbin, mixer = pipeline.get_by_name("rb"), pipeline.get_by_name("mix")

    def arrived(_: object, pad: Gst.Pad) -> None:
        if pad.get_name().startswith("recv_rtp_src"):
            voice = Gst.parse_bin_from_description(VOICE, True)
            pipeline.add(voice)
            voice.get_static_pad("src").link(mixer.request_pad_simple("sink_%u"))
            voice.sync_state_with_parent()
            pad.link(voice.get_static_pad("sink"))

    rtpbin.connect("pad-added", arrived)
    pipeline.set_state(Gst.State.PLAYING)
    loop = GLib.MainLoop()

    def wait() -> None:
        sys.stdin.read()
        GLib.idle_add(loop.quit)

    threading.Thread(target=wait, daemon=True).start()
    loop.run()
    played = pipeline.get_by_name("sink").get_property("stats").get_uint64("rendered").value
    session = rtpbin.emit("get-internal-session", 0)
    print(json.dumps({"played": played, "members": session.get_property("num-sources")}))
    pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
