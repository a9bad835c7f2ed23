"""Every documented filter of markets, events and series does what it says; none is silently ignored."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from base.simulator.clock import ManualClock, SystemClock
from base.simulator.semantics import Semantics
from base.simulator.server import SimulatorServer
from tests.simulator.loopback import A, B, Client

COMBO = "KXMVESIM-26DEC31-A"
LATER = "KXSIM-27JAN31-A"  # in another event of the same series, closes later
CHANGED_S = 1000  # after the start, when B was renamed
CLOSED_S = 2000  # when LATER was determined and settled
DAY_S = 86_400


@pytest.fixture(scope="module")
def listed() -> Iterator[tuple[Client, int]]:
    """Return (client, start in Unix seconds): four markets, three events, two series."""
    clock = ManualClock(SystemClock().now_ms())
    start = clock.now_ms() // 1000
    with SimulatorServer(clock=clock, semantics=Semantics(skew_window_s=1e9, read_lag_s=0.0)) as sim:
        for ticker in (A, B, COMBO):
            sim.add_market(ticker)
        sim.add_market(LATER, close_in_s=2 * DAY_S)
        clock.advance(CHANGED_S)
        sim.rename(B, "Above")
        sim.set_book(A, yes=[("0.50", "10")], no=[("0.48", "10")])
        sim.external_fill(A, "3", "0.51")
        clock.advance(CLOSED_S - CHANGED_S)
        sim.determine(LATER, "yes")
        sim.settle(LATER)
        yield Client(sim), start


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        pytest.param("", [LATER, COMBO, B, A], id="all, newest first"),
        pytest.param(f"tickers={A},{COMBO}", [COMBO, A], id="tickers"),
        pytest.param("mve_filter=only", [COMBO], id="combos only"),
        pytest.param("mve_filter=exclude", [LATER, B, A], id="no combos"),
        pytest.param("series_ticker=KXSIM", [LATER, B, A], id="series"),
        pytest.param("event_ticker=KXSIM-26DEC31", [B, A], id="event"),
        pytest.param("status=settled", [LATER], id="status"),
        pytest.param("min_settled_ts={start}", [LATER], id="settled since"),
        pytest.param("max_settled_ts={late}", [LATER], id="settled until: the open ones never were"),
        pytest.param("max_settled_ts={start}", [], id="settled before"),
        pytest.param("min_updated_ts={changed}", [LATER, B], id="changed since: trading is no change"),
        pytest.param("max_updated_ts={start1}", [COMBO, A], id="not changed since"),
        pytest.param("min_created_ts={changed}", [], id="created since"),
        pytest.param("limit=2", [LATER, COMBO], id="page"),
    ],
)
def test_markets(listed: tuple[Client, int], filters: str, expected: list[str]) -> None:
    """Each filter alone."""
    client, start = listed
    moments = {"start": start, "start1": start + 1, "changed": start + CHANGED_S, "late": start + DAY_S}
    found = client.get(f"/markets?{filters.format(**moments)}")["markets"]
    assert [market["ticker"] for market in found] == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/events?", ["KXSIM-27JAN31", "KXSIM-26DEC31"], id="combos are not in it"),
        pytest.param("/events?tickers=KXSIM-26DEC31,KXMVESIM-26DEC31", ["KXSIM-26DEC31"], id="tickers"),
        pytest.param("/events?status=settled", ["KXSIM-27JAN31"], id="status"),
        pytest.param("/events?min_close_ts={tomorrow}", [], id="closing later"),
        pytest.param("/events?min_updated_ts={changed1}", ["KXSIM-27JAN31"], id="changed since"),
        pytest.param("/events?series_ticker=NONE", [], id="series"),
        pytest.param("/events/multivariate?", ["KXMVESIM-26DEC31"], id="combos"),
        pytest.param("/events/multivariate?series_ticker=KXSIM", [], id="combos of a series"),
        pytest.param("/events/multivariate?collection_ticker=X", [], id="combos of a collection"),
    ],
)
def test_events(listed: tuple[Client, int], path: str, expected: list[str]) -> None:
    """Each filter alone, of both lists."""
    client, start = listed
    moments = {"changed1": start + CHANGED_S + 1, "tomorrow": start + DAY_S + 1}
    found = client.get(path.format(**moments))["events"]
    assert [event["event_ticker"] for event in found] == expected


def test_an_event_comes_with_its_markets_inside_beside_or_without(listed: tuple[Client, int]) -> None:
    """As the two flags say; both together are refused."""
    client, _ = listed
    event = "/events/KXSIM-26DEC31"
    beside, inside, without = (
        client.get(event + query) for query in ("", "?with_nested_markets=true", "?exclude_markets=true")
    )
    assert (len(beside["markets"]), "markets" in beside["event"]) == (2, False)
    assert (len(inside["markets"]), len(inside["event"]["markets"])) == (0, 2)
    assert (len(without["markets"]), "markets" in without["event"]) == (0, False)
    assert client.call("GET", f"{event}?exclude_markets=true&with_nested_markets=true").status_code == 400
    assert client.get("/events?with_milestones=true")["milestones"] == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        pytest.param("", ["KXSIM", "KXMVESIM"], id="all"),
        pytest.param("category=Simulation", ["KXSIM", "KXMVESIM"], id="category"),
        pytest.param("category=Sports", [], id="another category"),
        pytest.param("tags=Bitcoin", [], id="tags"),
        pytest.param("min_updated_ts={changed}", ["KXSIM"], id="changed since"),
    ],
)
def test_series(listed: tuple[Client, int], filters: str, expected: list[str]) -> None:
    """Each filter alone."""
    client, start = listed
    found = client.get(f"/series?{filters.format(changed=start + CHANGED_S)}")["series"]
    assert [series["ticker"] for series in found] == expected


def test_the_volume_of_a_series_comes_only_when_asked_for(listed: tuple[Client, int]) -> None:
    """In the list and alone."""
    client, _ = listed
    assert "volume_fp" not in client.get("/series/KXSIM")["series"]
    assert client.get("/series/KXSIM?include_volume=true")["series"]["volume_fp"] == "3.00"
    assert client.get("/series?include_volume=true")["series"][0]["volume_fp"] == "3.00"


def test_an_order_group_is_not_found_under_another_subaccount(client: Client) -> None:
    """Without ``subaccount`` every one is looked through."""
    body = {"contracts_limit": 10}
    group = client.call("POST", "/portfolio/order_groups/create", json=body).json()["order_group_id"]
    where = f"/portfolio/order_groups/{group}"
    statuses = [
        client.call("GET", where + query).status_code for query in ("", "?subaccount=0", "?subaccount=1")
    ]
    assert statuses == [200, 200, 404]


def test_old_combos_may_be_left_out() -> None:
    """Settled for more than two weeks."""
    clock = ManualClock(SystemClock().now_ms())
    with SimulatorServer(clock=clock, semantics=Semantics(skew_window_s=1e9)) as sim:
        for ticker in (A, COMBO):
            sim.add_market(ticker)
            sim.determine(ticker, "yes")
            sim.settle(ticker)
        clock.advance(15 * DAY_S)
        for query, expected in (("", [COMBO, A]), ("?mve_filter=exclude", [A])):
            found = Client(sim).get(f"/historical/markets{query}")["markets"]
            assert [market["ticker"] for market in found] == expected
