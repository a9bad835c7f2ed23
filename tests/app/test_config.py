"""config.yaml: what is accepted, and one clear sentence for each mistake."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from base.app.config import Config, check_config, load_config
from base.app.yaml_text import ConfigMistakes, read_yaml
from base.errors import ConfigError
from base.risk.rules import AlreadyBreached, BelowFloor

SHIPPED = Path(__file__).resolve().parents[2] / "config.yaml"


def config_of(text: str, *overrides: str) -> Config:
    """Read ``text`` as a whole config.yaml."""
    return check_config(read_yaml(text, "config.yaml"), overrides)


def mistakes_in(text: str, *overrides: str) -> dict[str, str]:
    """Return the mistakes found in ``text`` by the path of their setting."""
    with pytest.raises(ConfigMistakes) as caught:
        config_of(text, *overrides)
    return dict(caught.value.mistakes)


def test_shipped_file_says_the_defaults() -> None:
    """Every value in config.yaml as shipped is the one that holds without it."""
    assert load_config(SHIPPED) == Config()


def test_shipped_file_names_every_setting() -> None:
    """Every knob stands in config.yaml, commented rule keys included."""
    text = SHIPPED.read_text()
    for section in (Config(), Config().exchange, Config().stops, Config().stops.adopt, Config().simulator):
        for name in type(section).model_fields:
            assert f"{name}:" in text, name
    from base.app.stops_config import RuleConfig

    for name in RuleConfig.model_fields:
        assert f"{name}:" in text, name


def test_empty_file_is_all_defaults() -> None:
    """No setting is compulsory."""
    assert config_of("") == Config()
    assert config_of("# nothing\n") == Config()


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        pytest.param("stops: {rules: [{market: A, side: no, stop: 0.4}]}", "stops.rules[0].side", "YAML reads no as false", id="no is false"),
        pytest.param("execution: on", "execution", "YAML reads on as true", id="on is true"),
        pytest.param("stops: {rules: [{market: 12:30, stop: 0.4}]}", "stops.rules[0].market", "base 60", id="sexagesimal"),
        pytest.param("stops: {stale_after_s: 1:30}", "stops.stale_after_s", "base 60", id="sexagesimal seconds"),
        pytest.param("stops: {stale_after_s: 010}", "stops.stale_after_s", "plain number", id="octal"),
        pytest.param("stops: {stale_after_s: 0x10}", "stops.stale_after_s", "plain number", id="hexadecimal"),
        pytest.param("stops: {stale_after_s: 1_0}", "stops.stale_after_s", "plain number", id="underscore"),
        pytest.param("stops: {default: {stop: 1e-1}}", "stops.default.stop", "written in digits", id="exponent is a word"),
        pytest.param("stops: {default: {stop: 4.0e-1}}", "stops.default.stop", "plain number", id="exponent"),
        pytest.param("stops: {stale_after_s: .nan}", "stops.stale_after_s", "plain number", id="nan"),
        pytest.param("stops: {stale_after_s: .inf}", "stops.stale_after_s", "plain number", id="infinity"),
        pytest.param('stops: {max_slippage: "NaN"}', "stops.max_slippage", "written in digits", id="nan in quotes"),
        pytest.param("stops: {rules: [{market: 2026-11-20, stop: 0.4}]}", "stops.rules[0].market", "date", id="date"),
        pytest.param("execution: paper\nexecution: live", "execution", "stands twice", id="duplicate key"),
        pytest.param("stops: {default: {stop: 0.4, stop: 0.5}}", "stops.default.stop", "stands twice", id="duplicate inside"),
        pytest.param("stops: &a {}\nstrategy: *a", "strategy", "anchors", id="alias"),
        pytest.param("stops: !!python/object:os.system {}", "stops", "tag", id="python tag"),
        pytest.param("yes: 1", "", "in quotes", id="key that is no word"),
        pytest.param("stop_lose: {}", "stop_lose", "no such setting; did you mean stops?", id="unknown section"),
        pytest.param("stops: {defualt: {}}", "stops.defualt", "did you mean default?", id="unknown key"),
        pytest.param("stops: {default: {stop_loss: 0.4}}", "stops.default.stop_loss", "no such setting", id="unknown rule key"),
        pytest.param("stops: []", "stops", "should be", id="list for a section"),
        pytest.param("stops: {rules: 1}", "stops.rules", "should be", id="number for a list"),
        pytest.param("exchange: {environment: prod}", "exchange.environment", "should be 'simulated'", id="unknown environment"),
        pytest.param("exchange: {environment: production}", "exchange.allow_production", "real money", id="production without second switch"),
        pytest.param("exchange: {environment: custom}", "exchange", "needs rest_url and websocket_url", id="custom without urls"),
        pytest.param("exchange: {rest_url: 'https://x/y'}", "exchange", "only with environment: custom", id="url without custom"),
        pytest.param("exchange: {rest_url: 'http://example.com/x'}", "exchange.rest_url", "without TLS only this machine", id="plain http elsewhere"),
        pytest.param("exchange: {websocket_url: 'http://127.0.0.1/x'}", "exchange.websocket_url", "wss://", id="http for a websocket"),
        pytest.param("exchange: {rest_url: 'http://127.0.0.1.evil.com/x'}", "exchange.rest_url", "without TLS", id="looks like loopback"),
        pytest.param("exchange: {subaccounts: []}", "exchange.subaccounts", "not be empty", id="no sub-account"),
        pytest.param("exchange: {subaccounts: [64]}", "exchange.subaccounts[0]", "63", id="sub-account out of range"),
        pytest.param("exchange: {subaccounts: [1, 1]}", "exchange.subaccounts", "twice", id="sub-account twice"),
        pytest.param("exchange: {key_id: 12}", "exchange.key_id", "string", id="number for text"),
        pytest.param("execution: maybe", "execution", "'paper' or 'live'", id="unknown execution"),
        pytest.param("stops: {check_interval_s: 0}", "stops.check_interval_s", "0.1", id="zero interval"),
        pytest.param("stops: {check_interval_s: -1}", "stops.check_interval_s", "0.1", id="negative interval"),
        pytest.param("stops: {check_interval_s: true}", "stops.check_interval_s", "number", id="boolean for seconds"),
        pytest.param('stops: {check_interval_s: "2"}', "stops.check_interval_s", "without quotes", id="seconds in quotes"),
        pytest.param("strategy: {interval_s: 0}", "strategy.interval_s", "0.1", id="zero strategy interval"),
        pytest.param("stops: {default: {stop: 40}}", "stops.default.stop", '40 cents are "0.40"', id="cents for dollars"),
        pytest.param("stops: {default: {stop: 0}}", "stops.default.stop", "between 0 and 1", id="stop at zero"),
        pytest.param("stops: {default: {stop: 1}}", "stops.default.stop", "between 0 and 1", id="stop at one"),
        pytest.param("stops: {default: {stop: -0.1}}", "stops.default.stop", "between 0 and 1", id="negative stop"),
        pytest.param("stops: {default: {stop: 0.12345}}", "stops.default.stop", "four decimals", id="finer than any grid"),
        pytest.param("stops: {default: {stop: 0.6, take_profit: 0.5}}", "stops.default", "below take_profit", id="stop over target"),
        pytest.param("stops: {default: {stop: 0.5, take_profit: 0.5}}", "stops.default", "below take_profit", id="stop at target"),
        pytest.param("stops: {default: {loss_percent: 0}}", "stops.default.loss_percent", "above 0", id="no loss"),
        pytest.param("stops: {default: {loss_percent: 100}}", "stops.default.loss_percent", "below 100", id="whole loss never fires"),
        pytest.param("stops: {default: {updates: 0}}", "stops.default.updates", "1", id="zero updates"),
        pytest.param("stops: {default: {updates: true, stop: 0.4}}", "stops.default.updates", "integer", id="boolean for a count"),
        pytest.param("stops: {default: {dwell_s: 1}}", "stops.default", "protects nothing", id="rule without a stop"),
        pytest.param("stops: {default: {take_profit: 0.9, catastrophe: 0.1}}", "stops.default", "needs a stop", id="catastrophe alone"),
        pytest.param("stops: {default: {stop: 0.4, catastrophe: 0.5}}", "stops.default", "below stop", id="catastrophe over stop"),
        pytest.param("stops: {default: {stop: 0.4, trail_activation_cents: 5}}", "stops.default", "needs trail_cents", id="activation alone"),
        pytest.param("stops: {default: {market: A, stop: 0.4}}", "stops", "every market", id="default for one market"),
        pytest.param("stops: {rules: [{stop: 0.4}, {market: A, stop: 0.3}]}", "stops", "never reached", id="rule behind a catch-all"),
        pytest.param("stops: {below_floor: chase}", "stops", "needs last_floor", id="chase without last floor"),
        pytest.param("stops: {last_floor: 0.05}", "stops", "only with below_floor: chase", id="last floor without chase"),
        pytest.param("stops: {adopt: {already_breached: sell}}", "stops.adopt.already_breached", "'ask'", id="unknown adopt word"),
    ],
)  # fmt: skip
def test_mistake_is_one_sentence_with_its_path(text: str, path: str, said: str) -> None:
    """Each mistake names its setting and says what is wrong, on one line."""
    found = mistakes_in(text)
    assert said in found[path]
    assert all("\n" not in sentence for sentence in found.values())


def test_all_mistakes_are_told_together() -> None:
    """Traps of YAML, wrong values and unknown names come in one go."""
    text = "execution: yes\nstops: {check_interval_s: 0, default: {stop: 40}}\nstop_lose: 1\n"
    assert set(mistakes_in(text)) == {
        "execution", "stops.check_interval_s", "stops.default.stop", "stop_lose",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["stops: [", "a: b: c", "\t- x", "\x00", "[" * 5000])
def test_text_that_is_no_yaml_is_refused_with_its_place(text: str) -> None:
    """Broken YAML is a mistake in a line of the file, never a trace."""
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        config_of(text)


@pytest.mark.parametrize("text", ["- 1", "hello", "12"])
def test_file_that_is_no_mapping_is_refused(text: str) -> None:
    """A list or a word is no settings file."""
    with pytest.raises(ConfigError, match="names with values"):
        config_of(text)


@given(st.text(max_size=200))
def test_any_text_gives_settings_or_mistakes(text: str) -> None:
    """Whatever stands in the file, the outcome is a Config or a ConfigError with a sentence."""
    said = "settings"
    try:
        config_of(text)
    except ConfigError as e:
        said = str(e)
    assert said


@given(st.integers(min_value=1, max_value=9999))
def test_unquoted_price_is_exact(ten_thousandths: int) -> None:
    """A price without quotes is the decimal that was typed, not the nearest binary float."""
    typed = f"0.{ten_thousandths:04d}"
    assert config_of(f"stops: {{default: {{stop: {typed}}}}}").stops.as_settings().default.stop == Decimal(
        typed
    )
    assert config_of(f"stops: {{default: {{stop: '{typed}'}}}}") == config_of(
        f"stops: {{default: {{stop: {typed}}}}}"
    )


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-10**9, 10**9) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=10,
))  # fmt: skip
def test_plain_yaml_reads_as_any_yaml_reader_reads_it(tree: object) -> None:
    """Away from the traps, what is read is what was written."""
    text = yaml.safe_dump(tree, default_style='"') if isinstance(tree, str) else yaml.safe_dump(tree)
    document = read_yaml(text, "x")
    if not document.mistakes:
        assert document.tree == yaml.safe_load(text)


def test_override_wins_over_the_file() -> None:
    """--set a.b=value is read as YAML and put over the file's value."""
    config = config_of(
        "stops: {check_interval_s: 5}",
        "stops.check_interval_s=0.5",
        'stops.default={stop: "0.30"}',
        "execution=live",
    )
    assert config.stops.check_interval_s == 0.5
    assert config.stops.as_settings().default.stop == Decimal("0.30")
    assert config.execution == "live"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        pytest.param("stops.check_interval_s", "should look like", id="no value"),
        pytest.param("=1", "should look like", id="no name"),
        pytest.param("stops..x=1", "should look like", id="empty name"),
        pytest.param("execution.x.y=1", "execution: should be 'paper'", id="through a leaf"),
        pytest.param("stops.chek=1", "stops.chek: there is no such setting", id="unknown"),
        pytest.param("execution=yes", "YAML reads yes as true", id="trap"),
        pytest.param("stops={", "not YAML", id="broken"),
    ],
)
def test_wrong_override_is_refused(override: str, said: str) -> None:
    """A wrong --set is a mistake like one in the file."""
    with pytest.raises(ConfigError) as caught:
        config_of("", override)
    assert said in str(caught.value)


