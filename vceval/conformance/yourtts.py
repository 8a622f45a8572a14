"""The ports of YourTTS's voice-conversion path and of its speaker encoder, for their kits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["YourTtsPort", "YourTtsSpeakerPort"]


class YourTtsPort(Port):
    """Spectrogram, posterior, flow there and back, decoder; other noise, voices exchanged, unequal lengths."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the conversion path."""
        from vceval.networks.yourtts import YourTts

        return YourTts(config["model_args"])

    def run(self, network: Any, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        if "in_batch_spec" in case.inputs:
            return self._batch(network, case)
        import numpy as np
        import torch

        from vceval.networks.yourtts_features import spectrogram

        spec = torch.from_numpy(np.stack([spectrogram(wave) for wave in case.inputs["in_wav"]]))
        source, target = case.tensor("in_d_source"), case.tensor("in_d_target")
        if "out_audio_swapped" in case.wanted:
            source, target = target, source
        silent = torch.zeros(len(spec), network.latent, spec.shape[-1])
        noise = case.tensor("in_noise") if "in_noise" in case.inputs else silent
        lengths = torch.full((len(spec),), spec.shape[-1])
        posterior = network.posterior(spec, lengths, source)
        latents = network.exchange(posterior, noise, lengths, source, target)
        with captured(network, {"up": "waveform_decoder.ups.0", "last": "waveform_decoder.conv_post"}) as found:
            audio = network.decode(latents.towards, target)
        return {
            "out_spec": spec,
            "out_m_q": posterior[0],
            "out_logs_q": posterior[1],
            "out_z": latents.sampled,
            "out_z_p": latents.free,
            "out_z_hat": latents.towards,
            "out_dec_ups0_first16ch": found["up"][:, :16],
            "out_dec_pretanh": found["last"],
            "out_audio": audio,
            "out_audio_zero_noise": audio,
            "out_audio_swapped": audio,
        }

    @staticmethod
    def _batch(network: Any, case: Case) -> Mapping[str, Any]:
        lengths = case.tensor("in_batch_lengths")
        source, target = case.tensor("in_batch_d_source"), case.tensor("in_batch_d_target")
        posterior = network.posterior(case.tensor("in_batch_spec"), lengths, source)
        latents = network.exchange(posterior, case.tensor("in_batch_noise"), lengths, source, target)
        # The stored audio is upstream's, whose decoder has no mask
        audio = network.decode(latents.towards, target)
        return {"out_batch_z": latents.sampled, "out_batch_z_hat": latents.towards, "out_batch_audio": audio}


class YourTtsSpeakerPort(Port):
    """The residual network's layers, attention, pooling, embeddings of windows and utterances; every front-end step."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the speaker encoder."""
        from vceval.networks.hasp import Hasp

        sizes = config["model_params"]
        return Hasp(sizes["input_dim"], sizes["proj_dim"], sizes["layers"], sizes["num_filters"], sizes["se_reduction"])

    def run(self, network: Any, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        if case.kind == "features":
            return self._features(case)
        if "in_window" in case.inputs:
            return self._window(network, case)
        if "in_batch" in case.inputs:
            return {"out_batch_embedding": network(_frames(case.inputs["in_batch"]))}
        name = "utterance" if "in_utterance" in case.inputs else "short"
        from vceval.networks.hasp_features import WINDOWS, cut

        windows = network(_frames(cut(case.inputs[f"in_{name}"][0])))
        # Upstream takes the only window of a short utterance ten times
        windows = windows if len(windows) == WINDOWS else windows.expand(WINDOWS, -1)
        return {f"out_{name}_windows": windows, f"out_{name}_embedding": windows.mean(dim=0, keepdim=True)}

    @staticmethod
    def _window(network: Any, case: Case) -> Mapping[str, Any]:
        with captured(network, {"layer1": "layer1", "layer4": "layer4"}) as found:
            stages = network.stages(_frames(case.inputs["in_window"]))
        return {
            "out_layer1_first4ch_every8": found["layer1"][:, :4, :, ::8],
            "out_layer4_first16ch": found["layer4"][:, :16],
            "out_attention_first64": stages.attention[:, :64],
            "out_pooled": stages.pooled,
            "out_fc": stages.projected,
            "out_embedding": stages.embedding,
        }

    @staticmethod
    def _features(case: Case) -> Mapping[str, Any]:
        import numpy as np

        from vceval.networks import hasp_features as front

        levelled = front.to_level(case.inputs["in_wav_16000"])
        emphasised = front.preemphasis(levelled)
        power = front.mel(emphasised)
        logarithm = front.log_mel(power)
        return {
            "out_wav_rms": levelled,
            "out_preemphasis": emphasised[None],
            "out_mel": power[None],
            "out_logmel": logarithm[None],
            "out_instancenorm": front.normalise(logarithm)[None],
            "out_buffer_filter": np.array([[[-front.COEFFICIENT, 1.0]]]),
            "out_buffer_window": front.window()[(front.FFT - front.SPAN) // 2 :][: front.SPAN],
            "out_buffer_fb": front.filters().T,
        }


def _frames(windows: Any) -> Tensor:
    import numpy as np
    import torch

    from vceval.networks.hasp_features import features

    return torch.from_numpy(np.stack([features(window) for window in windows]))
