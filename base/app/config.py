"""config.yaml: read, checked whole, and said in one go what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails

from base.app.setting_types import Contracts, Dollars, Interval, Speed
from base.app.stops_config import Section, StopsConfig
from base.app.yaml_text import ConfigMistakes, Document, Mistake, Tree, join, read_yaml
from base.errors import ConfigError
from base.strategy.entry_limits import EntryLimits

Environment = Literal["simulated", "demo", "production", "custom"]
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ExchangeConfig(Section):
    """Which exchange, and whose account."""

    environment: Environment = "simulated"
    """Which exchange; `simulated` is the embedded one and needs no account."""
    allow_production: Annotated[bool, Field(validate_default=True)] = False
    """The second switch: production trades real money and needs true here."""
    rest_url: str = ""
    """`custom` only, e.g. `http://127.0.0.1:8080/trade-api/v2`; without TLS on loopback only."""
    websocket_url: str = ""
    """`custom` only, e.g. `ws://127.0.0.1:8080/trade-api/ws/v2`."""
    key_id: str = ""
    """The API key, or the environment variable `KALSHI_API_KEY_ID`."""
    private_key_path: str = ""
    """Its private key, mode 0600; or `KALSHI_PRIVATE_KEY_PATH`, or `KALSHI_PRIVATE_KEY` with the text."""
    subaccounts: Annotated[tuple[Annotated[int, Field(ge=0, le=63)], ...], Field(min_length=1)] = (0,)
    """Numbers 0 to 63 of the sub-accounts guarded; positions elsewhere ring an alarm."""

    @field_validator("allow_production")
    @classmethod
    def _is_meant(cls, is_allowed: bool, info: ValidationInfo) -> bool:
        if info.data.get("environment") == "production" and not is_allowed:
            raise ValueError("should be true as well: environment: production trades real money")
        return is_allowed

    @field_validator("rest_url", "websocket_url")
    @classmethod
    def _is_safe(cls, url: str, info: ValidationInfo) -> str:
        plain, secure = ("http", "https") if info.field_name == "rest_url" else ("ws", "wss")
        if not url:
            return url
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as e:
            raise ValueError(f"is no address: {e}") from None
        if parts.scheme not in (plain, secure) or not host or parts.username or parts.query:
            raise ValueError(f"should look like {secure}://host/path, not {url!r}")
        if parts.scheme == plain and host not in LOOPBACK:
            raise ValueError(
                f"should begin with {secure}://: without TLS only this machine (127.0.0.1) is spoken to"
            )
        return url

    @field_validator("subaccounts")
    @classmethod
    def _are_distinct(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(numbers)) != len(numbers):
            raise ValueError("names a sub-account twice")
        return numbers

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.environment == "production" and not self.allow_production:
            raise ValueError(
                "environment: production trades real money and needs allow_production: true as well"
            )
        if self.environment == "custom" and not (self.rest_url and self.websocket_url):
            raise ValueError("environment: custom needs rest_url and websocket_url")
        if self.environment != "custom" and (self.rest_url or self.websocket_url):
            raise ValueError("rest_url and websocket_url are used only with environment: custom")
        return self


class StrategyConfig(Section):
    """The user's own loop."""

    class_name: Annotated[str | None, Field(alias="class")] = None
    """`package.module:Class`; null is the demo strategy in `simulated`, none elsewhere."""
    interval_s: Interval = 30.0
    """From one round of the strategy to the next."""
    max_contracts_per_order: Contracts | None = None
    """A larger buy is refused here; null is no limit."""
    max_dollars_per_order: Dollars | None = None
    """Count × price without fees; a larger buy is refused here. null is no limit."""
    max_contracts_per_market: Contracts | None = None
    """Held now and bought together; null is no limit."""
    max_orders_per_minute: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Buys; sales, cancels and exits are never held. null is no limit."""

    def as_limits(self) -> EntryLimits:
        """The limits as the guarded gateway takes them."""
        return EntryLimits(
            max_contracts_per_order=self.max_contracts_per_order,
            max_dollars_per_order=self.max_dollars_per_order,
            max_contracts_per_market=self.max_contracts_per_market,
            max_orders_per_minute=self.max_orders_per_minute,
        )


class SimulatorConfig(Section):
    """What the embedded exchange plays in ``environment: simulated``."""

    scenario: Annotated[str, Field(min_length=1)] = "demo"
    """demo, calm, wick, crash, close, sol, or a capture file."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The same seed plays the same market."""
    speed: Speed | None = None
    """On the scenario's time; null is real time."""


class PathsConfig(Section):
    """Where files go, from the folder the program is started in."""

    data: Annotated[str, Field(min_length=1)] = "data"
    """The journal stands under `{data}/{environment}-{hash of the key id}/`."""
    logs: Annotated[str, Field(min_length=1)] = "logs"
    """Where `stop_loss.log` is written."""
    emergency: Annotated[str, Field(min_length=1)] | None = None
    """On another disk than `data`: orders are noted here when the journal's disk fails; null is in memory."""


class AlertsConfig(Section):
    """Who is told besides the screen."""

    urls: Annotated[tuple[str, ...], Field(repr=False)] = ()
    """Channels in apprise's notation, in the order they are tried; see docs/operations.md."""
    heartbeat_url: Annotated[str, Field(repr=False)] = ""
    """Asked regularly while the monitor guards; the service there alarms when it stays away."""
    heartbeat_interval_s: Interval = 60.0
    """From one sign of life to the next."""
    allow_private: bool = False
    """Whether `heartbeat_url` and plain webhooks (json, xml, form) may lead into a private network."""


