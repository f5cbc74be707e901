"""The record of networks that files of the user's hold: what is said of one is in its file, and in
the hyper-parameters of its checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import tasks
from compress.errors import CheckpointError
from compress.frontend.families.record import Family
from compress.frontend.own import named
from compress.frontend.own.description import Description
from compress.frontend.own.named import KEY, NetworkFile
from compress.frontend.own.quiet import quiet
from compress.frontend.settings import Settings
from compress.frontend.stored.words import shown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor, nn

    from compress.frontend.builder import Builder
    from compress.frontend.checkpoint import Checkpoint


class OwnNetwork(Family):
    """The network of one file, which hyper-parameters describe; anything that can be traced."""

    source = "a network file, MODEL=path/net.py"
    keys, networks = (KEY,), {}
    forward_is_stream = False  # where it looks ahead it gives frames that a stream has not yet
    file: str  # its name, without the folder
    function: str
    name: str
    sources: dict[str, str]  # SHA-256 by path
    description: Description

    def of(self, hyper_parameters: dict[str, Any]) -> OwnNetwork:
        """The record of one file's network; CheckpointError for what no network file said."""
        found = OwnNetwork()
        try:
            said = Settings(hyper_parameters[KEY], KEY)
            found.file, found.function = said.text("file"), said.text("function")
            found.name, found.sources = said.text("name"), dict(said.part("sources").values)
            if not named.is_plain(found.name):
                raise CheckpointError(f"name: no plain name, {found.name!r}")
            found.description = _description(said)
        except (CheckpointError, KeyError) as error:
            raise CheckpointError(
                f"{KEY}: expected what a network file says of its network, found"
                f" {shown(hyper_parameters[KEY])} ({error})"
            ) from error
        found.task, found.sample_rate = found.description.task, found.description.sample_rate
        found.features = found.description.electrodes
        return found

    def named(self, hyper_parameters: dict[str, Any]) -> str:
        """After its file."""
        return self.name

    def build(self, hyper_parameters: dict[str, Any]) -> nn.Module:
        """By the file, which is executed, so it has to have been named by MODEL= and not to have
        changed since; CheckpointError otherwise."""
        from compress.frontend.own import source

        found = source.read(self._file())
        if found.sources != self.sources or found.description != self.description:
            raise CheckpointError(
                f"it was made from another state of {found.file.path}; make it again, or go back to"
                " that state"
            )
        return found.network()

    def _file(self) -> NetworkFile:
        """The file, if it was named."""
        file = named.those.get(self.name)
        if file is None:
            title = NetworkFile(Path(self.file), self.function).title
            raise CheckpointError(
                f"it holds weights for the network of {title}, a file that is executed when it is"
                f" named: give MODEL=path/of/{title}"
            )
        return file

    def structure(self, hyper_parameters: dict[str, Any]) -> Any:
        """All that is said of it."""
        return hyper_parameters[KEY]

    def lower(self, b: Builder, model: nn.Module, window: int | None) -> dict[str, Any]:
        from compress.frontend.own import lowered
        from compress.frontend.own.asked import of_file

        return lowered.append(b, self.description, model, of_file(self._file()))

    def forward(
        self, loaded: Checkpoint, samples: Tensor, initial: npt.NDArray[np.float32] | None
    ) -> Tensor:
        """(samples, electrodes) -> (frames, outputs) as the module's own forward gives them: over
        the whole recording, or one frame for each whole window that ends with a stride."""
        import torch

        x = samples.t()[None]
        with quiet():
            if self.description.window is None:
                return loaded.model(x)[0].t()
            ends = window_ends(self.description, len(samples))
            windows = [x[..., end - self.description.window : end] for end in ends]
            found = [loaded.model(window) for window in windows]
        return torch.cat(found) if found else torch.zeros(0, 0)


def _description(said: Settings) -> Description:
    """What the file said, each of its type and range."""
    counts = {key: said.whole(key) for key in ("sample_rate", "electrodes")}
    for key in ("window", "stride"):
        counts |= {key: said.whole(key)} if said.values[key] is not None else {}
    classes = said.values["classes"]
    if classes is not None and not (
        isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    ):
        raise said.refuse("classes", "a list of names")
    task = said.text("task", choices=tasks.names())
    return Description(task=task, classes=classes, **counts)


def window_ends(description: Description, samples: int) -> range:
    """Sample behind the last one of each window: multiples of the stride with a whole window before
    them."""
    assert description.window is not None and description.stride is not None
    first = -(-description.window // description.stride) * description.stride
    return range(first, samples + 1, description.stride)


FAMILY = OwnNetwork()
