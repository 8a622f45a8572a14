"""``vceval env test``: pairs through the worker of a recipe, with weights that are made up."""

from __future__ import annotations

import itertools
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vceval import registry
from vceval.checkpoints.store import mark_made_up
from vceval.converters import environments
from vceval.converters.base import Request
from vceval.converters.by_recipe import ByRecipe, class_of, command_of, files_of
from vceval.converters.recipe import Recipe, recipe_of
from vceval.errors import UsageError, reason_of
from vceval.records import ConversionPair, Utterance
from vceval.signal.audio import Waveform

__all__ = ["try_recipe"]

#: Seconds that the worker may take to make weights up.
_LONGEST = 900


def try_recipe(name: str, weights: str = "", keep: str = "") -> int:
    """Convert three pairs of the demo corpus, the first one twice, and print what came of it.

    Args:
        name: of the recipe.
        weights: folder of files to use; none: files of the right shapes are made up, with values that are drawn.
        keep: new folder for the made-up files, which stay there, and for a file of systems that uses them; none: they
            are removed.

    Returns:
        0 where all pairs are converted and the seed decides what is drawn, else 1.

    Raises:
        UsageError: there is no such recipe or environment, or weights can't be made up.
    """
    recipe = recipe_of(name)
    found = environments.state(name)
    if not found.usable:
        raise UsageError(f"{name}: {found.text}")
    if not weights and not recipe.says.test.made_up:
        raise UsageError(
            f"{name}: its package can't make weights of the right shapes up, so nothing is proven; with its files, "
            f"vceval env test {name} --weights DIR converts"
        )
    if keep and (weights or (Path(keep).exists() and any(Path(keep).iterdir()))):
        raise UsageError(f"{keep}: --keep takes made-up weights, into a folder that is new or empty")
    pairs = _pairs()
    with tempfile.TemporaryDirectory(prefix="vceval-test-") as place:
        scratch = Path(place)
        options: dict[str, Any] = dict(recipe.says.test.options)
        if weights:
            options["weights"] = weights
        else:
            began = time.monotonic()
            folder = Path(keep).expanduser().resolve() if keep else scratch / "weights"
            options |= {"weights": str(folder), "other_weights": True, **_make_up(recipe, folder, pairs)}
            print(f"Made-up weights: {_megabytes(folder)} in {time.monotonic() - began:.0f} s", flush=True)
            if keep:
                systems = {"systems": {f"{name}-made-up": {"converter": name, **options}}}
                (folder / "systems.yaml").write_text(yaml.safe_dump(systems, sort_keys=False), encoding="utf-8")
                print(
                    f"They stay; to run a suite with them: vceval run --systems {folder / 'systems.yaml'}", flush=True
                )
        converter = class_of(name)(timeout=_LONGEST, **options)
        converter.open("cpu")
        try:
            wrong = _converted(converter, pairs, scratch)
        finally:
            converter.close()
    sound = (
        [] if weights else ["the sound: the weights are made up, so paths, shapes, rates and seeds are proven alone"]
    )
    for text in (*sound, "other devices than the CPU", *recipe.says.test.unproven):
        print(f"not proven: {text}")
    return 1 if wrong else 0


def _pairs() -> list[ConversionPair]:
    """Give three pairs of the demo corpus, each of another target."""
    corpus = registry.load("corpus", "demo")()
    by_speaker: dict[str, list[Utterance]] = {}
    for utterance in corpus.utterances():
        by_speaker.setdefault(utterance.speaker, []).append(utterance)
    speakers = sorted(by_speaker)[:4]
    return [
        ConversionPair(
            f"{source}-{target}", "demo", source=by_speaker[source][0], prompts=(by_speaker[target][1],),
            target_speaker=target,
        )
        for source, target in itertools.pairwise(speakers)
    ]  # fmt: skip


def _make_up(recipe: Recipe, folder: Path, pairs: list[ConversionPair]) -> dict[str, Any]:
    """Let the worker write files of the first model, and of each target where every one has a model.

    Raises:
        UsageError: it fails.
    """
    model = next(iter(recipe.says.models))
    places = {use: folder / file.name for use, file in files_of(recipe, model).items()}
    speakers: dict[str, dict[str, Any]] = {}
    if recipe.says.any_to_one:
        speakers = {
            str(pair.target_speaker): {
                **{
                    key: str(folder / f"{pair.target_speaker}.{'pth' if key == 'model' else 'json'}")
                    for key in recipe.says.each_target
                },
                "median_f0": 150.0 + 20 * at,
            }
            for at, pair in enumerate(pairs[:2])  # the third one has none, and is skipped
        }
    for path in places.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    clone = environments.clone_of(recipe) if recipe.says.checkout else ""
    asked = {
        "make_up": True, "model": model, "files": {use: str(path) for use, path in places.items()}, "options": {},
        "speakers": speakers, "checkout": str(clone),
    }  # fmt: skip
    command = command_of(recipe, str(environments.interpreter(recipe.name)), asked)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=_LONGEST
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"{recipe.name}: weights were not made up within {_LONGEST} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise UsageError(f"{recipe.name}: weights can't be made up: {last}")
    for use, file in files_of(recipe, model).items():
        if file.form == "weights":
            mark_made_up(places[use])
    return {"speakers": speakers} if speakers else {}


def _converted(converter: ByRecipe, pairs: list[ConversionPair], scratch: Path) -> int:
    """Convert each pair, the first one again with its seed and with another; print and count what is wrong."""
    wrong = 0
    waves: list[np.ndarray | None] = []
    for number, (pair, seed) in enumerate([*((pair, 1) for pair in pairs), (pairs[0], 1), (pairs[0], 2)]):
        began = time.monotonic()
        [outcome] = converter.checked_outcomes([Request(converter.recipe.name, pair, seed, scratch / f"{number}.wav")])
        seconds = time.monotonic() - began
        if isinstance(outcome, Waveform):
            finite = bool(np.isfinite(outcome.samples).all())
            wrong += not finite
            print(
                f"{'ok ' if finite else 'BAD'} {pair.id} seed {seed}: {outcome.seconds:.3f} s at {outcome.sample_rate} "
                f"Hz, from {Request('', pair, 0, scratch).source.seconds:.3f} s, in {seconds:.1f} s",
                flush=True,
            )
            waves.append(outcome.samples)
        else:
            skipped = converter.recipe.says.any_to_one and pair.target_speaker not in converter.speakers
            wrong += not skipped
            print(f"{'-  ' if skipped else 'BAD'} {pair.id}: {reason_of(outcome)}", flush=True)  # type: ignore[arg-type]
            waves.append(None)
    first, again, other = waves[0], waves[-2], waves[-1]
    if first is None or again is None or other is None:
        return wrong
    same = first.shape == again.shape and bool((first == again).all())
    drawn = first.shape != other.shape or bool((first != other).any())
    for fine, text in (
        (same, "the same seed gives the same samples"),
        (drawn == converter.info.draws_noise, f"another seed gives {'other' if drawn else 'the same'} samples"),
    ):
        print(f"{'ok ' if fine else 'BAD'} {text}")
        wrong += not fine
    taken = converter.footprint()
    print(f"Memory {(taken.memory or 0) / 1e9:.1f} GB; parameters {sum((taken.parameters or {}).values()):,}")
    return wrong


def _megabytes(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:,.0f} MB"