class Config(Section):
    """Every setting, checked. Prices in dollars per contract of the side held, times in seconds."""

    exchange: ExchangeConfig = ExchangeConfig()
    """Which exchange, and whose account."""
    execution: Literal["paper", "live"] | None = None
    """Exits are sent, or filled on paper; null is live in `simulated`, paper elsewhere."""
    stops: StopsConfig = StopsConfig()
    """When positions are sold."""
    strategy: StrategyConfig = StrategyConfig()
    """The user's own loop."""
    simulator: SimulatorConfig = SimulatorConfig()
    """What the embedded exchange plays in `environment: simulated`."""
    paths: PathsConfig = PathsConfig()
    """Folders, seen from where the program is started."""
    alerts: AlertsConfig = AlertsConfig()
    """Who is told besides the screen."""

    @property
    def is_simulated(self) -> bool:
        """Whether the embedded exchange is started and spoken to."""
        return self.exchange.environment == "simulated"

    @property
    def is_live(self) -> bool:
        """Whether exit orders are sent; otherwise decisions are only logged."""
        return self.execution == "live" or (self.execution is None and self.is_simulated)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read and check config.yaml, with ``a.b=value`` overrides on top.

    Raises:
        ConfigError: The file is missing, or every mistake in it, each with its path.
    """
    return check_config(read_yaml(read_text(path), path.name), overrides)


def read_text(path: Path) -> str:
    """Read the file of settings.

    Raises:
        ConfigError: There is none, or it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(str(path), "this file does not exist: name one with --config") from None
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(str(path), f"cannot be read: {e}") from None


def check_config(document: Document, overrides: Sequence[str] = ()) -> Config:
    """Turn what was read into settings.

    Raises:
        ConfigMistakes: Every mistake, each with its path.
    """
    tree = {} if document.tree is None else document.tree
    if not isinstance(tree, dict):
        raise ConfigMistakes([("", "the settings should be names with values, such as stops: …")])
    mistakes = list(document.mistakes)
    for override in overrides:
        mistakes += _override(tree, override)
    try:
        config = Config.model_validate(_with_tuples(tree))
    except ValidationError as e:
        trapped = {path for path, _ in mistakes}
        found = [_explain(error) for error in e.errors(include_url=False)]
        # What could not even be read needs no second complaint about its type.
        raise ConfigMistakes(mistakes + [m for m in found if m[0] not in trapped]) from None
    if mistakes:
        raise ConfigMistakes(mistakes)
    return config


def _override(tree: dict[str, Tree], override: str) -> tuple[Mistake, ...]:
    """Put ``a.b=value`` into ``tree``; the value is read as YAML."""
    path, sign, text = override.partition("=")
    names = path.strip().split(".")
    if not sign or not all(names):
        typed = repr(override) if "://" not in override else "an address"  # which may hold a token
        raise ConfigError("--set", f"{typed} should look like stops.check_interval_s=1")
    section = tree
    for name in names[:-1]:
        child = section.get(name)
        if child is None:
            child = section[name] = {}
        if not isinstance(child, dict):
            raise ConfigError("--set", f"{path} goes through {name}, which has no settings inside")
        section = child
    document = read_yaml(text, f"--set {path}", path.strip())
    section[names[-1]] = document.tree
    return document.mistakes


def _with_tuples(tree: Tree) -> object:
    """Lists become tuples: settings never change after they are read, and strict types want them so."""
    if isinstance(tree, list):
        return tuple(_with_tuples(item) for item in tree)
    if isinstance(tree, dict):
        return {name: _with_tuples(value) for name, value in tree.items()}
    return tree


def _explain(error: ErrorDetails) -> Mistake:
    """Turn one of pydantic's findings into the path of a setting and a sentence."""
    path = ""
    for part in error["loc"]:
        path = join(path, str(part) if "://" not in str(part) else "…")  # an address may hold a token
    match error["type"]:
        case "extra_forbidden":
            return path, f"there is no such setting{_near(str(error['loc'][-1]))}"
        case "value_error":
            return path, str(error.get("ctx", {}).get("error", error["msg"]))
        case "tuple_type" | "list_type":
            return path, "should be a list: [a, b], or lines that begin with a dash"
        case "too_short":
            return path, "should not be empty"
        case "model_type" | "dict_type" | "model_attributes_type" | "dataclass_type":
            return path, "should be a section: names with values below it"
    said = error["msg"].replace("Input should", "should").replace("Field required", "is missing")
    value = error["input"]
    return path, f"{said}, not {value!r}" if isinstance(value, str | int | bool | None) else said


def _near(name: str) -> str:
    close = get_close_matches(name, known_names(), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def known_names(section: str | None = None) -> list[str]:
    """Every name that stands in config.yaml, or below ``section`` of it; a section may be one value."""
    if section is None:
        return _names(Config)
    inner = Config.model_fields[section].annotation
    return _names(inner) if isinstance(inner, type) and issubclass(inner, BaseModel) else []


def _names(model: type[BaseModel]) -> list[str]:
    """Every name that stands in config.yaml at or below ``model``."""
    names = []
    for name, field in model.model_fields.items():
        names.append(field.alias or name)
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                names += _names(inner)
    return names


def environment_settings(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment variables that hold credentials, empty ones left out."""
    names = ("KALSHI_API_KEY_ID", "KALSHI_PRIVATE_KEY_PATH", "KALSHI_PRIVATE_KEY")
    return {name: environ[name] for name in names if environ.get(name)}
