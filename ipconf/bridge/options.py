"""From the command line and a file of TOML to `BridgeSettings`: each field is a flag and a key."""

from __future__ import annotations

import argparse
import difflib
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from ..errors import ConfigurationError
from .settings import BridgeSettings

IN_FILE_ALONE = ("rooms", "metrics_token")
"""Not flags: one has a structure, the other would be there for all to read, among processes."""
METAVARS = {
    "host": "ADDRESS", "public_url": "URL", "tls_certificate": "FILE", "tls_key": "FILE",
    "state_dir": "DIR", "ice_addresses": "ADDRESS,...", "udp_ports": "LOW-HIGH",
    "public_address": "ADDRESS", "ice_servers": "URL,...", "origins": "URL,...",
    "trusted_proxies": "NETWORK,...", "recordings_dir": "DIR", "empty_room_s": "SECONDS",
    "resume_s": "SECONDS",
}  # fmt: skip
"""What stands for the values of flags that take something else than a number."""

SENTENCES = {
    "int_parsing": "give a whole number", "int_from_float": "give a whole number",
    "int_type": "give a whole number", "float_parsing": "give a number",
    "float_type": "give a number",
}  # fmt: skip
"""What to do about values of another kind, by pydantic's name for what is wrong."""


def flag_of(name: str) -> str:
    """The flag of a field."""
    return "--" + name.replace("_", "-")


def add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add --config, and a flag for each of these fields, or for all."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS,
        help="TOML with these options, names with _ for -; flags win",
    )  # fmt: skip
    for name, field in BridgeSettings.model_fields.items():
        if name not in IN_FILE_ALONE and (not names or name in names):
            parser.add_argument(flag_of(name), **_option(name, field))


def _option(name: str, field: FieldInfo) -> dict[str, Any]:
    """What argparse is told of a field; the model judges its value."""
    text = " ".join((field.description or "").split()).replace("%", "%%").replace("`", "")
    default = f" ({shown(field.default)})" if field.default not in (None, (), False) else ""
    option: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text.rstrip(".") + default}
    kinds = kinds_of(field)
    if bool in kinds:
        option["action"] = argparse.BooleanOptionalAction
    elif choices := [value for kind in kinds for value in kind_choices(kind)]:
        option["choices"] = choices
    else:
        option["metavar"] = METAVARS.get(name, "N")
    return option


def kinds_of(field: FieldInfo) -> tuple[Any, ...]:
    """The types that a field may have, without None."""
    kind = field.annotation
    union = get_origin(kind) in (Union, types.UnionType)
    return tuple(k for k in get_args(kind) if k is not type(None)) if union else (kind,)


def kind_choices(kind: object) -> tuple[str, ...]:
    """The values of a Literal; none for another type."""
    values = get_args(kind)
    return values if values and all(isinstance(value, str) for value in values) else ()


def shown(default: object) -> str:
    """A default as one would write it."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:g}" if isinstance(default, float) else str(default)


def read_settings(options: argparse.Namespace) -> BridgeSettings:
    """The settings that file and flags make; ConfigurationError says what is wrong, and where."""
    source: Path | None = getattr(options, "config", None)
    from_file = {} if source is None else read_file(source)
    flags = {
        name: value
        for name in BridgeSettings.model_fields
        if (value := getattr(options, name, None)) is not None
    }
    try:
        return BridgeSettings(**{**from_file, **flags})
    except ConfigurationError as exc:
        # pydantic's own error, which knows the fields, is what the sentence was made of.
        cause = exc.__context__
        if not isinstance(cause, ValidationError):
            raise
        problems = [_problem(dict(error), source, flags) for error in cause.errors()]
        raise ConfigurationError("; ".join(problems)) from None


def read_file(path: Path) -> dict[str, Any]:
    """The keys and values of a file of TOML; ConfigurationError if it is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path}: is no TOML: {exc}") from None


def _problem(error: dict[str, Any], source: Path | None, flags: Mapping[str, Any]) -> str:
    """What is wrong with one option, with the flag or with the key and the file where it stands."""
    where = [str(part) for part in error["loc"]]
    said = SENTENCES.get(error["type"], error["msg"].removeprefix("Value error, "))
    if not where:  # options that do not go together
        return said if source is None else f"{source}: {said}"
    if where[0] in flags:
        return f"{flag_of(where[0])} {flags[where[0]]}: {said}"
    if error["type"] == "extra_forbidden":
        said = "there is no such option"
        close = difflib.get_close_matches(where[-1], BridgeSettings.model_fields, 1)
        said += f"; do you mean {close[0]}?" if close else ""
    return f"{source}: {'.'.join(where)}: {said}"
