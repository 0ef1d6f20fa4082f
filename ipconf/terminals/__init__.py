"""Where media enters and leaves: your own code, files, tones and pictures.

`base` says what a terminal is, `payloads` what one is that takes media undecoded, `multitrack` what
one with several tracks is, and `registry` which ones a provider has and can make. The terminals
themselves are in `memory` (the application's own code), `files`, `tones` and `pictures`; `convert`
holds every conversion between their media and the package's, `faults` how hosts take and give back
terminals whose code may raise.

    own code    memory -> media_capture, media_render -> media_stream, queues

    playing     playback (FilePlayback) -> player -> reader, a thread -> decoding -> lines
    recording   recording (FileRecorder) -> recorder, a thread -> muxing -> tracks
                payload_recording (PayloadRecorder) -> recorder -> payload_muxing -> payload_tracks
                -> payload_containers -> matroska, which writes without FFmpeg;
                `recorders` and `file_writer` hold what both have in common, `file_formats` what
                differs from one kind of file to the other
"""
