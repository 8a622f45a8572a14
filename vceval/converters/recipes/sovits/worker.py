"""so-vits-svc 4.0 by the package so-vits-svc-fork: a model for each target speaker, or one of several."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.converters.recipes.skeleton import Convert, Job

#: Names that versions of torch write in two ways, and what the features do not pass.
_NAMED_OTHERWISE = ("encoder.pos_conv_embed.conv.", "masked_spec_embed", "final_proj.")


def load(job: Job) -> Convert:
    """Load ContentVec and every voice of the table, strictly: the package only warns where tensors do not fit."""
    import librosa
    from so_vits_svc_fork import f0, utils
    from so_vits_svc_fork.inference.core import Svc
    from transformers import HubertModel

    fetched: dict[bool, Any] = {}

    def hubert(device: Any, final_proj: bool = True) -> Any:
        """Stand in for what would fetch ContentVec; models of 256 values take its last projection, those of 768 not."""
        if final_proj not in fetched:
            kind = utils.HubertModelWithFinalProj if final_proj else HubertModel
            network = kind.from_pretrained(job.files["hubert"].parent)
            left_out = _NAMED_OTHERWISE[: 2 if final_proj else 3]
            job.compare(network.state_dict(), job.tensors(job.files["hubert"]), job.files["hubert"], left_out)
            job.count("ContentVec", network)
            fetched[final_proj] = network.to(device).eval()
        return fetched[final_proj]

    fill = utils.load_checkpoint

    def filled(path: str, network: Any, *rest: Any) -> Any:
        job.compare(network.state_dict(), job.tensors(Path(path), ("model",)), Path(path), ("enc_q.",))
        return fill(path, network, *rest)

    utils.get_hubert_model, utils.load_checkpoint = hubert, filled
    models: dict[tuple[str, str], Any] = {}
    names = {}
    for speaker, row in job.speakers.items():
        place = row["model"], row["config"]
        if place not in models:
            models[place] = Svc(net_g_path=row["model"], config_path=row["config"], device=job.device)
        names[speaker] = named(row, list(models[place].spk2id.keys()))
    job.count("voice", next(iter(models.values())).net_g)

    def convert(source: str, _: list[str], task: dict[str, Any]) -> tuple[Any, int]:
        row = job.speaker(task)
        system = models[row["model"], row["config"]]
        heard = librosa.load(source, sr=system.target_sample)[0]

        def pitch() -> Any:
            return f0.compute_f0(heard.copy(), sampling_rate=system.target_sample, method="parselmouth")

        made = system.infer_silence(
            heard, speaker=names[str(task["target_speaker"])], transpose=job.key(task, pitch),
            auto_predict_f0=job.options["predict_pitch"], noise_scale=job.options["noise_scale"],
            f0_method=job.options["pitch"],
        )  # fmt: skip
        return made, system.target_sample

    return convert


def named(row: Any, speakers: list[str]) -> str:
    """Find a speaker among those of a model: the package takes the first one for a name that is not there."""
    if "speaker" not in row and len(speakers) == 1:
        return speakers[0]
    if str(row.get("speaker")) in speakers:
        return str(row["speaker"])
    raise ValueError(
        f"{row['config']} has no speaker {row.get('speaker')!r}: name one as speaker, {', '.join(speakers)}"
    )


def make_up(job: Job) -> None:
    """Write ContentVec and voices as their constructors draw them, by the package's own settings."""
    import torch
    from so_vits_svc_fork import utils
    from so_vits_svc_fork.modules.synthesizers import SynthesizerTrn
    from transformers import HubertConfig

    config = HubertConfig(classifier_proj_size=256)
    # transformers 5 writes no file of this name any more
    torch.save(utils.HubertModelWithFinalProj(config).state_dict(), job.files["hubert"])
    config.to_json_file(job.files["hubert_config"])
    packed = importlib.resources.files("so_vits_svc_fork.preprocessing.config_templates") / "so-vits-svc-4.0v1.json"
    settings = json.loads(packed.read_text(encoding="utf-8"))
    data, model = settings["data"], settings["model"]
    for speaker, row in job.speakers.items():
        Path(row["config"]).write_text(json.dumps({**settings, "spk": {speaker: 0}}))
        network = SynthesizerTrn(
            data["filter_length"] // 2 + 1, settings["train"]["segment_size"] // data["hop_length"], **model
        )
        torch.save({"model": network.state_dict(), "iteration": 0, "learning_rate": 0.0}, row["model"])
