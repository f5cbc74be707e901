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
from compress.frontend.settings import MOST_KERNEL, MOST_LAYERS, Settings, fix
from compress.frontend.stored.words import shown

_NORMS = {"batchnorm": nn.BatchNorm1d, "layernorm": nn.LayerNorm}
_ONE_DIRECTION = (False, "a stream has no end to begin with")
_FIXED: dict[str, tuple[Any, str]] = {
    "bidirectional": _ONE_DIRECTION,
    "gru_model": ("GRU", "an event-based GRU has no operator in the stream graph"),
    "num_layers": (1, "the published layer hands the hidden state of all to each and fails"),
    "prenorm": (False, "the published layer has none"),
}


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
        said = Settings(config, "GRULayer")
        fix(said, _FIXED)
        hidden, linear = said.whole("d_hidden"), said.whole("include_linear_layer", -1)
        self.d_output = linear if linear > 0 else hidden
        self._read_pooling(said)
        self.residual, with_encoder = said.flag("include_residual"), said.flag("include_encoder")
        self.pooling = nn.AvgPool1d(self.mean_pooling)
        encoded = hidden if with_encoder else d_input
        self.encoder = nn.Linear(d_input, hidden) if with_encoder else nn.Identity()
        self.gru_layers = nn.ModuleList([nn.GRU(encoded, hidden, batch_first=True)])
        self.linear_layers = nn.ModuleList(
            [nn.Linear(hidden, linear) if linear > 0 else nn.Identity()]
        )
        self.norms = nn.ModuleList([_NORMS[said.text("norm")](self.d_output)])
        self.non_linearities = nn.ModuleList(
            [activation(said.text("non_linearity"), "GRULayer.non_linearity")]
        )
        decoded = said.flag("include_decoder")
        self.decoder = nn.Linear(self.d_output, self.d_output) if decoded else nn.Identity()

    def _read_pooling(self, said: Settings) -> None:
        if said.text("norm") not in _NORMS:
            raise CheckpointError(
                f"GRULayer.norm: expected batchnorm or layernorm, found"
                f" {shown(said.values['norm'])}; without a norm the published layer skips its GRU"
            )
        ratio = said.whole("HLfreq_ratio", 1, MOST_KERNEL)
        pooled = said.whole("mean_pooling", 1, MOST_KERNEL, default=1)
        self.mode = said.text("reduction_mode")
        modes = ["none"] if ratio == pooled else ["mean", "last"]
        if ratio % pooled or self.mode not in modes:
            raise CheckpointError(
                f"GRULayer: expected an HLfreq_ratio that mean_pooling divides and a reduction_mode"
                f" of {' or '.join(modes)}, found {ratio}, {pooled} and {shown(self.mode)}"
            )
        self.mean_pooling, self.group = pooled, ratio // pooled

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
        said = Settings(config, "GRULayerPooled")
        fix(said, {"bidirectional": _ONE_DIRECTION})
        width, layers = said.whole("d_hidden"), said.whole("n_layers", 1, MOST_LAYERS)
        mode = said.text("end_layer_pool_mode", "mean")
        pools = said.wholes("end_layer_pools", 0, MOST_KERNEL, ()) if mode != "none" else []
        if mode not in ("mean", "none") or (mode == "mean" and len(pools) != layers):
            raise CheckpointError(
                f"GRULayerPooled: expected end_layer_pool_mode none, or mean with {layers}"
                f" end_layer_pools, found {shown(mode)} with {shown(pools)}"
            )
        self.pools = [max(p, 1) for p in pools] or [1] * layers
        self.d_output, self.norm = width, said.text("norm")
        self.residual, with_gate = said.flag("include_residual"), said.flag("include_GLU")
        self.encoder = nn.Linear(d_input, width)
        self.gru_layers = nn.ModuleList(
            nn.GRU(width, width, batch_first=True) for _ in range(layers)
        )
        self.output_linears = nn.ModuleList(
            nn.Sequential(nn.Conv1d(width, 2 * width, 1), nn.GLU(dim=-2))
            if with_gate
            else nn.Identity()
            for _ in range(layers)
        )
        self.norms = nn.ModuleList(
            _NORMS[self.norm](width) if self.norm in _NORMS else nn.Identity()
            for _ in range(layers)
        )
        decoded = said.flag("include_decoder")
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
