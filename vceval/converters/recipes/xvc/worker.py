"""X-VC from a clone of its repository, by what its documented program ``bins.infer_single`` calls offline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.converters.recipes.skeleton import Convert, Job

#: Networks of others, which are loaded from their own files before.
_OTHERS = ("semantic_encoder.", "speaker_encoder.")


def load(job: Job) -> Convert:
    """Load the model, strictly: its own loader logs tensors that do not fit, and goes on."""
    import yaml
    from bins import infer_utils
    from models.codec.sac.model import XVC

    settings = yaml.safe_load((job.checkout / "configs" / "xvc.yaml").read_text(encoding="utf-8"))
    generator, tokenizer = settings["model"]["generator"], str(job.files["tokenizer"].parent)
    generator["semantic_encoder"]["encoder"]["from_pretrained"]["local_ckpt"] = tokenizer
    generator["semantic_encoder"]["cfg"]["local_ckpt"] = tokenizer
    generator["speaker_encoder"]["pretrained_dir"] = str(job.files["speaker"].parent)
    place = job.scratch / "xvc.yaml"
    place.write_text(json.dumps(settings))  # which is YAML too
    fill = XVC.load_state_dict

    def filled(network: Any, tensors: dict[str, Any], **how: Any) -> Any:
        job.compare(network.state_dict(), tensors, job.files["model"], _OTHERS)
        job.count("X-VC", network)
        return fill(network, tensors, **how)

    XVC.load_state_dict = filled
    # The averaged weights stay aside, as in the authors' scripts
    read, network, device = infer_utils.load_xvc(str(place), str(job.files["model"]), 0, False)

    def convert(source: str, prompts: list[str], _: dict[str, Any]) -> tuple[Any, int]:
        heard = infer_utils.load_pair_as_tensors(source, prompts[0], read, device, read["latent_hop_length"], False)
        return infer_utils.run_offline(network, *heard), int(read["sample_rate"])

    return convert
