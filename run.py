"""The way in: ``python run.py [command]``. See README.md."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python shall say so, not fail on an import
    sys.stderr.write("Python 3.11 or newer is needed: try `python3.11 run.py`.\n")
    sys.exit(2)
try:
    from base.app.cli import main

    sys.exit(main())
except ModuleNotFoundError as missing:
    if str(missing.name).startswith("base"):
        raise  # our own mistake, not a missing package
    what = f"The package {missing.name} is missing"
    sys.stderr.write(f"{what}: type `pip install -r requirements.txt`, or `make run`.\n")
    sys.exit(2)
