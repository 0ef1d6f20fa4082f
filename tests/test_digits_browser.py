"""Digits of a browser's RTCDTMFSender: with Opus at 48 kHz, and with G.711 at 8 kHz."""

from __future__ import annotations

from typing import Any

import pytest
from browser_lab import CHROMIUM, FLAGS, needs_chromium, playwright
from call_ends import Ends, EventLog
from peers import scenario, webrtc
from senses import AUDIO

from ipconf import Identity, MediaServiceProvider
from ipconf.events import DigitBegan, DigitEnded
from ipconf.tsp.web import WebTsp

OFFER = """
async () => {
  const audio = new AudioContext();
  const tone = new OscillatorNode(audio, { frequency: 440 });
  const out = audio.createMediaStreamDestination();
  tone.connect(new GainNode(audio, { gain: 0.14 })).connect(out);
  tone.start();
  window.pc = new RTCPeerConnection();
  window.sender = pc.addTrack(out.stream.getAudioTracks()[0], out.stream);
  await pc.setLocalDescription();
  while (pc.iceGatheringState !== "complete") await new Promise((go) => setTimeout(go, 20));
  return pc.localDescription.sdp;
}
"""
ANSWER = "(sdp) => pc.setRemoteDescription({ type: 'answer', sdp })"
PRESS = "(digits) => sender.dtmf.insertDTMF(digits, 120, 60)"


@needs_chromium
@pytest.mark.parametrize("codecs", [("opus",), ("PCMU",)])
@scenario(60)
async def test_what_is_pressed_in_a_browser_is_told(codecs: tuple[str, ...]) -> None:
    digits = "159#A"
    settings = webrtc(audio_codecs=codecs)
    async with (
        playwright.async_playwright() as driver,
        MediaServiceProvider(Identity(name="Us"), settings) as msp,
        WebTsp(msp) as tsp,
    ):
        page = await _page(driver)
        call = msp.create_call({AUDIO})
        us, log = Ends(call), EventLog(call)
        await page.evaluate(ANSWER, await tsp.answer(call, await page.evaluate(OFFER)))
        await call.wait_connected()
        await us.hears(440)
        before = call.stats().streams[1].substreams[0].concealed_s
        await page.evaluate(PRESS, digits)
        for digit in digits:
            assert (await log.until(DigitBegan)).digit == digit
            over = await log.until(DigitEnded)
            assert over.digit == digit
            assert over.duration_s == pytest.approx(0.12, abs=0.03)
            assert over.participant in call.participants
        await us.hears(440)
        assert call.stats().streams[1].substreams[0].concealed_s - before < 0.2
        await page.context.browser.close()


async def _page(driver: Any) -> Any:
    browser = await driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=[*FLAGS])
    return await browser.new_page()
