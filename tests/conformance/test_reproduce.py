"""``vceval reproduce`` on made-up pages: of a system with weights of the right shapes, and of small ones that draw."""

from __future__ import annotations

import functools
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import soundfile
import yaml
from sounds import hum

from vceval import registry
from vceval.cli.main import main
from vceval.cli.reproduce import fetched
from vceval.cli.schema import schema_of
from vceval.conformance import made_up_files, page_audio
from vceval.conformance.reproduce import Material, _scores, reproduce
from vceval.converters import certificates, demo_pages
from vceval.converters.base import Converter, ConverterInfo, Outcome, Request
from vceval.converters.demo_words import WORDS
from vceval.errors import UsageError
from vceval.records import ConversionPair, System, Utterance
from vceval.signal.audio import Waveform, resample
from vceval.storage.cache import file_digest

pytest.importorskip("torch")

#: The system of the made-up page: it draws nothing.
NAME = "maevc"


@dataclass(frozen=True)
class Page:
    """A folder as a demo page has it, and the weights that its conversion was made with."""

    folder: Path
    weights: Path

    def command(self, published: str = "converted.wav", *more: str, prompt: str = "target.wav") -> list[str]:
        files = {"--source": "source.wav", "--prompt": prompt, "--published": published}
        return ["reproduce", NAME, "--weights", str(self.weights), *more,
                *(word for option, name in files.items() for word in (option, str(self.folder / name)))]  # fmt: skip


