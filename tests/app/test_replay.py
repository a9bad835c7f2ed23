"""`replay`: recorded frames through the live decision core. Same input, same bytes."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from base.app.replay import run_replay
from base.errors import ConfigError
from tests.reference import reference_file

T = "KXT-26DEC31-A"
START_NS = 1_778_720_942_000_000_000
Row = dict[str, Any]


class Capture:
    """A capture made by hand: times are seconds from its first line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.seq = 0

    def note(self, at_s: float, name: str, **data: object) -> Capture:
        """What a recorder did."""
        return self.raw({"recv_ns": START_NS + round(at_s * 1e9), "note": name, "data": data})

    def frame(
        self, at_s: float, kind: str, msg: dict[str, object], sid: int = 2, **envelope: object
    ) -> Capture:
        """A frame as received."""
        frame = {"type": kind, "sid": sid, **envelope, "msg": msg}
        return self.raw({"recv_ns": START_NS + round(at_s * 1e9), "frame": frame})

    def book(self, at_s: float, yes: list[list[str]], no: list[list[str]], **extra: Any) -> Capture:
        """A snapshot."""
        self.seq = int(extra.pop("seq", self.seq + 1))
        msg = {"market_ticker": T, "market_id": "m", "yes_dollars_fp": yes, "no_dollars_fp": no}
        return self.frame(at_s, "orderbook_snapshot", msg, seq=self.seq)

    def delta(self, at_s: float, price: str, change: str, side: str = "yes", skip: int = 0) -> Capture:
        """A change of one level."""
        self.seq += 1 + skip
        msg = {"market_ticker": T, "market_id": "m", "price_dollars": price, "delta_fp": change, "side": side}
        return self.frame(at_s, "orderbook_delta", msg, seq=self.seq)

    def ticker(self, at_s: float, bid: str, ask: str, size: str = "100.00") -> Capture:
        """A ticker."""
        msg: dict[str, object] = {
            "market_ticker": T, "market_id": "m", "price_dollars": bid, "yes_bid_dollars": bid,
            "yes_ask_dollars": ask, "yes_bid_size_fp": size, "yes_ask_size_fp": size,
            "last_trade_size_fp": "1.00", "volume_fp": "1.00", "open_interest_fp": "1.00", "dollar_volume": 1,
            "dollar_open_interest": 1, "ts_ms": 1, "ts": 1, "time": "2026-05-14T01:00:00Z",
        }  # fmt: skip
        return self.frame(at_s, "ticker", msg, sid=1)

    def raw(self, line: object) -> Capture:
        """Any line."""
        self.lines.append(line if isinstance(line, str) else json.dumps(line))
        return self


@pytest.fixture
def replay(tmp_path: Path) -> Callable[..., tuple[list[Row], Row, str]]:
    """Replay a capture: rows, summary, what stderr says."""

    def run(capture: Capture | Path, *rules: str, positions: tuple[str, ...] = (f"{T}:yes:10@0.60",)) -> Any:
        if isinstance(capture, Capture):
            path = tmp_path / "capture.jsonl"
            path.write_text("\n".join(capture.lines) + "\n")
        else:
            path = capture
        out, err = io.StringIO(), io.StringIO()
        assert run_replay(path, list(positions), list(rules), out, err) == 0
        *rows, last = [json.loads(line) for line in out.getvalue().splitlines()]
        return rows, last["summary"], err.getvalue()

    return run


SAFE = ([["0.5000", "100.00"], ["0.3900", "100.00"]], [["0.4800", "100.00"]])


def test_a_touched_stop_is_one_exit(replay: Any) -> None:
    """Safe first, then the best level goes: EXIT once, and the position is over."""
    capture = Capture().book(0, *SAFE).delta(4, "0.4000", "1.00").delta(8, "0.4000", "-1.00")
    capture.delta(10, "0.5000", "-100.00").delta(11, "0.3900", "-100.00")
    rows, summary, _ = replay(capture, "stop=0.39")
    assert rows == [
        {
            "ts_ms": START_NS // 1_000_000 + 10_000, "ticker": T, "side": "yes", "decision": "EXIT",
            "reason": "STOP", "bid": "0.3900", "trigger": "0.3900", "suspicious": True,
        }
    ]  # fmt: skip
    assert summary == {"frames": 5, "decoded": 5, "unknown_type": 0, "refused": 0, "decisions": 1}


