"""A Matroska or WebM file in the making (RFC 9559), of media that are encoded already.

FFmpeg's muxer would keep sound in memory for as long as a person's camera is off, and lose it in a
crash: it waits for the next picture of VP8. Here everything is in the file after two seconds. Until
the file is complete players know neither how long it is nor where to find a place in it.

Tracks may come while the file is being written, where room was reserved for them: the element that
tells them ends with one that means nothing, whose place they take.
"""

import struct
from dataclasses import dataclass
from io import FileIO

from ..errors import MediaError

HOLD_MS = 1100
"""Tracks may be so far apart: blocks are put in order as long as they are held."""
CLUSTER_MS = 500
"""So much is written at a time."""
MAX_CLUSTER_MS = 5000
"""Blocks of a cluster are not further apart."""
SEEK_PRE_ROLL_NS = 80_000_000
"""A decoder of Opus is right again after so long (RFC 7845 section 4.6)."""

MAX_TRACKS = 126
"""The number of a track is one byte in each block."""
ENTRY_BYTES = 320
"""Of the room for tracks to come each takes so much at most."""

MAX_TITLE_BYTES = 150

_UNKNOWN_SIZE = b"\x01" + b"\xff" * 7
_SEEK_BYTES = 32
"""Room for saying where the cues are."""
_DURATION_BYTES = 11
_VOID_HEAD = 9
_KEY = 0x80

# RFC 9559 section 27.1
_EBML, _SEGMENT, _SEEK_HEAD, _INFO = 0x1A45DFA3, 0x18538067, 0x114D9B74, 0x1549A966
_TRACKS, _CLUSTER, _CUES, _VOID = 0x1654AE6B, 0x1F43B675, 0x1C53BB6B, 0xEC


@dataclass(frozen=True, slots=True)
class MatroskaTrack:
    """What the head of the file says of a track; a size makes it one for pictures."""

    codec: str
    title: str
    private: bytes = b""
    size: tuple[int, int] | None = None
    rate_hz: int = 0
    channels: int = 1


