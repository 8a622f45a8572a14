"""``vceval listen``: listening tests on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.errors import UsageError

if TYPE_CHECKING:
    from vceval.listen.import_answers import Completed, Imported
    from vceval.listen.power import Noise

__all__ = ["add_commands"]

#: Minutes of a listening test after which its listeners are asked too much.
LONG = 30
TESTS = ("mos", "smos", "abx", "ab")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    top = commands.add_parser(
        "listen", help="listening tests: plan one, make it from a run, serve it, read the answers"
    )
    actions = top.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_export(actions)
    _add_serve(actions)
    _add_import(actions)
    _add_plan(actions)
    texts = actions.add_parser("texts", help="print what listeners read in a language: to look at, or to translate")
    texts.add_argument("language", nargs="?", metavar="LANGUAGE", help="such as en, de or Chinese; none: list them")
    texts.set_defaults(command=_texts)


def _add_export(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    export = actions.add_parser(
        "export",
        help="make the page, its recordings and the plan from a finished run",
        description="Writes page/ (all that listeners are given; it works from disk, from any web server and with "
        "vceval listen serve), plan.csv, and key.json, which says which recording is which system's.",
        epilog="tests: mos (naturalness, 1 to 5), smos (similarity to the target's voice, 1 to 5), abx (is X the "
        "source's or the target's voice), ab (which of two systems, or neither)",
    )
    export.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    export.add_argument("--out", type=Path, metavar="DIR", help="folder of the test (default: RUN/listening)")
    export.add_argument("--tests", default="mos,smos", metavar="NAME[,NAME]", help="what is asked (mos,smos)")
    export.add_argument(
        "--systems", action="append", default=[], metavar="NAME[,NAME]", help="systems and controls to compare (all)"
    )
    export.add_argument(
        "--compare", action="append", default=[], metavar="A,B", help="for ab: only these systems (all against all)"
    )
    export.add_argument("--listeners", type=int, default=24, metavar="N", help="how many to balance it for (24)")
    export.add_argument("--pairs", type=int, default=24, metavar="N", help="conversion pairs to be heard (24)")
    export.add_argument("--each", type=int, default=4, metavar="N", help="ratings of each system by a listener (4)")
    export.add_argument("--checks", type=int, metavar="N", help="attention checks in each part (one in ten questions)")
    export.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    export.add_argument("--title", default="", help="heading of the first page (Listening test, in its language)")
    export.add_argument(
        "--intro", type=Path, metavar="FILE", help="plain text for the first page: who asks, consent, whom to write to"
    )
    export.add_argument("--level", type=float, metavar="LUFS", help="loudness of all recordings (-26, ITU-R BS.1770)")
    export.add_argument("--rate", type=int, metavar="HZ", help="sample rate of all recordings (the highest there is)")
    words = export.add_mutually_exclusive_group()
    words.add_argument(
        "--page-language",
        default="en",
        metavar="LANGUAGE",
        help="of the page that listeners read, whatever the recordings speak (en; 'vceval listen texts' lists them)",
    )
    words.add_argument(
        "--texts", type=Path, metavar="FILE", help="your own wording, in the form of 'vceval listen texts en'"
    )
    crowd = export.add_argument_group("listeners of a crowd platform")
    crowd.add_argument(
        "--completion-url",
        default="",
        metavar="URL",
        help="link back at the end, such as https://app.prolific.com/submissions/complete?cc=CODE; {code} in it stands "
        "for the code",
    )
    codes = crowd.add_mutually_exclusive_group()
    codes.add_argument("--completion-code", default="", metavar="CODE", help="code that ends the test, one for all")
    codes.add_argument(
        "--own-codes", action="store_true", help="show each listener a code of their own; import checks them"
    )
    crowd.add_argument(
        "--participant-parameter",
        default="",
        metavar="NAME",
        help="parameter of the link that says who listens (PROLIFIC_PID or workerId)",
    )
    export.set_defaults(command=_export)


def _add_serve(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = actions.add_parser("serve", help="run a test on this machine; answers go into answers.sqlite")
    serve.add_argument("test", type=Path, metavar="DIR", help="folder of the run or of the test")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1: this machine alone)")
    serve.add_argument("--port", type=int, default=8123, help="0 for any that is free (8123)")
    serve.add_argument(
        "--name", action="append", default=[], metavar="HOST", help="name that a proxy on this machine passes on"
    )
    serve.add_argument("--answers", type=Path, metavar="FILE", help="where answers go (DIR/answers.sqlite)")
    serve.set_defaults(command=_serve)


def _add_import(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "import",
        help="read answers: scores with intervals, preferences, agreement of metrics with listeners",
        description="Writes listening.json and listening.csv into the run and makes its report again.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "answers", type=Path, nargs="*", metavar="FILE",
        help="answers: .sqlite of the server, .json or .csv that listeners saved, or a folder of them (those in the "
        "folder of the test)",
    )  # fmt: skip
    parser.add_argument("--test", type=Path, metavar="DIR", help="folder of the test (default: RUN/listening)")
    parser.add_argument("--keep-all", action="store_true", help="count everybody's answers, whatever screening says")
    parser.add_argument("--headphones", action="store_true", help="leave out who listened with loudspeakers")
    parser.add_argument(
        "--codes", type=Path, metavar="FILE", help="codes that listeners gave to their platform, in any file of text"
    )
    parser.set_defaults(command=_import)


def _add_plan(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    plan = actions.add_parser(
        "plan",
        help="say how many listeners and pairs tell two systems apart that differ by so much",
        description="Prints how many listeners find a difference between two systems that often, by the number of "
        "conversion pairs, and the power of other numbers of listeners: of the test that vceval listen import makes, "
        "at 0.05, for one comparison. How much listeners and pairs differ is taken from the listening test of "
        "VCC2020, or from a test of your own.",
    )
    plan.add_argument(
        "--difference", type=float, required=True, metavar="POINTS", help="to be found, on a scale of five points"
    )
    plan.add_argument("--power", type=float, default=0.8, metavar="SHARE", help="how often it is to be found (0.8)")
    plan.add_argument(
        "--question", default="quality", choices=("quality", "similarity"), help="what is asked (quality)"
    )
    plan.add_argument("--each", type=int, default=4, metavar="N", help="ratings of each system by a listener (4)")
    plan.add_argument("--pairs", type=int, metavar="N", help="conversion pairs to be heard (several numbers)")
    plan.add_argument("--systems", type=int, default=2, metavar="N", help="systems in the test, for its length (2)")
    plan.add_argument("--cost", type=float, metavar="PRICE", help="of one rating, to print what the test costs")
    where = plan.add_mutually_exclusive_group()
    where.add_argument(
        "--listeners", default="English", choices=("English", "Japanese"),
        help="whose noise is taken, of the two groups of VCC2020 (English)",
    )  # fmt: skip
    where.add_argument(
        "--from", dest="test", metavar="RUN|FILE", help="a run with a listening test, or a table of ratings: its noise"
    )
    plan.set_defaults(command=_plan)


def _plan(options: argparse.Namespace) -> int:
    from vceval.listen import power
    from vceval.listen.rating_tables import read_ratings
    from vceval.results.terminal import grid, paragraph

    for name, least in (("each", 1), ("systems", 2), ("pairs", 2)):
        if (value := getattr(options, name)) is not None and value < least:
            raise UsageError(f"--{name} must be at least {least}, not {value}")
    if not 0.0 < options.difference <= 4.0:
        raise UsageError(f"--difference must lie between 0 and 4 points, not {options.difference:g}")
    if not 0.05 < options.power < 1.0:
        raise UsageError(f"--power must lie between 0.05 and 1, not {options.power:g}")
    if options.cost is not None and options.cost < 0.0:
        raise UsageError(f"--cost must be 0 or more, not {options.cost:g}")
    if options.pairs is not None and options.pairs < options.each:
        raise UsageError(f"--pairs {options.pairs}: a listener can't rate {options.each} recordings of a system then")
    if options.test is None:
        noise = power.of_vcc2020(options.question, options.listeners)
        origin = f"VCC2020, {options.question}, {options.listeners} listeners"
    else:
        table = read_ratings(options.test)
        names = (options.question, power.QUESTIONS[options.question])
        asked = sorted(set(table.ratings["question"]))
        mine = table.ratings[table.ratings["question"].isin(names)] if set(names) & set(asked) else table.ratings
        if not set(names) & set(asked) and len(asked) > 1:
            raise UsageError(f"{table.name}: asks {', '.join(asked)}, and not {options.question}")
        mine = mine.assign(pair=mine["pair"].where(mine["pair"] != "", mine["file"]))
        noise = power.noise_of(power.as_ratings(mine, power.QUESTIONS[options.question]))
        origin = f"{table.name}, {len(mine):,} ratings by {mine['listener'].nunique():,} listeners"
    told = (
        f"A difference of {options.difference:g} points, to be found in {options.power:.0%} of such tests at 0.05; "
        f"{options.each} ratings of each system by a listener.",
        f"Noise between two systems ({origin}; standard deviations in points): listeners {noise.listener**0.5:.2f}, "
        f"pairs {noise.pair**0.5:.2f}, ratings {noise.rating**0.5:.2f}.",
    )
    print(*map(paragraph, told), sep="\n", end="\n\n")
    pairs = [options.pairs] if options.pairs else [n for n in (12, 24, 48, 96, 192) if n >= options.each]
    needed = {n: power.listeners_needed(noise, options.difference, options.power, n, options.each) for n in pairs}
    rows = []
    for count, listeners in needed.items():
        if listeners is None:
            rows.append(
                [f"{count}", f"more than {power.MOST:,}", "–", "–", *(["–"] if options.cost is not None else [])]
            )
            continue
        ratings = listeners * options.each * options.systems
        cost = [f"{ratings * options.cost:,.2f}"] if options.cost is not None else []
        found = power.precision(noise, listeners, count, options.each).power(power.LEVEL, options.difference)
        rows.append([f"{count}", f"{listeners:,}", f"{ratings:,}", f"{found:.0%}", *cost])
    headings = ["pairs", "listeners", f"ratings of {options.systems} systems", "power"]
    print(grid([*headings, *(["cost"] if options.cost is not None else [])], [rows], range(5)))
    print(f"\nPower by number of listeners\n{_curve(noise, pairs, options.each, options.difference)}")
    fewest = min((n for n in needed.values() if n is not None), default=None)
    if fewest is None:
        print("\nNo number of listeners makes up for so few pairs: take more --pairs, or a larger --difference")
        return 1
    count = next(n for n, listeners in needed.items() if listeners == fewest)
    print(f"\nMake it: vceval listen export RUN --listeners {fewest} --pairs {count} --each {options.each}")
    return 0


def _curve(noise: Noise, pairs: Sequence[int], each: int, difference: float) -> str:
    """The power of some numbers of listeners and pairs."""
    from vceval.listen import power
    from vceval.results.terminal import grid

    rows = [
        [f"{listeners}", *(
            f"{power.precision(noise, listeners, n, each).power(power.LEVEL, difference):.0%}" for n in pairs
        )]
        for listeners in (6, 12, 24, 48, 96, 192, 384)
    ]  # fmt: skip
    return grid(["listeners", *(f"{n} pairs" for n in pairs)], [rows], range(len(pairs) + 1))


def _export(options: argparse.Namespace) -> int:
    from vceval.listen.completion import make_completion, participant_parameters
    from vceval.listen.export import LEVEL, Look, export
    from vceval.listen.plan import Settings
    from vceval.listen.texts import read_texts, texts_in
    from vceval.results.rundir import RunDirectory

    tests = tuple(dict.fromkeys(options.tests.split(",")))
    if unknown := [name for name in tests if name not in TESTS]:
        raise UsageError(f"--tests: {unknown[0]!r} is no test; known: {', '.join(TESTS)}")
    for name, least in (("listeners", 1), ("pairs", 2), ("each", 1), ("checks", 0), ("seed", 0)):
        if (value := getattr(options, name)) is not None and value < least:
            raise UsageError(f"--{name} must be at least {least}, not {value}")
    if options.rate is not None and not 8_000 <= options.rate <= 48_000:
        raise UsageError(f"--rate must lie between 8000 and 48000, not {options.rate}")
    if options.level is not None and not -50 <= options.level <= -10:
        raise UsageError(f"--level must lie between -50 and -10 LUFS, not {options.level:g}")
    systems = tuple(name for given in options.systems for name in given.split(",") if name)
    compare = tuple(tuple(given.split(",")) for given in options.compare)
    if wrong := [given for given, names in zip(options.compare, compare, strict=True) if len(set(names)) != 2]:
        raise UsageError(f"--compare: {wrong[0]!r} does not name two systems, as in --compare A,B")
    if compare and "ab" not in tests:
        raise UsageError("--compare goes with the test ab: --tests mos,smos,ab")
    settings = Settings(tests, options.listeners, options.pairs, options.each, options.checks, options.seed, compare)
    level = LEVEL if options.level is None else options.level
    texts = texts_in(options.page_language) if options.texts is None else read_texts(options.texts)
    completion = make_completion(options.completion_url, options.completion_code, options.own_codes)
    participant = participant_parameters(options.participant_parameter)
    look = Look(options.title, _text(options.intro), level, options.rate, texts, completion, participant)
    made = export(RunDirectory(options.run), options.out or options.run / "listening", settings, look, systems)
    form = made.plan.forms[0]
    counts = ", ".join(f"{part.test} {len(part.trials)}" for part in form.parts)
    print(f"{made.folder / 'page' / 'index.html'}: plan {made.plan.id}, texts {texts.name}")
    print(
        f"  {len(made.plan.forms)} forms of about {made.minutes} minutes; questions in each: {counts}, checks included"
    )
    if made.minutes > LONG:
        print(
            f"  that is long: attention fades after {LONG} minutes; take fewer --systems, --compare, --tests, or --each"
        )
    lowered = f", lower than the {level:g} asked for since one would clip" if made.level < level - 0.01 else ""
    print(f"  {made.recordings} recordings at {made.sample_rate:,} Hz, {made.level:.1f} LUFS{lowered}")
    for system, pair, reason in made.left_out:
        print(f"  left out: {system} of {pair}: {reason}")
    print(f"  keep {made.folder / 'key.json'} to yourself; listeners need page/ alone")
    print(f"Try it: vceval listen serve {made.folder}")
    return 0


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't be read as text ({error})") from error


def _folder(given: Path) -> Path:
    """The folder of a test, or of the run that it lies in."""
    return given if (given / "page").is_dir() else given / "listening"


def _serve(options: argparse.Namespace) -> int:
    from vceval.listen.serve import make_server

    folder = _folder(options.test)
    answers = options.answers or folder / "answers.sqlite"
    server = make_server(
        folder, answers, options.host, options.port, tuple(options.name), lambda text: print(text, flush=True)
    )
    begun, done, count = server.store.counts()
    print(f"{server.url}  answers go into {answers} (so far {done} of {begun} listeners finished, {count:,} answers)")
    if server.hosts is None:
        print(
            "Everybody who reaches this machine can answer; there is no encryption: put a proxy with HTTPS before it."
        )
    print("Stop it with Ctrl-C; it goes on later with the same command.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()
        server.store.close()
    print(f"When all have answered: vceval listen import {'RUN' if folder == options.test else options.test}")
    return 0


def _import(options: argparse.Namespace) -> int:
    from vceval.listen.import_answers import import_answers
    from vceval.listen.screening import Rules
    from vceval.reports.build import build
    from vceval.results.rundir import RunDirectory

    run = RunDirectory(options.run)
    folder = options.test or options.run / "listening"
    files = [file for path in options.answers or [folder] for file in _files(path)]
    if not files:
        raise UsageError(f"{folder}: no answers there; name the files, or serve the test first")
    rules = Rules(headphones=options.headphones)
    imported = import_answers(run, folder, files, rules, options.keep_all, options.codes)
    _print(imported, len(files))
    print(build(run))
    return 0


def _texts(options: argparse.Namespace) -> int:
    from vceval.listen.texts import languages, text_file

    if options.language is None:
        print(" ".join(languages()))
    else:
        print(text_file(options.language).read_text(encoding="utf-8"), end="")
    return 0


def _files(path: Path) -> list[Path]:
    """The files of answers in a folder; a file is taken as it is."""
    if not path.is_dir():
        return [path]
    found = (entry for kind in ("sqlite", "json", "csv") for entry in path.glob(f"answers*.{kind}"))
    return sorted(entry for entry in found if entry.is_file())


def _print(imported: Imported, files: int) -> None:
    found = imported.found
    print(f"{found['kept']} of {len(imported.listeners)} listeners count, from {files} file{'s' if files > 1 else ''}")
    for at, one in enumerate(imported.listeners, 1):
        if one.reasons:
            named = f" ({one.session.rater})" if one.session.rater else ""
            print(f"  listener {at}{named}: {'; '.join(reason.text for reason in one.reasons)}")
    for at, one in enumerate(imported.listeners, 1):
        if one.session.comment:
            print(f"  listener {at} says: {one.session.comment}")
    if imported.completed:
        _print_completed(imported.completed, len(imported.listeners))
    if imported.differing:
        print(f"  {imported.differing} questions were answered twice and differently; the first answer counts")
    for measure in found["measures"]:
        rows = [c for c in found["cells"] if c["measure"] == measure["name"] and _whole(c)]
        rows += [c for c in found["anchors"] if c["measure"] == measure["name"]]
        print(f"\n{measure['label']}" + (f" ({measure['unit']})" if measure["unit"] else ""))
        for cell in sorted(rows, key=lambda cell: -(cell["value"] or 0)):
            print(f"  {cell.get('title', cell['system']):<42}{_figure(cell, measure):<24}{cell['ratings']:>5} ratings")
    if found["preferences"]:
        print("\nPreference")
    for entry in found["preferences"]:
        p_value = "" if entry["p_holm"] is None else f"   p = {entry['p_holm']:.2g}"
        print(
            f"  {entry['first']} {entry['first_preferred']}, neither {entry['ties']}, {entry['second']} "
            f"{entry['second_preferred']}{p_value}"
        )
    _print_agreement(found["agreement"], found["measures"])


def _print_completed(completed: Completed, listeners: int) -> None:
    print(f"  {completed.finished} of {listeners} listeners have finished: {completed.path} says who, with their codes")
    if completed.reported:
        good = completed.reported - len(completed.unknown)
        print(f"  {good} of {completed.reported} codes reported are valid; {completed.silent} were not reported")
        for code in completed.unknown:
            print(f"  code {code} is of nobody who has finished")


def _print_agreement(entries: Sequence[Mapping[str, Any]], measures: Sequence[Mapping[str, Any]]) -> None:
    """Print a line per metric: Spearman's coefficient over single recordings with each score on a scale."""
    scales = {measure["name"]: measure["label"] for measure in measures if not measure["secondary"]}
    rows: dict[str, dict[str, Mapping[str, Any]]] = {}
    for entry in entries:
        if entry["level"] == "recordings" and entry["human"] in scales and entry["spearman"] is not None:
            rows.setdefault(entry["measure"], {})[entry["human"]] = entry
    if not rows:
        return
    print("\nAgreement over recordings (Spearman's ρ; !: against the direction of the metric; more in the report)")
    print(f"  {'':<26}" + "".join(f"{label:<26}" for label in scales.values()).rstrip())
    for name, found in rows.items():
        cells = [_coefficient(found[scale]) if scale in found else "–" for scale in scales]
        print(f"  {name:<26}" + "".join(f"{cell:<26}" for cell in cells).rstrip())


def _coefficient(entry: Mapping[str, Any]) -> str:
    from vceval.results.views import with_interval

    value, low, high = (entry[key] for key in ("spearman", "spearman_low", "spearman_high"))
    return with_interval(value, low, high, "{:.2f}".format) + ("" if entry["agrees"] else " !")


def _whole(cell: Mapping[str, Any]) -> bool:
    return (cell["dataset"], cell["direction"]) == ("all", "all")


def _figure(cell: Mapping[str, Any], measure: Mapping[str, Any]) -> str:
    from vceval.results.views import with_interval

    def text(value: float) -> str:
        return f"{value * measure['scale']:.{measure['decimals']}f}"

    return with_interval(cell["value"], cell["low"], cell["high"], text)
