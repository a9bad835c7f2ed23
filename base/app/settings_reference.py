"""The reference of all settings, as Markdown, made from the settings themselves.

Types, units and meanings stand once, at each field; docs/configuration.md holds what this writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from base.app.config import Config
from base.app.effective import applies_while_running
from base.app.setting_types import Unit
from base.app.stops_config import RuleConfig

BEGIN = "<!-- Written by `python run.py config reference`: change the fields in base/app, not this table. -->"
END = "<!-- End of what `python run.py config reference` writes. -->"
RULE_TITLE = "A rule: `stops.default`, and each of `stops.rules`"
_NAMES: dict[object, str] = {str: "text", int: "number", bool: "true, false", float: "number"}
_HEAD = "| Setting | Type | Default | Unit | Meaning |\n|---|---|---|---|---|"


def reference() -> str:
    """Every setting in tables by section, between the two marks that docs/configuration.md has."""
    top = [
        (name, field) for name, field in Config.model_fields.items() if _model_of(field.annotation) is None
    ]
    parts = [BEGIN, _table("Of the whole program", top, "")]
    parts += [_section(path, model) for path, model in _sections(Config, "")]
    parts.append(_table(RULE_TITLE, RuleConfig.model_fields.items(), "stops.rules"))
    return "\n\n".join([*parts, END])


def _section(path: str, model: type[BaseModel]) -> str:
    fields = [(n, f) for n, f in model.model_fields.items() if _model_of(f.annotation) in (None, RuleConfig)]
    return _table(f"`{path}`", fields, path)


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        inner = _model_of(field.annotation)
        if inner is not None and inner is not RuleConfig:
            below = f"{path}.{name}" if path else name
            yield below, inner
            yield from _sections(inner, below)


def _table(title: str, fields: Any, path: str) -> str:
    when = " (a change applies while it runs)" if applies_while_running(path) else ""
    rows = [_row(field.alias or name, field) for name, field in fields]
    return "\n".join([f"### {title}{when}", "", _HEAD, *rows])


def _row(name: str, field: FieldInfo) -> str:
    kind, unit = _kind(field.annotation, field.metadata)
    cells = [f"`{name}`", kind, _default(field), unit or "", field.description or ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind(annotation: Any, metadata: Any = ()) -> tuple[str, str | None]:
    """Name the type of a field, and its unit."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0], annotation.__metadata__)
    for mark in metadata:
        if isinstance(mark, Unit):
            return mark.type, mark.unit
    parts = [part for part in get_args(annotation) if part not in (NoneType, ...)]
    if _model_of(annotation) is not None:
        return ("a list of rules" if get_origin(annotation) is tuple else "a rule"), None
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in parts), None
    if get_origin(annotation) is tuple:
        return f"a list of {_kind(parts[0])[0]}", None
    if parts:
        return _kind(parts[0], metadata)
    return _range(metadata) or _NAMES.get(annotation, "number"), None


def _range(metadata: Any) -> str | None:
    marks = [inner for mark in metadata for inner in (mark, *getattr(mark, "metadata", ()))]
    least = next((mark.ge for mark in marks if isinstance(mark, Ge)), None)
    most = next((mark.le for mark in marks if isinstance(mark, Le)), None)
    if least is None:
        return None
    return f"{least} or more" if most is None else f"{least} to {most}"


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, RuleConfig):
        return f"`{{{', '.join(f'{name}: {getattr(value, name)}' for name in value.model_fields_set)}}}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, bool | None):
        return f"`{str(value).lower()}`" if value is not None else "`null`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f'`"{value}"`' if isinstance(value, Decimal) or value == "" else f"`{value}`"


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The part of the settings that a field holds, or holds a list of; ``None``: it holds a value."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None
