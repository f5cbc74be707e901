"""Threads of one process load and lower networks in turn (BACKEND=threading)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from compress import artifacts
from compress.frontend import checkpoint
from compress.frontend.lower import lower


def test_threads_that_load_at_once_find_the_same_networks() -> None:
    def made(name: str) -> str:
        return lower(checkpoint.load(artifacts.checkpoint_of(name, None))).hash()

    names = ("TC_S4_small", "TC_S4_medium") * 3
    expected = [made(name) for name in names[:2]] * 3
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(made, names)) == expected
