"""The ``stops`` part of config.yaml, and the rules it becomes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from base.app.setting_types import Cents, Contracts, Cooldown, Dwell, Gain, Interval, Percent, Price, Slippage
from base.risk.rules import AlreadyBreached, BelowFloor, Rule, StopSettings


class Section(BaseModel):
    """A part of config.yaml: unknown keys are mistakes, nothing is converted silently, nothing changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RuleConfig(Section):
    """One rule. Prices are those of the side held; ``None`` leaves a part out."""

    market: Annotated[str, Field(min_length=1)] | None = None
    stop: Price | None = None
    take_profit: Price | None = None
    loss_percent: Percent | None = None
    gain_percent: Gain | None = None
    trail_cents: Cents | None = None
    trail_percent: Percent | None = None
    trail_activation_cents: Cents | None = None
    dwell_s: Dwell = 0.0
    updates: Annotated[int, Field(ge=1, le=1000)] = 1
    max_spread: Slippage | None = None
    min_size: Contracts | None = None
    catastrophe: Price | None = None

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
    already_breached: Literal["ask", "exit", "hold"] = "ask"


class StopsConfig(Section):
    """Everything under ``stops``."""

    check_interval_s: Interval = 2.0
    stale_after_s: Interval = 60.0
    max_slippage: Slippage = Decimal("0.10")
    below_floor: Literal["wait", "chase"] = "wait"
    last_floor: Price | None = None
    reentry_cooldown_s: Cooldown = 60.0
    adopt: AdoptConfig = AdoptConfig()
    default: RuleConfig | None = RuleConfig(loss_percent=Decimal(50))
    rules: tuple[RuleConfig, ...] = ()

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
