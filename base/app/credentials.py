"""Which exchange is spoken to, and as whom: settings, environment variables, or the embedded exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from base.app.config import Config, environment_settings
from base.app.embedded import Reached
from base.errors import ConfigError, RequestRefused
from base.kalshi.auth import Signer, load_signer
from base.kalshi.endpoints import Endpoints, endpoints_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The way to one account. Nothing in it shows the key."""

    environment: str
    endpoints: Endpoints
    signer: Signer


def access_to(config: Config, environ: Mapping[str, str], embedded: Reached | None) -> Access:
    """Find the addresses and load the key.

    ``embedded`` is where the embedded exchange listens, in ``simulated`` only.

    Raises:
        ConfigError: A setting is missing or the key is not usable.
    """
    environment = config.exchange.environment
    if embedded is not None:
        endpoints = endpoints_of(environment, embedded.rest_url, embedded.websocket_url)
        signer = load_signer(embedded.key_id, embedded.private_key_path)
        return Access(environment=environment, endpoints=endpoints, signer=signer)
    exchange = config.exchange
    endpoints = endpoints_of(environment, exchange.rest_url, exchange.websocket_url)
    path, text = _private_key(config, environment_settings(environ))
    signer = load_signer(key_id_of(config, environ), path, text)
    return Access(environment=environment, endpoints=endpoints, signer=signer)


def key_id_of(config: Config, environ: Mapping[str, str]) -> str:
    """The key's id: the setting, else the environment variable; empty where neither is set."""
    return config.exchange.key_id or environment_settings(environ).get("KALSHI_API_KEY_ID", "")


def _private_key(config: Config, variables: Mapping[str, str]) -> tuple[str, str | None]:
    """The key's file, or its text. The setting wins over the environment."""
    if config.exchange.private_key_path:
        return config.exchange.private_key_path, None
    path, text = variables.get("KALSHI_PRIVATE_KEY_PATH", ""), variables.get("KALSHI_PRIVATE_KEY")
    if path and text:
        raise ConfigError(
            "KALSHI_PRIVATE_KEY", "KALSHI_PRIVATE_KEY_PATH is set as well: unset one of the two"
        )
    return path, text


def explain_refusal(access: Access, refused: RequestRefused) -> ConfigError:
    """Say what a person must do when the exchange does not let us in."""
    where, said = "exchange.key_id", f"{refused.code} {refused.details}".strip()
    if refused.status == 401 and "NOT_FOUND" in said:
        return ConfigError(
            where,
            f"{access.environment} does not know this API key: keys of demo and production are not shared, "
            "use one made in that environment",
        )
    if refused.status == 401 and "timestamp" in said:
        return ConfigError(
            where, "this machine's clock is wrong by seconds: the exchange refuses our signatures"
        )
    if refused.status == 401:
        return ConfigError(
            "exchange.private_key_path",
            f"{access.environment} refuses our signature ({said}): is it the private key of this key id?",
        )
    return ConfigError(where, f"{access.environment} does not let this key in: {refused}")
