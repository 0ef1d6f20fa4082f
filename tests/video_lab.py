"""Pictures, and their packets, for the video tests."""

from __future__ import annotations

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from ipconf.codecs.registry import FORMATS
from ipconf.codecs.vp8 import Vp8Encoder
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.model import MediaType

VP8, RTX = FORMATS[MediaType.VIDEO]
FPS = 30
STEP = 3000
"""Ticks of the RTP clock between pictures."""


def picture(index: int, width: int = 320, height: int = 180) -> VideoFrame:
    """A smooth pattern that moves with `index`."""
    rows, columns = np.mgrid[0:height, 0:width]
    luma = 128 + 60 * np.sin((columns + 3 * index) / 23) + 50 * np.cos((rows - 2 * index) / 17)
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = luma.astype(np.uint8)
    planes[height : height + height // 4] = 90 + index % 60
    frame = VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts = None
    return frame


def luma(frame: VideoFrame) -> NDArray[np.float64]:
    array: NDArray[np.uint8] = frame.to_ndarray(format="gray")
    return array.astype(np.float64)


def psnr_db(one: VideoFrame, other: VideoFrame) -> float:
    error = float(np.mean(np.square(luma(one) - luma(other))))
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def vp8_payload(number: int, *, key: bool = False, first: bool = True, size: int = 20) -> bytes:
    """A payload that only looks like VP8: a one-byte descriptor, and `number` to recognise it."""
    head = b"\x00\x00\x00\x9d\x01\x2a" if key and first else b"\x01\x00\x00\x00\x00\x00"
    return bytes([0x10 if first else 0x00]) + head + number.to_bytes(4, "big") + bytes(size)


class PacketMaker:
    """Numbers payloads as a sender does."""

    def __init__(self, sequence: int = 100, timestamp: int = 9000) -> None:
        self.sequence = sequence
        self.timestamp = timestamp

    def frame(self, payloads: list[bytes], marker: bool = True) -> list[RtpPacket]:
        """The packets of one picture."""
        packets = []
        for index, payload in enumerate(payloads):
            last = index == len(payloads) - 1
            packets.append(
                RtpPacket(
                    VP8.payload_type,
                    self.sequence & 0xFFFF,
                    self.timestamp & 0xFFFFFFFF,
                    5,
                    payload,
                    marker and last,
                )
            )
            self.sequence += 1
        self.timestamp += STEP
        return packets

    def fake(self, number: int, count: int = 3, key: bool = False) -> list[RtpPacket]:
        """The packets of a picture that nobody will decode."""
        return self.frame([vp8_payload(number, key=key, first=i == 0) for i in range(count)])


def encoded(
    count: int, key_frames: tuple[int, ...] = (), bitrate_bps: int = 2_000_000
) -> list[list[bytes]]:
    """The payloads of real pictures."""
    encoder = Vp8Encoder(bitrate_bps)
    return [encoder.encode(picture(i), i in key_frames)[0] for i in range(count)]
