"""libopus by ctypes: no threads of its own, and the GIL is free while it works.

The library that PyAV brings along is taken, else the system's; `load()` is None without either.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import weakref
from ctypes import POINTER, c_char_p, c_int, c_int32, c_void_p
from dataclasses import replace
from functools import cache
from pathlib import Path

import av
import numpy as np

from ..errors import MediaError
from ..model import AUDIO_RATE_HZ
from .base import MAX_PAYLOAD_BYTES, AudioDecoder, Samples
from .opus_packet import MAX_PACKET_SAMPLES, MAX_PAUSE_BYTES, packet_samples
from .opus_settings import (
    BANDWIDTHS_HZ,
    DEFAULT_SETTINGS,
    DTX_COMPLEXITY,
    NEAR_SILENCE,
    OpusApplication,
    OpusEffort,
    OpusEncoder,
    OpusSettings,
)

CONCEAL_STEP_SAMPLES = AUDIO_RATE_HZ // 400
"""Concealment comes in steps of 2.5 ms (opus.h, opus_decode)."""

# Numbers from opus_defines.h.
_APPLICATIONS = {
    OpusApplication.VOIP: 2048,
    OpusApplication.AUDIO: 2049,
    OpusApplication.LOW_DELAY: 2051,
}
_SET_BITRATE = 4002
_SET_MAX_BANDWIDTH = 4004
_SET_VBR = 4006
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERCENT = 4014
_SET_DTX = 4016
_SET_SIGNAL = 4024
_SIGNAL_VOICE = 3001
_BANDWIDTH_NARROWBAND = 1101
_AS_IT_IS, _FROM_REDUNDANCY = c_int(0), c_int(1)


def _candidates() -> list[str]:
    package = Path(av.__file__).parent
    bundled = [
        *package.parent.glob("av.libs/libopus-*.so*"),
        *package.parent.glob("av.libs/opus*.dll"),
        *package.glob(".dylibs/libopus.*dylib"),
    ]
    return [str(path) for path in sorted(bundled)]


@cache
def load() -> ctypes.CDLL | None:
    """The library with its functions' types set, or None if there is none."""
    for name in (*_candidates(), ctypes.util.find_library("opus")):
        try:
            return _declare(ctypes.CDLL(name)) if name else None
        except (OSError, AttributeError):
            continue
    return None


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    def declare(name: str, result: object, *arguments: object) -> None:
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments

    declare("opus_strerror", c_char_p, c_int)
    declare("opus_encoder_create", c_void_p, c_int32, c_int, c_int, POINTER(c_int))
    declare("opus_encoder_destroy", None, c_void_p)
    # Variadic: only the fixed arguments are declared, so that ctypes passes the others as such.
    declare("opus_encoder_ctl", c_int, c_void_p, c_int)
    declare("opus_encode", c_int32, c_void_p, c_void_p, c_int, c_void_p, c_int32)
    declare("opus_decoder_create", c_void_p, c_int32, c_int, POINTER(c_int))
    declare("opus_decoder_destroy", None, c_void_p)
    declare("opus_decode", c_int, c_void_p, c_char_p, c_int32, c_void_p, c_int, c_int)
    return library


def _check(library: ctypes.CDLL, doing: str, result: int) -> int:
    if result < 0:
        raise MediaError(f"libopus failed to {doing}: {library.opus_strerror(result).decode()}")
    return result