def test_a_no_position_is_stopped_by_the_mirrored_book(replay: Any) -> None:
    """NO bids fall: the NO stop fires, the YES stop does not."""
    capture = Capture().book(0, [["0.4000", "100.00"]], [["0.5000", "100.00"], ["0.3500", "100.00"]])
    capture.delta(6, "0.5000", "-100.00", side="no")
    rows, _, _ = replay(capture, "stop=0.36", positions=(f"{T}:no:10@0.60", f"{T}:yes:10@0.60"))
    assert [(row["side"], row["decision"], row["bid"]) for row in rows] == [("no", "EXIT", "0.3500")]


def test_a_stop_that_would_fire_at_once_is_unprotected_until_seen_safe(replay: Any) -> None:
    """It never fires on the evidence that armed it."""
    capture = Capture().book(0, [["0.3000", "50.00"]], [["0.6000", "50.00"]])
    capture.delta(6, "0.5000", "50.00").delta(7, "0.5000", "-50.00")
    rows, _, _ = replay(capture, "stop=0.40")
    assert [(row["decision"], row["reason"]) for row in rows] == [
        ("UNPROTECTED", "would_fire_now"),
        ("EXIT", "STOP"),
    ]


def test_the_book_is_the_quote_from_its_first_snapshot_else_the_ticker(replay: Any) -> None:
    """Before the snapshot the ticker may fire; after it the ticker is only looked past."""
    early = Capture().ticker(0, "0.5000", "0.5200").ticker(6, "0.4000", "0.4200").book(7, *SAFE)
    assert [row["decision"] for row in replay(early, "stop=0.40")[0]] == ["EXIT"]
    late = Capture().book(0, *SAFE).ticker(6, "0.4000", "0.4200")
    assert replay(late, "stop=0.40")[0] == []


def test_a_gap_is_unknown_until_the_next_snapshot(replay: Any) -> None:
    """What was missed cannot be known, so nothing fires on it."""
    capture = Capture().book(0, *SAFE).delta(6, "0.5000", "-100.00", skip=1).delta(6.5, "0.3900", "-50.00")
    capture.book(7, *SAFE).delta(8, "0.5000", "-100.00")
    rows, _, _ = replay(capture, "stop=0.40")
    assert [(row["decision"], row["reason"]) for row in rows] == [("UNKNOWN", "sequence"), ("EXIT", "STOP")]


def test_a_repeated_counter_is_applied_once(replay: Any) -> None:
    """The same delta again changes nothing."""
    capture = Capture().book(0, [["0.5000", "150.00"], ["0.3900", "9.00"]], [["0.4800", "9.00"]])
    capture.delta(6, "0.5000", "-100.00")
    capture.lines.append(capture.lines[-1])
    assert replay(capture, "stop=0.40")[0] == []


def test_silence_of_five_seconds_is_unknown_connection(replay: Any) -> None:
    """A dead feed is not a quiet market: the sweep every two seconds says so."""
    capture = Capture().book(0, *SAFE).ticker(20, "0.5000", "0.5200")
    rows, _, _ = replay(capture, "stop=0.40")
    assert [(row["decision"], row["reason"]) for row in rows] == [("UNKNOWN", "connection")]
    assert rows[0]["ts_ms"] == START_NS // 1_000_000 + 6_000


def test_nothing_fires_from_the_close_time_on(replay: Any) -> None:
    """The bid of 0 after the close is not a crash."""
    capture = Capture().note(0, "watch_market", market_ticker=T, close_time="2026-05-14T01:09:22Z")
    capture.book(0.1, *SAFE)
    for at_s in (4, 8, 12, 16, 19.9):
        capture.delta(at_s, "0.4900", "1.00")
    capture.book(20.5, [], []).ticker(20.6, "0.0000", "1.0000", "0.00")
    capture.delta(30, "0.3000", "5.00")
    assert replay(capture, "stop=0.40")[0] == []


