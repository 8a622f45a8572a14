"""``vceval reproduce``: whether a system gives here what a demo page has published of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.converters.demo_words import WORDS
from vceval.errors import UsageError

if TYPE_CHECKING:
    from vceval.conformance.reproduce import Material
    from vceval.converters.demo_pages import Case, Remote
    from vceval.records import System

__all__ = ["add_commands", "fetched", "lines"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``vceval reproduce`` to the parser."""
    command = commands.add_parser(
        "reproduce",
        help="convert what a demo page has converted, compare with what it published, and keep a certificate",
        description="Fetches weights, source, prompts and published conversion where they are not here, converts, and "
        "compares. What the page did to its file (another rate, MP3, another level, cut ends) is found and named, and "
        "is no excuse unless the catalogue or --page-did declares it. Later runs with the same weight files and "
        "options name the certificate.",
        epilog="exit codes: 0 reproduced, 1 not reproduced, 2 wrong use, or a file that is not here and can't be "
        "fetched",
    )
    command.add_argument("system", metavar="SYSTEM", help="a converter, or a system of --systems")
    command.add_argument("--list", action="store_true", help="only say what is known to be published of it")
    command.add_argument("--conversion", metavar="NAME", help="this one of the list (default: the first)")
    command.add_argument("--all", action="store_true", help="all of the list, one after the other")
    command.add_argument("--source", type=Path, metavar="FILE", help="what was converted: instead of the list")
    command.add_argument(
        "--prompt", type=Path, action="append", default=[], metavar="FILE", help="of the target voice; again for more"
    )
    command.add_argument("--published", type=Path, metavar="FILE", help="what was published of it")
    command.add_argument(
        "--page-did", metavar="WORD[,WORD]", help=f"what the page says that it did: {', '.join(WORDS)}"
    )
    command.add_argument("--weights", type=Path, metavar="DIR", help="folder of weight files (default: those filed)")
    command.add_argument("--systems", type=Path, metavar="FILE", help="the systems of a YAML file")
    command.add_argument("--pages", type=Path, metavar="FILE", help="another catalogue (vceval schema demo-pages)")
    command.add_argument(
        "--seeds", type=int, default=19, metavar="N", help="conversions of a system that draws noise (19)"
    )
    command.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    command.add_argument("--json", action="store_true", help="print the certificates, for machines")
    command.set_defaults(command=_reproduce)


def _reproduce(options: argparse.Namespace) -> int:
    from vceval.converters.demo_pages import cases_of

    system = _system(options)
    if options.list:
        return _list(system.converter, cases_of(system.converter, options.pages), options.json)
    if options.seeds < 4:
        raise UsageError(f"--seeds {options.seeds}: at least 4 are needed to see how far seeds lie apart")
    chosen = _given(options) or _chosen(system.converter, cases_of(system.converter, options.pages), options)
    found = _certified(system, chosen, options)
    if options.json:
        print(json.dumps(found[0] if len(found) == 1 else found, indent=1, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join(lines(one)) for one in found))
    return 0 if all(one["reproduced"] for one in found) else 1


def _system(options: argparse.Namespace) -> System:
    """Read which system is meant.

    Raises:
        UsageError: there is none of that name.
    """
    from dataclasses import replace

    from vceval import registry
    from vceval.protocol.systems import read_systems, system_of

    systems = {one.name: one for one in read_systems(options.systems)} if options.systems else {}
    if options.system in systems:
        system = systems[options.system]
    elif options.systems:
        raise registry.unknown_name("system", options.system, sorted(systems))
    else:
        registry.load("converter", options.system)
        system = system_of(options.system)
    if options.weights:
        if not options.weights.is_dir():
            raise UsageError(f"--weights {options.weights}: is no folder")
        system = replace(system, options={**system.options, "weights": str(options.weights)})
    return system


def _list(converter: str, cases: list[Case], as_json: bool) -> int:
    if as_json:
        from dataclasses import asdict

        print(json.dumps([asdict(case) for case in cases], indent=1, ensure_ascii=False))
    elif not cases:
        print(_nothing(converter))
    else:
        for case in cases:
            whose = "by its authors" if case.own else "by other people"
            print(f"{case.id}: {case.title}, {whose}, {case.page}")
            for text in (*case.notes, *([f"the page did: {', '.join(case.did)}"] if case.did else [])):
                print(f"  {text}")
    return 0


def _nothing(converter: str) -> str:
    return (
        f"no published conversion of {converter} is known here; give one: "
        f"vceval reproduce {converter} --source FILE --prompt FILE --published FILE"
    )


def _given(options: argparse.Namespace) -> list[Material]:
    """Take the user's own files; none where the list is meant.

    Raises:
        UsageError: some are given and others not, or one is not there.
    """
    from vceval.conformance.reproduce import Material
    from vceval.storage.cache import file_digest
    from vceval.storage.paths import no_such_file

    did = _words(options.page_did)
    wanted = {"--source": options.source, "--prompt": options.prompt, "--published": options.published}
    if not any(wanted.values()):
        if options.page_did is not None:
            raise UsageError("--page-did goes with --source, --prompt and --published: the list says it of its pages")
        return []
    if missing := [name for name, value in wanted.items() if not value]:
        raise UsageError(f"{' and '.join(missing)}: give source, prompt and published conversion, all three")
    if options.conversion or options.all:
        raise UsageError("--conversion and --all choose from the list; --source, --prompt and --published stand for it")
    for path in (options.source, *options.prompt, options.published):
        if not path.is_file():
            raise UsageError(no_such_file(path))
    name = f"{options.published.name}-{file_digest(options.published)[:12]}"
    return [Material(name, options.source, tuple(options.prompt), options.published, did)]


