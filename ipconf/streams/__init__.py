"""Streams and substreams: from terminals to packets, and from packets to terminals.

    what all have in common   runnable, substreams, selection, failures
    sent                      capture -> audio_capture, video_capture
    arriving                  render -> audio_render, video_render; receivers: who decodes whom;
                              seating: which source is on which substream
    made                      making

`ipconf.rtp_streams` holds what applications see of them.
"""
