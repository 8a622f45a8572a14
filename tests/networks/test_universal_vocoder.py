"""The universal vocoder: reference cases, its published layout, and items that do not feel each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drawn_classes import drawn_classes

from vceval.checkpoints.weights import shapes_of
from vceval.conformance.kits import made_up_weights
from vceval.errors import UsageError

torch = pytest.importorskip("torch")

#: (hop, mel_dim, mel_rnn_dim, emb_dim, wav_rnn_dim, affine_dim, bits)
SMALL = (13, 6, 5, 7, 18, 11, 5)


def vocoder(*sizes: int) -> Any:
    """A vocoder of any size with made-up weights, its classes not equally likely."""
    from vceval.networks.universal_vocoder import UniversalVocoder

    network = UniversalVocoder(*sizes)
    weights = made_up_weights(network)
    weights["wav_rnn.weight_ih_l0"] *= 3.0
    weights["affine.2.weight"] *= 2.0
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def mels(bands: int, *frames: int) -> list[Any]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(count, bands, generator=generator) * 2.0 - 4.0 for count in frames]


def published(sizes: tuple[int, ...], hop: int, rate: int = 16_000) -> Any:
    """A scripted module that stores what the authors' archive stores, under the same names."""

    class Archive(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sample_rate, self.hop_len, self.pad, self.frames_per_slice = rate, hop, 16, 8
            self.wav_rnn_dim, self.quant_dim = sizes[4], 2 ** sizes[6]
            for name, child in vocoder(*sizes).named_children():
                setattr(self, name, child)

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            return self.affine(self.wav_rnn(self.embedding(codes))[0])

    # What the archive computes does not matter, and is not run
    return torch.jit.script(Archive())


def test_published_layout() -> None:
    from vceval.networks import universal_vocoder

    with torch.device("meta"):
        networks = universal_vocoder.fragmentvc(), universal_vocoder.cyhuang()
    assert [network.hop for network in networks] == [326, 200]
    for network in networks:
        shapes = shapes_of(network.state_dict())
        assert len(shapes) == 25
        assert sum(int(np.prod(shape)) for shape in shapes.values()) == 5_100_800
        assert shapes["wav_rnn.weight_ih_l0"] == (2_688, 512)
        assert shapes["mel_rnn.weight_ih_l1_reverse"] == (384, 256)


def test_generation_is_the_network_step_by_step() -> None:
    """The plain network, given what was generated before, gives the probabilities that were drawn from."""
    from vceval.networks.universal_vocoder import draw_by_uniform, uniforms

    network = vocoder(*SMALL)
    mel, draws = mels(6, 9)[0], uniforms(5, 9 * 13)
    codes = network.codes([mel], [draws])[0]
    before = torch.cat([torch.tensor([network.classes // 2]), codes[:-1]])
    logits = network(before[None], mel[None])[0]
    assert torch.equal(draw_by_uniform(logits, draws), codes)
    assert len(torch.unique(codes)) > 10


def test_classes_are_those_of_the_plain_formulas() -> None:
    """Items of unequal lengths, one longer than what is laid out at once."""
    from vceval.networks.universal_vocoder import uniforms

    network = vocoder(*SMALL)
    items = mels(6, 70, 3, 1, 8, 8)
    draws = [uniforms(seed, len(item) * 13) for seed, item in enumerate(items)]
    with torch.inference_mode():
        conditions = [network.conditions(item) for item in items]
    for codes, *given in zip(network.codes(items, draws), conditions, draws, strict=True):
        assert codes.tolist() == drawn_classes(network, *given).tolist()


def recording(monkeypatch: pytest.MonkeyPatch, replay: Any, fault: str = "") -> None:
    """Stand in for CUDA graphs: the steps between begin and end are kept, not computed; ``replay`` computes them."""

    @contextmanager
    def graph(made: Any, stream: Any, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        frame = made.frame
        kept = [values.clone() for values in (frame.state, frame.codes, frame._made)]
        yield
        for values, old in zip((frame.state, frame.codes, frame._made), kept, strict=True):
            values.copy_(old)
        if fault:
            raise RuntimeError(fault)

    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, value in (
        ("graph", graph),
        ("CUDAGraph", lambda: replay),
        ("current_stream", lambda device: stream),
        ("stream", lambda stream: nullcontext()),
    ):
        monkeypatch.setattr(torch.cuda, name, value)
    from vceval.networks import universal_vocoder

    monkeypatch.setattr(universal_vocoder, "_stream", lambda device: stream)
    monkeypatch.setattr(universal_vocoder, "_unrecorded", set())


class Replay:
    """A recorded frame; ``off`` is added to its classes."""

    def __init__(self, frame: Any, off: int = 0) -> None:
        self.frame, self.off = frame, off

    def replay(self) -> None:
        self.frame.steps()
        self.frame._made += self.off


@pytest.mark.parametrize(
    ("off", "fault", "told"),
    [(0, "", ""), (1, "", "it gives other values"), (0, "not permitted\nhere", "not permitted")],
)
def test_a_graph_is_taken_only_if_it_gives_the_same(
    off: int, fault: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vceval.networks import universal_vocoder as sampling

    network = vocoder(*SMALL)
    stepper = sampling._Stepper(network, 4)
    generator = torch.Generator().manual_seed(2)
    condition = torch.randn(4, 3 * 18, generator=generator)
    draws = [torch.rand(13, 4, generator=generator, dtype=torch.float64) for _ in range(3)]
    plain, frame = (sampling._Frame(stepper, 4, 13, sampling.draw_by_uniform) for _ in range(2))
    recording(monkeypatch, Replay(frame, off), fault)
    monkeypatch.setattr(frame, "_recordable", lambda: frame.state.device not in sampling._unrecorded)
    with pytest.warns(RuntimeWarning, match=rf"graph \({told}\); they are started") if told else nullcontext():
        found = frame(condition, draws[0]).clone()
    assert torch.equal(found, plain(condition, draws[0]))
    assert frame._run == (frame.steps if told else frame._run.__self__.replay)
    assert bool(sampling._unrecorded) == bool(told)
    for values in draws[1:]:
        assert torch.equal(frame(condition, values), plain(condition, values))
    assert torch.equal(frame.state, plain.state)
    again = sampling._Frame(stepper, 4, 13, sampling.draw_by_uniform)
    assert not again._recordable(), "on a processor there is nothing to record"


def test_teacher_forcing_uses_the_middle_frames() -> None:
    network = vocoder(*SMALL)
    mel = mels(6, 40)[0]
    codes = torch.randint(0, network.classes, (1, 8 * 13), generator=torch.Generator().manual_seed(0))
    logits = network(codes, mel[None])
    assert logits.shape == (1, 8 * 13, 32)
    conditions = network.conditions(mel)[16:24].repeat_interleave(13, dim=0)
    given = torch.cat([network.embedding(codes[0]), conditions], dim=1)
    torch.testing.assert_close(network.affine(network.wav_rnn(given[None])[0]), logits)


def test_an_item_gives_the_same_bits_in_any_company() -> None:
    network = vocoder(*SMALL)
    items = mels(6, 3, 7, 1, 5, 2, 9, 4, 4, 3, 2, 1, 8, 6, 5, 3, 2, 7, 9, 1, 2)
    together = network.generate(items, range(20))
    again = network.generate(items, range(20))
    backwards = network.generate(items[::-1], range(19, -1, -1))[::-1]
    for seed, (item, wave) in enumerate(zip(items, together, strict=True)):
        assert wave.shape == (len(item) * 13,)
        assert wave.dtype == torch.float32
        for other in (network.generate([item], [seed])[0], again[seed], backwards[seed]):
            assert torch.equal(wave, other)


def test_published_size_in_a_batch_and_alone() -> None:
    network = vocoder(326)
    items = mels(80, 2, 1, 3, 1, 2)
    together = network.generate(items, range(5))
    for seed, (item, wave) in enumerate(zip(items, together, strict=True)):
        assert torch.equal(wave, network.generate([item], [seed])[0])
        assert wave.abs().max() <= 1.0


def test_where_products_depend_on_rows_their_number_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    from vceval.networks import universal_vocoder as sampling

    network = vocoder(*SMALL)
    seen: set[int] = set()
    made = sampling._product

    def careless(weight: Any, bias: Any, rows: int) -> Any:
        product = made(weight, bias, rows)

        def run(x: Any) -> Any:
            seen.add(len(x))
            return product(x) * (1.0 + 1e-4 * (len(x) < 16))

        return run

    items = mels(6, 3, 2)
    expected = network.generate(items, [0, 1])
    monkeypatch.setattr(sampling, "_product", careless)
    stepper = sampling._Stepper(network, 16)
    assert sampling._row_numbers(stepper, network.conditions(items[0])) == (16,)
    assert seen == {4, 8, 16}
    assert all(torch.equal(a, b) for a, b in zip(expected, network.generate(items, [0, 1]), strict=True))


def test_seeds_decide_the_draws() -> None:
    network = vocoder(*SMALL)
    mel = mels(6, 5)[0]
    one, two, three = network.generate([mel, mel, mel], [3, 4, 3])
    assert torch.equal(one, three)
    assert not torch.equal(one, two)
    assert network.generate([], []) == []


def test_inverse_of_the_cumulative_probability() -> None:
    from vceval.networks.universal_vocoder import draw_by_uniform

    logits = torch.log(torch.tensor([[0.1, 0.0, 0.4, 0.5]])).repeat(6, 1)
    draws = torch.tensor([0.0, 0.05, 0.2, 0.499, 0.51, 1.0], dtype=torch.float64)
    assert draw_by_uniform(logits, draws).tolist() == [0, 0, 2, 2, 3, 3]


def test_mu_law_there_and_back() -> None:
    from vceval.networks.universal_vocoder import expand, mu_law_codes

    codes = torch.arange(512)
    levels = expand(codes)
    assert levels[0] == -1.0
    assert levels[-1] == 1.0
    torch.testing.assert_close(levels, -levels.flip(0))
    assert torch.equal(mu_law_codes(levels), codes)
    assert mu_law_codes(torch.zeros(1)).item() == 256


def test_archives_are_read_in_their_own_sizes(tmp_path: Path) -> None:
    from vceval.networks.universal_vocoder import open_archive

    published(SMALL, 13).save(str(tmp_path / "vocoder.pt"))
    network = open_archive(tmp_path / "vocoder.pt", 13, "somebody")
    torch.save(vocoder(*SMALL).state_dict(), tmp_path / "plain.pt")
    plain = open_archive(tmp_path / "plain.pt", 13, "somebody")
    mel = mels(6, 4)[0]
    expected = vocoder(*SMALL).generate([mel], [0])[0]
    assert torch.equal(network.generate([mel], [0])[0], expected)
    assert torch.equal(plain.generate([mel], [0])[0], expected)


def test_other_archives_are_refused(tmp_path: Path) -> None:
    from vceval.networks.universal_vocoder import open_archive

    path = tmp_path / "vocoder.pt"
    published(SMALL, 200).save(str(path))
    with pytest.raises(UsageError, match="makes 200 samples per frame, but that of somebody makes 326"):
        open_archive(path, 326, "somebody")
    published(SMALL, 326, rate=22_050).save(str(path))
    with pytest.raises(UsageError, match="22050 Hz"):
        open_archive(path, 326, "somebody")
    torch.save({"embedding.weight": torch.zeros(512, 256), "other": torch.zeros(3)}, path)
    with pytest.raises(UsageError, match="24 missing"):
        open_archive(path, 326, "somebody")
    torch.save([1, 2], path)
    with pytest.raises(UsageError, match="no table of weights"):
        open_archive(path, 326, "somebody")
