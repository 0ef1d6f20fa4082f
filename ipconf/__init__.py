"""An IP-conferencing media service provider over RTP, on aiortc.

Start with `MediaServiceProvider`; ask calls for `ParticipantControl`. Events stand in
`ipconf.events`, errors in `ipconf.errors`, terminals in `ipconf.terminals`, provider-specific
interfaces in `ipconf.private_ifaces`, what carries a call in `ipconf.transports.base`.
"""

from .call import Call, NetworkImpairment
from .conference import Conference
from .errors import IpconfError
from .event_hub import EventStream
from .events import Event, TerminalEvent
from .hub.call_legs import CallLeg
from .hub.legs import Leg
from .hub.local_legs import LocalLeg
from .hub.people import Attendee, Role
from .hub.recording import ConferenceRecording
from .hub.recording_kinds import RecordingKind
from .model import (
    CallSettings,
    CallState,
    Cause,
    ConferenceSettings,
    Direction,
    GoneReason,
    IceServer,
    Identity,
    LoopbackMode,
    MediaType,
    SdesType,
)
from .msp import MediaServiceProvider
from .participants import LocalParticipant, Participant, ParticipantStats
from .private_ifaces import (
    DigitControl,
    MulticastControl,
    ParticipantControl,
    ParticipantSubStreamControl,
)
from .rtp_streams import Stream
from .sdp import ConferenceDescription
from .stats import CallStats, StreamStats, SubStreamStats
from .streams.substreams import SubStream
from .terminals.base import CaptureTerminal, RenderTerminal, Terminal
from .terminals.files import ClipPlayer, FilePlayback, FileRecorder, PayloadRecorder
from .terminals.memory import MediaStreamTerminal
from .terminals.payloads import Payload, PayloadTerminal
from .terminals.pictures import TestPictureTerminal
from .terminals.registry import TerminalClass
from .terminals.tones import NullTerminal, ToneTerminal
from .tsp.base import TelephonyServiceProvider
from .tsp.loopback import LoopbackTsp
from .tsp.socket import SocketTsp

__all__ = [
    "Attendee",
    "Call",
    "CallLeg",
    "CallSettings",
    "CallState",
    "CallStats",
    "CaptureTerminal",
    "Cause",
    "ClipPlayer",
    "Conference",
    "ConferenceDescription",
    "ConferenceRecording",
    "ConferenceSettings",
    "DigitControl",
    "Direction",
    "Event",
    "EventStream",
    "FilePlayback",
    "FileRecorder",
    "GoneReason",
    "IceServer",
    "Identity",
    "IpconfError",
    "Leg",
    "LocalLeg",
    "LocalParticipant",
    "LoopbackMode",
    "LoopbackTsp",
    "MediaServiceProvider",
    "MediaStreamTerminal",
    "MediaType",
    "MulticastControl",
    "NetworkImpairment",
    "NullTerminal",
    "Participant",
    "ParticipantControl",
    "ParticipantStats",
    "ParticipantSubStreamControl",
    "Payload",
    "PayloadRecorder",
    "PayloadTerminal",
    "RecordingKind",
    "RenderTerminal",
    "Role",
    "SdesType",
    "SocketTsp",
    "Stream",
    "StreamStats",
    "SubStream",
    "SubStreamStats",
    "TelephonyServiceProvider",
    "Terminal",
    "TerminalClass",
    "TerminalEvent",
    "TestPictureTerminal",
    "ToneTerminal",
    "__version__",
]

__version__ = "0.1.0"
