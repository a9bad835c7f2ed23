"""What a person types behind a command, judged before anybody is reached."""

from __future__ import annotations

from base.errors import ConfigError, WireError
from base.units import ONE, ZERO, parse_price, typed_name


def market(typed: str) -> str:
    """Return the ticker.

    Raises:
        ConfigError: No market can be called so.
    """
    try:
        return typed_name(typed)
    except ValueError as e:
        raise ConfigError("TICKER", str(e)) from None


def floor(typed: str | None) -> str | None:
    """Return the worst price, dollars per contract; ``None``: none was typed.

    Raises:
        ConfigError: It is no price that an order can carry: 0 and 1 are what empty sides are written as.
    """
    if typed is None:
        return None
    try:
        is_price = ZERO < parse_price(typed, "--floor") < ONE
    except WireError:
        is_price = False
    if not is_price:
        what = "should be a price in dollars between 0 and 1, e.g. --floor 0.25"
        raise ConfigError("--floor", f"{what}; not {typed!a:.40}")
    return typed