def test_an_empty_bid_is_no_bid_not_the_ask(replay: Any) -> None:
    """(D) The ask at 0.99 neither stops nor profits."""
    capture = Capture().book(0, [["0.5000", "10.00"]], [["0.0100", "10.00"]]).delta(6, "0.5000", "-10.00")
    rows, _, _ = replay(capture, "stop=0.40", "take_profit=0.90")
    assert [(row["decision"], row["bid"]) for row in rows] == [("NO_BID", None)]


def test_the_scale_of_no_levels_follows_the_subscribe_note(replay: Any) -> None:
    """With `use_yes_price` NO levels are written on the YES scale."""
    capture = Capture().note(0, "subscribe", params={"channels": ["orderbook_delta"], "use_yes_price": True})
    capture.book(0, [["0.4000", "9.00"]], [["0.5000", "100.00"], ["0.6500", "100.00"]])
    capture.delta(6, "0.5000", "-100.00", side="no")
    rows, _, _ = replay(capture, "stop=0.36", positions=(f"{T}:no:10@0.60",))
    assert [row["bid"] for row in rows] == ["0.3500"]


def test_a_new_connection_begins_a_new_count(replay: Any) -> None:
    """Sids and counters start over; old books are gone."""
    capture = Capture().book(0, *SAFE, seq=7).note(1, "ws_connected", market_ticker=T)
    capture.book(1.1, *SAFE, seq=1).delta(7, "0.5000", "-100.00")
    assert [row["decision"] for row in replay(capture, "stop=0.40")[0]] == ["EXIT"]


def test_broken_lines_and_frames_are_refused_with_their_number_and_lose_nothing(replay: Any) -> None:
    """The rest is replayed; the summary adds up."""
    capture = Capture().book(0, *SAFE).raw("{broken").raw({"recv_ns": START_NS}).raw("[1]")
    capture.frame(5.5, "rumour", {"a": 1}).frame(5.6, "orderbook_delta", {"market_ticker": T}, seq=9)
    capture.delta(6, "0.5000", "-100.00")
    rows, summary, err = replay(capture, "stop=0.40")
    assert [row["decision"] for row in rows] == ["EXIT"]
    assert summary == {"frames": 7, "decoded": 2, "unknown_type": 1, "refused": 4, "decisions": 1}
    assert [line.split(":")[0] for line in err.splitlines()] == ["line 2", "line 3", "line 4", "line 6"]


def test_a_ticker_that_never_appears_is_a_warning(replay: Any) -> None:
    """Nothing is decided of what nobody saw."""
    rows, summary, err = replay(Capture().book(0, *SAFE), "stop=0.40", positions=("KXELSE:yes:1@0.50",))
    assert (rows, summary["decisions"]) == ([], 0)
    assert "KXELSE" in err


def test_a_file_that_breaks_off_is_said(replay: Any, tmp_path: Path) -> None:
    """A truncated .gz gives what it holds and one refused line."""
    whole = gzip.compress(("\n".join(Capture().book(0, *SAFE).lines * 200) + "\n").encode())
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(whole[: len(whole) - 20])
    _, summary, err = replay(path, "stop=0.40")
    assert summary["refused"] >= 1
    assert "breaks off" in err


@pytest.mark.parametrize(
    ("position", "rule", "says"),
    [
        pytest.param("KXT:maybe:10@0.60", "stop=0.40", "TICKER:yes|no:COUNT@ENTRY", id="side"),
        pytest.param("KXT:yes:ten@0.60", "stop=0.40", "plain numbers", id="count"),
        pytest.param("KXT:yes:0@0.60", "stop=0.40", "above 0", id="nothing held"),
        pytest.param("KXT:yes:10@60", "stop=0.40", "plain numbers", id="cents"),
        pytest.param("KXT:yes:10@0.60", "stop=40", "dollars like 0.40", id="stop in cents"),
        pytest.param("KXT:yes:10@0.60", "halt=1", "names are", id="unknown rule"),
        pytest.param("KXT:yes:10@0.60", "stop", "NAME=VALUE", id="no value"),
        pytest.param("KXT:yes:10@0.60", "updates=0", "not a value", id="zero updates"),
        pytest.param("KXT:yes:10@0.60", "dwell_s=nan", "not a value", id="nan"),
        pytest.param("KXT:yes:10@0.60", "dwell_s=1", "needs a stop", id="no stop and no target"),
        pytest.param("KXT:yes:10@0.60", "loss_percent=100", "can_never_fire", id="never fires"),
    ],
)
def test_bad_arguments_are_one_sentence(tmp_path: Path, position: str, rule: str, says: str) -> None:
    """What is wrong and what to type."""
    path = tmp_path / "c.jsonl"
    path.write_text("")
    with pytest.raises(ConfigError, match=says.replace("|", r"\|")):
        run_replay(path, [position], [rule], io.StringIO(), io.StringIO())


