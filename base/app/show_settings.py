"""``config show``: the settings that hold, for people or as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

from base.app.cli import DONE, Common
from base.app.effective import Value, effective_settings


def show_settings(common: Common, *, as_json: bool) -> int:
    """Print each setting with its source, one JSON object a line with ``as_json``.

    Raises:
        ConfigError: The file cannot be read, or every mistake in it.
    """
    settings = effective_settings(common.config, common.overrides, os.environ)
    if as_json:
        for setting in settings:
            print(json.dumps(asdict(setting)))
        return DONE
    lines = [f"{setting.path}: {value_text(setting.value)}" for setting in settings]
    width = max(len(line) for line in lines)
    for line, setting in zip(lines, settings, strict=True):
        print(f"{line.ljust(min(width, 60))}  # {setting.source}")
    return DONE


def value_text(value: Value) -> str:
    """Write a value as config.yaml would hold it, on one line."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)
