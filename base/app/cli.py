"""The command line. Only what a command needs is imported: ``status`` must answer at once."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from base.app import standard_streams, typed_words
from base.errors import ConfigError, MonitorError

DONE, NOT_SO, WRONG = 0, 1, 2
"""Exit status: done; the thing asked about is not so; wrong usage or configuration."""

DEFAULT_COMMAND = "run"
_OPTIONS_WITH_VALUE = ("--config", "--set", "--log-level")


class LogLevel(StrEnum):
    """How much the program says about itself on stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Options that every command takes, before or after its name."""

    config: Path
    overrides: tuple[str, ...]
    log_level: LogLevel


ConfigOption = Annotated[Path | None, typer.Option("--config", help="The settings. Default: config.yaml")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, as a.b=value; may be repeated", metavar="A.B=VALUE"),
]
LogLevelOption = Annotated[
    LogLevel | None, typer.Option("--log-level", help="What stderr shows", case_sensitive=False)
]
TickerArgument = Annotated[str, typer.Argument(help="The market", metavar="TICKER")]
SubaccountOption = Annotated[
    int | None, typer.Option("--subaccount", help="Which, where the market is held in several", metavar="N")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Nothing has to be typed")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object per line")]

app = typer.Typer(
    help="A stop-loss monitor for Kalshi positions.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

config_commands = typer.Typer(help="The settings: what holds, and what there is.", rich_markup_mode=None)
app.add_typer(config_commands, name="config")
alarm_commands = typer.Typer(help="The alert channels.", rich_markup_mode=None)
app.add_typer(alarm_commands, name="alarms")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status; errors are one sentence on stderr."""
    standard_streams.prepare()
    typed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = app(args=with_default_command(typed), prog_name="run.py", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except TyperException as e:
        return _complain(f"{e.format_message()} Try `python run.py --help`.", WRONG)
    except ConfigError as e:
        return _complain(str(e), WRONG)
    except MonitorError as e:
        return _complain(str(e), NOT_SO)
    except (OSError, SystemExit) as e:
        return _unread(e)
    return result if isinstance(result, int) else DONE


def _complain(sentence: str, status: int) -> int:
    from base.app.hardening import plain_lines

    with contextlib.suppress(OSError):  # there is nobody to tell
        print(plain_lines(sentence), file=sys.stderr)
    return status


def _unread(error: OSError | SystemExit) -> int:
    """What was printed did not reach anybody; any other error stays one."""
    if standard_streams.is_left(error):
        standard_streams.give_up_output()
        return standard_streams.LEFT
    why = standard_streams.why_unwritable(error)
    if why is None:
        raise error
    standard_streams.give_up_output()
    return _complain(why, NOT_SO)


def with_default_command(arguments: list[str]) -> list[str]:
    """Put ``run`` in where no command is named: ``--for 10`` means ``run --for 10``."""
    at = 0
    while at < len(arguments) and arguments[at].partition("=")[0] in _OPTIONS_WITH_VALUE:
        at += 1 if "=" in arguments[at] and arguments[at] != "--set" else 2
    rest = arguments[at:]
    if rest and (rest[0] in ("--help", "-h") or not rest[0].startswith("-")):
        return arguments
    return [*arguments[:at], DEFAULT_COMMAND, *rest]


@app.callback()
def _all(
    context: typer.Context,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> None:
    context.obj = Common(
        config=config or Path("config.yaml"),
        overrides=tuple(overrides or ()),
        log_level=log_level or LogLevel.INFO,
    )


def _common(
    context: typer.Context, config: Path | None, overrides: list[str] | None, log_level: LogLevel | None
) -> Common:
    """Join the options before the command's name with those after it; the latter win."""
    before: Common = context.obj
    return Common(
        config=config or before.config,
        overrides=before.overrides + tuple(overrides or ()),
        log_level=log_level or before.log_level,
    )


@app.command()
def run(
    context: typer.Context,
    seconds: Annotated[
        float | None, typer.Option("--for", help="End after that time", metavar="SECONDS")
    ] = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Neither table nor lines")] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Guard the positions (the default command)."""
    if seconds is not None and not 0 < seconds < 1e9:
        raise ConfigError("--for", f"should be a number of seconds above 0, not {seconds:g}")
    standard_streams.do_without_output()
    from base.app.run_command import run_monitor

    return run_monitor(_common(context, config, overrides, log_level), seconds=seconds, has_ui=not no_ui)


@app.command()
def simulate(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="0 is a free one")] = 0,
    scenario: Annotated[
        str, typer.Option(help="demo, calm, wick, crash, close, sol, or a capture file")
    ] = "demo",
    speed: Annotated[float, typer.Option(help="Factor on the scenario's time")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed plays the same market")] = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Thursday's pause, settlement's minute, lapsed attestations")
    ] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> Any:
    """The embedded exchange alone; its first line says where it listens."""
    standard_streams.do_without_output()
    from base.simulator.__main__ import simulate as play

    return play(port=port, scenario=scenario, speed=speed, seed=seed, strict=strict)


@app.command()
def status(
    context: typer.Context,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Is everything protected? Exit status 1 if not."""
    from base.app.show import show_status

    return show_status(_common(context, config, overrides, log_level), as_json=as_json)


@app.command()
def positions(
    context: typer.Context,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """The positions and how each is protected."""
    from base.app.show import show_positions

    return show_positions(_common(context, config, overrides, log_level), as_json=as_json)


@app.command()
def halt(
    context: typer.Context,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Stop a strategy's entries; exits go on."""
    from base.app.show import switch_entries

    common = _common(context, config, overrides, log_level)
    return switch_entries(common, is_halted=True, as_json=as_json)


@app.command()
def resume(
    context: typer.Context,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Allow entries again."""
    from base.app.show import switch_entries

    common = _common(context, config, overrides, log_level)
    return switch_entries(common, is_halted=False, as_json=as_json)


@app.command()
def explain(
    context: typer.Context,
    ticker: TickerArgument,
    at: Annotated[
        str | None, typer.Option("--at", help="As of then, from the journal, in UTC", metavar="TIME")
    ] = None,
    subaccount: SubaccountOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Why it stands as it stands, and what it waits for."""
    from base.app.explain_command import explain as tell

    common = _common(context, config, overrides, log_level)
    return tell(common, typed_words.market(ticker), subaccount, at, as_json=as_json)


@app.command()
def flatten(
    context: typer.Context,
    ticker: Annotated[str | None, typer.Argument(help="The market", metavar="TICKER")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that is held")] = False,
    floor: Annotated[
        str | None, typer.Option("--floor", help="The worst price you take", metavar="PRICE")
    ] = None,
    yes: YesOption = False,
    subaccount: SubaccountOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Get out now. Exit status 0 once all is sold and the exchange agrees, within a minute."""
    if (ticker is None) is not everything:
        raise ConfigError("flatten", "name one market, or --all")
    ticker = None if ticker is None else typed_words.market(ticker)
    worst = typed_words.floor(floor)
    from base.app import person_commands

    meant = person_commands.Meant(ticker=ticker, subaccount=subaccount, is_sure=yes)
    return person_commands.flatten(
        _common(context, config, overrides, log_level), meant, worst, as_json=as_json
    )


@app.command()
def retry(
    context: typer.Context,
    ticker: TickerArgument,
    subaccount: SubaccountOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Sell what a stop that was not armed would sell now, or try a stuck or refused exit again."""
    ticker = typed_words.market(ticker)
    from base.app import person_commands

    meant = person_commands.Meant(ticker=ticker, subaccount=subaccount)
    return person_commands.retry(_common(context, config, overrides, log_level), meant, as_json=as_json)


@app.command()
def cancel(
    context: typer.Context,
    ticker: TickerArgument,
    yes: YesOption = False,
    subaccount: SubaccountOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Withdraw an exit; its stop is armed again once it is seen where it would not fire."""
    ticker = typed_words.market(ticker)
    from base.app import person_commands

    meant = person_commands.Meant(ticker=ticker, subaccount=subaccount, is_sure=yes)
    return person_commands.cancel(_common(context, config, overrides, log_level), meant, as_json=as_json)


@app.command()
def replay(
    context: typer.Context,
    capture: Annotated[Path, typer.Argument(help="A capture file, .gz or not", metavar="CAPTURE")],
    held: Annotated[
        list[str],
        typer.Option(
            "--position", help="What was held; may be repeated", metavar="TICKER:yes|no:COUNT@ENTRY"
        ),
    ],
    rules: Annotated[
        list[str] | None,
        typer.Option("--rule", help="stop=0.40, loss_percent=50, …; may be repeated", metavar="NAME=VALUE"),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """What the stops would have decided on recorded data; its lines are JSON with or without --json."""
    from base.app.replay import run_replay

    return run_replay(capture, list(held), list(rules or ()), sys.stdout, sys.stderr)


@config_commands.command("show")
def config_show(
    context: typer.Context,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Every setting that holds, with where its value came from; secrets are left out."""
    from base.app.show_settings import show_settings

    return show_settings(_common(context, config, overrides, log_level), as_json=as_json)


@config_commands.command("reference")
def config_reference() -> int:
    """Every setting there is, as Markdown tables."""
    from base.app.settings_reference import reference

    print(reference())
    return DONE


@alarm_commands.callback()
def _alarms() -> None:
    """Who is told of an alarm."""


@alarm_commands.command("test")
def alarms_test(
    context: typer.Context,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Send a test through every channel of alerts.urls. Exit status 1 if one does not take it."""
    from base.app.alarms_command import test_channels

    return test_channels(_common(context, config, overrides, log_level), as_json=as_json)
