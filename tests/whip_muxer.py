"""FFmpeg's own WHIP muxer as a publisher, through PyAV: H.264 and Opus, no SDES, no BYE, no mid.

    whip_muxer.py URL HZ PICTURE [OPTION=VALUE ...]      PICTURE is the name of one in `senses`

PyAV keeps the interpreter to itself while the muxer speaks HTTP and DTLS, so it is a program: it
publishes until its input is closed, and says why it cannot.
"""

from __future__ import annotations

import fractions
import sys
import threading
import time
from pathlib import Path
from typing import Any

import av
import senses
from aiortc import RTCCertificate
from cryptography.hazmat.primitives import serialization

from ipconf.model import AUDIO_FRAME_SAMPLES, AUDIO_RATE_HZ
from ipconf.terminals.tones import ToneTerminal

FPS = 25
TICK_S = AUDIO_FRAME_SAMPLES / AUDIO_RATE_HZ


def key_pair(directory: Path) -> list[str]:
    """The muxer's options for a certificate with a P-256 key; of its own accord it makes P-224."""
    made = RTCCertificate.generateCertificate()
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    certificate.write_bytes(made._cert.public_bytes(pem))
    key.write_bytes(made._key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return [f"cert_file={certificate}", f"key_file={key}"]


def publish(out: Any, hz: float, picture: senses.Picture, stop: threading.Event) -> None:
    """Send a tone and a picture in real time until `stop`."""
    voice = out.add_stream("libopus", rate=AUDIO_RATE_HZ, layout="stereo", format="s16")
    few = {"profile": "baseline", "tune": "zerolatency", "preset": "ultrafast", "bf": "0"}
    camera = out.add_stream("libx264", rate=FPS, options={**few, "g": str(FPS)})
    camera.width, camera.height, camera.pix_fmt = senses.WIDTH, senses.HEIGHT, "yuv420p"
    tone, begin, ticks, pictures = ToneTerminal(hz, channels=2), time.monotonic(), 0, 0
    while not stop.wait(max(0.0, begin + ticks * TICK_S - time.monotonic())):
        samples = tone.read(0.0)
        assert samples is not None
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "stereo")
        frame.sample_rate, frame.pts = AUDIO_RATE_HZ, ticks * AUDIO_FRAME_SAMPLES
        frame.time_base = fractions.Fraction(1, AUDIO_RATE_HZ)
        out.mux(voice.encode(frame))
        ticks += 1
        if ticks * TICK_S * FPS >= pictures:
            shown = senses.paint(picture)
            shown.pts, shown.time_base = pictures, fractions.Fraction(1, FPS)
            out.mux(camera.encode(shown))
            pictures += 1


def main() -> None:
    """Publish until standard input is closed."""
    url, hz, name, *given = sys.argv[1:]
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    options = {"handshake_timeout": "5000", **dict(option.split("=", 1) for option in given)}
    out = av.open(url, "w", format="whip", options=options)
    try:
        publish(out, float(hz), getattr(senses, name), stop)
    finally:
        out.close()  # which says DELETE


if __name__ == "__main__":
    main()
