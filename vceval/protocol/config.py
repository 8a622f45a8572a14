"""``vceval.yaml``: what ``vceval run`` and ``vceval score`` are to do, where their options do not say it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from vceval.errors import UsageError
from vceval.protocol.schema import Names, Section, Text, read_document
from vceval.protocol.systems import SystemTable, systems_of

__all__ = ["NAME", "ConfigFile", "read_config", "write_template"]

#: The file that is read where it lies in the current folder.
NAME = "vceval.yaml"
#: Keys that name files or folders, relative to the file.
_PATHS = ("data", "out", "conversions", "natural", "root")
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ConfigFile(Section):
    """What vceval run and vceval score do where the command does not say it; keys are the names of options."""

    suite: Text | None = None
    """What vceval list suites lists, or a YAML file."""
    data: Text | None = None
    """Folder of the corpus."""
    corpus: Text | None = None
    """Of data: another reader than the suite's, such as csv; vceval run needs draw_pairs."""
    converters: Names | None = None
    """What vceval list converters lists, instead of the suite's."""
    systems: SystemTable | None = None
    """Systems besides: names, with the converter and options of each."""
    metrics: Names | None = None
    """What vceval list metrics lists, instead of the usual ones."""
    recogniser: Text | None = None
    """Of wer and cer, such as whisper:large-v3."""
    allow_download: bool | None = None
    """Fetch the recogniser where it is not here."""
    out: Text | None = None
    """Folder of the run."""
    limit: Count | None = None
    """Only so many pairs."""
    draw_pairs: Count | None = None
    """Draw another list of so many pairs."""
    allow_missing: bool | None = None
    """Run without the utterances that are not on disk."""
    seed: Annotated[int, Field(ge=0)] | None = None
    """For draw_pairs, and for converters that draw noise."""
    seeds: Count | None = None
    """Conversions of each pair where a system draws noise."""
    precision: Literal["float32", "tf32", "bf16", "fp16"] | None = None
    """Of our own networks."""
    resampler: Literal["authors", "vceval"] | None = None
    """Of our own networks: as their authors ran them, or soxr."""
    conversions: Text | None = None
    """Of vceval score: a table, or a folder with the files of all systems."""
    pattern: Text | None = None
    """Of vceval score: how files of the folder are named."""
    natural: Text | None = None
    """Of vceval score: a table of natural speech."""
    root: Text | None = None
    """Of vceval score: folder that paths in the tables start from."""
    language: Text | None = None
    """Of vceval score: language of the speech where the table names none."""
    no_controls: bool | None = None
    """Of vceval score: no rows of sources, natural targets and their resynthesis."""
    device: Text | None = None
    """cpu, cuda, cuda:N or auto."""
    workers: Count | None = None
    """Worker processes."""
    executor: Literal["local", "ray"] | None = None
    """This machine, or a Ray cluster."""
    ray_address: Text | None = None
    """The cluster: auto, or HOST:PORT."""
    timeout: Seconds | None = None
    """Seconds that one pair may take."""
    channel: Literal["left", "right", "mix"] | None = None
    """What to take of recordings whose channels differ."""
    max_seconds: Seconds | None = None
    """Refuse longer recordings."""


def read_config(path: Path) -> Mapping[str, Any]:
    """Read a file into values of options, by their names; paths start from the file's folder.

    Raises:
        UsageError: the file is missing or no YAML; a key is unknown, or a value is not what it must be.
    """
    found = read_document(path, ConfigFile)
    values = {name: value for name in ConfigFile.model_fields if (value := getattr(found, name)) is not None}
    for name in _PATHS:
        if name in values:
            values[name] = path.parent / Path(values[name]).expanduser()
    if values.get("suite", "").endswith((".yaml", ".yml")):
        values["suite"] = str(path.parent / values["suite"])
    if found.systems:
        del values["systems"]
        values["system"] = systems_of(found.systems)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def write_template(path: Path) -> None:
    """Write a commented file in which a demo run is set, and everything else is explained.

    Raises:
        UsageError: there is a file already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError:
        raise UsageError(f"{path}: is there already; give another name, or remove it first") from None


TEMPLATE = """\
# What 'vceval run' and 'vceval score' do in this folder, where the command does not say it.
# Keys are the names of options ('vceval run --help'); paths start from this file's folder.
# For an editor that completes and checks: vceval schema config > vceval.schema.json, and then
# yaml-language-server: $schema=vceval.schema.json

# A suite (vceval list suites), or a YAML file of your own.
suite: demo

# Folder of the suite's corpus; the demo brings its own.
# data: /data/VCTK-Corpus-0.92

# Converters instead of the suite's (vceval list converters); source and target are bounds.
# converters: [source, target, world]

# Systems besides: your own program, or audio that is there already.
# systems:
#   mine:
#     converter: command
#     command: [python, worker.py]
#   theirs:
#     converter: precomputed
#     folder: /data/theirs

# Metrics instead of the usual ones (vceval list metrics).
# metrics: [mcd, sv, wer, sanity]

# What hears the words for wer and cer; vceval checkpoints add whisper/large-v3 fetches it.
# recogniser: whisper:large-v3

# Folder of the run.
# out: runs/mine

# Only so many pairs, for a first look.
# limit: 8

# For vceval score: audio that somebody already converted, and natural speech beside it.
# conversions: conversions.csv
# natural: natural.csv
"""
