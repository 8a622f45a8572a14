"""``vceval checkpoints``: the weight files of converters and metrics on the command line."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.checkpoints.containers import NotNeeded
from vceval.errors import UsageError

if TYPE_CHECKING:
    from vceval.checkpoints.weightfile import WeightFile

__all__ = ["add_commands", "fetch"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    top = commands.add_parser("checkpoints", help="list, file, find and verify weight files")
    actions = top.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list", help="every known file; of one or a converter's, where to get it and its layout"
    )
    listing.add_argument("name", nargs="?", metavar="FILE|CONVERTER", help="only this, in full")
    listing.add_argument("--keys", action="store_true", help="with a name: every tensor's name and shape")
    listing.add_argument("--json", action="store_true", help="for machines: everything known of each")
    listing.set_defaults(command=_list)
    path = actions.add_parser(
        "path",
        help="print where a file lies; without a name, the folder of them all",
        epilog="exit codes: 0 printed, 2 not here or no such file",
    )
    path.add_argument("name", nargs="?", metavar="FILE")
    path.set_defaults(command=_path)
    add = actions.add_parser(
        "add",
        help="recognise downloaded files, folders or zips, check every name and shape, and file them",
        description="Give files, folders, zip archives, or names of files or converters: what has a direct "
        "link is then fetched, of the others the page is printed. whisper/MODEL fetches a recogniser, such as "
        "whisper/large-v3.",
        epilog="exit codes: 0 all filed, 1 some weight files of a folder or zip were not recognised or something must "
        "be fetched by hand, 2 wrong file",
    )
    add.add_argument("what", nargs="+", metavar="PATH|FILE|CONVERTER|whisper/MODEL")
    add.add_argument("--as", dest="name", metavar="FILE", help="what a file is meant to be")
    add.set_defaults(command=_add)
    verify = actions.add_parser(
        "verify",
        help="check filed files again, their bytes and their layout",
        epilog="exit codes: 0 nothing wrong, 1 a file is wrong (or missing, where a name was given), 2 no such name",
    )
    verify.add_argument("name", nargs="?", metavar="FILE|CONVERTER", help="only this; then a missing file is wrong too")
    verify.set_defaults(command=_verify)


def _list(options: argparse.Namespace) -> int:
    from vceval import registry
    from vceval.checkpoints import store
    from vceval.records import System

    if options.keys and not options.name:
        raise UsageError("--keys goes with a name: vceval checkpoints list FILE|CONVERTER --keys")
    files = store.files_named(options.name) if options.name else tuple(store.catalogue().values())
    if options.json:
        print(json.dumps([_known(file, options.keys) for file in files], indent=1, ensure_ascii=False))
        return 0
    if options.name:
        for file in files:
            _describe(file, options.keys)
        if options.name in registry.names("converter"):
            from vceval.runner.factory import make_converter

            print(f"audio: {make_converter(System(options.name, options.name)).signature()}")
        return 0
    for users in sorted({tuple(store.users(file)) for file in files if not file.unneeded}):
        print(", ".join(users))
        for file in files:
            if tuple(store.users(file)) == users and not file.unneeded:
                state = "here" if store.locate(file) else "optional" if file.optional else "missing"
                _row(f"{state:<9}{file.name}", f"{file.holds} [{file.licence.split(' (')[0]}]")
    print("known, but needed by none")
    for file in files:
        if file.unneeded:
            _row(f"{'':<9}{file.name}", f"{file.holds}; {file.unneeded}")
    print(f"Folder: {store.store()}")
    print("Where to get one, and how it is laid out: vceval checkpoints list FILE|CONVERTER")
    return 0


def _known(file: WeightFile, keys: bool) -> dict[str, Any]:
    """Say of a file what is known, for machines; ``path`` is null where it is not on this machine."""
    from vceval.checkpoints import store

    place = store.locate(file)
    return {
        "name": file.name, "holds": file.holds, "users": store.users(file), "optional": file.optional,
        "unneeded": file.unneeded, "path": str(place) if place else None, "page": file.page, "url": file.url,
        "licence": file.licence, "size": file.size, "also_called": list(file.also_called), "git_sha1": file.git_sha1,
        "sha256": file.sha256, "wheels": list(file.wheels), "note": file.note, "form": file.form,
        **({"layout": file.layout()} if keys else {}),
    }  # fmt: skip


def _width() -> int:
    return min(max(shutil.get_terminal_size((100, 24)).columns, 60), 120)


def _row(start: str, text: str, column: int = 42, indent: int = 2) -> None:
    """Print a text beside a name, wrapped into its column; below the name where that is long."""
    head = " " * indent + start
    if len(head) >= column:
        print(head)
        head = ""
    wrapped = textwrap.wrap(text, _width() - column, break_long_words=False, break_on_hyphens=False) or [""]
    print(f"{head:<{column}}{wrapped[0]}")
    for line in wrapped[1:]:
        print(" " * column + line)


def _describe(file: WeightFile, keys: bool) -> None:
    from vceval.checkpoints import store

    place, layout = store.locate(file), file.layout()
    print(f"{file.name}{'  (optional)' if file.optional else ''}")
    values = sum(map(math.prod, layout.values()))
    rows = {
        "holds": file.holds,
        "used by": ", ".join(store.users(file)) or f"none: {file.unneeded}",
        "page": file.page,
        "link": file.url or (f"{file.archive} (a zip)" if file.archive else None),
        "licence": file.licence,
        "size": f"{file.size / 1e6:.1f} MB" if file.size else _least(values),
        "also called": ", ".join(file.also_called),
        "git blob": file.git_sha1,
        "SHA-256": file.sha256,
        "in packages": ", ".join(file.wheels),
        "note": file.note,
        "here": str(place) if place else "not on this machine",
        "form": _form(file),
        "layout": f"{len(layout)} {'arrays' if file.form == 'arrays' else 'tensors'}; --keys shows them"
        if layout
        else None,
    }
    for title, text in rows.items():
        if text:
            _row(title, text, 15)
    if keys:
        for key, shape in layout.items():
            print(f"    {key}  {'x'.join(map(str, shape)) or 'scalar'}")


def _least(values: int) -> str | None:
    """Say what is known of a size from the layout alone."""
    return f"not known; its {values:,} values in single precision are {4 * values / 1e6:,.1f} MB" if values else None


def _form(file: WeightFile) -> str:
    """Say how a file is laid out around its tensors."""
    if file.form != "weights":
        return {"arrays": "NumPy arrays", "json": "JSON"}[file.form]
    message = (
        f"weights under {'/'.join(file.entry)}"
        if file.entry
        else "weights by name at the top, of torch.save or TorchScript"
    )
    if file.groups:
        message = f"{message if file.entry else 'weights'} in the groups {', '.join(file.groups)}"
    if file.prefix:
        message += f", each name begins with {file.prefix}"
    if file.ignored:
        message += f"; not read: {', '.join(start + '*' for start in file.ignored)}"
    return message


def _path(options: argparse.Namespace) -> int:
    from vceval.checkpoints import store

    print(store.find(store.file_named(options.name)) if options.name else store.store())
    return 0


def _add(options: argparse.Namespace) -> int:
    if options.name and len(options.what) > 1:
        raise UsageError(f"--as says what one file is; {len(options.what)} are given")
    if len(options.what) == 1:
        return _add_one(options.what[0], options.name)
    codes = []
    for what in options.what:
        try:
            codes.append(_add_one(what, None))
        except UsageError as error:  # the others may be fine
            codes.append(2)
            print(f"vceval: {error}", file=sys.stderr)
    return max(codes)


def _add_one(what: str, name: str | None) -> int:
    from vceval.checkpoints.unpacking import is_packed

    path = Path(what).expanduser()
    packed = path.is_file() and is_packed(path)
    if path.is_file() and not packed:
        _file(path, name)
        return 0
    if name:
        kind = "a zip archive" if packed else "a folder" if path.is_dir() else "none"
        raise UsageError(f"--as goes with a file; {what} is {kind}")
    if packed:
        return _add_zip(path)
    return _add_folder(path, str(path)) if path.is_dir() else fetch(what)


def _add_zip(path: Path) -> int:
    from vceval.checkpoints import store
    from vceval.checkpoints.unpacking import unpacked

    with unpacked(path, store.store()) as folder:
        return _add_folder(folder, str(path))


def _file(path: Path, name: str | None) -> None:
    from vceval.checkpoints import store

    filed = store.add(path, name)
    messages = [filed.file.holds, f"licence: {filed.file.licence}", filed.edition, filed.file.note]
    print(f"{path.name} is {filed.file.name}: {'; '.join(filter(None, messages))}")
    print(f"  SHA-256 {filed.sha256}")
    print(f"  filed as {filed.path}, used by {', '.join(store.users(filed.file))}")


def _add_folder(folder: Path, called: str) -> int:
    failed, filed, passed = 0, 0, 0
    inside = sorted(place for place in folder.rglob("*") if not _hidden(place.relative_to(folder)))
    unpacked = {place.parent for place in inside if place.name == "data.pkl" and (place.parent / "data").is_dir()}
    for place in sorted(unpacked):
        failed += 1
        print(
            f"vceval: {place}: it is a weight file that was unpacked like a zip archive, as some browsers do; download "
            "it without unpacking",
            file=sys.stderr,
        )
    for path in inside:
        if not path.is_file() or path.is_symlink() or unpacked.intersection(path.parents):
            continue
        try:
            _file(path, None)
            filed += 1
        except NotNeeded:
            passed += 1
        except UsageError as error:
            failed += 1
            print(f"vceval: {error}", file=sys.stderr)
    if not filed:
        raise UsageError(f"{called}: no file in it could be filed; {failed} not recognised, {passed} not needed")
    print(f"{filed} filed, {failed} not recognised, {passed} not needed")
    return 1 if failed else 0


def _hidden(place: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in place.parts)


def fetch(name: str) -> int:
    """Fetch what has a direct link of a converter's files, or one file, and say where to get the rest.

    Returns:
        0 where nothing is left, else 1.

    Raises:
        UsageError: there is no such name, or what came was not the file.
    """
    from vceval.checkpoints import store
    from vceval.checkpoints.download import download

    kind, _, model = name.partition("/")
    if kind == "whisper" and model:
        from vceval.metrics.recogniser_choice import LICENCE, fetch

        print(f"Whisper {model} is {fetch(model)}; licence: {LICENCE}; use: --recogniser whisper:{model}")
        return 0
    looks_like_path = Path(name).suffix in (".pt", ".pth", ".ckpt", ".pkl", ".bin", ".zip") or "/" in name
    if looks_like_path and name not in store.catalogue():
        raise UsageError(f"{name}: no such file or folder")
    by_hand = 0
    archives: dict[str, list[str]] = {}
    for file in store.files_named(name):
        if file.unneeded:
            raise UsageError(f"{file.name} ({file.holds}) is not needed: {file.unneeded}")
        if store.locate(file):
            print(f"{file.name} is here already: {store.locate(file)}")
        elif file.archive and file.url is None:
            archives.setdefault(file.archive, []).append(file.name)
        elif file.url is None:
            by_hand += not file.optional
            print(f"{file.name} has no direct link; fetch it from {file.page}, then: vceval checkpoints add PATH")
        else:
            whole = download(file.url, store.store() / ".downloads" / file.name)
            try:
                _file(whole, file.name)
            except UsageError as error:
                raise UsageError(f"what came from {file.url} was not kept: {error}") from error
            finally:
                whole.unlink()
    for address in archives:
        whole = download(address, store.store() / ".downloads" / address.rsplit("/", 1)[-1])
        try:
            by_hand += _add_zip(whole)
        except UsageError as error:
            raise UsageError(f"what came from {address} was not kept: {error}") from error
        finally:
            whole.unlink()
    return 1 if by_hand else 0


def _verify(options: argparse.Namespace) -> int:
    from vceval.checkpoints import store

    wrong, here = 0, 0
    chosen = store.files_named(options.name) if options.name else tuple(store.catalogue().values())
    for file in chosen:
        if store.locate(file) is None:
            if options.name and not file.optional and not file.unneeded:
                wrong += 1
                print(f"missing  {file.name}: get it from {file.url or file.page}")
            continue
        here += 1
        problem = store.check(file)
        wrong += bool(problem)
        told = problem or store.edition(file, store.find(file))
        print(f"{'WRONG' if problem else 'fine':<9}{file.name}{f': {told}' if told else ''}", flush=True)
    print(f"{here} checked in {store.store()}, {wrong} wrong or missing")
    return 1 if wrong else 0
