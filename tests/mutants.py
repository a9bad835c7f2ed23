"""Change the code that counts and decides, one operator at a time, and see whether its tests notice.

Works on a copy: cosmic-ray writes each mutant into the file, and a run that is interrupted would leave one
there. Prints every survivor as a diff and one JSON object for each module; ends with 1 below 90 %.

Run with: make mutants [ARGS=base/units.py], five to ten minutes for all; docs/testing.md says more.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome

from tests.reference import ROOT

LEAST_SCORE = 90.0
TESTS_OF = {
    "base/risk/decide.py": ("test_decide", "test_evidence"),
    "base/risk/exit_lifecycle.py": ("test_lifecycle",),
    "base/risk/counting.py": ("test_counting", "test_attempts"),
    "base/units.py": ("test_units",),
}
SETTINGS = """
[cosmic-ray]
module-path = "{module}"
timeout = 30.0
excluded-modules = []
test-command = "{test}"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = [
    "core/ReplaceBinaryOperator_(BitOr|Pow)_.*",  # X | None in types, which nobody evaluates; ** before a dict
    "core/ReplaceBinaryOperator_.*_(RShift|LShift|BitOr|BitAnd|BitXor|Pow|FloorDiv|Mod)",  # a TypeError on Decimal
    "core/ReplaceComparisonOperator_(Is|IsNot)_(Eq|NotEq|Lt|LtE|Gt|GtE)",  # the same for None, or a TypeError
    "core/ReplaceComparisonOperator_(Eq|NotEq|Lt|LtE|Gt|GtE)_(Is|IsNot)",  # no two Decimals are the same object
]
"""
# Without a search for plugins a run takes half a second, of which most would be that search.
PYTEST = "-m pytest -x -q -p no:cacheprovider -p pytest_timeout -p _hypothesis_pytestplugin"


def copy_project(to: Path) -> None:
    """Copy what git knows of, as it stands now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def run(module: str, at: Path) -> Path:
    """Try every mutant of ``module`` in the copy ``at``; return the session's file."""
    name = Path(module).stem
    settings, session = at / f"{name}.toml", at / f"{name}.sqlite"
    tests = " ".join(f"tests/risk/{name}.py" for name in TESTS_OF[module])
    test = f"{sys.executable} {PYTEST} --hypothesis-profile=steady {tests}"
    settings.write_text(SETTINGS.format(module=module, test=test))
    subprocess.run(test.split(), cwd=at, check=True, stdout=subprocess.DEVNULL)  # unchanged, they must pass
    for step in (
        ["cosmic-ray", "init", settings, session],
        ["cr-filter-operators", session, settings],
        ["cosmic-ray", "exec", settings, session],
    ):
        subprocess.run([Path(sys.executable).parent / step[0], *step[1:]], cwd=at, check=True)
    return session


def report(module: str, session: Path) -> float:
    """Print the survivors of ``module`` and its score; return the score in percent."""
    with use_db(session, WorkDB.Mode.open) as db:
        results = [result for _, result in db.completed_work_items if result.test_outcome is not None]
    survived = [result for result in results if result.test_outcome is TestOutcome.SURVIVED]
    for result in survived:
        print(result.diff)
    score = 100 * (1 - len(survived) / len(results))
    told = {
        "module": module,
        "mutants": len(results),
        "survived": len(survived),
        "score_percent": round(score, 1),
    }
    print(json.dumps(told), flush=True)
    return score


def main(modules: list[str]) -> int:
    """Try the mutants of ``modules``, of all where none is named."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy_project(Path(folder))
        scores = [report(module, run(module, Path(folder))) for module in modules or TESTS_OF]
    return 0 if min(scores) >= LEAST_SCORE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
