"""What every test may rely on."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

SKIPS_FAIL = os.environ.get("SKIPS_FAIL") == "1"

# Coverage and mutants count what the same examples reach every time.
hypothesis.settings.register_profile("steady", derandomize=True, database=None, deadline=None)


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if SKIPS_FAIL and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{why} (a skipped test fails here: SKIPS_FAIL=1)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where reference data must be there, as in CI, a skip hides what was not tested."""
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for modules that skip themselves whole."""
    report = yield
    _fail_if_skipped(report)
    return report


# Where embedded exchanges run in the test's own process; in all but the first our client talks to them.
SERVED = ("simulator", "app", "integration", "kalshi")


@pytest.fixture(autouse=True)
def documented(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever an exchange answers, and whatever our client asks, has the shape that Kalshi documents."""
    folder = request.path.relative_to(Path(__file__).parent).parts[0]
    if folder not in SERVED:
        yield
        return
    # Imported only here: the other folders need neither an exchange nor a validator.
    from tests.simulator.published_spec import HAS_SPEC
    from tests.simulator.wiretap import listening

    if not HAS_SPEC:
        yield
        return
    with listening() as tap:
        yield
    tap.check_exchange()
    if folder != "simulator":  # there requests are wrong on purpose
        tap.check_client()
