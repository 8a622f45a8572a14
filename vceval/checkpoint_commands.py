"""``vceval checkpoints``: the weight files of the converters on the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vceval.errors import UsageError

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    top = commands.add_parser("checkpoints", help="list, file, find and verify the weight files of converters")
    actions = top.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="every known file: who uses it, where its authors publish it, licence")
    listing.add_argument("name", nargs="?", metavar="FILE|CONVERTER", help="only this, in full")
    listing.add_argument("--keys", action="store_true", help="with a name: every tensor's name and shape")
    listing.set_defaults(command=_list)
    path = actions.add_parser("path", help="print where a file lies; without a name, the folder of them all")
    path.add_argument("name", nargs="?", metavar="FILE")
    path.set_defaults(command=_path)
    add = actions.add_parser(
        "add",
        help="recognise a downloaded file or folder, check every name and shape, and file it",
        description="Give a file, a folder of files, or the name of a file or converter: what has a direct "
        "link is then fetched, of the others the page is printed.",
        epilog="exit codes: 0 all filed, 1 some files of a folder were not recognised, 2 wrong file",
    )
    add.add_argument("what", metavar="PATH|FILE|CONVERTER")
    add.add_argument("--as", dest="name", metavar="FILE", help="what it is meant to be")
    add.set_defaults(command=_add)
    verify = actions.add_parser("verify", help="check filed files again; exit code 1 when one is wrong")
    verify.add_argument("name", nargs="?", metavar="FILE|CONVERTER", help="only this; then a missing file is wrong too")
    verify.set_defaults(command=_verify)


def _list(options: argparse.Namespace) -> int:
    from vceval.converters import checkpoints

    if options.name:
        for file in checkpoints.files_of(options.name) or (checkpoints.file_named(options.name),):
            place = checkpoints.locate(file)
            print(f"{file.name}{'  (optional)' if file.optional else ''}")
            rows = {
                "holds": file.holds,
                "used by": ", ".join(checkpoints.users(file)),
                "page": file.page,
                "link": file.url,
                "licence": file.licence,
                "size": f"{file.size / 1e6:.1f} MB" if file.size else None,
                "also called": ", ".join(file.also_called),
                "note": file.note,
                "here": str(place) if place else "not on this machine",
            }
            layout = file.layout()
            rows["layout"] = f"{len(layout)} tensors" if layout else None
            for title, text in rows.items():
                if text:
                    print(f"  {title:<12}{text}")
            if options.keys:
                for key, shape in layout.items():
                    print(f"    {key}  {'x'.join(map(str, shape)) or 'scalar'}")
        return 0
    files = checkpoints.catalogue()
    width = max(map(len, files), default=0)
    for name, file in sorted(files.items(), key=lambda item: (checkpoints.users(item[1]), item[0])):
        state = "here" if checkpoints.locate(file) else "optional" if file.optional else "missing"
        print(f"{state:<9}{name:<{width}}  {', '.join(checkpoints.users(file))}: {file.holds} [{file.licence}]")
    print(f"Folder: {checkpoints.store()}. Where to get one: vceval checkpoints list FILE")
    return 0


def _path(options: argparse.Namespace) -> int:
    from vceval.converters import checkpoints

    print(checkpoints.find(checkpoints.file_named(options.name)) if options.name else checkpoints.store())
    return 0


def _add(options: argparse.Namespace) -> int:
    path = Path(options.what).expanduser()
    if path.is_dir():
        return _add_folder(path)
    if path.exists():
        _file(path, options.name)
        return 0
    return _fetch(options.what)


def _file(path: Path, name: str | None) -> None:
    from vceval.converters import checkpoints

    filed = checkpoints.add(path, name)
    print(f"{path.name} is {filed.file.name}: {filed.file.holds}{f'; {filed.note}' if filed.note else ''}")
    print(f"  filed as {filed.path}, used by {', '.join(checkpoints.users(filed.file))}")


def _add_folder(folder: Path) -> int:
    failed, filed = 0, 0
    for path in sorted(place for place in folder.rglob("*") if place.is_file() and not place.is_symlink()):
        try:
            _file(path, None)
            filed += 1
        except UsageError as error:
            failed += 1
            print(f"vceval: {error}", file=sys.stderr)
    if not filed:
        raise UsageError(f"{folder}: no file in it could be filed")
    print(f"{filed} filed, {failed} not recognised")
    return 1 if failed else 0


def _fetch(name: str) -> int:
    from vceval.converters import checkpoints
    from vceval.converters.download import download

    if "/" in name and name not in checkpoints.catalogue():
        raise UsageError(f"{name}: no such file or folder")
    by_hand = 0
    for file in checkpoints.files_of(name) or (checkpoints.file_named(name),):
        if checkpoints.locate(file):
            print(f"{file.name} is here already: {checkpoints.locate(file)}")
        elif file.url is None:
            by_hand += not file.optional
            print(f"{file.name} has no direct link; fetch it from {file.page}, then: vceval checkpoints add PATH")
        else:
            whole = download(file.url, checkpoints.store() / ".downloads" / file.name)
            _file(whole, file.name)
            whole.unlink()
    return 1 if by_hand else 0


def _verify(options: argparse.Namespace) -> int:
    from vceval.converters import checkpoints

    wrong = 0
    chosen = checkpoints.files_of(options.name) or (
        (checkpoints.file_named(options.name),) if options.name else tuple(checkpoints.catalogue().values())
    )
    for file in chosen:
        if checkpoints.locate(file) is None:
            if options.name and not file.optional:
                wrong += 1
                print(f"missing  {file.name}: get it from {file.url or file.page}")
            continue
        problem = checkpoints.check(file)
        wrong += bool(problem)
        print(f"{'WRONG' if problem else 'fine':<9}{file.name}{f': {problem}' if problem else ''}", flush=True)
    print(f"{wrong} wrong")
    return 1 if wrong else 0
