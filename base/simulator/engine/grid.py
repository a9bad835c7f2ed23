"""Price grids: which prices a market takes.

See: docs.kalshi.com/getting_started/fixed_point_migration, read 2026-11-20.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Band:
    """Prices from ``start`` to ``end`` in steps of ``step``. Dollars."""

    start: Decimal
    end: Decimal
    step: Decimal

    def holds(self, price: Decimal) -> bool:
        """Say whether ``price`` lies on this band."""
        return self.start <= price <= self.end and (price - self.start) % self.step == 0


@dataclass(frozen=True, slots=True)
class Grid:
    """The valid prices of one market. The bands are the truth, the label is not."""

    label: str
    bands: tuple[Band, ...]

    def holds(self, price: Decimal) -> bool:
        """Say whether an order may have this price: on the grid, strictly inside (0, 1)."""
        return 0 < price < 1 and any(band.holds(price) for band in self.bands)

    @property
    def lowest(self) -> Decimal:
        """Return the lowest valid price: the first step."""
        return self.bands[0].start + self.bands[0].step

    @property
    def highest(self) -> Decimal:
        """Return the highest valid price: one less the last step."""
        return self.bands[-1].end - self.bands[-1].step

    def step_at(self, price: Decimal) -> Decimal:
        """Return the step around ``price``; at an edge between two bands the finer one."""
        steps = [band.step for band in self.bands if band.start <= price <= band.end]
        return min(steps) if steps else self.bands[-1].step

    def snap(self, price: Decimal) -> Decimal:
        """Return the valid price at or just below ``price``, kept inside the grid."""
        bounded = min(max(price, self.lowest), self.highest)
        for band in self.bands:
            if band.start <= bounded <= band.end:
                return max(bounded - (bounded - band.start) % band.step, self.lowest)
        return self.lowest


def grid_of(label: str, *bands: tuple[str, str, str]) -> Grid:
    """Build a grid from (start, end, step) strings."""
    return Grid(label, tuple(Band(Decimal(a), Decimal(b), Decimal(c)) for a, b, c in bands))


def _edged(label: str, edge: str, center: str) -> Grid:
    return grid_of(label, ("0", "0.10", edge), ("0.10", "0.90", center), ("0.90", "1", edge))


GRIDS: dict[str, Grid] = {
    grid.label: grid
    for grid in (
        grid_of("linear_cent", ("0", "1", "0.01")),
        grid_of("deci_cent", ("0", "1", "0.001")),
        _edged("tapered_deci_cent", "0.001", "0.01"),
        _edged("center_whole_edge_half_cent", "0.005", "0.01"),
        _edged("center_whole_edge_quint_cent", "0.002", "0.01"),
        _edged("center_half_edge_deci_cent", "0.001", "0.005"),
        grid_of(
            "center_deci_edge_centi_cent",
            ("0", "0.01", "0.0001"),
            ("0.01", "0.99", "0.001"),
            ("0.99", "1", "0.0001"),
        ),
    )
}
