"""Sample-by-sample generation for the universal vocoder: many items at once, each as if it were alone.

One step feeds the class just drawn back to the network, so a rounding difference that flips one class changes all that
follows. Items of a batch therefore go through matrix products that give every row the same bits whatever the other
rows hold and whatever their number is; this is tried out before each generation, and where a machine's products
depend on the number of rows, that number is held fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from vceval.networks.universal_vocoder import UniversalVocoder

__all__ = ["Pick", "draw_by_uniform", "sample", "uniforms"]

#: Chooses classes (rows,) from logits (rows, classes) and one number in 0..1 for each row (rows,).
Pick = Callable[[Tensor, Tensor], Tensor]

#: Numbers of rows that a step may have. Fewer than four rows cost as much as four: reading the weights takes the time.
_ROWS = (4, 8, 16)


def uniforms(seed: int, count: int) -> Tensor:
    """Draw ``count`` numbers in 0..1, float64, on the CPU: the same for a seed on every device."""
    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def draw_by_uniform(logits: Tensor, draws: Tensor) -> Tensor:
    """Take the first class at which the cumulative probability (summed in float64) is greater than the draw."""
    cumulative = torch.softmax(logits, dim=-1).cumsum(dim=-1, dtype=torch.float64)
    found = torch.searchsorted(cumulative, draws[:, None] * cumulative[:, -1:], right=True)
    return found[:, 0].clamp_(max=logits.shape[-1] - 1)


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

    def condition(self, conditions: Tensor) -> Tensor:
        """Give what each frame adds to the gates: (frames, 3 * units)."""
        return functional.linear(conditions, self.from_conditions)

    def step(self, state: Tensor, product: Tensor, condition: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Go one sample on: new state, its product, and the logits of the class."""
        units = self.units
        given = self.table.index_select(0, codes).add_(condition)
        gates = given[:, : 2 * units].add_(product[:, : 2 * units]).sigmoid_()
        candidate = torch.addcmul(given[:, 2 * units :], gates[:, :units], product[:, 2 * units : 3 * units]).tanh_()
        state = torch.lerp(candidate, state, gates[:, units:])
        product = self.hidden(state)
        return state, product, self.classes(functional.relu(product[:, 3 * units :]))


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
    generator = torch.Generator().manual_seed(0)
    largest = _ROWS[-1]
    state, condition = (torch.randn(largest, n, generator=generator) for n in (stepper.units, 3 * stepper.units))
    state, condition = state.tanh().to(like.device), condition.to(like.device)
    codes = torch.arange(largest, device=like.device)
    expected = stepper.step(state, stepper.hidden(state), condition, codes)
    fine = []
    for rows in _ROWS[:-1]:
        # The last rows of the whole stand first here: a row's place must not matter either
        part = state[-rows:].contiguous()
        found = stepper.step(part, stepper.hidden(part), condition[-rows:], codes[-rows:])
        if all(torch.equal(one, all_[-rows:]) for one, all_ in zip(found, expected, strict=True)):
            fine.append(rows)
    return (*fine, largest)


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
        fresh = torch.zeros(rows - len(keep), stepper.units, device=device)
        state = torch.cat([state[keep], fresh])
        codes = torch.cat([codes[keep], torch.full((rows - len(keep),), start, device=device)])
        condition, drawn = _frame_inputs(active, given, draws, hop, rows, device)
        product = stepper.hidden(state)
        made = torch.empty(hop, rows, dtype=torch.int64, device=device)
        for step in range(hop):
            state, product, logits = stepper.step(state, product, condition, codes)
            codes = pick(logits, drawn[step])
            made[step] = codes
        columns = made.cpu()
        for row, (item, frame) in enumerate(active):
            results[item][frame * hop : (frame + 1) * hop] = columns[:, row]
        active = [(item, frame + 1) for item, frame in active]
    return results


def _frame_inputs(
    active: list[tuple[int, int]],
    given: dict[int, Tensor],
    draws: list[Tensor],
    hop: int,
    rows: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Collect one frame's condition (rows, 3 * units) and draws (hop, rows) of the rows in use; zeros for the rest."""
    some = next(iter(given.values()))
    condition = torch.zeros(rows, some.shape[1], device=device, dtype=some.dtype)
    drawn = torch.zeros(hop, rows, dtype=torch.float64)
    for row, (item, frame) in enumerate(active):
        condition[row] = given[item][frame]
        drawn[:, row] = draws[item][frame * hop : (frame + 1) * hop]
    return condition, drawn.to(device)
