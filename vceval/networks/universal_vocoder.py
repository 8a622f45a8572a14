"""yistLin's universal vocoder: a GRU that draws one 9-bit mu-law sample after the other from a log-mel spectrogram.

FragmentVC and cyhuang's AdaIN-VC use it, each with weights of its own. The published archives are TorchScript; the
number of samples per frame is an attribute in them, all other sizes show in the shapes of the weights.

One step feeds the class just drawn back to the network, so a rounding difference that flips one class changes all that
follows. Items of a batch therefore go through matrix products that give every row the same bits whatever the other
rows hold and whatever their number is; this is tried out before each generation, and where a machine's products
depend on the number of rows, that number is held fixed. On a GPU it always is.

A step is a dozen small pieces of work, and on a GPU starting each of them takes longer than doing it. There the steps
of a frame are recorded once as a CUDA graph, which starts them all at once.

Source: Lorenzo-Trueba et al., "Towards achieving robust universal neural vocoding", Interspeech 2019 (1811.06292);
the network with a GRU after van Niekerk's UniversalVocoding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vceval.checkpoints import weights
from vceval.errors import UsageError

__all__ = [
    "SAMPLE_RATE",
    "Pick",
    "UniversalVocoder",
    "cyhuang",
    "draw_by_uniform",
    "expand",
    "fragmentvc",
    "mu_law_codes",
    "open_archive",
    "sample",
    "uniforms",
]

SAMPLE_RATE = 16_000
#: Chooses classes (rows,) from logits (rows, classes) and one number in 0..1 for each row (rows,).
Pick = Callable[[Tensor, Tensor], Tensor]

#: Numbers of rows that a step may have on a CPU. Fewer than four cost as much as four: reading the weights takes the
#: time. On a GPU starting a step takes the time, whatever its rows.
_ROWS, _ROWS_ON_GPU = (4, 8, 16), (64,)
#: Frames whose inputs are laid out at once.
_AT_ONCE = 64
#: Difference of two ways to compute a state, whose values are within -1..1, that is rounding.
_ROUNDING = 1e-5
#: GPUs on which steps could not be recorded: that is said once, and not tried again.
_unrecorded: set[torch.device] = set()


def uniforms(seed: int, count: int) -> Tensor:
    """Draw ``count`` numbers in 0..1, float64, on the CPU: the same for a seed on every device."""
    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def draw_by_uniform(logits: Tensor, draws: Tensor) -> Tensor:
    """Take the first class at which the cumulative probability (summed in float64) is greater than the draw."""
    cumulative = torch.softmax(logits, dim=-1).cumsum(dim=-1, dtype=torch.float64)
    found = torch.searchsorted(cumulative, draws[:, None] * cumulative[:, -1:], right=True)
    return found[:, 0].clamp_(max=logits.shape[-1] - 1)


class UniversalVocoder(nn.Module):
    """The vocoder; 16 kHz, ``hop`` samples per frame of the mel it is given.

    Args:
        hop: samples per frame.
        mel_dim: mel bands.
        mel_rnn_dim: units of the recurrent network over frames, per direction.
        emb_dim: size of a sample's embedding.
        wav_rnn_dim: units of the recurrent network over samples.
        affine_dim: units between that and the classes.
        bits: of the mu-law classes.
    """

    def __init__(
        self,
        hop: int,
        mel_dim: int = 80,
        mel_rnn_dim: int = 128,
        emb_dim: int = 256,
        wav_rnn_dim: int = 896,
        affine_dim: int = 512,
        bits: int = 9,
    ) -> None:
        super().__init__()
        self.hop, self.classes = hop, 2**bits
        self.mel_rnn = nn.GRU(mel_dim, mel_rnn_dim, num_layers=2, batch_first=True, bidirectional=True)
        self.embedding = nn.Embedding(self.classes, emb_dim)
        self.wav_rnn = nn.GRU(emb_dim + 2 * mel_rnn_dim, wav_rnn_dim, batch_first=True)
        self.affine = nn.Sequential(nn.Linear(wav_rnn_dim, affine_dim), nn.ReLU(), nn.Linear(affine_dim, self.classes))

    def forward(self, codes: Tensor, mel: Tensor) -> Tensor:
        """Give the logits of the next class after every class of a known waveform.

        Args:
            codes: (batch, n * hop) classes that stand before the samples that are predicted.
            mel: (batch, frames, mel_dim); the middle n frames are those of the waveform, the rest is context.

        Returns:
            (batch, n * hop, classes).
        """
        conditions: Tensor = self.mel_rnn(mel)[0]
        frames = codes.shape[1] // self.hop
        first = (mel.shape[1] - frames) // 2
        repeated = conditions[:, first : first + frames].repeat_interleave(self.hop, dim=1)
        states = self.wav_rnn(torch.cat([self.embedding(codes), repeated], dim=2))[0]
        logits: Tensor = self.affine(states)
        return logits

    def conditions(self, mel: Tensor) -> Tensor:
        """Give what the samples are conditioned on: (frames, mel_dim) to (frames, 2 * mel_rnn_dim)."""
        output: Tensor = self.mel_rnn(mel[None])[0][0]
        return output

    def generate(self, mels: Sequence[Tensor], seeds: Sequence[int]) -> list[Tensor]:
        """Draw waveforms; each item has random numbers of its own, so what else is in the batch changes nothing.

        Under autocast too it computes in full precision: a sample that is drawn wrongly changes all that follow.

        Args:
            mels: (frames, mel_dim) each, of any lengths, as the vocoder was trained on.
            seeds: one per item.

        Returns:
            (frames * hop,) float32 each, within -1..1.
        """
        draws = [uniforms(seed, len(mel) * self.hop) for mel, seed in zip(mels, seeds, strict=True)]
        with torch.autocast(mels[0].device.type if mels else "cpu", enabled=False):
            drawn = self.codes([mel.float() for mel in mels], draws)
        return [expand(codes, self.classes) for codes in drawn]

    def codes(self, mels: Sequence[Tensor], draws: Sequence[Tensor], pick: Pick = draw_by_uniform) -> list[Tensor]:
        """Generate classes.

        Args:
            mels: (frames, mel_dim) each.
            draws: (frames * hop,) float64 each, uniform in 0..1.
            pick: chooses classes, by default by the inverse of their cumulative probability.

        Returns:
            (frames * hop,) int64 each.
        """
        with torch.inference_mode():
            return sample(self, [self.conditions(mel) for mel in mels], list(draws), pick)


class _Stepper:
    """The recurrent network over samples, arranged for speed.

    What the previous class and the frame add to the gates is a table and one product per frame; the products that need
    the hidden state (gates of the next step, first layer towards the classes) are a single one.
    """

    def __init__(self, network: UniversalVocoder, rows: int) -> None:
        recurrent: Any = network.wav_rnn
        first: Any = network.affine[0]
        last: Any = network.affine[2]
        self.units = recurrent.hidden_size
        size = network.embedding.embedding_dim
        into, bias = recurrent.weight_ih_l0, recurrent.bias_ih_l0.clone()
        state_bias = recurrent.bias_hh_l0.clone()
        # The reset and update gates take their two biases together; the candidate's second one is gated
        bias[: 2 * self.units] += state_bias[: 2 * self.units]
        state_bias[: 2 * self.units] = 0.0
        self.table = functional.linear(network.embedding.weight, into[:, :size], bias)
        self.from_conditions = into[:, size:].contiguous()
        self.hidden = _product(
            torch.cat([recurrent.weight_hh_l0, first.weight]), torch.cat([state_bias, first.bias]), rows
        )
        self.classes = _product(last.weight, last.bias, rows)
        self.gated = _gating(self.table, self.units, rows)

    def condition(self, conditions: Tensor) -> Tensor:
        """Give what each frame adds to the gates: (frames, 3 * units)."""
        return functional.linear(conditions, self.from_conditions)

    def step(self, state: Tensor, product: Tensor, condition: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Go one sample on: new state, its product, and the logits of the class."""
        given = self.table.index_select(0, codes).add_(condition)
        state = self.gated(given, product[:, : 3 * self.units], state)
        product = self.hidden(state)
        return state, product, self.classes(functional.relu(product[:, 3 * self.units :]))


