"""Settings: one frozen struct per service, from one table of a TOML file and from the environment.

`MUNIMENT_<SERVICE>_<FIELD>` overrides the file's `<field>` in `[<service>]`. Every defect is one sentence
that names the setting and never its value.
"""

import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import msgspec

from libs.kernel.secrets import Secret

S = TypeVar("S", bound=msgspec.Struct)

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_MASK: Final = "***"


class SettingsError(Exception):
    """A setting is missing, unknown or wrong; the text is one sentence for the operator."""


def read_settings(cls: type[S], service: str, path: Path | None, environ: Mapping[str, str]) -> S:
    """Return the settings of `service`. Raises SettingsError.

    In the environment, texts and secrets stand as they are, numbers and booleans as in TOML, lists and
    tables as JSON.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(cls)}
    given = {} if path is None else _table_of(service, path)
    for name in given:
        if name not in fields:
            msg = f"The setting {name!r} in [{service}] of {path} is unknown."
            raise SettingsError(msg)
    overrides = _overrides_of(service, fields, environ)
    for name, field in fields.items():
        if field.required and name not in given and name not in overrides:
            variable = _variable(service, name)
            msg = f"The setting {name!r} of {service} is missing: set it in [{service}] or as {variable}."
            raise SettingsError(msg)
    try:
        return msgspec.convert({**given, **overrides}, cls, dec_hook=_read_secret)
    except msgspec.ValidationError as defect:
        msg = f"A setting of {service} is wrong: {_explained(defect)}."
        raise SettingsError(msg) from None


def print_settings(settings: msgspec.Struct, service: str) -> str:
    """Return the settings as a TOML table, secrets as stars, so that it can be shown and copied."""
    lines = [f"[{service}]"]
    tables: list[str] = []
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, Mapping):
            tables += ["", f"[{service}.{name}]", *(f"{_key(k)} = {_shown(v)}" for k, v in value.items())]
        elif value is not None:
            lines.append(f"{name} = {_shown(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _table_of(service: str, path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
                msg = f"The settings file {path} may be read by its owner alone: run chmod 600 on it."
                raise SettingsError(msg)
            document = tomllib.load(file)
    except tomllib.TOMLDecodeError as defect:
        msg = f"The settings file {path} is no TOML{_line_of(defect)}."
        raise SettingsError(msg) from None
    except UnicodeDecodeError:
        msg = f"The settings file {path} is no TOML: it is not UTF-8."
        raise SettingsError(msg) from None
    except OSError as defect:
        msg = f"The settings file {path} cannot be read: {defect.strerror}."
        raise SettingsError(msg) from None
    table = document.get(service, {})
    if not isinstance(table, dict):
        msg = f"In the settings file {path}, [{service}] must be a table."
        raise SettingsError(msg)
    return table


def _line_of(defect: tomllib.TOMLDecodeError) -> str:
    """Return " (at line …)" of the parser's text; the rest may quote the file."""
    _, found, place = str(defect).rpartition(" (at ")
    return f" (at {place}" if found else ""


def _overrides_of(
    service: str, fields: Mapping[str, msgspec.structs.FieldInfo], environ: Mapping[str, str]
) -> dict[str, Any]:
    prefix = _variable(service, "")
    known = {_variable(service, name): name for name in fields}
    overrides: dict[str, Any] = {}
    for variable, text in environ.items():
        if variable in known:
            name = known[variable]
            overrides[name] = _value_of(variable, text, fields[name].type)
        elif variable.startswith(prefix):
            msg = f"The environment variable {variable} names no setting of {service}."
            raise SettingsError(msg)
    return overrides


def _variable(service: str, name: str) -> str:
    return f"MUNIMENT_{service}_{name}".upper().replace("-", "_")


def _value_of(variable: str, text: str, kind: Any) -> Any:
    """Return what the variable's text means for a field of `kind`."""
    kinds = {getattr(k, "__origin__", k) for k in (get_args(kind) or (kind,))} | {
        getattr(kind, "__origin__", kind)
    }
    if kinds & {str, Secret, Path} and not kinds & {dict, list, tuple}:
        return text
    try:
        if kinds & {dict, list, tuple, frozenset, set}:
            return msgspec.json.decode(text)
        return msgspec.convert(text, kind, strict=False)
    except msgspec.DecodeError:
        msg = f"The environment variable {variable} is not a value of its setting."
        raise SettingsError(msg) from None


def _read_secret(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    msg = "expected a text"
    raise ValueError(msg)


def _explained(defect: msgspec.ValidationError) -> str:
    """Return the defect without the value: msgspec quotes only values of enumerations, at the front."""
    reason, found, place = str(defect).rpartition(" - at ")
    if not found:
        return str(defect)
    if reason.startswith("Invalid"):
        reason = "not an allowed value"
    return f"{place.strip('`').removeprefix('$.')}: {reason[:1].lower()}{reason[1:]}".replace("`", "")


def _key(name: object) -> str:
    text = str(name)
    return text if text.replace("-", "").replace("_", "").isalnum() and text.isascii() else _quoted(text)


def _shown(value: object) -> str:
    match value:
        case Secret():
            return f'"{_MASK}"'
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case Mapping():
            return "{ " + ", ".join(f"{_key(k)} = {_shown(v)}" for k, v in value.items()) + " }"
        case list() | tuple() | frozenset() | set():
            return "[" + ", ".join(_shown(item) for item in value) + "]"
        case _:
            return _quoted(str(value))


def _quoted(text: str) -> str:
    """Return a TOML basic string; JSON's escapes are a subset of TOML's."""
    return msgspec.json.encode(text).decode()
