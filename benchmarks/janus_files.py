"""Where Janus is installed, and the few files it runs with: one audio room and nothing else."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "janus"
ROOM = 1
BITRATE_BPS = 32_000
"""What our calls send by default."""
PLUGIN, TRANSPORT = "libjanus_audiobridge.so", "libjanus_pfunix.so"
_KINDS = {"plugins": PLUGIN, "transports": TRANSPORT, "events": None, "loggers": None}
"""Of each kind of module Janus loads all in a folder: ours have one, or none."""

GENERAL = """\
general: {{
	plugins_folder = "{folder}/plugins"
	transports_folder = "{folder}/transports"
	events_folder = "{folder}/events"
	loggers_folder = "{folder}/loggers"
	interface = "127.0.0.1"
	debug_level = 2
	session_timeout = 0
}}
nat: {{
	ice_enforce_list = "lo"
}}
"""
SOCKET = """\
general: {{
	enabled = true
	json = "compact"
	path = "{folder}/api"
	type = "SOCK_SEQPACKET"
}}
admin: {{
	admin_enabled = false
}}
"""
BRIDGE = """\
general: {{
	local_ip = "127.0.0.1"
}}
room-{room}: {{
	description = "benchmark"
	sampling_rate = 48000
	default_bitrate = {bitrate_bps}
	allow_rtp_participants = true
	audiolevel_ext = false
	record = false
}}
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """A Janus that has what is measured."""

    program: Path
    modules: Path
    """The folder of `plugins`, `transports` and so on."""


def find_janus(program: str | None = None) -> Installed | None:
    """Janus as of the search path, or that program; None if it, or the room, is not installed."""
    found = program or shutil.which(PROGRAM)
    if found is None:
        return None
    path = Path(found).resolve()
    library = path.parent.parent / "lib"  # Debian has one more level, for the processor
    for pattern in ("janus/plugins", "*/janus/plugins"):
        for plugins in sorted(library.glob(pattern)):
            wanted = (plugins / PLUGIN, plugins.parent / "transports" / TRANSPORT)
            if all(module.exists() for module in wanted):
                return Installed(path, plugins.parent)
    return None


def write_files(installed: Installed, folder: Path) -> list[str]:
    """Fill an empty folder with configuration and modules; the command that starts it."""
    for kind, module in _KINDS.items():
        (folder / kind).mkdir()
        if module is not None:
            (folder / kind / module).symlink_to(installed.modules / kind / module)
    files = {"janus": GENERAL, "janus.transport.pfunix": SOCKET, "janus.plugin.audiobridge": BRIDGE}
    for name, text in files.items():
        said = text.format(folder=folder, room=ROOM, bitrate_bps=BITRATE_BPS)
        (folder / f"{name}.jcfg").write_text(said)
    return [str(installed.program), "--disable-colors", "--configs-folder", str(folder)]
