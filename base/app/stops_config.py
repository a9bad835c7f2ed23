"""The ``stops`` part of config.yaml, and the rules it becomes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from base.app.setting_types import Cents, Contracts, Cooldown, Dwell, Gain, Interval, Percent, Price, Slippage
from base.risk.rules import AlreadyBreached, BelowFloor, Rule, StopSettings


class Section(BaseModel):
    """A part of config.yaml: unknown keys are mistakes, nothing is converted silently, nothing changes."""

    # The words under each setting are its line in the reference: see settings_reference.py.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class RuleConfig(Section):
    """One rule. Prices are those of the side held; ``None`` leaves a part out."""

    market: Annotated[str, Field(min_length=1)] | None = None
    """Pattern of tickers the rule is for, e.g. `KXBTC15M-*`; null is every market. In rules only."""
    stop: Price | None = None
    """Sells when the bid is at or below it."""
    take_profit: Price | None = None
    """Sells when the bid is at or above it."""
    loss_percent: Percent | None = None
    """Sells when so much of the entry price is lost."""
    gain_percent: Gain | None = None
    """Sells when so much of the entry price is gained."""
    trail_cents: Cents | None = None
    """Sells when the bid falls so far under its highest; the trigger follows up, never down."""
    trail_percent: Percent | None = None
    """The same, as a part of the highest bid."""
    trail_activation_cents: Cents | None = None
    """The trail begins when the bid is so far above the entry."""
    dwell_s: Dwell = 0.0
    """The bid must stay at the trigger so long."""
    updates: Annotated[int, Field(ge=1, le=1000)] = 1
    """So many distinct price updates must show the bid at the trigger."""
    max_spread: Slippage | None = None
    """With bid and ask further apart the bid is not believed."""
    min_size: Contracts | None = None
    """With fewer contracts bid for the bid is not believed."""
    catastrophe: Price | None = None
    """At or below it `dwell_s` and `updates` are not waited for."""

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        rule = self.as_rule("")
        if not rule.has_stop and not rule.has_target:
            raise ValueError(
                "protects nothing: give stop, loss_percent, trail_cents, take_profit or another part"
            )
        if self.stop is not None and self.take_profit is not None and self.stop >= self.take_profit:
            raise ValueError(
                f"stop {self.stop} should be below take_profit {self.take_profit}: "
                "both are prices of the side you hold, NO included"
            )
        if (
            self.trail_activation_cents is not None
            and self.trail_cents is None
            and self.trail_percent is None
        ):
            raise ValueError("trail_activation_cents needs trail_cents or trail_percent")
        if self.catastrophe is not None and not rule.has_stop:
            raise ValueError("catastrophe needs a stop: it only skips dwell_s and updates of one")
        if self.catastrophe is not None and self.stop is not None and self.catastrophe >= self.stop:
            raise ValueError(f"catastrophe {self.catastrophe} should be below stop {self.stop}")
        return self

    def as_rule(self, name: str) -> Rule:
        """Return the rule as the monitor knows it; ``name`` says where it stands."""
        return Rule(name=name, **dict(self))


class AdoptConfig(Section):
    """What happens to positions found on the account."""

    rule: Literal["default"] | None = "default"
    """`default`: positions found on the account get the rules; null: they stay UNPROTECTED."""
    already_breached: Literal["ask", "exit", "hold"] = "ask"
    """A position found whose stop would fire at once waits for you, is sold, or waits without alarm."""


class StopsConfig(Section):
    """Everything under ``stops``."""

    check_interval_s: Interval = 2.0
    """The sweep; a price change wakes the monitor at once."""
    stale_after_s: Interval = 60.0
    """So often prices are read by REST when the feed is not proven alive."""
    max_slippage: Slippage = Decimal("0.10")
    """An exit never sells below its trigger minus this."""
    below_floor: Literal["wait", "chase"] = "wait"
    """When nobody bids that much: wait, or go on down to `last_floor`."""
    last_floor: Price | None = None
    """The price `below_floor: chase` may go down to."""
    reentry_cooldown_s: Cooldown = 60.0
    """So long a strategy may not enter a market after an exit."""
    adopt: AdoptConfig = AdoptConfig()
    """Positions found on the account, however they came there."""
    default: RuleConfig | None = RuleConfig(loss_percent=Decimal(50))
    """The rule of every position without one of its own; null is none."""
    rules: tuple[RuleConfig, ...] = ()
    """Rules by market; the first that matches wins."""

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.below_floor == "chase" and self.last_floor is None:
            raise ValueError('below_floor: chase needs last_floor, the price it may go down to, e.g. "0.05"')
        if self.below_floor == "wait" and self.last_floor is not None:
            raise ValueError("last_floor is used only with below_floor: chase")
        if self.default is not None and self.default.market is not None:
            raise ValueError("default is for every market: move the one with a market into rules")
        for i, rule in enumerate(self.rules[:-1]):
            if rule.market in (None, "*"):
                raise ValueError(f"rules[{i + 1}] is never reached: rules[{i}] matches every market")
        return self

    def as_settings(self) -> StopSettings:
        """Return the settings as the monitor knows them."""
        return StopSettings(
            default=None if self.default is None else self.default.as_rule("default"),
            rules=tuple(rule.as_rule(f"rules[{i}]") for i, rule in enumerate(self.rules)),
            check_interval_s=self.check_interval_s,
            stale_after_s=self.stale_after_s,
            max_slippage=self.max_slippage,
            below_floor=BelowFloor(self.below_floor),
            last_floor=self.last_floor,
            adopt_default=self.adopt.rule == "default",
            already_breached=AlreadyBreached(self.adopt.already_breached),
            reentry_cooldown_s=self.reentry_cooldown_s,
        )
