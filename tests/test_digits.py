"""Digits (RFC 4733) in calls and conferences: pressed here, told there, heard by nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from call_ends import EventLog
from conference_lab import Meeting, everybody, meeting, patiently
from memory_calls import memory_calls
from peers import PLAIN, eventually, scenario, webrtc
from senses import AUDIO, CAPTURE, RENDER

from ipconf import (
    Call,
    CallSettings,
    DigitControl,
    Identity,
    LoopbackTsp,
    MediaServiceProvider,
    NetworkImpairment,
)
from ipconf.engine.rtp_wire import HeaderExtensions, RtpPacket, is_rtcp, parse_rtp
from ipconf.engine.telephone_events import EventReport, unpack_reports
from ipconf.errors import ConfigurationError, InvalidStateError, LimitError, NotSupportedError
from ipconf.events import (
    AttendeePressed,
    DigitBegan,
    DigitEnded,
    DigitEvent,
    DigitsSent,
    StreamActive,
)
from ipconf.hub.voices import RemoteVoice
from ipconf.terminals.base import Samples
from ipconf.terminals.tones import NullTerminal, ToneTerminal
from ipconf.tsp_data import Description, TspMessage

TICK_S = 0.02
NO_EXTENSIONS = HeaderExtensions({})


class Wire:
    """The RTP that a call sends, before it is encrypted."""

    def __init__(self, call: Call) -> None:
        self.packets: list[RtpPacket] = []
        (channel,) = call._media.channels
        self.events = [
            f.payload_type
            for f in call.stream(AUDIO, CAPTURE)._agreed.riding  # type: ignore[attr-defined]
            if f.name == "telephone-event"
        ]
        send, self._transport = channel.transport.send, channel.transport

        def spy(datagram: bytes) -> None:
            if not is_rtcp(datagram):
                self.packets.append(parse_rtp(datagram, NO_EXTENSIONS))
            send(datagram)

        channel.transport.send = spy  # type: ignore[method-assign]

    @property
    def kinds(self) -> str:
        """A letter for each packet: v for sound, e for an event, E for one that ends."""
        return "".join(self._kind(packet) for packet in self.packets)

    def _kind(self, packet: RtpPacket) -> str:
        if packet.payload_type not in self.events:
            return "v"
        return "E" if unpack_reports(packet.payload)[0].end else "e"


async def _pressed(log: EventLog, digits: str) -> list[DigitEnded]:
    """What was pressed, of which each is told as begun before it is told as ended."""
    ended = []
    for digit in digits:
        began = await log.until(DigitBegan)
        end = await log.until(DigitEnded)
        assert (began.digit, end.digit) == (digit, digit)
        ended.append(end)
    return ended


@asynccontextmanager
async def a_call(
    theirs: CallSettings, ours: CallSettings | None = None
) -> AsyncIterator[tuple[Call, Call]]:
    async with AsyncExitStack() as stack:
        alice = MediaServiceProvider(Identity(name="Alice"), theirs)
        bob = MediaServiceProvider(Identity(name="Bob"), ours or theirs)
        await stack.enter_async_context(alice)
        await stack.enter_async_context(bob)
        tsp = await stack.enter_async_context(LoopbackTsp(alice, bob))
        pair = tsp.pair({AUDIO})
        await tsp.connect(pair=pair)
        yield pair


@pytest.mark.parametrize(
    "settings",
    [
        webrtc(),
        webrtc(audio_codecs=("PCMU",)),
        PLAIN,
        PLAIN.replace(audio_codecs=("G722",)),
        PLAIN.replace(audio_codecs=("PCMA",), ptime_ms=60),
    ],
    ids=["opus", "pcmu", "plain-opus", "g722", "pcma-60"],
)
@scenario()
async def test_digits_go_both_ways_without_any_terminal(settings: CallSettings) -> None:
    async with a_call(settings) as (alice, bob):
        logs = EventLog(alice), EventLog(bob)
        alice.query(DigitControl).send("1#", duration_s=0.1)
        bob.query(DigitControl).send("*D!", duration_s=0.06)
        assert [e.duration_s for e in await _pressed(logs[1], "1#")] == pytest.approx([0.1] * 2)
        ended = await _pressed(logs[0], "*D!")
        assert [e.duration_s for e in ended] == pytest.approx([0.06] * 3)
        assert ended[0].substream in alice.stream(AUDIO, RENDER).substreams
        assert ended[0].participant is not None and ended[0].participant.name == "Bob"
        for call in (alice, bob):
            assert call.query(DigitControl).pending == ""
        await eventually(lambda: logs[0].of(DigitsSent))  # which may come before Bob's last one
        assert [event.unsent for event in logs[0].of(DigitsSent)] == [""]


@patiently()
async def test_digits_are_in_the_place_of_sound() -> None:
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        alice.select_terminal(ToneTerminal())
        bob.select_terminal(NullTerminal(AUDIO))
        await tsp.connect(pair=(alice, bob))
        log, theirs = EventLog(bob), EventLog(alice)
        wire = Wire(alice)
        await asyncio.sleep(0.2)
        alice.query(DigitControl).send("55", duration_s=0.1)
        await _pressed(log, "55")
        await theirs.until(DigitsSent)
        await asyncio.sleep(0.2)
    sound, digits, rest = wire.kinds.partition("eeeeEEEeeeeEEE")
    assert digits and set(sound) == set(rest) == {"v"}
    numbers = [packet.sequence for packet in wire.packets]
    assert {b - a & 0xFFFF for a, b in pairwise(numbers)} == {1}
    assert len({packet.ssrc for packet in wire.packets}) == 1
    stamps = list(dict.fromkeys(packet.timestamp for packet in wire.packets))
    steps = [b - a & 0xFFFFFFFF for a, b in pairwise(stamps)]
    # 100 ms of a digit, the gap, and again; sound goes on as if it had never been away.
    place = len(sound)
    assert steps == [960] * place + [8 * 960, 7 * 960] + [960] * (len(rest) - 1)
    marked = [n for n, packet in enumerate(wire.packets) if packet.marker and n >= place]
    assert marked == [place, place + 7, place + 14]


@patiently()
async def test_digits_are_no_gap_in_what_is_heard() -> None:
    """They are neither lost packets nor sound: nothing is concealed for them, no delay grows."""
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        alice.select_terminal(ToneTerminal())
        bob.select_terminal(NullTerminal(AUDIO))
        await tsp.connect(pair=(alice, bob))
        await asyncio.sleep(1.0)
        (share,) = bob.stats().streams[1].substreams
        (person,) = bob.participants
        jitter_s = person.sources[0].jitter_s
        alice.query(DigitControl).send("123", duration_s=0.2, gap_s=0.1)
        jitters = []
        for _ in range(100):
            await asyncio.sleep(TICK_S)
            jitters.append(person.sources[0].jitter_s)
        after = bob.stats().streams[1].substreams[0]
        assert after.concealed_s == share.concealed_s
        assert max(jitters) < jitter_s + 0.002
        assert person.sources[0].clock_rate == 48_000


@patiently()
async def test_digits_go_out_while_nobody_hears_our_sound() -> None:
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        alice.select_terminal(ToneTerminal())
        await tsp.connect(pair=(alice, bob))
        alice.stream(AUDIO, CAPTURE).pause()
        log, wire = EventLog(bob), Wire(alice)
        alice.query(DigitControl).send("9")
        await _pressed(log, "9")
        assert set(wire.kinds) == {"e", "E"}


class PushToTalk(ToneTerminal):
    """Has nothing while it is not `pushed`."""

    pushed = True

    def read(self, now: float) -> Samples | None:
        samples = super().read(now)
        return samples if self.pushed else None


@pytest.mark.parametrize("how", ["nothing meanwhile", "nothing before, then a pause"])
@patiently()
async def test_sound_does_not_go_back_behind_digits(how: str) -> None:
    """The clock of a terminal that has nothing stands still, that of digits does not."""
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        terminal = PushToTalk()
        alice.select_terminal(terminal)
        bob.select_terminal(NullTerminal(AUDIO))
        await tsp.connect(pair=(alice, bob))
        log, wire, stream = EventLog(alice), Wire(alice), alice.stream(AUDIO, CAPTURE)
        await asyncio.sleep(0.3)
        terminal.pushed = False
        if how != "nothing meanwhile":
            await asyncio.sleep(2.0)
            stream.pause()
        alice.query(DigitControl).send("123", duration_s=0.2)
        await log.until(DigitsSent)
        terminal.pushed = True
        if how != "nothing meanwhile":
            stream.start()
        await asyncio.sleep(0.5)
    place = wire.kinds.rindex("E") + 1
    assert len(wire.kinds) > place + 20
    stamps = list(dict.fromkeys(packet.timestamp for packet in wire.packets))
    steps = [b - a & 0xFFFFFFFF for a, b in pairwise(stamps)]
    assert max(steps) < 3 * 48_000, "none goes back"
    assert wire.packets[place].marker


@patiently()
async def test_a_stopped_stream_sends_no_digits() -> None:
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        alice.select_terminal(ToneTerminal())
        await tsp.connect(pair=(alice, bob))
        control, stream = alice.query(DigitControl), alice.stream(AUDIO, CAPTURE)
        log = EventLog(alice)
        control.send("123", duration_s=1.0)
        await asyncio.sleep(0.5)
        stream.stop()
        assert control.pending == ""
        assert (await log.until(DigitsSent)).unsent == "123"
        with pytest.raises(InvalidStateError, match=r"is stopped: start\(\) it"):
            control.send("1")
        stream.start()
        control.send("1")
        assert (await log.until(DigitsSent)).unsent == ""
        await log.until(StreamActive)


@patiently()
async def test_digits_can_be_cancelled() -> None:
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        await tsp.connect(pair=(alice, bob))
        log, theirs = EventLog(alice), EventLog(bob)
        control = alice.query(DigitControl)
        assert control.cancel() == ""
        control.send("12", duration_s=2.0)
        control.send("34")
        assert control.pending == "1234"
        await asyncio.sleep(0.1)
        assert control.cancel() == "234"
        assert (await log.until(DigitsSent)).unsent == "234"
        (ended,) = await _pressed(theirs, "1")
        assert ended.duration_s < 0.2


@patiently()
async def test_digits_of_a_call_that_ends_are_given_up() -> None:
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        await tsp.connect(pair=(alice, bob))
        log, theirs = EventLog(alice), EventLog(bob)
        alice.query(DigitControl).send("12", duration_s=5.0)
        await theirs.until(DigitBegan)
        await asyncio.sleep(1.0)
        await alice.disconnect()
        assert (await log.until(DigitsSent)).unsent == "12"
        assert (await theirs.until(DigitEnded)).duration_s == pytest.approx(1.0, abs=0.1)
        with pytest.raises(InvalidStateError, match="not connected"):
            alice.query(DigitControl).send("1")


@patiently()
async def test_what_is_lost_on_the_way_is_told_all_the_same() -> None:
    """A digit has eight packets that tell of it, and three that end it."""
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        bob.settings = bob.settings.replace(loss_percent=20, loss_seed=3)
        await tsp.connect(pair=(alice, bob))
        log = EventLog(bob)
        alice.query(DigitControl).send("0123456789")
        await _pressed(log, "0123456789")


@patiently()
async def test_an_end_that_is_lost_is_found_out() -> None:
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        await tsp.connect(pair=(alice, bob))
        log = EventLog(bob)
        alice.query(DigitControl).send("7", duration_s=0.2)
        await log.until(DigitBegan)
        bob.query(NetworkImpairment).set_loss(100)
        assert (await log.until(DigitEnded)).duration_s < 0.2


@pytest.mark.parametrize(
    ("digits", "times", "error", "text"),
    [
        ("12x", {}, ConfigurationError, "'X' is no digit"),
        ("", {}, ConfigurationError, "no digits"),
        (5, {}, ConfigurationError, "no digits"),
        ("1", {"duration_s": 0.01}, ConfigurationError, "duration_s is 0.04 to 10 seconds"),
        ("1", {"duration_s": "long"}, ConfigurationError, "duration_s"),
        ("1", {"gap_s": float("nan")}, ConfigurationError, "gap_s"),
        ("1" * 101, {}, LimitError, "100 digits"),
    ],
)
@patiently()
async def test_what_cannot_be_sent(digits: Any, times: Any, error: Any, text: str) -> None:
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        with pytest.raises(InvalidStateError, match="not connected"):
            alice.query(DigitControl).send(digits, **times)
        await tsp.connect(pair=(alice, bob))
        with pytest.raises(error, match=text):
            alice.query(DigitControl).send(digits, **times)
        assert alice.query(DigitControl).pending == ""


class Changed(LoopbackTsp):
    """Changes the answers on their way."""

    def __init__(self, *providers: MediaServiceProvider, change: Callable[[str], str]) -> None:
        super().__init__(*providers)
        self._change = change

    async def send(self, call: Call, message: TspMessage) -> None:
        if isinstance(message, Description) and message.type == "answer":
            message = message.replace(sdp=self._change(message.sdp))
        await super().send(call, message)


def _without_events(sdp: str) -> str:
    about = ("a=rtpmap:110", "a=fmtp:110")
    kept = [line for line in sdp.split("\r\n") if not line.startswith(about)]
    return "\r\n".join(kept)


def _few(sdp: str) -> str:
    return sdp.replace("0-16", "0-11")


def _receives_nothing(sdp: str) -> str:
    return sdp.replace("a=sendrecv", "a=sendonly")


@pytest.mark.parametrize(
    ("change", "accepted", "text"),
    [
        (_without_events, "", "names no telephone-event/48000, which goes with opus"),
        (_few, "0123456789*#", "takes no 'A': its description lists the events of 0123456789"),
        (_receives_nothing, "", "the far end takes no sound"),
    ],
)
@scenario()
async def test_what_the_far_end_does_not_take(
    change: Callable[[str], str], accepted: str, text: str
) -> None:
    """Its answer is another one than ours would have been."""
    alice = MediaServiceProvider(Identity(name="Alice"), PLAIN)
    bob = MediaServiceProvider(Identity(name="Bob"), PLAIN)
    async with alice, bob, Changed(alice, bob, change=change) as tsp:
        call, far = tsp.pair({AUDIO})
        await tsp.connect(pair=(call, far))
        control = call.query(DigitControl)
        assert control.accepted == accepted
        with pytest.raises(NotSupportedError, match=text):
            control.send("A")


# -- conferences


@pytest.mark.parametrize("settings", [None, webrtc(), PLAIN.replace(audio_codecs=("PCMU",))])
@scenario()
async def test_a_conference_knows_who_pressed_and_nobody_hears_it(
    settings: CallSettings | None,
) -> None:
    async with meeting("ABC", settings) as there:
        await there.hear_each_other()
        pressed = there.conference.events(AttendeePressed)
        others = [EventLog(there[name].call) for name in "BC"]
        there["A"].call.stream(AUDIO, CAPTURE).pause()  # sleeps at the hub
        await there.hears("B", "C")
        there["A"].call.query(DigitControl).send("1*")
        for digit in "1*":
            event = await asyncio.wait_for(anext(pressed), 5.0)
            assert (event.digit, event.attendee.leg) == (digit, there["A"].leg)
            assert event.attendee.name == "A"
        await there.hears("B", "C")
        there["A"].call.stream(AUDIO, CAPTURE).start()
        await there.hear_each_other()
        there["A"].call.query(DigitControl).send("2")  # while awake
        assert (await asyncio.wait_for(anext(pressed), 5.0)).digit == "2"
        await there.hear_each_other()
        assert not any(isinstance(e, DigitEvent) for log in others for e in log.events)
        pressed.close()


@pytest.mark.parametrize("settings", [None, webrtc()])
@scenario()
async def test_a_conference_sends_digits_to_one_leg_while_others_hear_on(
    settings: CallSettings | None,
) -> None:
    """The leg leaves those who are sent the same packets, and comes back to them."""
    async with meeting("ABCD", settings) as there:
        await there.hear_each_other()
        logs = {name: EventLog(there[name].call) for name in "ABCD"}
        for name in "BCD":
            there[name].call.stream(AUDIO, CAPTURE).pause()
        await eventually(lambda: _following(there))
        for name in "BC":  # a lead and a follower, whoever is which
            wire = Wire(there[name].far)
            there[name].far.query(DigitControl).send("42", duration_s=0.1)
            assert not _following(there, name)
            await _pressed(logs[name], "42")
            await eventually(lambda: _following(there, name))  # noqa: B023
            sound, digits, rest = wire.kinds.partition("eeeeEEEeeeeEEE")
            assert digits and set(rest) <= {"v"} and set(sound) <= {"v"}
            numbers = [packet.sequence for packet in wire.packets]
            assert {b - a & 0xFFFF for a, b in pairwise(numbers)} <= {1}
        for name in "BCD":
            await there.hears(name, "A")
        for name in "BCD":
            there[name].call.stream(AUDIO, CAPTURE).start()
        await there.all_hear(everybody("ABCD"))
        for name in "AD":
            assert not any(isinstance(e, DigitEvent) for e in logs[name].events)


def _following(there: Meeting, name: str = "") -> bool:
    """Whether one of B, C and D leads the two others, or whether the named one is with them."""
    outlets = {each: there[each].leg.outlet for each in ([name] if name else "BCD")}
    together = [o for o in outlets.values() if o.lead is not None or o.followers]
    return len(together) == len(outlets)


@scenario()
async def test_digits_of_a_leg_whose_silence_is_skimmed_come_at_once() -> None:
    """They tell a level, as soft as silence: still nothing of them waits."""
    async with meeting("AB", webrtc()) as there:
        await there.hear_each_other()
        there["A"].call.stream(AUDIO, CAPTURE).stop()
        (channel,) = there["A"].call._media.channels
        (far,) = there["A"].far._media.channels
        agreed = there["A"].call.stream(AUDIO, CAPTURE)._agreed  # type: ignore[attr-defined]
        source, loop = channel.session.local(agreed.mid), asyncio.get_running_loop()
        silence, stamp = b"\xf8\xff\xfe", source.media_time(loop.time())

        def send(payload_type: int, payload: bytes, at: int) -> None:
            channel.send(agreed.mid, payload_type, at & 0xFFFFFFFF, payload, loop.time(), level=100)

        for _ in range(100):
            stamp += 960
            send(agreed.send.payload_type, silence, stamp)
            await asyncio.sleep(TICK_S / 4)
        (voice,) = there["A"].leg.voices.values()
        await eventually(lambda: far.session.skimming.skimmers and not voice.awake)
        pressed = there.conference.events(AttendeePressed)
        (event,) = (f for f in agreed.riding if f.name == "telephone-event")
        send(agreed.send.payload_type, silence, stamp + 960)
        send(event.payload_type, EventReport(3, False, 10, 960).pack(), stamp + 1920)
        assert (await asyncio.wait_for(anext(pressed), 0.2)).digit == "3"
        assert not voice.awake
        pressed.close()


@patiently()
async def test_digits_are_no_loss_to_a_conference_that_hears_who_presses() -> None:
    async with meeting("AB") as there:
        await there.hear_each_other()
        (voice,) = there["A"].leg.voices.values()
        assert isinstance(voice, RemoteVoice) and voice.awake
        receiver = voice._receiver
        assert receiver is not None
        concealed_s = receiver.concealed_s
        log = EventLog(there["A"].far)
        there["A"].call.query(DigitControl).send("123", duration_s=0.1)
        await _pressed(log, "123")
        await asyncio.sleep(0.5)
        assert voice._receiver is receiver  # it was awake all the time
        assert receiver.concealed_s == concealed_s


@patiently()
async def test_digits_of_who_sleeps_are_not_the_beginning_of_a_word() -> None:
    async with meeting("AB") as there:
        await there.hear_each_other()
        call = there["A"].call
        call.stream(AUDIO, CAPTURE).pause()
        (voice,) = there["A"].leg.voices.values()
        assert isinstance(voice, RemoteVoice)
        await eventually(lambda: not voice.awake)
        before = voice.level
        log = EventLog(there["A"].far)
        call.query(DigitControl).send("5")
        await _pressed(log, "5")
        await asyncio.sleep(0.1)
        assert not voice._recent and not voice.awake
        assert voice.level == before


@patiently()
async def test_nonsense_in_place_of_digits_is_counted_and_nothing_else() -> None:
    async with memory_calls({AUDIO}) as (tsp, alice, bob):
        bob.select_terminal(NullTerminal(AUDIO))
        await tsp.connect(pair=(alice, bob))
        log = EventLog(bob)
        (channel,) = alice._media.channels
        agreed = alice.stream(AUDIO, CAPTURE)._agreed  # type: ignore[attr-defined]
        (event,) = (f for f in agreed.riding if f.name == "telephone-event")
        for number in range(200):
            payload = bytes([number]) * (number % 23)
            channel.send(agreed.mid, event.payload_type, number * 7, payload, number * TICK_S)
        alice.query(DigitControl).send("8")
        over = await log.until(DigitEnded, lambda e: e.digit == "8" and e.duration_s > 0.1)
        assert over.duration_s == pytest.approx(0.16)
        digits = bob.stream(AUDIO, RENDER).digits  # type: ignore[attr-defined]
        assert digits.malformed > 100
        told = [e for e in log.events if isinstance(e, DigitEvent)]
        assert len(told) % 2 == 0 and len(told) < 60