class MatroskaFile:
    """Writes blocks of media; `doctype` is "matroska" or "webm". Raises OSError.

    `room` is for how many tracks there is to be room in all, if some come after the first media.
    """

    def __init__(self, file: FileIO, doctype: str, room: int = 0) -> None:
        self._file = file
        self._doctype = doctype
        self._room = room
        self._free_at = self._free = 0
        """Where the next entry of a track goes, and how many bytes are left there."""
        self._tracks: list[MatroskaTrack] = []
        self._held: list[tuple[int, int, int, bytes]] = []
        """Milliseconds, number of the track, flags and media of blocks to be written."""
        self._newest_ms = 0
        self._written_from_ms = 0
        self._end_ms = 0
        self._segment_at = self._seek_at = self._duration_at = 0
        self._cues: list[bytes] = []

    def add(self, track: MatroskaTrack) -> int:
        """Another track; returns its number.

        MediaError when there is no room for it, as there never is behind the first media unless
        it was reserved.
        """
        number = len(self._tracks) + 1
        room = self._room or (0 if self._segment_at else MAX_TRACKS)
        entry = _entry(number, track)
        if number > room or (self._room and len(entry) > ENTRY_BYTES):
            raise MediaError(f"there is no room for track {number} of {len(entry)} bytes")
        if self._segment_at:
            self._insert(entry)
        self._tracks.append(track)
        return number

    def write(self, number: int, data: bytes, at_ms: int, length_ms: int, key: bool) -> None:
        """Add a block to a track."""
        self._held.append((at_ms, number, _KEY if key else 0, data))
        self._newest_ms = max(self._newest_ms, at_ms)
        self._end_ms = max(self._end_ms, at_ms + length_ms)
        if self._newest_ms - self._written_from_ms >= HOLD_MS + CLUSTER_MS:
            self._write_before(self._newest_ms - HOLD_MS)

    def advance(self, to_ms: int) -> None:
        """Nothing more will come for before that: it can be written."""
        if self._held and to_ms - self._written_from_ms >= CLUSTER_MS:
            self._write_before(to_ms)

    def close(self) -> None:
        """Write the rest, and say at the beginning what is known only now."""
        if not self._tracks:
            return
        self._write_before(self._newest_ms + 1)
        file, cues_at = self._file, self._file.tell() - self._segment_at
        if self._cues:
            self._put(_element(_CUES, *self._cues))
        size = file.tell() - self._segment_at
        file.seek(self._segment_at - len(_UNKNOWN_SIZE))
        self._put(struct.pack(">Q", 1 << 56 | size))
        if self._cues:
            position = _element(0x53AC, struct.pack(">Q", cues_at))
            seek = _element(0x4DBB, _element(0x53AB, _CUES.to_bytes(4, "big")), position)
            head = _element(_SEEK_HEAD, seek)
            file.seek(self._seek_at)
            self._put(head + _void(_SEEK_BYTES - len(head)))
        file.seek(self._duration_at)
        self._put(_element(0x4489, struct.pack(">d", self._end_ms)))

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]

    def _begin(self) -> None:
        head = _element(
            _EBML,
            *(_number(name, 1) for name in (0x4286, 0x42F7)),
            *(_number(0x42F2, 4), _number(0x42F3, 8)),
            _element(0x4282, self._doctype.encode()),
            *(_number(0x4287, 4), _number(0x4285, 2)),
        )
        head += _SEGMENT.to_bytes(4, "big") + _UNKNOWN_SIZE
        self._segment_at = self._seek_at = len(head)
        head += _void(_SEEK_BYTES)
        apps = _element(0x4D80, b"ipconf") + _element(0x5741, b"ipconf")
        head += _element(_INFO, _number(0x2AD7B1, 1_000_000), apps, _void(_DURATION_BYTES))
        self._duration_at = len(head) - _DURATION_BYTES
        entries = b"".join(_entry(number, track) for number, track in enumerate(self._tracks, 1))
        free = b""
        if self._room:
            self._free = _VOID_HEAD + (self._room - len(self._tracks)) * ENTRY_BYTES
            free = _long_void(self._free) + bytes(self._free - _VOID_HEAD)
        tracks = _element(_TRACKS, entries, free)
        self._free_at = len(head) + len(tracks) - len(free)
        self._put(head + tracks)

    def _insert(self, entry: bytes) -> None:
        """Put the entry of a track where there is room; the file plays at every moment of it."""
        file, end = self._file, self._file.tell()
        self._free -= len(entry)
        # Behind the head of the void nothing counts, until an entry takes the place of that head.
        file.seek(self._free_at + _VOID_HEAD)
        self._put(entry[_VOID_HEAD:] + _long_void(self._free))
        file.seek(self._free_at)
        self._put(entry[:_VOID_HEAD])
        file.seek(end)
        self._free_at += len(entry)

    def _write_before(self, end_ms: int) -> None:
        if not self._segment_at:
            self._begin()
        self._written_from_ms = end_ms
        self._held.sort(key=lambda block: block[0])
        ready = [block for block in self._held if block[0] < end_ms]
        self._held = self._held[len(ready) :]
        begin = 0
        for index, (at_ms, number, flags, _) in enumerate(ready):
            first = flags and self._tracks[number - 1].size is not None
            if index > begin and (first or at_ms - ready[begin][0] > MAX_CLUSTER_MS):
                self._write_cluster(ready[begin:index])
                begin = index
        if ready:
            self._write_cluster(ready[begin:])

    def _write_cluster(self, blocks: list[tuple[int, int, int, bytes]]) -> None:
        from_ms, number, flags, _ = blocks[0]
        seen = self._tracks[number - 1].size is not None
        if flags and (seen or not any(track.size for track in self._tracks)):
            place = _number(0xF7, number) + _number(0xF1, self._file.tell() - self._segment_at)
            self._cues.append(_element(0xBB, _number(0xB3, from_ms), _element(0xB7, place)))
        parts = [_number(0xE7, from_ms)]
        for at_ms, number, flags, data in blocks:
            head = struct.pack(">BhB", 0x80 | number, at_ms - from_ms, flags)
            parts.append(_element(0xA3, head, data))
        self._put(_element(_CLUSTER, *parts))


def _entry(number: int, track: MatroskaTrack) -> bytes:
    parts = [_number(0xD7, number), _number(0x73C5, number), _number(0x9C, 0)]
    parts += [_element(0x22B59C, b"und"), _element(0x536E, _cut(track.title))]
    parts.append(_element(0x86, track.codec.encode()))
    if track.private:
        parts.append(_element(0x63A2, track.private))
    if track.size is not None:
        width, height = track.size
        parts += [_number(0x83, 1), _element(0xE0, _number(0xB0, width), _number(0xBA, height))]
    else:
        if track.codec == "A_OPUS":
            parts += [_number(0x56AA, 0), _number(0x56BB, SEEK_PRE_ROLL_NS)]
        rate = _element(0xB5, struct.pack(">d", track.rate_hz))
        parts += [_number(0x83, 2), _element(0xE1, rate, _number(0x9F, track.channels))]
    return _element(0xAE, *parts)


def _cut(title: str) -> bytes:
    """As much of a title as there is room for, in UTF-8."""
    return title.encode()[:MAX_TITLE_BYTES].decode(errors="ignore").encode()


def _element(name: int, *contents: bytes) -> bytes:
    size = sum(map(len, contents))
    width = next(n for n in range(1, 9) if size < (1 << 7 * n) - 1)
    head = name.to_bytes((name.bit_length() + 7) // 8, "big")
    return b"".join((head, (size | 1 << 7 * width).to_bytes(width, "big"), *contents))


def _number(name: int, value: int) -> bytes:
    return _element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _void(size: int) -> bytes:
    """An element of that size, at least 2, that means nothing."""
    return _element(_VOID, bytes(size - 2))


def _long_void(size: int) -> bytes:
    """The head of such an element, in `_VOID_HEAD` bytes, at least so many."""
    return struct.pack(">BQ", _VOID, 1 << 56 | size - _VOID_HEAD)
