"""What decides what a module computes: its code, that of all it imports, and the packages that these use.

Results that are kept, such as converted audio, are used again only while this is the same. The imports are read from
the source, nothing is run.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path
from typing import Any

__all__ = ["code_identity"]

#: How an object is named that is imported when it is needed: ``vceval.networks.hifigan:generator``.
_OBJECT = re.compile(r"(\w+(?:\.\w+)+):\w+(?:\.\w+)*")


@cache
def code_identity(module: str) -> dict[str, Any]:
    """Name the code and the packages that decide what a module computes.

    Followed are all imports of the module's own package and of vceval, also those within functions, and objects named
    in a string as ``package.module:object``; not those for type checkers alone. Comments, docstrings and layout are no
    code. The code's digest also depends on the version of Python, whose grammar it is read with.

    Args:
        module: full name, such as ``vceval.converters.freevc``.

    Returns:
        ``code``: a SHA-256. ``packages``: every distribution that is imported anywhere there, with its version.
    """
    ours = {"vceval", module.partition(".")[0]}
    found: dict[str, str] = {}
    others: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name.partition(".")[0] not in ours:
            others.add(name.partition(".")[0])
        elif name not in found and (spec := _find(name)) is not None and spec.origin is not None:
            found[name], imported = _read(name, Path(spec.origin))
            waiting += imported
    digest = hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()
    used = {one for name in others - sys.stdlib_module_names for one in _distributions(name)}
    return {"code": digest, "packages": {one: version(one) for one in sorted(used)}}


def _distributions(package: str) -> Sequence[str]:
    """Name what was installed to bring a top-level package; none where it is not there."""
    try:  # mostly something of the same name: looking through all that is installed takes a second
        found = distribution(package)
    except PackageNotFoundError:
        return packages_distributions().get(package, ())
    if any(Path(str(found.locate_file(name))).exists() for name in (package, f"{package}.py")):
        return [found.name]
    return packages_distributions().get(package, ())


@cache
def _find(module: str) -> ModuleSpec | None:
    """Find a module, importing nothing; None where the name is that of something in a module, or of nothing."""
    parent = module.rpartition(".")[0]
    above = _find(parent) if parent else None
    folders = None if above is None else above.submodule_search_locations
    if parent and folders is None:
        return None
    specs = (finder.find_spec(module, folders) for finder in sys.meta_path)
    return next((spec for spec in specs if spec is not None), None)


@cache
def _read(module: str, path: Path) -> tuple[str, frozenset[str]]:
    """Digest a file's code, and name all that it may import: modules, or what may be one."""
    tree = ast.parse(path.read_bytes(), str(path))
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    imported = frozenset(part for name in _imports(tree, package) for part in _parents(name))
    return hashlib.sha256(ast.dump(_Bare().visit(tree)).encode()).hexdigest(), imported


def _imports(node: ast.AST, package: str) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (one.name for one in names)
        case ast.ImportFrom(module=name, names=names, level=level):
            start = package.rsplit(".", level - 1)[0] if level else ""
            base = ".".join(part for part in (start, name) if part)
            yield from (f"{base}.{one.name}" for one in names)
        case ast.Constant(value=str(text)) if (named := _OBJECT.fullmatch(text)) is not None:
            yield named[1]
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=rest):
            for statement in rest:
                yield from _imports(statement, package)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _imports(child, package)


def _parents(name: str) -> Iterator[str]:
    """Name a module and the packages that it lies in, which are imported with it."""
    parts = name.split(".")
    yield from (".".join(parts[: at + 1]) for at in range(len(parts)))


class _Bare(ast.NodeTransformer):
    """Takes out strings that stand alone, such as docstrings: they do nothing."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node