def convert(weights: Path, source: Path, prompt: Path) -> Waveform:
    converter = registry.load("converter", NAME)(weights=str(weights))
    converter.open("cpu")
    pair = ConversionPair("one", "page", Utterance("s", source, "page"), (Utterance("t", prompt, "page"),))
    [made] = converter.convert([Request(NAME, pair, 5, source)])
    assert isinstance(made, Waveform), made
    return made


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    place = tmp_path_factory.mktemp("page")
    for name, seconds, pitch in (
        ("source", 1.0, 120.0),
        ("target", 0.8, 210.0),
        ("other", 0.9, 90.0),
        ("longer", 1.4, 140.0),
    ):
        soundfile.write(place / f"{name}.wav", hum(seconds, 22_050, pitch=pitch), 22_050)
    for folder, seed in (("weights", 0), ("trained again", 3)):
        for file in registry.load("converter", NAME).files:
            made_up_files.write(file, place / folder, seed)
    made = convert(place / "weights", place / "source.wav", place / "target.wav")
    samples, rate = made.samples, made.sample_rate
    swapped = convert(place / "weights", place / "longer.wav", place / "target.wav")
    for name, values, at in (
        ("converted", samples, rate), ("truncated", samples[: len(samples) * 4 // 5], rate),
        ("quiet", 0.7 * samples, rate), ("swapped", swapped.samples, rate),
    ):  # fmt: skip
        soundfile.write(place / f"{name}.wav", values, at, subtype="PCM_16")
    return Page(place, place / "weights")


@pytest.fixture(autouse=True)
def filed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(tmp_path / "store"))
    return tmp_path / "store"


def test_the_right_page(page: Page, filed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(page.command()) == 0
    said = capsys.readouterr().out
    assert said.startswith("REPRODUCED\n")
    assert "the page did nothing that was found" in said
    assert main([*page.command(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reproduced"]
    assert found["found"] == {}
    assert found["snr_db"] > 60
    assert found["largest_difference"] <= 1.01 / 32_768
    assert found["other_prompt_db"] < found["snr_db"] - 6
    assert found["spectrum_db"] < 0.1
    assert found["files"] == {
        file.name: file_digest(page.weights / file.name) for file in registry.load("converter", NAME).files
    }
    assert found["inputs"]["published"]["sha256"] == file_digest(page.folder / "converted.wav")
    assert Path(found["kept"]).is_relative_to(filed)


@pytest.mark.parametrize(
    ("published", "prompt", "weights", "why"),
    [
        ("converted.wav", "target.wav", "trained again", "other audio|waveforms differ"),
        ("converted.wav", "other.wav", "weights", "waveforms differ"),
        ("swapped.wav", "target.wav", "weights", "other audio|waveforms differ"),
        ("truncated.wav", "target.wav", "weights", r"is cut \(without .* at its end\), which is not declared"),
        ("quiet.wav", "target.wav", "weights", r"of another level \(-3\.\d+ dB\), which is not declared"),
    ],
)  # fmt: skip
def test_tampered_pages(
    page: Page, capsys: pytest.CaptureFixture[str], published: str, prompt: str, weights: str, why: str
) -> None:
    tampered = Page(page.folder, page.folder / weights)
    assert main([*tampered.command(published, prompt=prompt), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["reproduced"]
    assert found["verdict"].startswith("not reproduced")
    assert re.search(why, " ".join(found["reasons"])), found["reasons"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--seeds", "2"], "at least 4"), (["--page-did", "mp3"], "must be of resampled, lossy"),
        (["--all"], "choose from the list"), (["--weights", "not/there"], "is no folder"),
        (["--published", "not/there.wav"], "there.wav"),
    ],
)  # fmt: skip
def test_wrong_use(page: Page, capsys: pytest.CaptureFixture[str], more: list[str], said: str) -> None:
    assert main([*page.command(), *more]) == 2
    assert said in capsys.readouterr().err


def test_half_of_the_files(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", NAME, "--source", "a.wav"]) == 2
    assert "--prompt and --published: give source, prompt and published conversion" in capsys.readouterr().err
    assert main(["reproduce", "knnvc"]) == 2
    assert "no published conversion of knnvc is known here" in capsys.readouterr().err
    assert main(["reproduce", "freevc", "--page-did", "level"]) == 2
    (page.folder / "text.wav").write_text("hello")
    assert main(page.command("text.wav")) == 2
    assert "the published file can't be used" in capsys.readouterr().err


@pytest.fixture
def served(page: Page) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(page.folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def catalogue(page: Page, address: str, path: Path, published: str = "converted.wav", sha: str = "") -> Path:
    def entry(name: str, sha: str = "") -> dict[str, str]:
        return {"path": name, "sha256": sha or file_digest(page.folder / name)}

    conversion = {
        "source": entry("source.wav"), "prompts": [entry("target.wav")], "published": {NAME: entry(published, sha)},
    }  # fmt: skip
    pages = {"mine": {"title": "A page", "page": address, "files": address, "authors_of": [NAME],
                      "did": {NAME: ["lossy"]}, "conversions": {"one": conversion}}}  # fmt: skip
    path.write_text(json.dumps({"pages": pages}))  # YAML, too
    return path


def test_a_page_is_fetched_once_and_its_certificate_goes_into_the_run(
    page: Page, served: str, filed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in registry.load("converter", NAME).files:
        (filed / file.name).parent.mkdir(parents=True, exist_ok=True)
        (filed / file.name).symlink_to(page.weights / file.name)
    pages = catalogue(page, served, tmp_path / "pages.yaml")
    assert main(["reproduce", NAME, "--pages", str(pages), "--list"]) == 0
    assert "mine/one: A page, by its authors" in capsys.readouterr().out
    assert main(["reproduce", NAME, "--pages", str(pages)]) == 0
    assert len(list((filed / "demo_pages").rglob("*.wav"))) == 3
    [case] = demo_pages.cases_of(NAME, catalogue(page, "http://127.0.0.1:9/", tmp_path / "gone.yaml"))
    assert fetched(case.published).read_bytes() == (page.folder / "converted.wav").read_bytes()
    # The same files elsewhere are the same system; what is not reproduced is counted too
    assert main([*page.command("swapped.wav")]) == 1
    run = ["run", "--converters", NAME, "--limit", "1", "--metrics", "sanity", "--workers", "1", "--device", "cpu"]
    assert main([*run, "--out", str(tmp_path / "run")]) == 0
    found = json.loads((tmp_path / "run" / "run.json").read_text())["certificates"][NAME]
    assert (found["reproduced"], found["of"]) == (1, 2)
    assert found["conversions"]["mine/one"].startswith("reproduced: waveform, ")
    assert "reproduced: waveform, " in (tmp_path / "run" / "report" / "index.html").read_text()


def test_what_can_not_be_fetched(
    page: Page, served: str, filed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = catalogue(page, served, tmp_path / "wrong.yaml", sha="0" * 64)
    command = ["reproduce", NAME, "--weights", str(page.weights), "--pages"]
    assert main([*command, str(wrong)]) == 2
    assert "what came is not the published file: its SHA-256 is" in capsys.readouterr().err
    assert not list((filed / "demo_pages").rglob("converted.wav"))
    gone = catalogue(page, "http://127.0.0.1:9/", tmp_path / "gone.yaml", "quiet.wav")
    assert main([*command, str(gone)]) == 2
    assert "the server can't be reached" in capsys.readouterr().err
    (tmp_path / "no.yaml").write_text(gone.read_text().replace('"lossy"', '"louder"'))
    assert main([*command, str(tmp_path / "no.yaml")]) == 2
    assert "no.yaml: pages" in capsys.readouterr().err


def test_the_catalogue() -> None:
    """It is of its schema, every system of it is registered, and every file is named with the commit of its page."""
    path = Path(demo_pages.__file__).with_name("demo_pages.yaml")
    schema = jsonschema.Draft202012Validator(json.loads(schema_of("demo-pages")))
    assert [fault.message for fault in schema.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))] == []
    pages = demo_pages.read_pages()
    systems = {
        name for one in pages.values() for conversion in one.conversions.values() for name in conversion.published
    }
    assert systems <= set(registry.names("converter"))
    assert len(systems) >= 8
    for page_name, one in pages.items():
        assert set(one.authors_of) | set(one.did) <= systems, page_name
        assert len(one.files.rstrip("/").rsplit("/", 1)[1]) == 40, page_name
    first = demo_pages.cases_of("freevc")[0]
    assert first.own
    assert " " not in demo_pages.cases_of("maevc")[0].published.url


def test_the_catalogue_names_the_files_of_the_pack(shared: Path) -> None:
    """By path and SHA-256, as the pack's list of origins has them."""
    import csv

    with open(shared / "published_demos" / "provenance.csv", encoding="utf-8", newline="") as handle:
        known = {(row["origin_repo"], row["origin_commit"], row["origin_path"]): row["sha256_of_origin"]
                 for row in csv.DictReader(handle)}  # fmt: skip
    for one in demo_pages.read_pages().values():
        owner, repository, commit = one.files.rstrip("/").rsplit("/", 3)[1:]
        for conversion in one.conversions.values():
            for file in (conversion.source, *conversion.prompts, *conversion.published.values()):
                assert known[f"{owner}/{repository}", commit, file.path] == file.sha256


# Small systems, of which what is found is known


class Drawing(Converter):
    """Filters the source by the spectrum of the prompt and a number, and multiplies each cell by noise, if any."""

    info = ConverterInfo("drawing", "Drawing", 16_000, "none", "", "native")

    def __init__(self, tilt: float = 1.0, noise: float = 0.3, voice: float = 0.5) -> None:
        self.tilt, self.noise, self.voice = tilt, noise, voice
        self.declare_noise(noise > 0)

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        return [self.one(request.source, request.prompts[0], request.seed) for request in requests]

    def one(self, source: Waveform, prompt: Waveform, seed: int) -> Waveform:
        from vceval.signal.spectral import hann, istft, stft

        spectrum = stft(source.samples, 512, 128, padding="zeros")
        level = np.abs(stft(prompt.samples, 512, 128, padding="zeros")).mean(axis=0) + 1e-3
        shape = (level / level.mean()) ** self.voice * np.exp(self.tilt * np.linspace(0, -1, 257))
        rng = np.random.default_rng(seed)
        drawn = np.exp(self.noise * (rng.standard_normal(spectrum.shape) + 9j * rng.random(spectrum.shape)))
        made = istft(spectrum * shape * drawn, 128, hann(512))
        return Waveform((0.1 * made / np.std(made)).astype(np.float32), 16_000)


@pytest.fixture
def page_of(tmp_path: Path, make_sound: Callable[..., Path]) -> Callable[..., dict[str, Any]]:
    """Publish what a system draws, and hold another one against it."""
    source, target = make_sound("source.wav", 1.2), make_sound("target.wav", 1.0, pitch=230.0)
    other = make_sound("other.wav", 1.0, pitch=95.0)

    def certified(
        theirs: Drawing,
        ours: Drawing | None = None,
        swap: bool = False,
        change: Callable[[Any], Any] = lambda x: x,
        rate: int = 16_000,
        did: tuple[Any, ...] = (),
        container: str = "wav",
        subtype: str = "PCM_16",
    ) -> dict[str, Any]:
        sound = {path: Waveform(soundfile.read(path, dtype="float32")[0], 16_000) for path in (source, target, other)}
        made = theirs.one(sound[source], sound[other if swap else target], 1234)
        published = tmp_path / f"published.{container}"
        at = resample(made, rate, "resampy-0.2").samples
        soundfile.write(published, change(at), rate, subtype if container == "wav" else None, format=container)
        material = Material("one", source, (target,), published, did)
        return reproduce(System("drawing", "drawing"), ours or theirs, material)

    return certified


QUIET = Drawing(noise=0.0)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, {}),
        ({"change": lambda x: x[: len(x) * 4 // 5]}, {"trimmed": r"^without 3,8\d\d samples \(0\.2\d+ s\) at its end"}),
        ({"change": lambda x: x[900:-500]}, {"trimmed": "^without 900 samples .* and 500 samples .* end"}),
        ({"change": lambda x: 1.5 * x}, {"level": r"^\+3\.52\d dB"}),
        ({"change": lambda x: np.pad(x, (300, 40))}, {"delay": "^300 samples", "padded": "^40 samples"}),
        ({"change": lambda x: x[-1_700:]}, {"trimmed": r"^without 17,\d\d\d samples .* at its beginning"}),
        ({"change": lambda x: np.pad(x, (60_000, 0))}, {"delay": "^60,000 samples"}),
        ({"subtype": "ULAW"}, {"lossy": "^WAV ULAW"}),
        ({"subtype": "PCM_U8", "change": lambda x: np.pad(x, (300, 0))}, {"lossy": "^WAV PCM_U8", "delay": "^300 "}),
        ({"subtype": "IMA_ADPCM"}, {"lossy": "^WAV IMA_ADPCM"}),
        ({"rate": 11_025}, {"resampled": "^16,000 to 11,025 Hz"}),
        ({"rate": 22_050}, {"resampled": "^16,000 to 22,050 Hz"}),
        ({"container": "mp3"}, {"lossy": "^MP3 MPEG_LAYER_III"}),
        ({"container": "ogg", "change": lambda x: 0.5 * x}, {"lossy": "^OGG VORBIS", "level": r"^-6\.0\d\d dB"}),
        ({"rate": 11_025, "change": lambda x: 0.5 * x[200:]}, {"resampled": "", "level": "^-6", "trimmed": " 200 "}),
    ],
)  # fmt: skip
def test_what_a_page_did_is_found_and_no_excuse(
    page_of: Callable[..., dict[str, Any]], more: dict[str, Any], found: dict[str, str]
) -> None:
    plain, declared = page_of(QUIET, **more), page_of(QUIET, **more, did=tuple(found))
    assert plain["found"].keys() == found.keys()
    for word, text in found.items():
        assert re.search(text, plain["found"][word]), plain["found"]
    assert (plain["reproduced"], len(plain["reasons"])) == (not found, len(found)), plain["reasons"]
    assert declared["reproduced"], declared["reasons"]
    if more.get("rate") == 11_025:
        assert declared["nearest resampler"] == "resampy-0.2"
        assert declared["compared_below_hz"] == pytest.approx(0.75 * 11_025 / 2)


@pytest.mark.parametrize("ours", [Drawing(tilt=6.0, noise=0.0), Drawing(voice=0.3, noise=0.0)])
@pytest.mark.parametrize("container", ["wav", "mp3"])
def test_declaring_does_not_make_other_audio_right(
    page_of: Callable[..., dict[str, Any]], ours: Drawing, container: str
) -> None:
    found = page_of(QUIET, ours, did=WORDS, container=container)  # MP3 hides what is quieter than its noise
    assert not found["reproduced"]
    assert not page_of(QUIET, did=WORDS, swap=True, container=container)["reproduced"]
    assert "waveforms differ" in found["reasons"][0]


def test_a_waveform_that_another_prompt_gives_too_proves_nothing(page_of: Callable[..., dict[str, Any]]) -> None:
    found = page_of(Drawing(noise=0.0, voice=1e-6))
    assert not found["reproduced"]
    assert "nothing is proven: another prompt gives" in found["reasons"][0]


def test_a_draw_of_the_same_system_is_reproduced(page_of: Callable[..., dict[str, Any]]) -> None:
    found = page_of(Drawing())
    assert found["reproduced"], found["reasons"]
    assert found["seeds"] == 19
    assert found["found"] == {}
    assert found["other_prompt_deviations"] > found["deviations_of_seeds"][1]
    assert "not the farthest out of 20, as one more draw is in 5%" in found["criterion"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"ours": Drawing(tilt=2.0)}, "lies farther out than all 19"),
        ({"swap": True}, "lies farther out than all 19"),
        ({"change": lambda x: x[::-1].copy()}, "lies farther out"),
        ({"change": lambda x: x[: len(x) * 3 // 4]}, r"is cut \(without .* at its end\)"),
        ({"change": lambda x: 2 * x}, r"of another level \(\+6\.\d+ dB"),
        ({"rate": 11_025}, r"is resampled \(16,000 to 11,025 Hz\)"),
    ],
)
def test_tampered_draws(page_of: Callable[..., dict[str, Any]], more: dict[str, Any], why: str) -> None:
    found = page_of(Drawing(), **more)
    assert not found["reproduced"]
    assert re.search(why, " ".join(found["reasons"])), found


@pytest.mark.parametrize(
    "more",
    [{"change": lambda x: 2 * x, "did": ("level",)}, {"rate": 11_025, "did": ("resampled",)},
     {"change": lambda x: x[3200:], "did": ("trimmed",)},
     {"change": lambda x: np.pad(x, (60_000, 0)), "did": ("delay",)}],
)  # fmt: skip
def test_draws_with_what_the_page_did(page_of: Callable[..., dict[str, Any]], more: dict[str, Any]) -> None:
    found = page_of(Drawing(), **more)
    assert found["reproduced"], found["reasons"]
    assert set(found["found"]) == set(more["did"])


def test_a_spread_that_another_prompt_lies_in_proves_nothing(page_of: Callable[..., dict[str, Any]]) -> None:
    found = page_of(Drawing(voice=0.0))
    assert not found["reproduced"]
    assert found["reasons"] == [
        "nothing is proven: another prompt lies within the same spread; give --seeds, or another pair"
    ]


def test_how_often_a_right_draw_is_refused() -> None:
    """One in 20 by its rank, whatever the distribution: 400 draws are refused 20 times, within three deviations."""
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        spectra = list(rng.standard_t(3, (20, 12, 40)))
        vectors = list(rng.standard_normal((20, 8)))
        scores = _scores(spectra, vectors)
        refused += bool(scores[0] > scores[1:].max())
    assert abs(refused - 20) <= 3 * np.sqrt(400 * 0.05 * 0.95)


# Certificates


def test_certificates_belong_to_weights_options_and_signature(page: Page, tmp_path: Path) -> None:
    kind = registry.load("converter", NAME)
    usual = kind(weights=str(page.weights))
    about = certificates.subject(usual, {"weights": str(page.weights)})
    certificates.keep(about, "one", {"reproduced": True, "verdict": "reproduced: x", "vceval": "1"})
    assert certificates.summary(usual, {})["conversions"] == {"one": "reproduced: x (vceval 1)"}
    certificates.keep(about, "one", {"reproduced": False, "verdict": "not reproduced: y", "vceval": "1"})
    assert certificates.summary(usual, {}) == {
        "reproduced": 0, "of": 1, "conversions": {"one": "not reproduced: y (vceval 1)"},
    }  # fmt: skip
    assert certificates.summary(kind(weights=str(page.folder / "trained again")), {}) == {}
    assert certificates.summary(kind(weights=str(page.weights), resampler="vceval"), {}) == {}
    assert certificates.summary(kind(weights=str(page.weights), precision="bf16"), {}) == {}
    [kept] = (tmp_path / "store" / "certificates").iterdir()
    kept.write_text("{")
    with pytest.raises(UsageError, match="can't be read as certificates"):
        certificates.summary(usual, {})


# What a page did


@pytest.mark.parametrize(("container", "subtype"), [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS")])
def test_the_noise_of_a_codec_is_measured_with_its_bits(tmp_path: Path, container: str, subtype: str) -> None:
    sound = Waveform(hum(3.0, 22_050), 22_050)
    noise = []
    for level in (0.2, 0.8):
        path = tmp_path / f"{level}.{container.lower()}"
        soundfile.write(path, sound.samples, 22_050, format=container, subtype=subtype, compression_level=level)
        published = page_audio.read(path)
        assert published.lossy
        theirs = page_audio.signal_to_noise(page_audio.hold(published, sound, copy=True))
        again = page_audio.Published(path, page_audio.coded(sound, published), published.codec, True, False)
        ours = page_audio.signal_to_noise(page_audio.hold(again, sound, copy=True))
        assert abs(ours - theirs) < 3
        noise.append(theirs)
    assert noise[0] > noise[1] + 3


@pytest.mark.parametrize("late", [0, 1105, -700, 0.4])
def test_delays_are_found(late: float) -> None:
    sound = hum(1.0, 16_000).astype(np.float64)
    spectrum = np.fft.rfft(np.pad(sound, 2000))
    moved = np.fft.irfft(spectrum * np.exp(-1j * np.linspace(0, np.pi, len(spectrum)) * late))
    made = Waveform(np.pad(sound, 2000).astype(np.float32), 16_000)
    theirs = page_audio.Published(Path("a.wav"), Waveform(moved.astype(np.float32), 16_000), "WAV FLOAT", False, False)
    held = page_audio.hold(theirs, made, copy=True)
    assert held.at == round(late)
    assert page_audio.signal_to_noise(held) > 50
    wanted = {0: set(), 1105: {"delay", "trimmed"}, -700: {"trimmed", "padded"}, 0.4: {"delay"}}[late]
    assert set(held.found) == wanted
