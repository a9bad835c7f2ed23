"""YAML read so that it means what it looks like; what YAML would turn into something else is refused.

YAML 1.1 reads ``no`` as false, ``010`` as 8, ``12:30`` as 750, keeps the last of two equal keys and
stores ``0.40`` as a binary float. Here the text of each value decides: numbers become ``int`` or an
exact ``Decimal``, and every trap is a mistake with the path of the setting and its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import yaml

from base.errors import ConfigError

Tree = None | bool | int | Decimal | str | list["Tree"] | dict[str, "Tree"]
"""What a setting may be once read. Never a float."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,11})\.[0-9]{1,12}", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
_TAG = "tag:yaml.org,2002:"


Mistake = tuple[str, str]
"""``(path of the setting, what is wrong and what to do)``."""


class ConfigMistakes(ConfigError):
    """Several settings are wrong; all are told at once. ``mistakes`` holds at least one."""

    def __init__(self, mistakes: Sequence[Mistake]):
        super().__init__(*mistakes[0])
        self.args = (tuple(mistakes),)
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        return "\n".join(f"{where}: {what}" if where else what for where, what in self.mistakes)


@dataclass(frozen=True, slots=True)
class Document:
    """What was read, and every trap found on the way: where one stood the tree holds ``None``.

    ``lines`` says on which line, from 1, each path stands.
    """

    tree: Tree
    mistakes: tuple[Mistake, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)


def read_yaml(text: str, where: str, path: str = "") -> Document:
    """Read one YAML document; the tree of an empty one is ``None``.

    ``where`` names the text in complaints, ``path`` is the setting it belongs to when it is no whole file.

    Raises:
        ConfigMistakes: The text is no YAML at all.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        reader = _Reader()
        tree = None if root is None else reader.read(root, path)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None) or getattr(e, "context_mark", None)
        place = f"{where} line {mark.line + 1}" if mark else where
        what = getattr(e, "problem", None) or getattr(e, "reason", None) or "cannot be read"
        raise ConfigMistakes([(place, f"this is not YAML: {what}")]) from None
    except RecursionError:
        raise ConfigMistakes([(where, "this is nested too deeply")]) from None
    return Document(tree, tuple(reader.mistakes), reader.lines)


class _Reader:
    """Walks the nodes of one document and collects every mistake on the way."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self.lines: dict[str, int] = {}
        self._seen: set[int] = set()

    def read(self, node: yaml.Node, path: str) -> Tree:
        if id(node) in self._seen:
            self._refuse(node, path, "anchors and aliases (& and *) are not read here: write it out")
            return None
        self._seen.add(id(node))
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.read(child, join(path, str(i))) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and (reader := _SCALARS.get(node.tag)) is not None:
            try:
                return reader(node.value)
            except ValueError as e:
                self._refuse(node, path, str(e))
                return None
        self._refuse(node, path, f"the tag {node.tag.removeprefix(_TAG)} is not read here")
        return None

    def _mapping(self, node: yaml.MappingNode, path: str) -> Tree:
        result: dict[str, Tree] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _TAG + "str":
                name = getattr(key_node, "value", "?")
                self._refuse(key_node, path, f"the name {name!s} is not a word to YAML: put it in quotes")
                continue
            key = key_node.value
            if key in result:
                self._refuse(key_node, join(path, key), "this stands twice: remove one of the two")
            self.lines.setdefault(join(path, key), key_node.start_mark.line + 1)
            result[key] = self.read(value_node, join(path, key))
        return result

    def _refuse(self, node: yaml.Node, path: str, what: str) -> None:
        self.mistakes.append((path, f"{what} (line {node.start_mark.line + 1})"))


def join(path: str, name: str) -> str:
    """Write the path of a setting, e.g. ``stops.rules[0].stop``."""
    if name.isdigit():
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


def _null(text: str) -> Tree:
    return None


def _text(text: str) -> Tree:
    return text


def _boolean(text: str) -> Tree:
    if (value := _BOOLEANS.get(text.lower())) is None:
        means = "true" if text.lower() in {"yes", "on", "y"} else "false"
        raise ValueError(
            f'YAML reads {text} as {means}: write {means}, or "{text}" in quotes if you mean the word'
        )
    return value


def _integer(text: str) -> Tree:
    if ":" in text:
        raise ValueError(f'YAML reads {text} as a number to the base 60: write "{text}" in quotes')
    if _INTEGER.fullmatch(text) is None:
        raise ValueError(f"{text} is read differently by different programs: write a plain number such as 10")
    return int(text)


def _decimal(text: str) -> Tree:
    if ":" in text:
        raise ValueError(f'YAML reads {text} as a number to the base 60: write "{text}" in quotes')
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{text} is not a plain number: write digits, a point and digits, such as 0.40")
    return Decimal(text)


def _date(text: str) -> Tree:
    raise ValueError(f'YAML reads {text} as a date: write "{text}" in quotes')


_SCALARS: dict[str, Callable[[str], Tree]] = {
    _TAG + "null": _null,
    _TAG + "str": _text,
    _TAG + "bool": _boolean,
    _TAG + "int": _integer,
    _TAG + "float": _decimal,
    _TAG + "timestamp": _date,
}
