"""Finds the class that ``strategy.class`` names."""

from __future__ import annotations

import importlib
from typing import cast

from base.errors import ConfigError
from base.strategy.contract import Strategy

SETTING = "strategy.class"
_STEPS = ("collect", "compute", "execute")


def load_strategy(name: str) -> Strategy:
    """Import ``package.module:Class`` and make one.

    Raises:
        ConfigError: It cannot be imported, made, or is no strategy; the sentence says which.
    """
    module_name, sign, class_name = name.partition(":")
    if not sign or not module_name or not class_name.isidentifier():
        raise ConfigError(SETTING, f"should look like package.module:Class, not {name!r}")
    try:
        module = importlib.import_module(module_name)
    except Exception as e:  # a user's module may fail in any way while it is imported
        raise ConfigError(SETTING, f"{module_name} cannot be imported: {_said(e)}") from e
    made_by = getattr(module, class_name, None)
    if not callable(made_by):
        raise ConfigError(SETTING, f"{module_name} has no class {class_name}")
    try:
        strategy = made_by()
    except Exception as e:  # the same for its constructor
        raise ConfigError(SETTING, f"{class_name}() failed, it should need no arguments: {_said(e)}") from e
    missing = [step for step in _STEPS if not callable(getattr(strategy, step, None))]
    if missing:
        raise ConfigError(SETTING, f"{class_name} lacks {', '.join(missing)}(ctx)")
    return cast(Strategy, strategy)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
