"""The settings that a person's command needs: whose account, how it trades, and where its files are.

A running monitor goes on with what it read last when its file is spoiled. Whoever wants out in that moment
must reach it all the same, so a mistake elsewhere in the file is told and not obeyed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from base.app.config import Config, check_config, known_names, load_config, read_text
from base.app.hardening import plain_lines
from base.app.yaml_text import ConfigMistakes, Document, Tree, read_yaml
from base.errors import ConfigError

SECTIONS = ("exchange", "execution", "simulator", "paths")
"""What names the account's folder, and what trades there."""


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Settings as far as a command may rely on them."""

    config: Config  # where ``refused`` is set, only SECTIONS of it are the user's
    refused: ConfigError | None = None  # why the rest was not read: nothing can be guarded with these


def account_settings(path: Path, overrides: Sequence[str]) -> AccountSettings:
    """Read the settings; of a file with mistakes elsewhere just ``SECTIONS``, which is said once on stderr.

    Raises:
        ConfigError: There is no file, it is no YAML, or a mistake leaves in doubt which account is meant;
            or the file is good and what was typed after ``--set`` is not.
    """
    try:
        return AccountSettings(load_config(path, overrides))
    except ConfigMistakes as e:
        config, refused = _without_the_rest(path, overrides, e), e
    said = (
        f"{refused}\nThese settings are refused; a monitor that runs goes on with those it has, and is asked."
    )
    print(plain_lines(said), file=sys.stderr)
    return AccountSettings(config, refused)


def _without_the_rest(path: Path, overrides: Sequence[str], refused: ConfigMistakes) -> Config:
    document = read_yaml(read_text(path), path.name)
    if not isinstance(document.tree, dict) or _is_good(document) or _may_name_another(document.tree):
        raise refused
    tree: dict[str, Tree] = {name: value for name, value in document.tree.items() if name in SECTIONS}
    mistakes = tuple(mistake for mistake in document.mistakes if _section(mistake[0]) in (*SECTIONS, ""))
    typed = [override for override in overrides if _section(override.partition("=")[0].strip()) in SECTIONS]
    return check_config(Document(tree, mistakes), typed)


def _is_good(document: Document) -> bool:
    """Whether the file alone is no reason to complain: then it is about what was typed."""
    try:
        check_config(document)
    except ConfigMistakes:
        return False
    return True


def _may_name_another(tree: dict[str, Tree]) -> bool:
    """Whether an unknown name at the top may be one of ours, mistyped or moved out of its section.

    ``exchang: {environment: production}`` must not be taken for the embedded exchange, which is the default.
    """
    known = known_names()
    ours = {name for section in SECTIONS for name in (section, *known_names(section))}
    for name in tree.keys() - Config.model_fields.keys():
        close = get_close_matches(name, known, n=1)
        if ours.intersection(close) or (not close and "exchange" not in tree):
            return True
    return False


def _section(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]
