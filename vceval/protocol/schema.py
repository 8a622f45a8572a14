"""YAML files that users write: read safely, checked against a model, every mistake named with its place and value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WrapValidator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from vceval.errors import UsageError
from vceval.storage.paths import no_such_file

if TYPE_CHECKING:
    import yaml

__all__ = [
    "Model", "Names", "Section", "Text", "checked", "json_schema", "meaning", "mistake", "read_document", "read_yaml",
]  # fmt: skip

Document = TypeVar("Document", bound="Model")

#: Bytes of the longest file, and values that it may stand for.
_LONGEST, _VALUES = 1 << 22, 100_000

#: Values in messages are cut: a file may hold anything.
_SHOWN = Repr()
_SHOWN.maxstring = _SHOWN.maxother = 200
_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "union_tag_not_found": "a mapping of keys to values",
}


def _tidy(schema: dict[str, Any], kind: type[Model]) -> None:
    """Say in a JSON schema what the checks of a section say: a key without a value is none, one key of several."""
    del schema["title"]
    for one in schema["properties"].values():
        one.pop("title", None)
        kinds = [kind for kind in one.pop("anyOf", ()) if kind != {"type": "null"}]
        if kinds:
            one.update(kinds[0])
        if one.get("default", kind) is None:
            del one["default"]
    if kind.one_of:
        schema["oneOf"] = [{"required": [key]} for key in kind.one_of]


class Model(BaseModel):
    """A mapping in a file, with the keys that it may have. Values are of the types said, and never converted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, json_schema_extra=_tidy
    )
    #: Exactly one of these keys must be given: key to what it is.
    one_of: ClassVar[Mapping[str, str]] = {}


class Section(Model):
    """A mapping in a file that people write: blanks around texts are none, and misspelt keys are told."""

    model_config = ConfigDict(str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _keys(cls, values: Any) -> Any:
        """Look at the keys before their values: a misspelt one explains one that is missing."""
        if not isinstance(values, dict):
            return values
        known = {field.alias or name: field for name, field in cls.model_fields.items()}
        for key, value in values.items():
            if key not in known and cls.model_config["extra"] == "forbid":
                near = get_close_matches(str(key), known, n=1)
                hint = f"did you mean {near[0]}? Known" if near else "known"
                raise mistake(str(key), f"is no known key; {hint}: {', '.join(sorted(known))}")
            if value is None and key in known and not known[key].is_required():
                raise mistake(str(key), "has no value; give it one, or leave the key out")
        if cls.one_of and sum(key in values for key in cls.one_of) != 1:
            choice = " or ".join(f"{key} ({what})" for key, what in cls.one_of.items())
            raise mistake(next(iter(cls.one_of)), f"give either {choice}, one of the two")
        return values


def mistake(key: str, message: str) -> PydanticCustomError:
    """Make the error for a key of a section, to be raised by the section's validators."""
    return PydanticCustomError("mistake", "{message}", {"key": key, "message": message})


def meaning(what: str) -> WrapValidator:
    """Make every error of a type say what is allowed: ``must be WHAT, not VALUE``."""

    def check(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"must be {what}, not {_SHOWN.repr(value)}") from None

    return WrapValidator(check)


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"names something twice: {', '.join(values)}")
    return values


#: Text that is not empty, without blanks around it.
Text = Annotated[str, Field(min_length=1)]
#: A list of texts, each once.
Names = Annotated[tuple[Text, ...], Field(strict=False, json_schema_extra={"uniqueItems": True}), AfterValidator(_once)]


def read_yaml(path: Path) -> Any:
    """Read the values of a YAML file of moderate size.

    Raises:
        UsageError: the file is missing, no YAML, or none that people write: too long, too deep, or long by aliases.
    """
    import yaml

    try:
        if path.stat().st_size > _LONGEST:
            raise UsageError(f"{path}: has {path.stat().st_size:,} bytes; no such file has more than {_LONGEST:,}")
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        try:
            top = loader.get_single_node()
            if top is None:
                return None
            if (size := _size(top, {})) > _VALUES:
                raise UsageError(f"{path}: aliases make more than {_VALUES:,} values of it ({size:,})")
            return loader.construct_document(top)
        finally:
            loader.dispose()
    except FileNotFoundError:
        raise UsageError(no_such_file(path)) from None
    except RecursionError:
        raise UsageError(f"{path}: can't be read as YAML (one thing in another, too deep)") from None
    except (OSError, ValueError, OverflowError, yaml.YAMLError) as error:  # such as a date without such a day
        raise UsageError(f"{path}: can't be read as YAML ({str(error)[:1000]})") from error


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Number of values that a node stands for, each alias counted as what it stands for."""
    if id(node) not in known:
        known[id(node)] = _VALUES + 1  # as long as it is being counted: what holds itself has no end
        inner = node.value if isinstance(node.value, list) else []
        parts = [part for entry in inner for part in (entry if isinstance(entry, tuple) else (entry,))]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def read_document(path: Path, kind: type[Document]) -> Document:
    """Read a YAML file.

    Raises:
        UsageError: the file is missing or no YAML; a key is unknown or missing; a value is not what it must be.
    """
    return checked(read_yaml(path), kind, str(path))


def checked(values: Any, kind: type[Document], file: str) -> Document:
    """Hold the values of a file, or its bytes where it is JSON, against its model.

    Raises:
        UsageError: a key is unknown or missing; a value is not what it must be.
    """
    try:
        return kind.model_validate_json(values) if isinstance(values, bytes) else kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        inside = None
        if not isinstance(values, bytes):
            inside = values
        elif first["type"] != "json_invalid":
            inside = from_json(values)
        raise UsageError(f"{file}: {_place(first, inside)}: {_message(first)}") from None


def json_schema(kind: type[Model]) -> str:
    """Write the JSON schema of a file, from which editors complete and check it."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(dialect | kind.model_json_schema(), indent=2) + "\n"


def _place(error: ErrorDetails, value: Any) -> str:
    """Name the place of an error in the file: ``rules[0].measure``."""
    places: list[Any] = [*error["loc"]]
    if error["type"] == "mistake":
        places.append(error["ctx"]["key"])
    if places[-1:] == ["[key]"]:  # the place is a key itself
        places[-2:] = [error["input"]]
    found = ""
    for at, part in enumerate(places):
        inside = (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int))
        if inside:
            found += f"[{part}]" if isinstance(value, list) else f".{part}"
            value = value[part]
        elif at == len(places) - 1:  # else it is the name of a model, which is in no file
            found += f".{part}"
    return found.lstrip(".") or "top level"


def _message(error: ErrorDetails) -> str:
    context, value = error.get("ctx", {}), _SHOWN.repr(error["input"])
    match error["type"]:
        case "missing":
            return f"is missing (keys given: {', '.join(map(str, error['input'])) or 'none'})"
        case "mistake" | "value_error":
            return str(context.get("message") or context["error"])
        case "string_too_short" | "too_short":
            return "must not be empty"
        case "literal_error":
            known = re.findall("'(.*?)'", context["expected"])
            return f"must be one of {', '.join(known)}, not {value}"
        case "greater_than_equal":
            return f"must be at least {context['ge']:g}, not {value}"
        case "string_pattern_mismatch":
            return f"holds what it must not (allowed: {context['pattern']}), {value}"
        case kind if kind in _KINDS:
            return f"must be {_KINDS[kind]}, not {value}"
        case _:
            return f"{error['msg']}, not {value}"
