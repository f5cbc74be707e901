"""What asks KenLM, in a process with limits (`compress.reading.limited`): KenLM trusts a file, and
a damaged one can end the process that loads it, or asks it, or fill its memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kenlm

from compress.reading.limited import Answer

END = "</s>"


def serve(path: str) -> Callable[[dict[str, Any]], Answer]:
    """Loads a model when it is asked first. States are numbers, 0 at <s>; then as they are met."""
    model = read(path)
    start = kenlm.State()
    model.BeginSentenceWrite(start)
    states, numbers = [start], {start: 0}

    def number(state: kenlm.State) -> int:
        found: int = numbers.setdefault(state, len(states))
        if found == len(states):
            states.append(state)
        return found

    def asked(state: int, token: str) -> tuple[float, int]:
        after = kenlm.State()
        return model.BaseScore(states[state], token, after), number(after)

    def answer(request: dict[str, Any]) -> Answer:
        if "known" in request:
            return [token in model for token in request["known"]], ()
        if "alone" in request:
            return model.score(request["alone"], bos=False, eos=False), ()
        if "ends" in request:
            return [model.BaseScore(states[s], END, kenlm.State()) for s in request["ends"]], ()
        return [asked(state, token) for state, token in request["pairs"]], ()

    return answer


def read(path: str) -> kenlm.Model:
    """KenLM's own reading, silent, with its complaints as exceptions."""
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    return kenlm.Model(path, config)