def _words(text: str | None) -> tuple[Any, ...]:
    words = tuple(word.strip() for word in (text or "").split(",") if word.strip())
    if unknown := [word for word in words if word not in WORDS]:
        raise UsageError(f"--page-did {', '.join(unknown)}: must be of {', '.join(WORDS)}")
    return words


def _chosen(converter: str, cases: list[Case], options: argparse.Namespace) -> list[Material]:
    """Choose from the catalogue, and fetch what is not here.

    Raises:
        UsageError: nothing is known, there is none of that name, or a file can't be fetched or is another one.
    """
    from vceval import registry
    from vceval.conformance.reproduce import Material

    if not cases:
        raise UsageError(_nothing(converter))
    if options.conversion:
        cases = [case for case in cases if case.id == options.conversion]
        if not cases:
            names = [case.id for case in _all_cases(converter, options)]
            raise registry.unknown_name("conversion", options.conversion, names)
    elif not options.all:
        cases = cases[:1]
    return [
        Material(
            case.id, fetched(case.source), tuple(map(fetched, case.prompts)), fetched(case.published), case.did,
            case.title, case.page, case.own, case.notes,
        )
        for case in cases
    ]  # fmt: skip


def _all_cases(converter: str, options: argparse.Namespace) -> list[Case]:
    from vceval.converters.demo_pages import cases_of

    return cases_of(converter, options.pages)


def fetched(remote: Remote) -> Path:
    """Give a file of a page, fetched once.

    Raises:
        UsageError: it can't be fetched, or is another file than the one that the catalogue knows.
    """
    from vceval.checkpoints import store
    from vceval.checkpoints.download import download
    from vceval.storage.cache import file_digest

    place = store.store() / "demo_pages" / remote.sha256[:16] / remote.name
    if not place.is_file():
        download(remote.url, place)
    if (found := file_digest(place)) != remote.sha256:
        place.unlink()
        raise UsageError(
            f"{remote.url}: what came is not the published file: its SHA-256 is {found}, not {remote.sha256}; nothing "
            "of it was kept. Give files of yours: --source FILE --prompt FILE --published FILE"
        )
    return place


def _certified(system: System, chosen: list[Material], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Convert, compare, and keep the certificates.

    Raises:
        UsageError: weight files are missing or wrong, a pair can't be converted, or there is no such device.
    """
    from vceval.conformance.reproduce import reproduce
    from vceval.converters import certificates
    from vceval.runner.devices import devices
    from vceval.runner.factory import make_converter, try_converter

    device = devices(options.device)[0]
    if not options.weights and make_converter(system).missing_files():
        _fetch_weights(system.converter, options.json)
    if missing := try_converter(system, device):
        raise UsageError("; ".join(missing))
    converter = make_converter(system)
    converter.encodes_alone = device == "cpu"
    converter.open(device)
    found = []
    try:
        for material in chosen:
            one = reproduce(system, converter, material, device, options.seeds)
            if converter.assets():
                about = certificates.subject(converter, system.options)
                one["kept"] = str(certificates.keep(about, material.name, one))
            else:
                one["kept"] = None
            found.append(one)
    finally:
        converter.close()
    return found


def _fetch_weights(converter: str, quiet: bool) -> None:
    """Fetch the weight files that have direct links, as ``vceval checkpoints add`` does."""
    from contextlib import redirect_stdout

    from vceval.checkpoints import store
    from vceval.cli.checkpoints import fetch

    if store.files_of(converter):
        with redirect_stdout(sys.stderr if quiet else sys.stdout):
            fetch(converter)


def lines(one: Mapping[str, Any]) -> list[str]:
    """Print a certificate for people."""
    cosine, band = one["cosine"], one["compared_below_hz"]
    rows = {
        "system": f"{one['system']} ({one['signature']})",
        "conversion": " ".join(filter(None, (one["conversion"], one["title"] and f"({one['title']}, {one['page']})"))),
        **{"note" + " " * n: text for n, text in enumerate(one["notes"])},
        "published": one["published"],
        "the page did": "; ".join(f"{word}: {text}" for word, text in one["found"].items()) or "nothing that was found",
        "declared": ", ".join(one["declared"]) or "nothing",
        "length": f"{one['length']['published']:.3f} s published, {one['length']['here']:.3f} s here",
        "spectrum": f"{one['spectrum_db']:.2f} dB apart" + (f", below {band:,.0f} Hz" if band else ""),
        "voice": "no speech in it" if cosine is None else f"cosine {cosine:.4f}",
    }
    if "snr_db" in one:
        rows["waveform"] = (
            f"{one['snr_db']:.1f} dB of signal over difference; largest difference {one['largest_difference']:.2g}"
        )
        rows["other prompt"] = f"{one['other_prompt_db']:.1f} dB"
    else:
        low, high = one["deviations_of_seeds"]
        rows["spread"] = f"{one['deviations']:.1f} deviations out; {one['seeds']} seeds: {low:.1f} to {high:.1f}"
        rows["other prompt"] = f"{one['other_prompt_deviations']:.1f}"
    rows |= {"decided by": one["criterion"]}
    rows |= {
        f"SHA-256{' ' * n}": f"{sha} {name}: {one['editions'].get(name, 'no edition is known')}"
        for n, (name, sha) in enumerate(one["files"].items())
    }
    rows["made with"] = f"vceval {one['vceval']}, torch {one['torch'] or 'not used'}, {one['device']}"
    rows["certificate"] = one["kept"] or "not kept: the system names no weight files, so a run can't tell it again"
    head = "REPRODUCED" if one["reproduced"] else "NOT REPRODUCED"
    return [head, *(f"  {name.strip():<13}{text}" for name, text in rows.items()),
            *(f"  because      {reason}" for reason in one["reasons"])]  # fmt: skip
