"""What converters with networks of this project share: their files, groups of items that are alike, seeded noise."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, get_args

from vceval.checkpoints import store
from vceval.checkpoints.recognise import refusal
from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.base import Converter, Footprint, Made, Outcome, Request, Unfinished, parameters
from vceval.errors import ItemError, UsageError
from vceval.networks.shapes import on_gpu
from vceval.signal.audio import Resampler, Waveform, resample
from vceval.storage.cache import file_digest
from vceval.storage.code_identity import code_identity

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = [
    "MAX_PROMPT_SECONDS",
    "MAX_SECONDS",
    "PRECISIONS",
    "RESAMPLERS",
    "NativeConverter",
    "attempt",
    "check_length",
    "finished",
    "grouped",
    "noise",
    "padded",
    "past_failures",
    "spare_threads",
]

#: Longest source; longer ones are refused, never cut.
MAX_SECONDS = 60.0
#: Longest prompt: all authors take prompts whole, whatever their length. More than this is not read either.
MAX_PROMPT_SECONDS = 600.0
#: Precisions that a converter computes in, and the torch types of those that are half as wide.
PRECISIONS = ("float32", "tf32", "bf16", "fp16")
#: Resamplers by what a user calls them: that of the authors' environment, or soxr (HQ), as in all metrics.
RESAMPLERS = ("authors", "vceval")
_HALF = {"bf16": "bfloat16", "fp16": "float16"}
#: Pairs given to a GPU at once, where there is room.
_TOGETHER_ON_GPU = 64

T = TypeVar("T")
R = TypeVar("R")


class NativeConverter(Converter):
    """A converter whose networks are this project's own, loaded from the files that its authors published.

    Args:
        weights: folder that holds the files by their authors' names; by default the place where
            ``vceval checkpoints add`` files them.
        precision: ``float32``; ``tf32`` (a GPU's multiplications round their inputs to ten bits), or ``bf16`` or
            ``fp16`` (half precision where torch's autocast uses it). Anything but ``float32`` is another system:
            its name says so in the tables.
        resampler: what brings recordings to the networks' rate: ``authors`` as in the environment that the authors
            pinned (:attr:`authors_resampler`), so that a row is what their program gives; ``vceval`` as all metrics
            do it, by soxr; or a resampler by its name. Any but the authors' is another system by its name.
    """

    #: The files it needs; by name for :meth:`network` and :meth:`plain`.
    files: ClassVar[tuple[WeightFile, ...]] = ()
    #: What the authors' environment resamples with.
    authors_resampler: ClassVar[Resampler] = "soxr"

    def __init__(self, *, weights: str = "", precision: str = "float32", resampler: str = "authors") -> None:
        if precision not in PRECISIONS:
            raise UsageError(f"precision {precision!r}: must be one of {', '.join(PRECISIONS)}")
        self.weights = weights
        self.precision = precision
        self.resampler = self.resampler_of(resampler)
        self.device = "cpu"
        self._parameters: dict[str, int] = {}

    @classmethod
    def resampler_of(cls, name: str) -> Resampler:
        """Say what a user's name of a resampler stands for.

        Raises:
            UsageError: for none.
        """
        named = {"authors": cls.authors_resampler, "vceval": "soxr"}.get(name, name)
        if named not in get_args(Resampler):
            known = ", ".join((*RESAMPLERS, *get_args(Resampler)))
            raise UsageError(f"{cls.info.name}: resampler {name!r}: must be one of {known}")
        return cast("Resampler", named)

    def at_rate(self, wave: Waveform, sample_rate: int) -> Waveform:
        """Bring a recording to a rate, by the resampler that was asked for."""
        return resample(wave, sample_rate, self.resampler)

    def signature(self) -> str:
        """Name resampler, trimming, level, and a precision that is not the full one."""
        name, *front_end = super().signature().split("|")
        precision = [] if self.precision == "float32" else [f"precision:{self.precision}"]
        return "|".join([name, f"resampler:{self.resampler}", *front_end, *precision])

    def open(self, device: str) -> None:
        """Load the networks; one compute thread, as workers run side by side.

        Raises:
            UsageError: a file is missing (it is named, with where to get it) or wrong.
        """
        import torch

        torch.set_num_threads(1)
        # With TF32 a GPU and a CPU no longer agree, so it is off where nobody asked for it
        allowed = self.precision == "tf32"
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
        self.forget()
        self._parameters.clear()
        self.device = device
        with ThreadPoolExecutor(1) as aside:  # a GPU's libraries take a second to load: meanwhile files are read
            awake = aside.submit(_wake, device)
            self.load()
            awake.result()

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Convert a batch, as :meth:`Converter.convert` says, in the precision asked for."""
        if self.precision not in _HALF:
            return super().convert(requests)
        import torch

        known = self.device != "cpu" or getattr(torch.ops.mkldnn, f"_is_mkldnn_{self.precision}_supported")()
        with (
            torch.autocast(self.device.partition(":")[0], dtype=getattr(torch, _HALF[self.precision])),
            nullcontext() if known else _lstms_without_onednn(),
        ):
            return super().convert(requests)

    def largest_batch(self, device: str) -> int:
        """Pairs that may be converted in one call: on a GPU many, as room is found out there."""
        return self.batch_size if device == "cpu" else max(self.batch_size, _TOGETHER_ON_GPU)

    def identity(self, device: str) -> dict[str, Any] | None:
        """Name its code, the packages this uses, its files by their contents, the kind of device and the precision."""
        module = type(self).__module__
        if module.partition(".")[0] != "vceval":
            return None  # somebody else's code may depend on more than its imports: its author has to say
        files = {name: file_digest(path) for name, path in sorted(self.assets().items())}
        how = {"device": device.partition(":")[0], "precision": self.precision, "resampler": self.resampler}
        return {**code_identity(module), **how, "files": files}

    def side_by_side(
        self, step: Callable[[T], R], items: Sequence[T | ItemError] | Iterator[T | ItemError]
    ) -> list[R | ItemError]:
        """Take items through a step that the processor computes, as :func:`attempt` does; ItemErrors among them stay.

        A run has one worker for each GPU, so there the step runs in as many threads as that worker's share of the
        cores, the first ones while later items are still made. Without a GPU there is a worker for each core, and
        the items follow one another. The results are the same.

        Args:
            step: calls nothing but what may run in several threads at once.
            items: what it takes.
        """

        def one(item: T | ItemError) -> R | ItemError:
            return item if isinstance(item, ItemError) else attempt(step, item)

        threads = spare_threads(self.device)
        if threads == 1:
            return [one(item) for item in items]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(one, items))

    def encode_content(self, sources: Sequence[Waveform]) -> list[Any]:
        """Encode what is said, by :meth:`content` one source at a time; an ItemError stands for one that is refused."""
        return [attempt(self.content, source) for source in sources]

    def encode_speaker(self, prompts: Sequence[Sequence[Waveform]]) -> list[Any]:
        """Encode who speaks, by :meth:`voice`; an ItemError stands for prompts of which one is refused."""
        return [attempt(self.voice, group) for group in prompts]

    def content(self, source: Waveform) -> Any:
        """Encode one source, in inference mode, unless :meth:`encode_content` takes several at a time.

        Raises:
            ItemError: it is too short, too long or silent.
        """
        raise TypeError(f"converter {self.info.name} has neither content() nor encode_content(); write one")

    def voice(self, prompts: Sequence[Waveform]) -> Any:
        """Encode the prompts of one target, in inference mode, unless :meth:`encode_speaker` takes several at a time.

        Raises:
            ItemError: a prompt is too short, too long, or holds no speech.
        """
        raise TypeError(f"converter {self.info.name} has neither voice() nor encode_speaker(); write one")

    @abstractmethod
    def load(self) -> None:
        """Load what the converter needs, by :meth:`network` and :meth:`plain`."""

    def made(
        self, rows: Tensor, lengths: Sequence[int], finish: Callable[[NDArray[np.float32]], Waveform | ItemError]
    ) -> list[Made]:
        """Begin to fetch what a network gave from the device, to make each row's audio of it; nothing is waited for.

        Args:
            rows: (batch, n, ...).
            lengths: of each row; what stands beyond it is cut.
            finish: makes audio of a row, by the processor alone.
        """
        fetched = _Fetched(rows)
        return [Unfinished(partial(fetched.ended, place, n, finish)) for place, n in enumerate(lengths)]

    def ended(self, items: Sequence[Made]) -> list[Made]:
        """Finish what :meth:`made` began, unless the runner does so later."""
        if self.finishes_later:
            return list(items)
        return [item.finish() if isinstance(item, Unfinished) else item for item in items]

    def assets(self) -> dict[str, Path]:
        """Give the files that are there, by name."""
        places = {file.name: store.locate(file, self._folder) for file in self.files}
        return {name: place for name, place in places.items() if place is not None}

    def missing_files(self) -> list[str]:
        """Say which files are missing, leaving out optional ones."""
        return store.missing([file for file in self.files if not file.optional], self._folder)

    @property
    def _folder(self) -> Path | None:
        return Path(self.weights).expanduser() if self.weights else None

    def network(self, name: str) -> Any:
        """Build a file's network with its weights, on the device, for inference.

        Raises:
            UsageError: the file is missing or wrong.
        """
        return self.loaded(name, lambda path: self.file(name).load(path, self.device))

    def loaded(self, name: str, load: Callable[[Path], T]) -> T:
        """Load a file by a function of its network's own, which puts it on the device.

        Raises:
            UsageError: the file is missing or wrong; where it is a known other one, which.
        """
        file, path = self.file(name), self.path(name)
        try:
            return self.counted(name, load(path))
        except UsageError as error:
            # What the file is instead is worth more to a user than a list of names
            raise UsageError(refusal(path, file, store.catalogue()) or str(error)) from error

    def counted(self, name: str, network: T) -> T:
        """Give a network back whose parameters :meth:`footprint` is to tell, under the name of its file."""
        import torch

        if isinstance(network, torch.nn.Module):
            self._parameters[name] = parameters(network)
        return network

    def footprint(self) -> Footprint:
        """Tell the parameters of the networks as they were loaded, by file."""
        return Footprint.of_torch(dict(self._parameters), self.precision)

    def plain(self, name: str) -> Any:
        """Read a file of arrays or a JSON configuration.

        Raises:
            UsageError: the file is missing or wrong.
        """
        return self.file(name).plain(self.path(name))

    def file(self, name: str) -> WeightFile:
        """Give what is known of one of the converter's files, by its name."""
        return next(file for file in self.files if file.name == name)

    def path(self, name: str) -> Path:
        """Find a file.

        Raises:
            UsageError: it is not there.
        """
        return store.find(self.file(name), self._folder)

    def has(self, name: str) -> bool:
        """Whether an (optional) file is there."""
        return store.locate(self.file(name), self._folder) is not None


def _wake(device: str) -> None:
    """Have torch load what it needs to compute on a GPU."""
    import torch
    from torch.nn import functional

    if torch.device(device).type == "cuda":
        with torch.inference_mode():
            values = torch.ones(8, 8, 8, device=device)
            functional.conv1d(values @ values, values)
            torch.cuda.synchronize(device)


class _Fetched:
    """What a network gave, on its way from the device to main memory, where it is float32."""

    def __init__(self, values: Tensor) -> None:
        import torch

        self._there: Any = None
        self._values = values.detach().float().contiguous()
        if values.is_cuda:
            on_device, self._values = self._values, torch.empty(values.shape, pin_memory=True)
            self._values.copy_(on_device, non_blocking=True)
            cuda: Any = torch.cuda
            self._there = cuda.Event(blocking=True)  # a thread that waits for it leaves its core to others
            self._there.record(cuda.current_stream(values.device))

    def ended(
        self, place: int, length: int, finish: Callable[[NDArray[np.float32]], Waveform | ItemError]
    ) -> Waveform | ItemError:
        """Wait for the device, and finish a row."""
        if self._there is not None:
            self._there.synchronize()
        return finish(self._values[place, :length].numpy())


def attempt(step: Callable[[T], R], item: T) -> R | ItemError:
    """Take one item through a step, in inference mode; where the step refuses it, the ItemError is the result."""
    import torch

    try:
        with torch.inference_mode():
            return step(item)
    except ItemError as error:
        return error


def past_failures(items: Sequence[T | ItemError], run: Callable[[list[T]], Sequence[R]]) -> list[R | ItemError]:
    """Run the items that have not failed, if any, all at once; ItemErrors keep their places among the results."""
    fine = [item for item in items if not isinstance(item, ItemError)]
    found = iter(run(fine) if fine else ())
    return [item if isinstance(item, ItemError) else next(found) for item in items]


def padded(parts: Sequence[Tensor], length: int = 0) -> Tensor:
    """Stack tensors (..., n) with zeros after each, up to a length, or to that of the longest."""
    import torch
    from torch.nn.functional import pad

    longest = max(length, *(part.shape[-1] for part in parts))
    return torch.stack([pad(part, (0, longest - part.shape[-1])) for part in parts])


def finished(samples: NDArray[np.floating], sample_rate: int, whose: str, clip: bool = False) -> Waveform | ItemError:
    """Make a recording of what a network gave, (n,); an ItemError where it is not finite.

    Args:
        samples: full scale 1.
        sample_rate: in Hz.
        whose: the system that gave them, for the error.
        clip: cut them to full scale.
    """
    import numpy as np

    if not np.isfinite(samples).all():
        return ItemError(f"{whose} gave samples that are not finite for this pair")
    kept = np.clip(samples, -1.0, 1.0) if clip else samples
    return Waveform(np.ascontiguousarray(kept, dtype=np.float32), sample_rate)


@contextmanager
def _lstms_without_onednn() -> Iterator[None]:
    """Compute LSTMs without oneDNN for a while: it refuses a type that the processor has no instructions for."""
    import torch
    from torch.nn.modules import module

    backend: Any = torch.backends.mkldnn
    before = backend.enabled

    def switch(on: bool) -> Callable[..., None]:
        def hook(part: torch.nn.Module, *_: Any) -> None:
            if isinstance(part, torch.nn.LSTM):
                backend.enabled = on

        return hook

    hooks = (
        module.register_module_forward_pre_hook(switch(False)),
        module.register_module_forward_hook(switch(before), always_call=True),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def check_length(wave: Waveform, what: str, minimum: float = 0.0, maximum: float | None = None) -> None:
    """Refuse a source, or a prompt, that a network can't take.

    Raises:
        ItemError: it is shorter than ``minimum`` seconds, or longer than ``maximum``, where None is what is taken of
            all converters.
    """
    if maximum is None:
        maximum = MAX_PROMPT_SECONDS if what == "prompt" else MAX_SECONDS
    if wave.seconds > maximum:
        instead = {"prompt": "cut the prompt, or name a shorter recording of the target speaker"}
        raise ItemError(
            f"the {what} of {wave.seconds:.1f} s is longer than {maximum:g} s; "
            + instead.get(what, "cut it into sentences")
        )
    if wave.seconds < minimum:
        raise ItemError(f"{what} of {wave.seconds:.2f} s is too short; at least {minimum:.2f} s are needed")


def spare_threads(device: str) -> int:
    """Say how many threads a worker on a device may use for what the processor computes: its share of the cores."""
    if not on_gpu(device):
        return 1
    import torch

    return max(1, len(os.sched_getaffinity(0)) // max(1, torch.cuda.device_count()))


def grouped(
    items: Sequence[T], key: Callable[[T], Hashable], run: Callable[[list[T]], Sequence[R]], limit: int = 16
) -> list[R]:
    """Run items that are alike together, and give the results in the items' order.

    Networks whose padding leaks take items of equal length only: ``key`` is then the length.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, item in enumerate(items):
        groups.setdefault(key(item), []).append(place)
    results: dict[int, R] = {}
    for places in groups.values():
        for start in range(0, len(places), limit):
            part = places[start : start + limit]
            results.update(zip(part, run([items[place] for place in part]), strict=True))
    return [results[place] for place in range(len(items))]


def noise(seed: int, shape: Sequence[int]) -> Tensor:
    """Draw standard normal noise for a pair, in main memory: the same for a seed whatever the batch and the device."""
    import torch

    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))