def _gated(given: Tensor, product: Tensor, state: Tensor) -> Tensor:
    """Give the new state (rows, units) from both sides' parts of the gates (rows, 3 * units); ``given`` is used up."""
    units = state.shape[1]
    gates = given[:, : 2 * units].add_(product[:, : 2 * units]).sigmoid_()
    candidate = torch.addcmul(given[:, 2 * units :], gates[:, :units], product[:, 2 * units :]).tanh_()
    return torch.lerp(candidate, state, gates[:, units:])


def _gated_on_gpu(given: Tensor, product: Tensor, state: Tensor) -> Tensor:
    """Do what :func:`_gated` does in one piece of work instead of five."""
    new: Tensor = torch.ops.aten._thnn_fused_gru_cell(given, product, state)[0]
    return new


def _gating(like: Tensor, units: int, rows: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Choose how the new state is computed: on a GPU in one piece, where that is tried out and gives the same."""
    if like.device.type != "cuda":
        return _gated
    generator = torch.Generator().manual_seed(0)
    # The product is a part of wider rows, as in a step
    given, wide, state = (torch.randn(rows, n * units, generator=generator).to(like.device) for n in (3, 4, 1))
    try:
        found = _gated_on_gpu(given, wide[:, : 3 * units], state)
    except (AttributeError, RuntimeError, TypeError):  # another torch
        return _gated
    apart = (found - _gated(given, wide[:, : 3 * units], state)).abs().max()
    return _gated_on_gpu if float(apart) <= _ROUNDING else _gated


def _product(weight: Tensor, bias: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """Make x -> x weight' + bias.

    On CPUs oneDNN, with the weight laid out once for it, is several times as fast as the general product where there
    are few rows.
    """
    if weight.device.type == "cpu" and hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
        return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    transposed = weight.t()
    return lambda x: torch.addmm(bias, x, transposed)


def _row_numbers(stepper: _Stepper, like: Tensor) -> tuple[int, ...]:
    """Find the numbers of rows that give the same bits as the largest one, tried on a step of made-up values."""
    *fewer, largest = _ROWS if like.device.type == "cpu" else _ROWS_ON_GPU
    generator = torch.Generator().manual_seed(0)
    state, condition = (torch.randn(largest, n, generator=generator) for n in (stepper.units, 3 * stepper.units))
    state, condition = state.tanh().to(like.device), condition.to(like.device)
    codes = torch.arange(largest, device=like.device) % len(stepper.table)
    expected = stepper.step(state, stepper.hidden(state), condition, codes)
    fine = []
    for rows in fewer:
        # The last rows of the whole stand first here: a row's place must not matter either
        part = state[-rows:].contiguous()
        found = stepper.step(part, stepper.hidden(part), condition[-rows:], codes[-rows:])
        if all(torch.equal(one, all_[-rows:]) for one, all_ in zip(found, expected, strict=True)):
            fine.append(rows)
    return (*fine, largest)


class _Frame:
    """The steps of one frame for a number of rows, in buffers that stay where they are, as a CUDA graph needs it.

    Args:
        stepper: of the vocoder.
        rows: how many.
        hop: steps.
        pick: chooses the classes.
    """

    def __init__(self, stepper: _Stepper, rows: int, hop: int, pick: Pick) -> None:
        device = stepper.table.device
        self._stepper, self._pick = stepper, pick
        self.state = torch.zeros(rows, stepper.units, device=device)
        self.codes = torch.zeros(rows, dtype=torch.int64, device=device)
        self._condition = torch.zeros(rows, 3 * stepper.units, device=device)
        self._draws = torch.zeros(hop, rows, dtype=torch.float64, device=device)
        self._made = torch.zeros(hop, rows, dtype=torch.int64, device=device)
        self._run: Callable[[], None] | None = None

    def __call__(self, condition: Tensor, draws: Tensor) -> Tensor:
        """Go a frame on from ``state`` and ``codes``: (rows, 3 * units) and (hop, rows) to classes (hop, rows)."""
        self._condition.copy_(condition)
        self._draws.copy_(draws)
        if self._run is None:
            self._run = self._recorded() if self._recordable() else self.steps
        self._run()
        return self._made

    def _recordable(self) -> bool:
        """Whether a CUDA graph is worth a try; other picks than the usual one may leave the GPU."""
        device = self.state.device
        return device.type == "cuda" and device not in _unrecorded and self._pick is draw_by_uniform

    def steps(self) -> None:
        """Compute the steps from the buffers into the buffers."""
        state, codes, made = self.state, self.codes, []
        product = self._stepper.hidden(state)
        for draws in self._draws:
            state, product, logits = self._stepper.step(state, product, self._condition, codes)
            codes = self._pick(logits, draws)
            made.append(codes)
        torch.stack(made, out=self._made)
        self.state.copy_(state)
        self.codes.copy_(codes)

    def _recorded(self) -> Callable[[], None]:
        """Record the steps as a CUDA graph, and take it only if it gives the same bits; else the steps as they are."""
        changed = self.state, self.codes, self._made
        before = [values.clone() for values in changed]
        stream = _stream(self.state.device)
        stream.wait_stream(torch.cuda.current_stream(self.state.device))
        with torch.cuda.stream(stream):  # left in any case: a failing recording leaves its own stream on
            self.steps()  # libraries get ready, which can't be recorded
            expected = [values.clone() for values in changed]
            for values, old in zip(changed, before, strict=True):
                values.copy_(old)
            try:
                graph = torch.cuda.CUDAGraph()
                # Other threads may use the GPU meanwhile
                with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                    self.steps()
                graph.replay()
                same = all(torch.equal(*both) for both in zip(changed, expected, strict=True))
                reason = "" if same else "it gives other values"
            except RuntimeError as error:
                reason = str(error).partition("\n")[0]
        # All of that is done by now: comparing waits for it, and so does the begin of a recording
        for values, old in zip(changed, before, strict=True):
            values.copy_(old)
        if not reason:
            return graph.replay
        _unrecorded.add(self.state.device)
        warnings.warn(
            f"{self.state.device}: the vocoder's steps can't be recorded as a CUDA graph ({reason}); they are started "
            "one by one, which is slower and gives the same",
            RuntimeWarning,
            stacklevel=2,
        )
        return self.steps


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Give the stream that a GPU's graphs are recorded on: always the same, as libraries keep memory for each."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def sample(network: UniversalVocoder, conditions: list[Tensor], draws: list[Tensor], pick: Pick) -> list[Tensor]:
    """Generate classes for items of any lengths; rows that become free are given to items that wait.

    Args:
        network: the vocoder.
        conditions: (frames, size) per item.
        draws: (frames * hop,) float64 per item, in 0..1.
        pick: chooses the classes.

    Returns:
        (frames * hop,) int64 per item, on the CPU.
    """
    if not conditions:
        return []
    device = conditions[0].device
    hop, start = network.hop, network.classes // 2
    stepper = _Stepper(network, _ROWS[-1])
    sizes = _row_numbers(stepper, conditions[0])
    frames: dict[int, _Frame] = {}
    results = [torch.empty(len(item) * hop, dtype=torch.int64) for item in conditions]
    waiting = sorted((place for place, item in enumerate(conditions) if len(item)), key=lambda p: -len(conditions[p]))
    active: list[tuple[int, int]] = []  # item and frame of every row in use
    given: dict[int, Tensor] = {}
    state, codes = torch.empty(0, stepper.units, device=device), torch.empty(0, dtype=torch.int64, device=device)
    while active or waiting:
        keep = [row for row, (item, frame) in enumerate(active) if frame < len(conditions[item])]
        active = [active[row] for row in keep]
        given = {item: given[item] for item, _ in active}
        while waiting and len(active) < sizes[-1]:
            item = waiting.pop(0)
            active.append((item, 0))
            given[item] = stepper.condition(conditions[item])
        if not active:
            break
        rows = next(size for size in sizes if size >= len(active))
        if rows not in frames:
            frames[rows] = _Frame(stepper, rows, hop, pick)
        now = frames[rows]
        fresh = torch.zeros(rows - len(keep), stepper.units, device=device)
        now.state.copy_(torch.cat([state[keep], fresh]))
        now.codes.copy_(torch.cat([codes[keep], torch.full((rows - len(keep),), start, device=device)]))
        count = min(_AT_ONCE, *(len(conditions[item]) - frame for item, frame in active))
        condition, drawn = _inputs(active, given, draws, hop, rows, count)
        made = torch.empty(count, hop, rows, dtype=torch.int64, device=device)
        for place in range(count):
            made[place] = now(condition[place], drawn[place])
        state, codes = now.state, now.codes
        columns = made.reshape(count * hop, rows).t().contiguous().cpu()
        for row, (item, frame) in enumerate(active):
            results[item][frame * hop : (frame + count) * hop] = columns[row]
        active = [(item, frame + count) for item, frame in active]
    return results


def _inputs(
    active: list[tuple[int, int]],
    given: dict[int, Tensor],
    draws: list[Tensor],
    hop: int,
    rows: int,
    count: int,
) -> tuple[Tensor, Tensor]:
    """Collect frames' conditions (count, rows, 3 * units) and draws (count, hop, rows); zeros in rows that are free."""
    some = next(iter(given.values()))
    condition = torch.zeros(count, rows, some.shape[1], device=some.device, dtype=some.dtype)
    drawn = torch.zeros(rows, count * hop, dtype=torch.float64)
    for row, (item, frame) in enumerate(active):
        condition[:, row] = given[item][frame : frame + count]
        drawn[row] = draws[item][frame * hop : (frame + count) * hop]
    return condition, drawn.to(some.device).t().reshape(count, hop, rows)


def fragmentvc() -> UniversalVocoder:
    """Build the vocoder of FragmentVC: 326 samples per frame."""
    return UniversalVocoder(326)


def cyhuang() -> UniversalVocoder:
    """Build the vocoder of cyhuang's AdaIN-VC: 200 samples per frame."""
    return UniversalVocoder(200)


def expand(codes: Tensor, classes: int = 512) -> Tensor:
    """Decode mu-law classes to float32 samples: class 0 is -1, the last one 1."""
    top = classes - 1
    levels = 2.0 * torch.arange(classes, dtype=torch.float64, device=codes.device) / top - 1.0
    table = torch.sign(levels) / top * (float(classes) ** levels.abs() - 1.0)
    return table.to(torch.float32)[codes]


def mu_law_codes(samples: Tensor, classes: int = 512) -> Tensor:
    """Encode samples within -1..1 as mu-law classes, the nearest one each, int64."""
    top = classes - 1
    values = samples.double()
    compressed = torch.sign(values) * torch.log1p(top * values.abs()) / torch.log1p(torch.tensor(float(top)).double())
    return torch.floor((compressed + 1.0) / 2.0 * top + 0.5).long()


def open_archive(path: Path, hop: int, whose: str) -> UniversalVocoder:
    """Load a published vocoder, its sizes taken from the file, ready for inference.

    Args:
        path: the TorchScript archive, or a ``torch.save`` file of its weights.
        hop: samples per frame that it must have.
        whose: the system whose vocoder it should be, for errors.

    Raises:
        UsageError: it can't be read, is no such vocoder, or makes another number of samples per frame.
    """
    content = weights.read(path)
    attributes: Mapping[str, Any] = content.get("", {}) if isinstance(content, Mapping) else {}
    found = attributes.get("hop_len", hop)
    if found != hop:
        raise UsageError(
            f"{path}: this vocoder makes {found} samples per frame, but that of {whose} makes {hop}: it belongs to "
            f"another project (a file of the same name), and speech would come out at the wrong speed"
        )
    rate = attributes.get("sample_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise UsageError(f"{path}: this vocoder works at {rate} Hz, that of {whose} at {SAMPLE_RATE} Hz")
    try:
        tensors = weights.select(content)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    network = weights.load_strict(_sized(tensors, hop), tensors, str(path))
    assert isinstance(network, UniversalVocoder)
    return network


def _sized(tensors: Mapping[str, Tensor], hop: int) -> UniversalVocoder:
    """Build the network in the sizes of the weights; the usual ones where a file is no such vocoder."""

    def shape(name: str) -> tuple[int, ...]:
        return tuple(tensors[name].shape) if name in tensors and tensors[name].dim() == 2 else ()

    shapes = [shape(f"mel_rnn.weight_{kind}_l0") for kind in ("ih", "hh")]
    shapes += [shape(name) for name in ("embedding.weight", "affine.0.weight")]
    if not all(shapes):
        return UniversalVocoder(hop)
    (_, mel_dim), (_, mel_rnn_dim), (classes, emb_dim), (affine_dim, wav_rnn_dim) = shapes
    return UniversalVocoder(hop, mel_dim, mel_rnn_dim, emb_dim, wav_rnn_dim, affine_dim, classes.bit_length() - 1)
