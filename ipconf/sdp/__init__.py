"""The description of a conference: SDP text (RFC 8866, RFC 4566) to a validated model and back."""

from .description import ConferenceDescription as ConferenceDescription
from .fields import Attribute as Attribute
from .fields import Bandwidth as Bandwidth
from .fields import Connection as Connection
from .fields import FurtherLine as FurtherLine
from .fields import Key as Key
from .fields import Origin as Origin
from .media import Media as Media
from .parsing import parse_description as parse_description
from .times import Repeat as Repeat
from .times import Timing as Timing
from .times import ZoneAdjustment as ZoneAdjustment
from .writing import write_description as write_description