class LibOpusEncoder(OpusEncoder):
    """An encoder for speech; `effort` instead of the usual one with `bitrate_bps`."""

    def __init__(
        self,
        library: ctypes.CDLL,
        channels: int,
        bitrate_bps: int,
        settings: OpusSettings = DEFAULT_SETTINGS,
        effort: OpusEffort | None = None,
    ) -> None:
        effort = effort or OpusEffort(bitrate_bps)
        error = c_int(0)
        state = library.opus_encoder_create(
            AUDIO_RATE_HZ, channels, _APPLICATIONS[effort.application], ctypes.byref(error)
        )
        _check(library, "make an encoder", error.value)
        self._finalizer = weakref.finalize(self, library.opus_encoder_destroy, state)
        self._library = library
        self._state = c_void_p(state)
        self._encode = library.opus_encode
        self._buffer = ctypes.create_string_buffer(MAX_PAYLOAD_BYTES)
        self._bytes = memoryview(self._buffer).cast("B")
        self._settings = settings
        self._pauses = settings.dtx
        self._pausing = False
        self.channels = channels
        self.frame_samples = settings.frame_samples
        block = np.empty((settings.frame_samples, channels), np.int16)
        self._block = block
        # As ctypes hands it on: to make these anew for each packet takes longer than the call.
        self._call = (
            self._state,
            c_void_p(block.ctypes.data),
            c_int(settings.frame_samples),
            c_void_p(ctypes.addressof(self._buffer)),
            c_int32(MAX_PAYLOAD_BYTES),
        )
        bandwidth = _BANDWIDTH_NARROWBAND + BANDWIDTHS_HZ.index(settings.bandwidth_hz)
        for request, value in (
            (_SET_INBAND_FEC, int(settings.fec)),
            (_SET_DTX, int(settings.dtx)),
            (_SET_VBR, int(not settings.constant)),
            (_SET_MAX_BANDWIDTH, bandwidth),
            (_SET_SIGNAL, _SIGNAL_VOICE),
        ):
            self._control(request, value)
        self._effort = effort
        self.effort = effort

    @property
    def bitrate_bps(self) -> int:
        """Target bit rate, at most what the far end allows; may be set at any time."""
        return self._effort.bitrate_bps

    @bitrate_bps.setter
    def bitrate_bps(self, value: int) -> None:
        self.effort = replace(self._effort, bitrate_bps=value)

    @property
    def effort(self) -> OpusEffort:
        """How hard it tries; all but the application may be set at any time."""
        return self._effort

    @effort.setter
    def effort(self, value: OpusEffort) -> None:
        self.check_effort(value)
        bitrate_bps = min(value.bitrate_bps, self._settings.max_bitrate_bps)
        least = DTX_COMPLEXITY if self._settings.dtx else 0
        self._control(_SET_COMPLEXITY, max(least, value.complexity))
        self._control(_SET_PACKET_LOSS_PERCENT, value.loss_percent if self._settings.fec else 0)
        self._control(_SET_BITRATE, bitrate_bps)
        self._effort = replace(value, bitrate_bps=bitrate_bps)

    def prime(self, samples: Samples) -> None:
        """Take in sound before the first packet: it is encoded, and its packet discarded."""
        self.check_primer(samples)
        block = np.ascontiguousarray(samples)
        size = self._encode(
            self._state, block.ctypes.data, len(block), self._buffer, MAX_PAYLOAD_BYTES
        )
        _check(self._library, "take in sound", size)
        self._pausing = False  # the listener has not been told of any pause

    def encode(self, samples: Samples) -> bytes | None:
        """One payload for (frame_samples, channels) samples; None: the pause goes on.

        The first packet of a pause is sent, so that the far end knows it for one.
        """
        block = self._block
        if samples.shape != block.shape or samples.dtype != block.dtype:
            self.check(samples)
        block[:] = samples
        if self._pauses and samples.max() < NEAR_SILENCE and samples.min() > -NEAR_SILENCE:
            block[:] = 0  # what libopus pauses in, whatever was heard before
        size: int = self._encode(*self._call)
        if size <= MAX_PAUSE_BYTES:
            _check(self._library, "encode", size)
            if self._pausing:
                return None
        self._pausing = size <= MAX_PAUSE_BYTES
        return self._bytes[:size].tobytes()

    def _control(self, request: int, value: int) -> None:
        _check(
            self._library,
            f"set {request} to {value}",
            self._library.opus_encoder_ctl(self._state, request, c_int32(value)),
        )


class LibOpusDecoder(AudioDecoder):
    """A decoder that conceals losses itself."""

    def __init__(self, library: ctypes.CDLL, channels: int) -> None:
        error = c_int(0)
        state = library.opus_decoder_create(AUDIO_RATE_HZ, channels, ctypes.byref(error))
        _check(library, "make a decoder", error.value)
        self._finalizer = weakref.finalize(self, library.opus_decoder_destroy, state)
        self._library = library
        self._state = c_void_p(state)
        self._decode = library.opus_decode
        self.channels = channels
        room = np.empty((MAX_PACKET_SAMPLES, channels), np.int16)
        self._room, self._address = room, c_void_p(room.ctypes.data)  # asking for it takes longer

    def decode(self, payload: bytes) -> Samples:
        """The sound of one payload, (n, channels); MediaError if it is no Opus."""
        expected = packet_samples(payload)
        if not expected:
            raise MediaError(f"a payload of {len(payload)} bytes is no Opus packet")
        self.comforting = len(payload) <= MAX_PAUSE_BYTES
        count: int = self._decode(
            self._state, payload, len(payload), self._address, expected, _AS_IT_IS
        )
        if count != expected:
            _check(self._library, "decode", count)
        return self._room[:count].copy()

    def conceal(self, samples: int) -> Samples:
        """A guess at up to 120 ms that were lost, continuing what was decoded last."""
        return self._fill(None, samples)

    def recover(self, following: bytes, samples: int) -> Samples:
        """What was lost from its coarse copy in the payload behind it, if that has one.

        The in-band redundancy of RFC 6716 section 2.1.7; libopus conceals where there is none.
        """
        return self._fill(following, samples)

    def _fill(self, following: bytes | None, samples: int) -> Samples:
        steps = -(-samples // CONCEAL_STEP_SAMPLES) * CONCEAL_STEP_SAMPLES
        count = self._decode(
            self._state,
            following,
            len(following) if following else 0,
            self._address,
            min(steps, MAX_PACKET_SAMPLES),
            _FROM_REDUNDANCY if following else _AS_IT_IS,
        )
        if count < 0 and following:
            return self._fill(None, samples)
        count = min(samples, _check(self._library, "conceal a loss", count))
        return self._room[:count].copy()
