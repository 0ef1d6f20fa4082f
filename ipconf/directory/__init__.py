"""Finding conferences: directories with stores behind them, and SAP announcements (RFC 2974)."""

from .addresses import AddressAllocator as AddressAllocator
from .addresses import AddressLease as AddressLease
from .bandwidth import SapSettings as SapSettings
from .directory import Directory as Directory
from .entries import DirectoryEntry as DirectoryEntry
from .entries import EntryKind as EntryKind
from .heard import HeardConference as HeardConference
from .heard import News as News
from .heard import SapNews as SapNews
from .sap_announcer import SapAnnouncer as SapAnnouncer
from .sap_listener import SapListener as SapListener
from .sap_store import SapStore as SapStore
from .scopes import Scope as Scope
from .store import DirectoryStore as DirectoryStore
from .store import MemoryStore as MemoryStore
from .store import StoredEntry as StoredEntry
from .store_sqlite import SqliteStore as SqliteStore
from .udp import SapPort as SapPort
