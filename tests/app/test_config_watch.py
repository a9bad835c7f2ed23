"""config.yaml while the monitor runs: taken over whole or not at all, and every change accounted for."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest

from base.app.config import Config, load_config
from base.app.config_watch import REFUSED, ConfigFile, ConfigWatch, changed_settings
from base.risk.messages import AlarmChanged
from tests.support import eventually

OLD = 'stops:\n  default: {stop: "0.40"}\n'
NEW = 'stops:\n  default: {stop: "0.45"}\n'


class Desk:
    """A file of settings, who watches it, and what became of it. No thread unless ``start`` is called."""

    def __init__(self, folder: Path, *overrides: str):
        self.path = folder / "config.yaml"
        self.path.write_text(OLD)
        self.out = io.StringIO()
        self.applied: list[Config] = []
        self.rung: list[AlarmChanged] = []
        file = ConfigFile(self.path, overrides)
        running = load_config(self.path, overrides)
        self.watch = ConfigWatch(file, running, self.applied.append, self.rung.append, self.out)
        self.look(2)

    def look(self, times: int = 1) -> Desk:
        """So many seconds pass."""
        for _ in range(times):
            self.watch.look()
        return self

    def write(self, text: str) -> Desk:
        """Somebody saves."""
        self.path.write_text(text)
        return self

    @property
    def is_ringing(self) -> bool:
        """Whether the alarm of a refused file rings."""
        return bool(self.rung) and self.rung[-1].is_on

    @property
    def said(self) -> list[str]:
        """What people were told."""
        return self.out.getvalue().splitlines()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk whose first file has been read."""
    return Desk(tmp_path)


def stop_of(config: Config) -> Decimal | None:
    """The default stop of ``config``."""
    assert config.stops.default is not None
    return config.stops.default.stop


def test_the_file_of_the_start_says_nothing(desk: Desk) -> None:
    """Nothing changed: no word, nothing applied, no alarm."""
    assert (desk.look(5).said, desk.applied, desk.is_ringing) == ([], [], False)


def test_a_changed_stop_is_applied_once_and_said(desk: Desk) -> None:
    """One line with both values and what happens now."""
    desk.write(NEW).look(5)
    assert [stop_of(config) for config in desk.applied] == [Decimal("0.45")]
    assert desk.said == [
        'config.yaml: stops.default.stop: "0.40" → "0.45", taken over by each position once it was seen safe'
    ]


def test_a_file_that_is_being_written_is_not_judged(desk: Desk) -> None:
    """Half a file may be valid YAML without the rules: only what stands still for two looks counts."""
    for text in ("", "stops:\n", "stops:\n  default", NEW):
        desk.write(text).look()
    assert (desk.applied, desk.said, desk.is_ringing) == ([], [], False)
    desk.look()
    assert [stop_of(config) for config in desk.applied] == [Decimal("0.45")]


def test_a_bad_file_keeps_the_old_settings_and_alarms_once(desk: Desk) -> None:
    """Every mistake with its path, once; the alarm stands until the file is good."""
    desk.write('stops:\n  default: {stop: "0.405", dwel_s: 1}\n  check_interval_s: 0\n').look(10)
    assert desk.applied == []
    assert [alarm.reason for alarm in desk.rung if alarm.is_on] == [REFUSED]
    assert len([line for line in desk.said if "stays in force" in line or "stay in force" in line]) == 1
    assert any("stops.default.dwel_s: there is no such setting" in line for line in desk.said)
    assert any("stops.check_interval_s: should be" in line for line in desk.said)
    desk.write(OLD).look(2)
    assert (desk.is_ringing, desk.applied) == (False, [])


def test_a_cut_off_file_is_refused_when_it_stays_so(desk: Desk) -> None:
    """(G5) The editor died half way: the old settings hold, loudly."""
    desk.write("stops:\n  default: {stop: ").look(3)
    assert (desk.is_ringing, desk.applied) == (True, [])
    assert "this is not YAML" in desk.said[0]