def test_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """A file that is not there is named, with the option that names another."""
    with pytest.raises(ConfigError, match="--config"):
        load_config(tmp_path / "none.yaml")


def test_settings_reach_the_monitor() -> None:
    """Every value under stops arrives where the monitor reads it."""
    settings = config_of(
        "stops: {check_interval_s: 0.1, stale_after_s: 9, max_slippage: 0.2, below_floor: chase, last_floor: 0.05,"
        " reentry_cooldown_s: 0, adopt: {rule: null, already_breached: exit}, default: null,"
        " rules: [{market: 'KX*', stop: 0.4, take_profit: '0.9', trail_cents: 5, dwell_s: 1.5, updates: 3,"
        " max_spread: 0.05, min_size: 10, catastrophe: 0.1}]}"
    ).stops.as_settings()
    assert settings.below_floor is BelowFloor.CHASE
    assert settings.last_floor == Decimal("0.05")
    assert settings.already_breached is AlreadyBreached.EXIT
    assert not settings.adopt_default
    assert settings.default is None
    rule = settings.rule_for("KXBTC")
    assert rule is not None
    assert (rule.name, rule.stop, rule.take_profit, rule.dwell_s, rule.updates, rule.min_size) == (
        "rules[0]", Decimal("0.4"), Decimal("0.9"), 1.5, 3, Decimal(10),
    )  # fmt: skip
    assert settings.rule_for("OTHER") is None


@pytest.mark.parametrize(
    ("environment", "execution", "is_live"),
    [
        pytest.param("simulated", "null", True, id="simulated is live"),
        pytest.param("simulated", "paper", False, id="paper when written"),
        pytest.param("demo", "null", False, id="demo is not live unasked"),
        pytest.param("demo", "live", True, id="demo live when written"),
        pytest.param("production", "null", False, id="production is not live unasked"),
    ],
)
def test_live_outside_the_embedded_exchange_must_be_written(
    environment: str, execution: str, is_live: bool
) -> None:
    """Orders leave for a real exchange only if execution: live is written."""
    text = f"exchange: {{environment: {environment}, allow_production: true}}\nexecution: {execution}"
    assert config_of(text).is_live is is_live
