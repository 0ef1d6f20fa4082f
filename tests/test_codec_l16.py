"""L16: samples as they are, in network byte order, at the rates that are in use."""

import numpy as np
import pytest
from audio_lab import pitch_hz, tone
from codec_lab import assert_same_tone, decode, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from ipconf.codecs.base import MAX_PAYLOAD_BYTES
from ipconf.codecs.l16 import RATES_HZ, L16Decoder, L16Encoder, fitting_samples
from ipconf.errors import MediaError


def test_at_48_khz_nothing_changes():
    sound = np.hstack((tone(0.1), tone(0.1, 700)))
    payloads = encode(L16Encoder(48_000, 2, 240), sound)
    assert payloads[0][:8] == sound[:2].astype(">i2").tobytes()
    np.testing.assert_array_equal(decode(L16Decoder(48_000, 2), payloads), sound)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("ptime_ms", [5, 10, 20, 60, 180])
def test_a_tone_goes_in_packets_that_fit(rate_hz, channels, ptime_ms):
    samples = fitting_samples(rate_hz, channels, ptime_ms)
    assert samples <= max(240, ptime_ms * 48)
    sound = tone(0.6, channels=channels)
    encoder = L16Encoder(rate_hz, channels, samples)
    payloads = encode(encoder, sound)
    size = samples * rate_hz * channels * 2 // 48_000
    assert {len(payload) for payload in payloads} == {size}
    assert size <= MAX_PAYLOAD_BYTES
    assert encoder.bitrate_bps == rate_hz * channels * 16
    heard = decode(L16Decoder(rate_hz, channels), payloads)
    assert heard.shape[1] == channels
    assert_same_tone(heard, sound, 440)


@pytest.mark.parametrize(
    ("rate_hz", "channels", "ptime_ms", "samples"),
    [
        (48_000, 1, 20, 480),  # 960 bytes; 20 ms would have 1920
        (48_000, 2, 20, 240),
        (48_000, 1, 5, 240),
        (16_000, 1, 20, 960),
        (8_000, 1, 60, 2880),
        (44_100, 1, 20, 640),  # 588 samples of 44.1 kHz
        (44_100, 2, 20, 320),
    ],
)
def test_long_packets_are_cut_to_the_datagram(rate_hz, channels, ptime_ms, samples):
    assert fitting_samples(rate_hz, channels, ptime_ms) == samples


def test_the_two_channels_stay_apart():
    sound = np.hstack((tone(1.0, 300), tone(1.0, 800)))
    payloads = encode(L16Encoder(44_100, 2, 320), sound)
    heard = decode(L16Decoder(44_100, 2), payloads)[4800:]
    assert pitch_hz(heard[:, :1]) == pytest.approx(300, abs=1)
    assert pitch_hz(heard[:, 1:]) == pytest.approx(800, abs=1)


def test_losses_are_concealed_in_both_channels():
    decoder = L16Decoder(48_000, 2)
    decode(decoder, encode(L16Encoder(48_000, 2, 240), tone(0.2, channels=2)))
    gap = decoder.conceal(960)
    assert gap.shape == (960, 2)
    assert_same_tone(np.concatenate((np.repeat(tone(0.3), 2, axis=1), gap)), tone(1.0), 440, 1.0)


@given(st.sampled_from([1, 2]), st.sampled_from(RATES_HZ), st.binary(max_size=1500))
@settings(deadline=None)
def test_whole_samples_are_sound_and_others_an_error(channels, rate_hz, payload):
    decoder = L16Decoder(rate_hz, channels)
    if payload and len(payload) % (2 * channels) == 0:
        assert decoder.decode(payload).shape[1] == channels
    else:
        with pytest.raises(MediaError):
            decoder.decode(payload)
    assert decoder.conceal(480).shape == (480, channels)
