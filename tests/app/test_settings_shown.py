"""``config show`` and ``config reference``: what holds, where it came from, and what there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from base.app import cli
from base.app.config import Config
from base.app.effective import Setting, effective_settings, flat
from base.app.settings_reference import BEGIN, END, reference

ROOT = Path(__file__).resolve().parents[2]
URL_KEY, URL_HOOK = "tgram://123456:secret/42", "https://hooks.example.com/T0/secret"


def settings_of(
    folder: Path, text: str, *overrides: str, environ: dict[str, str] | None = None
) -> dict[str, Setting]:
    """Every effective setting of a config.yaml with this text, by its path."""
    path = folder / "config.yaml"
    path.write_text(text)
    return {setting.path: setting for setting in effective_settings(path, overrides, environ or {})}


def test_documentation_is_what_the_settings_generate() -> None:
    """docs/configuration.md holds what `python run.py config reference` prints, to the letter."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert text[text.index(BEGIN) : text.index(END) + len(END)] == reference()


def test_reference_has_a_meaning_for_every_setting() -> None:
    """No row without words, no number without a unit or a range."""
    rows = [line.split(" | ") for line in reference().splitlines() if line.startswith("| `")]
    assert len(rows) >= 40
    for name, kind, _, unit, meaning in rows:
        assert meaning.strip(" |"), name
        assert unit.strip() or kind != "number", name


def test_each_value_names_its_source(tmp_path: Path) -> None:
    """Default, the line in the file, --set, an environment variable."""
    found = settings_of(
        tmp_path,
        "exchange:\n  environment: demo\nstops:\n  stale_after_s: 30\n  rules:\n"
        '    - market: "KX*"\n      stop: "0.40"\n',
        "stops.check_interval_s=0.5",
        environ={"KALSHI_API_KEY_ID": "0123456789abcdef", "KALSHI_PRIVATE_KEY_PATH": "key.pem"},
    )
    sources = {path: setting.source for path, setting in found.items()}
    assert sources["exchange.environment"] == "config.yaml line 2"
    assert sources["stops.stale_after_s"] == "config.yaml line 4"
    assert sources["stops.rules[0].stop"] == "config.yaml line 7"
    assert sources["stops.rules[0].updates"] == "default"
    assert sources["stops.check_interval_s"] == "--set"
    assert sources["stops.max_slippage"] == "default"
    assert sources["exchange.key_id"] == "environment variable KALSHI_API_KEY_ID"
    assert sources["exchange.private_key_path"] == "environment variable KALSHI_PRIVATE_KEY_PATH"


def test_an_override_replaces_all_that_stood_below(tmp_path: Path) -> None:
    """--set of a whole section leaves nothing of the file's."""
    text = "stops:\n  default:\n    loss_percent: 30\n    dwell_s: 2\n"
    found = settings_of(tmp_path, text, 'stops.default={stop: "0.40"}')
    assert found["stops.default.stop"] == Setting(path="stops.default.stop", value="0.40", source="--set")
    assert found["stops.default.dwell_s"].source == "default"
    assert "stops.default.loss_percent" not in found


def test_the_execution_that_holds_is_shown(tmp_path: Path) -> None:
    """null is not what a person wants to know: whether orders are sent is."""
    assert settings_of(tmp_path, "execution: null")["execution"].value == "live"
    demo = settings_of(tmp_path, "exchange: {environment: demo}")["execution"]
    assert (demo.value, demo.source) == ("paper", "default")


def test_environment_variables_count_only_where_they_are_used(tmp_path: Path) -> None:
    """The embedded exchange makes its own key; a setting in the file wins over a variable."""
    variables = {"KALSHI_API_KEY_ID": "0123456789abcdef"}
    assert settings_of(tmp_path, "", environ=variables)["exchange.key_id"].source == "default"
    written = settings_of(
        tmp_path, "exchange: {environment: demo, key_id: mine-mine-mine}", environ=variables
    )
    assert written["exchange.key_id"].source == "config.yaml line 1"


def test_no_secret_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Key ids are cut, alert addresses keep their kind, a key's text never appears, in both forms."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(
        "exchange:\n  environment: demo\n  key_id: 0123456789abcdef-SECRET\n"
        f"alerts:\n  urls: ['{URL_KEY}', secret]\n  heartbeat_url: {URL_HOOK}\n"
    )
    monkeypatch.setenv("KALSHI_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nsecret\n")
    for form in ([], ["--json"]):
        assert cli.main(["config", "show", *form]) == 0
        out = capsys.readouterr().out
        assert "secret" not in out.lower()
        assert "0123" in out
        assert "tgram://" in out
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["path"] for row in rows] == list(flat(Config()))
    assert next(row for row in rows if row["path"] == "exchange.private_key_path") == {
        "path": "exchange.private_key_path", "value": "(not shown)",
        "source": "environment variable KALSHI_PRIVATE_KEY",
    }  # fmt: skip


def test_a_key_pasted_where_its_file_belongs_is_not_shown(tmp_path: Path) -> None:
    """People paste; the text of a key is recognised."""
    text = 'exchange: {environment: demo, private_key_path: "-----BEGIN PRIVATE KEY-----AAAA"}'
    assert settings_of(tmp_path, text)["exchange.private_key_path"].value == "(not shown)"


def test_mistakes_are_told_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that would not start is not shown as if it held."""
    path = tmp_path / "config.yaml"
    path.write_text("stop: 1\nexecution: on\n")
    assert cli.main(["config", "show", "--config", str(path)]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 2)


def test_reference_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`config reference` prints the tables."""
    assert cli.main(["config", "reference"]) == 0
    assert capsys.readouterr().out == reference() + "\n"
