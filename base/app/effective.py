"""The settings that hold, each with where its value came from; what is secret is never shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel

from base.app.config import Config, check_config, environment_settings, read_text
from base.app.stops_config import RuleConfig
from base.app.yaml_text import join, read_yaml

Value = None | bool | int | float | str | list["Value"]
"""A setting as JSON writes it; prices and other exact numbers as text."""

HIDDEN = "(not shown)"
_KEY_SHOWN = 4
_VARIABLES = {
    "exchange.key_id": ("KALSHI_API_KEY_ID",),
    "exchange.private_key_path": ("KALSHI_PRIVATE_KEY_PATH", "KALSHI_PRIVATE_KEY"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as it holds. ``value`` has its secrets taken out."""

    path: str
    value: Value
    source: str  # default | config.yaml line 7 | --set | environment variable NAME


def effective_settings(path: Path, overrides: Sequence[str], environ: Mapping[str, str]) -> list[Setting]:
    """Read the settings as a start would, and say where each comes from.

    Raises:
        ConfigError: The file cannot be read, or every mistake in it.
    """
    document = read_yaml(read_text(path), path.name)
    sources = {name: f"{path.name} line {line}" for name, line in document.lines.items()}
    for override in overrides:
        _take_over(sources, override)
    config = check_config(document, overrides)
    found = []
    for name, value in flat(config).items():
        source = sources.get(name, "default")
        if name == "execution" and value is None:
            value = "live" if config.is_live else "paper"
            source += ": null" if source != "default" else ""
        found.append(Setting(path=name, value=redacted(name, value), source=source))
    return found if config.is_simulated else [_from_environment(setting, environ) for setting in found]


def _take_over(sources: dict[str, str], override: str) -> None:
    """What ``--set`` writes replaces the file's value with everything below it."""
    name, _, text = override.partition("=")
    name = name.strip()
    for below in [path for path in sources if _is_below(path, name)]:
        del sources[below]
    for path in read_yaml(text, "--set", name).lines:
        sources[path] = "--set"


def _is_below(path: str, parent: str) -> bool:
    return path == parent or path.startswith((parent + ".", parent + "["))


def _from_environment(setting: Setting, environ: Mapping[str, str]) -> Setting:
    """Credentials that the settings leave empty come from environment variables."""
    found = environment_settings(environ)
    for name in _VARIABLES.get(setting.path, ()):
        if setting.value == "" and name in found:
            value = HIDDEN if name == "KALSHI_PRIVATE_KEY" else redacted(setting.path, found[name])
            return Setting(path=setting.path, value=value, source=f"environment variable {name}")
    return setting


def flat(config: Config) -> dict[str, Value]:
    """Every setting by its path, in the order of the file; parts of a rule that are left out are left out."""
    return dict(_flat("", config))


def _flat(path: str, value: object) -> Iterator[tuple[str, Value]]:
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            inner = getattr(value, name)
            if inner is not None or not isinstance(value, RuleConfig):
                yield from _flat(join(path, field.alias or name), inner)
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for i, item in enumerate(value):
            yield from _flat(join(path, str(i)), item)
    else:
        yield path, _plain(value)


def _plain(value: object) -> Value:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    assert isinstance(value, bool | int | float | str | None)
    return value


def applies_while_running(path: str) -> bool:
    """Whether a changed setting is taken over by a running monitor; every other one needs a restart."""
    return _is_below(path, "stops")


def redacted(path: str, value: Value) -> Value:
    """Take out what nobody else should read: of an address only its kind stays, of a key id its beginning."""
    if isinstance(value, list):
        return [redacted(path, item) for item in value]
    if not isinstance(value, str) or not value:
        return value
    if path == "exchange.key_id":
        return value[:_KEY_SHOWN] + "…" if len(value) > 2 * _KEY_SHOWN else "…"
    if path.startswith("alerts."):
        scheme, sign, _ = value.partition("://")
        return f"{scheme}://…" if sign else HIDDEN  # tokens stand in hosts, paths and queries
    if "PRIVATE KEY" in value or "\n" in value:
        return HIDDEN  # the key itself where its file's name belongs
    return value
