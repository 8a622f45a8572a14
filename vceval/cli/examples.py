"""Examples that the help of each command ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["EXAMPLES", "FIRST"]

#: What ``vceval`` alone shows: the command, and what it is for.
FIRST: Mapping[str, str] = {
    "vceval run": "the demo: convert, score, report; no download",
    "vceval score conversions.csv": "audio that you already have",
    "vceval run --system 'mine=command:python worker.py'": "your own converter on the demo",
    "vceval init": "write a commented vceval.yaml",
    "vceval doctor": "what works on this machine",
    "vceval --help": "all commands",
}
#: By command, without ``vceval``.
EXAMPLES: Mapping[str, Sequence[str]] = {
    "run": (
        "vceval run --limit 8",
        "vceval run --suite vctk_unseen --data /data/VCTK-Corpus-0.92 --converters freevc,knnvc --dry-run",
        "vceval run --system 'mine=command:python worker.py' --metrics mcd,sv,wer --out runs/mine",
    ),
    "score": (
        "vceval score conversions.csv --natural natural.csv --out runs/mine",
        "vceval score out/*/ --corpus vctk --data /data/VCTK-Corpus-0.92",
        "vceval score converted --pattern '{system}_{source}TO{target}.wav'",
        "vceval score --columns",
    ),
    "stream": (
        "vceval stream demo --limit 4 --system 'fast=chunked:world hop=80 lookahead=40 crossfade=20'",
        "vceval stream vctk_unseen --data /data/VCTK-Corpus-0.92 --system 'mine=command:python worker.py' --chunk 40",
    ),
    "reproduce": (
        "vceval reproduce freevc --list",
        "vceval reproduce mediumvc",
        "vceval reproduce knnvc --source src.wav --prompt tgt.wav --published converted.mp3 --page-did lossy",
    ),
    "manifest": ("vceval manifest out/*/ --corpus vctk --data /data/VCTK-Corpus-0.92 > conversions.csv",),
    "report": ("vceval report runs/demo --style acl", "vceval report runs/mine runs/baselines --out runs/both"),
    "table": (
        "vceval table runs/demo",
        "vceval table runs/demo --measures mcd,sv_accept,wer,rtf --style interspeech --out results.tex",
        "vceval table runs/mine --preset seedvc --format markdown",
    ),
    "select": (
        "vceval select runs/epoch1 runs/epoch2 runs/epoch3",
        "vceval select --watch runs --floor 60",
    ),
    "publish": (
        "vceval publish runs/demo --out results",
        "vceval publish runs/mine --system mine,source",
        "vceval publish --check results/*.json --keys trusted.txt",
        "vceval publish runs/mine --system mine --huggingface model --benchmark OWNER/NAME",
        "vceval publish vctk_unseen --huggingface data --benchmark OWNER/NAME",
    ),
    "board": ("vceval board results --out site", "vceval board results --out site --keys trusted.txt"),
    "key new": ("vceval key new --name 'Speech Group, University of X'",),
    "key show": ("vceval key show",),
    "published": (
        "vceval published freevc",
        "vceval published vctk_unseen --metric WER",
        "vceval published --laboratories",
    ),
    "status": ("vceval status runs/demo", "vceval status runs/demo --profile"),
    "verify": ("vceval verify runs/demo",),
    "compare": ("vceval compare runs/yesterday runs/today",),
    "gate": (
        "vceval baseline save runs/demo good.json",
        "vceval gate runs/today --baseline good.json --junit gate.xml",
    ),
    "gate plan": ("vceval gate plan demo", "vceval gate plan runs/today --baseline good.json"),
    "gate calibrate": ("vceval gate calibrate runs/seed1 runs/seed2 runs/seed3 --save-rules rules.yaml",),
    "baseline save": ("vceval baseline save runs/demo good.json",),
    "list": ("vceval list metrics", "vceval list converters --json"),
    "suite freeze": ("vceval suite freeze rule.yaml --data /data/VCTK-Corpus-0.92 --out mine.yaml",),
    "checkpoints list": ("vceval checkpoints list", "vceval checkpoints list freevc --json"),
    "checkpoints path": ("vceval checkpoints path",),
    "checkpoints add": ("vceval checkpoints add ~/Downloads/freevc.pth", "vceval checkpoints add whisper/large-v3"),
    "checkpoints verify": ("vceval checkpoints verify",),
    "env create": ("vceval env create openvoice",),
    "env list": ("vceval env list",),
    "env path": ("vceval env path openvoice",),
    "env test": ("vceval env test openvoice",),
    "env remove": ("vceval env remove openvoice",),
    "listen export": ("vceval listen export runs/demo --listeners 8 --pairs 4",),
    "listen texts": ("vceval listen texts", "vceval listen texts de > mine.yaml"),
    "listen serve": ("vceval listen serve runs/demo/listening --port 8123",),
    "listen import": ("vceval listen import runs/demo runs/demo/listening/answers.sqlite",),
    "listen plan": (
        "vceval listen plan --difference 0.2 --power 0.8",
        "vceval listen plan --difference 0.3 --question similarity --pairs 48 --each 2 --cost 0.05",
    ),
    "agree": ("vceval agree runs/submissions --ratings vcc2020", "vceval agree runs/mine --ratings ratings.csv --json"),
    "schema": ("vceval schema suite > suite.schema.json", "vceval schema config > vceval.schema.json"),
    "selfcheck": ("vceval selfcheck",),
    "doctor": ("vceval doctor",),
    "init": ("vceval init", "vceval init experiments/vceval.yaml"),
    "completion": ("vceval completion bash > ~/.local/share/bash-completion/completions/vceval",),
}
