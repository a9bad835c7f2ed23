"""What a fill costs.

See: docs.kalshi.com/getting_started/fee_rounding, read 2026-11-20.
"""

from __future__ import annotations

from decimal import Decimal

from base.simulator.engine.money import BALANCE_STEP, FEE_STEP, ZERO, ceil_to, floor_to

TAKER_RATE = Decimal("0.07")
_MAKER_SHARE = {
    "quadratic": Decimal(0),
    "quadratic_with_maker_fees": Decimal("0.25"),
    "quadratic_with_combo_maker_fees": Decimal("0.5"),
    "flat": Decimal(0),
}


def model_fee(
    count: Decimal, price: Decimal, *, is_taker: bool, fee_type: str, multiplier: Decimal
) -> Decimal:
    """Return the fee before rounding to the balance, in dollars, rounded up to 6 places."""
    share = Decimal(1) if is_taker else _MAKER_SHARE[fee_type]
    return ceil_to(TAKER_RATE * multiplier * share * count * price * (1 - price), FEE_STEP)


def charge(gross: Decimal, fee: Decimal, kept: Decimal) -> tuple[Decimal, Decimal]:
    """Return (net fee of this fill, what the order's accumulator keeps). Dollars.

    ``gross`` is the signed change of the balance without the fee. The balance moves in
    steps of $0.0001, rounded against the member; what rounding took is kept per order and
    given back in whole steps, but a fill never costs less than nothing.
    """
    raw = gross - fee
    rounding = raw - floor_to(raw, BALANCE_STEP)
    kept += rounding
    rebate = min(floor_to(kept, BALANCE_STEP), floor_to(fee + rounding, BALANCE_STEP))
    rebate = max(rebate, ZERO)
    return fee + rounding - rebate, kept - rebate