def test_a_missing_capture_is_one_sentence() -> None:
    """The path and what is wrong with it."""
    with pytest.raises(ConfigError, match="cannot be read"):
        run_replay(Path("no/such/file.jsonl"), [], ["stop=0.40"], io.StringIO(), io.StringIO())


# --- real sessions ------------------------------------------------------------------------------


SESSIONS = {
    "kxbtc15m_ws_20260514T0109Z.jsonl.gz": ("KXBTC15M-26MAY132115-15", "KXBTC15M-26MAY132130-30", 89_469),
    "kxbtc15m_ws_20260514T1301Z.jsonl.gz": ("KXBTC15M-26MAY140915-15", "KXBTC15M-26MAY140930-30", 68_537),
}


def _run(name: str, positions: list[str], rules: list[str]) -> str:
    out = io.StringIO()
    run_replay(reference_file(f"data/{name}"), positions, rules, out, io.StringIO())
    return out.getvalue()


@pytest.mark.parametrize("name", SESSIONS)
def test_real_sessions_give_the_same_bytes_twice_and_every_frame_is_read(name: str) -> None:
    """Every frame decodes; two replays do not differ by a byte."""
    first, second, frames = SESSIONS[name]
    positions = [
        f"{first}:yes:10@0.60",
        f"{first}:no:10@0.40",
        f"{second}:yes:10@0.50",
        f"{second}:no:10@0.50",
    ]
    rules = ["loss_percent=50", "take_profit=0.95", "dwell_s=1"]
    text = _run(name, positions, rules)
    assert text == _run(name, positions, rules)
    summary = json.loads(text.splitlines()[-1])["summary"]
    assert (summary["frames"], summary["decoded"], summary["refused"]) == (frames, frames, 0)


@pytest.mark.parametrize(
    ("name", "winner"),
    [
        ("kxbtc15m_ws_20260514T0109Z.jsonl.gz", "no"),
        ("kxbtc15m_ws_20260514T1301Z.jsonl.gz", "yes"),
    ],
)
def test_the_close_of_a_real_market_is_not_a_crash(name: str, winner: str) -> None:
    """The last ticker shows bid 0 whoever won; the winner's stop, near 0.99 a second before, holds."""
    market = SESSIONS[name][0]
    rows = [
        json.loads(line) for line in _run(name, [f"{market}:{winner}:10@0.40"], ["stop=0.002"]).splitlines()
    ]
    assert [row for row in rows if row.get("decision") in ("EXIT", "NO_BID")] == []


def test_a_real_fall_fires_where_the_book_says() -> None:
    """In the first session YES falls from 0.98 to 0.02 within a minute."""
    market = SESSIONS["kxbtc15m_ws_20260514T0109Z.jsonl.gz"][0]
    text = _run("kxbtc15m_ws_20260514T0109Z.jsonl.gz", [f"{market}:yes:10@0.60"], ["stop=0.50"])
    begun, row, _ = [json.loads(line) for line in text.splitlines()]
    assert (begun["decision"], begun["reason"], begun["bid"]) == ("UNPROTECTED", "would_fire_now", "0.4900")
    assert (row["decision"], row["reason"], row["trigger"]) == ("EXIT", "STOP", "0.5000")
    assert "0.0000" < row["bid"] <= "0.5000"
