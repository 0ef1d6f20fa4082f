"""Descriptions that were heard, as files to join by."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from ..errors import ConfigurationError
from ..sdp import write_description
from .heard import HeardConference, HeardKey

MAX_NAME_CHARACTERS = 60
_UNSAFE = re.compile(r"[^0-9A-Za-z]+")


class SavedDescriptions:
    """Keeps a file in a directory for each conference that is announced.

    The directory is made if it is not there; ConfigurationError if it cannot be written to.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._paths: dict[HeardKey, Path] = {}
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=directory):
                pass
        except OSError as exc:
            raise ConfigurationError(
                f"--save {directory}: no file can be made there: {exc.strerror or exc}"
            ) from None

    def put(self, heard: HeardConference) -> Path:
        """Write the description, in place of an earlier edition; returns the file.

        OSError if that fails. A link of that name is replaced, and not followed. Only who runs the
        program can read it, since it may have keys.
        """
        path = self.path_of(heard)
        with NamedTemporaryFile(
            "w", dir=self.directory, encoding="utf-8", newline="", delete=False
        ) as file:
            made = Path(file.name)
            try:
                file.write(write_description(heard.description))
                file.close()
                made.replace(path)
            except BaseException:
                made.unlink(missing_ok=True)
                raise
        before = self._paths.get(heard.key)
        if before not in (None, path):
            self.remove(heard)  # it had another name
        self._paths[heard.key] = path
        return path

    def remove(self, heard: HeardConference) -> None:
        """Remove the file of a conference that is announced no more; OSError if that fails."""
        path = self._paths.pop(heard.key, None)
        if path is not None:
            path.unlink(missing_ok=True)

    def path_of(self, heard: HeardConference) -> Path:
        """Its file, the same for all editions that have the same name.

        Anybody can announce anything. So of the name only letters and digits of ASCII are taken;
        what else tells conferences apart (sender, origin) is in a hash behind it.
        """
        name = _UNSAFE.sub("-", heard.description.name[:200]).strip("-")[:MAX_NAME_CHARACTERS]
        origin = sha256(repr((heard.sender, heard.key)).encode()).hexdigest()
        return self.directory / f"{name or 'conference'}-{origin[:16]}.sdp"
