"""At which prices an exit is tried, best first. Pure. Fills come at resting prices; a limit is a collar.

See stops-and-exits.md, section 5.
"""

from __future__ import annotations

from decimal import Decimal

from base.model import Level, Quote
from base.risk.valuation import walk
from base.units import PriceGrid


def floor_of(level: Decimal, max_slippage: Decimal, grid: PriceGrid) -> Decimal:
    """The worst price a stop's exit may take: ``level − max_slippage``, never under the grid."""
    return max(level - max_slippage, grid.lowest)


def rungs(
    quote: Quote, left: Decimal, floor: Decimal, last_floor: Decimal | None, grid: PriceGrid
) -> tuple[Decimal, ...]:
    """The limit prices to try in turn, on ``grid`` (seen from the side held), each at or above the floor.

    Rung 1 is the price at which the visible book covers ``left``, minus one step; rung 2 the floor;
    rung 3, when the user chases, ``last_floor``. Equal rungs are one rung. Empty when nobody bids
    inside the last of them: an order there could only miss.
    """
    bottom = _sellable(floor, floor, grid)
    prices = [bottom]
    covering = _covering_price(quote, left)
    if covering is not None and covering > bottom:
        prices.insert(0, _sellable(max(grid.step_below(covering), bottom), bottom, grid))
    if last_floor is not None and last_floor < floor:
        prices.append(_sellable(last_floor, last_floor, grid))
    if quote.bid is None or quote.bid < prices[-1]:
        return ()
    return tuple(dict.fromkeys(prices))


def _covering_price(quote: Quote, left: Decimal) -> Decimal | None:
    bids: tuple[Level, ...] = quote.bids
    if not bids and quote.bid is not None and quote.bid_size is not None:
        bids = ((quote.bid, quote.bid_size),)  # a ticker knows the top only
    walked = walk(bids, left)
    return None if walked is None else walked[0]


def _sellable(price: Decimal, floor: Decimal, grid: PriceGrid) -> Decimal:
    """Snap to the side that still sells, upwards only where that would fall under the floor."""
    snapped = grid.snap_down(price)
    return snapped if snapped >= floor else grid.snap_up(price)
