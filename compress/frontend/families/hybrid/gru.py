"""The GRU stacks of hybrid-networks-emg2qwerty, before or in place of the state spaces.

Source: Neuro-Robotic-Touch-Laboratory/hybrid-networks-emg2qwerty for the key names and what each
option does. Both take and give (time, batch, features).
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from compress.errors import CheckpointError
from compress.frontend.families.hybrid.activations import activation


def _one_direction(where: str, config: dict[str, Any]) -> None:
    if config.get("bidirectional", False):
        raise CheckpointError(
            f"{where}.bidirectional: expected false, found true, which is not supported: a stream"
            " has no end to begin with"
        )


def _batch_of_frames(norm: nn.Module, x: Tensor) -> Tensor:
    """A norm of (batch, time, features) that sees each frame as an example."""
    return norm(x.reshape(-1, x.shape[-1])).reshape(x.shape)


class GRULayer(nn.Module):
    """One GRU over all frames, mean or last of each group of them, a linear layer, a norm and an
    activation.

    `mean_pooling` samples are averaged first; `HLfreq_ratio` is how many input frames one output
    frame stands for in all.
    """

    def __init__(self, d_input: int, config: dict[str, Any]) -> None:
        super().__init__()
        self._check(config)
        hidden, linear = int(config["d_hidden"]), int(config["include_linear_layer"])
        self.d_output = linear if linear > 0 else hidden
        self.mean_pooling = int(config.get("mean_pooling", 1))
        self.group = int(config["HLfreq_ratio"]) // self.mean_pooling
        self.mode, self.residual = str(config["reduction_mode"]), bool(config["include_residual"])
        self.pooling = nn.AvgPool1d(self.mean_pooling)
        encoded = hidden if config["include_encoder"] else d_input
        self.encoder = nn.Linear(d_input, hidden) if config["include_encoder"] else nn.Identity()
        self.gru_layers = nn.ModuleList([nn.GRU(encoded, hidden, batch_first=True)])
        self.linear_layers = nn.ModuleList(
            [nn.Linear(hidden, linear) if linear > 0 else nn.Identity()]
        )
        of = {"batchnorm": nn.BatchNorm1d, "layernorm": nn.LayerNorm}
        self.norms = nn.ModuleList([of[config["norm"]](self.d_output)])
        self.non_linearities = nn.ModuleList(
            [activation(str(config["non_linearity"]), "GRULayer.non_linearity")]
        )
        decoded = config["include_decoder"]
        self.decoder = nn.Linear(self.d_output, self.d_output) if decoded else nn.Identity()

    @staticmethod
    def _check(config: dict[str, Any]) -> None:
        _one_direction("GRULayer", config)
        whys = {
            "gru_model": ("GRU", "an event-based GRU has no operator in the stream graph"),
            "num_layers": (
                1,
                "the published layer hands the hidden state of all to each and fails",
            ),
            "prenorm": (False, "the published layer has none"),
        }
        for key, (expected, why) in whys.items():
            if config.get(key, expected) != expected:
                raise CheckpointError(
                    f"GRULayer.{key}: expected {expected!r}, found {config[key]!r}, which is not"
                    f" supported: {why}"
                )
        if config["norm"] not in ("batchnorm", "layernorm"):
            raise CheckpointError(
                f"GRULayer.norm: expected batchnorm or layernorm, found {config['norm']!r}; without"
                " a norm the published layer skips its GRU"
            )
        ratio, pooled = int(config["HLfreq_ratio"]), int(config.get("mean_pooling", 1))
        modes = ("none",) if ratio == pooled else ("mean", "last")
        if pooled < 1 or ratio % pooled or config["reduction_mode"] not in modes:
            raise CheckpointError(
                f"GRULayer: expected an HLfreq_ratio that mean_pooling divides and a reduction_mode"
                f" of {' or '.join(modes)}, found {ratio}, {pooled} and"
                f" {config['reduction_mode']!r}"
            )

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(1, 0, 2)
        if self.mean_pooling > 1:
            x = self.pooling(x.permute(0, 2, 1)).permute(0, 2, 1)
        x = self.encoder(x)
        z, _ = self.gru_layers[0](x)
        if self.group > 1:
            whole = z.shape[1] // self.group * self.group
            z = z[:, :whole].reshape(z.shape[0], -1, self.group, z.shape[2])
            z = z.mean(2) if self.mode == "mean" else z[:, :, -1]
        z = self.linear_layers[0](z)
        z = _batch_of_frames(self.norms[0], z + x if self.residual else z)
        return self.decoder(self.non_linearities[0](z)).permute(1, 0, 2)


class GRULayerPooled(nn.Module):
    """Encoder, GRU layers with a gated linear unit, a residual, a pool and a norm each, decoder."""

    def __init__(self, d_input: int, config: dict[str, Any]) -> None:
        super().__init__()
        _one_direction("GRULayerPooled", config)
        width, layers = int(config["d_hidden"]), int(config["n_layers"])
        mode = str(config.get("end_layer_pool_mode", "mean"))
        pools = [int(p) for p in config.get("end_layer_pools", [])] if mode != "none" else []
        if mode not in ("mean", "none") or (mode == "mean" and len(pools) != layers):
            raise CheckpointError(
                f"GRULayerPooled: expected end_layer_pool_mode none, or mean with {layers}"
                f" end_layer_pools, found {mode!r} with {pools}"
            )
        self.pools = [max(p, 1) for p in pools] or [1] * layers
        self.d_output, self.norm = width, str(config["norm"])
        self.residual = bool(config["include_residual"])
        self.encoder = nn.Linear(d_input, width)
        self.gru_layers = nn.ModuleList(
            nn.GRU(width, width, batch_first=True) for _ in range(layers)
        )
        self.output_linears = nn.ModuleList(
            nn.Sequential(nn.Conv1d(width, 2 * width, 1), nn.GLU(dim=-2))
            if config["include_GLU"]
            else nn.Identity()
            for _ in range(layers)
        )
        kinds = {"batchnorm": nn.BatchNorm1d, "layernorm": nn.LayerNorm}
        self.norms = nn.ModuleList(
            kinds[self.norm](width) if self.norm in kinds else nn.Identity() for _ in range(layers)
        )
        decoded = bool(config["include_decoder"])
        self.decoder = nn.Linear(width, width) if decoded else nn.Identity()
        self.decoder_activation = nn.GELU() if decoded else nn.Identity()
        self.step = math.prod(self.pools)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.gelu(self.encoder(x.permute(1, 0, 2)))
        parts = zip(self.gru_layers, self.output_linears, self.norms, self.pools, strict=True)
        for gru, out, norm, pool in parts:
            z = out(gru(x)[0].transpose(1, 2)).transpose(1, 2)
            x = x + z if self.residual else z
            if pool > 1:
                x = nn.functional.avg_pool1d(x.transpose(1, 2), pool).transpose(1, 2)
            x = _batch_of_frames(norm, x)
        return self.decoder_activation(self.decoder(x)).permute(1, 0, 2)
