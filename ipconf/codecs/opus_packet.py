"""How long an Opus packet plays, read from its first two bytes (RFC 6716 section 3), and packets
without sound for files, which must not have gaps (RFC 7845 section 4.1).
"""

from __future__ import annotations

from ..model import AUDIO_RATE_HZ

MAX_PACKET_SAMPLES = AUDIO_RATE_HZ * 120 // 1000
"""A packet holds at most 120 ms (RFC 6716 section 3.2.5)."""
MAX_PAUSE_BYTES = 2
"""So short are packets of which the decoder makes nothing but comfort noise."""
GAP_SAMPLES = AUDIO_RATE_HZ // 400
"""2.5 ms, the shortest frame: what is filled of a gap is a multiple of it."""

_SAMPLES_PER_MS = AUDIO_RATE_HZ // 1000
_LONGEST_FRAME, _SHORTEST_FRAME = 31 << 3, 28 << 3
"""The first bytes of packets of full bandwidth in one channel, frames of 20 and 2.5 ms."""
_SILENCE = b"\xff\xfe"
"""A CELT frame that is flagged as silent (section 4.3)."""


def _frame_samples(configuration: int) -> int:
    """Samples at 48 kHz of one frame of that configuration, 0..31 (RFC 6716 table 2)."""
    if configuration < 12:  # SILK
        return _SAMPLES_PER_MS * (10, 20, 40, 60)[configuration % 4]
    if configuration < 16:  # hybrid
        return _SAMPLES_PER_MS * (10, 20)[configuration % 2]
    return (_SAMPLES_PER_MS * 5 // 2) << configuration % 4  # CELT: 2.5, 5, 10, 20 ms


def _packet_samples(toc: int) -> int:
    # The last two bits: one frame, two, two of different size, or a number in the next byte.
    return _frame_samples(toc >> 3) * (1, 2, 2, 0)[toc & 3]


_BY_TOC = tuple(_packet_samples(toc) for toc in range(256))


def packet_samples(payload: bytes) -> int:
    """Samples per channel at 48 kHz that the payload stands for; 0 if it cannot be Opus."""
    if not payload:
        return 0
    toc = payload[0]
    if samples := _BY_TOC[toc]:
        return samples
    if len(payload) < 2:
        return 0
    samples = _frame_samples(toc >> 3) * (payload[1] & 0x3F)
    return samples if samples <= MAX_PACKET_SAMPLES else 0


def lost_packets(before: bytes, samples: int) -> list[tuple[bytes, int]]:
    """Packets that say that something was lost behind the packet `before`, and their samples.

    They have frames like it, but empty ones, from which decoders go on as they do after a loss;
    together they play as much of `samples` as such frames fit into.
    """
    frame = _frame_samples(before[0] >> 3)
    return _packets(before[0], frame, samples // frame, b"")


def silent_packets(samples: int) -> list[tuple[bytes, int]]:
    """Packets of silence and the samples of each, together all of `samples` but for a frame."""
    frame, rest = _SAMPLES_PER_MS * 20, samples % (_SAMPLES_PER_MS * 20)
    packets = _packets(_LONGEST_FRAME, frame, samples // frame, _SILENCE)
    return packets + _packets(_SHORTEST_FRAME, GAP_SAMPLES, rest // GAP_SAMPLES, _SILENCE)


def _packets(toc: int, frame: int, frames: int, content: bytes) -> list[tuple[bytes, int]]:
    """Packets with so many frames of the same content (section 3.2.5)."""
    packets = []
    while frames:
        count = min(frames, MAX_PACKET_SAMPLES // frame)
        packets.append((bytes((toc | 3, count)) + content * count, count * frame))
        frames -= count
    return packets