@pytest.mark.parametrize("text", ["", "\n \n"], ids=["nothing", "blank"])
def test_an_emptied_file_is_refused(desk: Desk, text: str) -> None:
    """A full disk leaves an empty file; every position on the default stop is not what was meant by that."""
    desk.write(text).look(3)
    assert desk.is_ringing
    assert desk.applied == []
    desk.write(NEW).look(2)
    assert not desk.is_ringing
    assert len(desk.applied) == 1


def test_a_file_replaced_in_two_steps_is_no_fault(desk: Desk) -> None:
    """Editors remove and rename: gone for one look is nothing; gone for good is an alarm."""
    desk.path.unlink()
    desk.look().write(NEW).look(2)
    assert ([stop_of(config) for config in desk.applied], desk.is_ringing) == ([Decimal("0.45")], False)
    desk.path.unlink()
    desk.look(2)
    assert desk.is_ringing


def test_what_cannot_change_needs_a_restart(desk: Desk) -> None:
    """Said, not applied; what can change in the same file is."""
    desk.write(
        NEW + "execution: paper\nexchange: {key_id: 0123456789secret}\npaths: {logs: elsewhere}\n"
    ).look(2)
    (config,) = desk.applied
    assert (config.execution, config.paths.logs, config.exchange.key_id) == (None, "logs", "")
    assert len([line for line in desk.said if line.endswith("needs a restart")]) == 3
    assert "secret" not in desk.out.getvalue()


def test_a_restart_that_is_due_is_said_once(desk: Desk) -> None:
    """It is not repeated every second, and nothing is applied for it."""
    desk.write(OLD + "execution: paper\n").look(10)
    assert (len(desk.said), desk.applied) == (1, [])


def test_settings_without_a_rule_hold_from_now_on(desk: Desk) -> None:
    """Slippage is for the next exit."""
    desk.write(OLD + '  max_slippage: "0.05"\n').look(2)
    assert desk.applied[0].stops.max_slippage == Decimal("0.05")
    assert "an exit under way keeps what it began with" in desk.said[0]


def test_a_person_may_say_that_the_file_is_complete(desk: Desk) -> None:
    """SIGHUP: judged at once, and applied again even if nothing changed: a refused rule gets another try."""
    desk.write(NEW)
    desk.watch.tell()
    desk.look()
    assert len(desk.applied) == 1
    desk.watch.tell()
    desk.look()
    assert len(desk.applied) == 2
    assert desk.said[-1] == "config.yaml: read again, nothing changed"


def test_overrides_stay_above_the_file(tmp_path: Path) -> None:
    """--set was typed for this run: the file does not undo it."""
    desk = Desk(tmp_path, "stops.default={stop: '0.30'}")
    desk.write(NEW).look(3)
    assert (desk.applied, desk.said) == ([], [])


def test_removed_and_added_rules_are_named(desk: Desk) -> None:
    """Both directions of a difference, by path."""
    new = desk.path.with_name("new.yaml")
    new.write_text('stops: {default: null, rules: [{market: "KX*", stop: "0.2"}]}')
    paths = [path for path, _, _ in changed_settings(load_config(desk.path), load_config(new))]
    assert paths[:2] == ["stops.default", "stops.rules[0].market"]
    assert "stops.default.stop" in paths


def test_the_thread_looks_by_itself(desk: Desk) -> None:
    """Once a second without being told; told, at once; and it ends when asked."""
    desk.watch.start()
    desk.write(NEW)
    desk.watch.tell()
    eventually(lambda: desk.applied)
    assert desk.watch.stop(2)


def test_a_watch_that_crashes_alarms_and_harms_nothing(tmp_path: Path) -> None:
    """Protection goes on with the settings it has; a person is told that changes are not seen."""
    desk = Desk(tmp_path)
    desk.out.close()
    desk.write("stop: 1")
    desk.watch.tell()
    desk.watch.start()
    eventually(lambda: any(alarm.reason == "config_watch_died" for alarm in desk.rung))
