"""Imports the program with the simulation's threads, clocks and dice in place of Python's.

Only in a process that does nothing but simulate: the modules stay bound to these for its life.
"""

from __future__ import annotations

import importlib
import sys

from tests.simulation.threads import substitutes

# Libraries keep the real ones: they are loaded before.
_LIBRARIES = (
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "logging.handlers",
    "msgspec",
    "pydantic",
    "requests",
    "starlette.applications",
    "urllib3",
    "uvicorn",
    "websocket",
    "yaml",
)
_EXCHANGE = ("base.simulator.application", "base.simulator.server", "base.simulator.running")
_PROGRAM = ("base.app.config", "base.app.desk", "base.app.starting", "base.app.wiring")


def load() -> None:
    """Import everything.

    Raises:
        RuntimeError: The program was imported before, with real threads.
    """
    for name in (*_LIBRARIES, *_EXCHANGE):
        importlib.import_module(name)
    if "base.clock" in sys.modules:
        if sys.modules["base.clock"].__dict__.get("is_simulated"):
            return
        raise RuntimeError("the program is loaded already, with real threads")
    real = {name: sys.modules[name] for name in substitutes() if name in sys.modules}
    sys.modules.update(substitutes())
    try:
        for name in _PROGRAM:
            importlib.import_module(name)
    finally:
        sys.modules.update(real)
    sys.modules["base.clock"].__dict__["is_simulated"] = True
