"""A key changes with the code that decides a result, and with nothing else."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compress import artifacts, pipeline, tasks
from compress.artifacts import ROOT, Folder, closure, code_hash
from compress.errors import TendonError

GRAPH = ("compress.pipeline:family", artifacts.TASKS, artifacts.FAMILIES)
REPORT = ("compress.pipeline:run", artifacts.TASKS, artifacts.FAMILIES)
APART = (*artifacts.SIMULATOR, *artifacts.PAGES)


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[], Path]:
    """A new copy of this project's sources at every call; a process reads each only once."""

    def make() -> Path:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        for package in ("compress", "export", "host", "bench", "firmware"):
            shutil.copytree(
                ROOT / package, root / package, ignore=shutil.ignore_patterns("*.ckpt", "*.arpa")
            )
        return root

    return make


def edited(root: Path, file: str, old: str, new: str) -> Path:
    """The copy with the first `old` of a file replaced."""
    path = root / file
    source = path.read_text()
    assert old in source, f"{file} has no {old!r}"
    path.write_text(source.replace(old, new, 1))
    return root


def graph_key(root: Path) -> str:
    """Of the code that quantizes."""
    return code_hash(*GRAPH, without=(*APART, *pipeline.SCORES), root=root)


def report_key(root: Path) -> str:
    """Of the code that scores."""
    return code_hash(*REPORT, without=APART, root=root)


COMMENT = ("from __future__ import annotations\n", "from __future__ import annotations\n# new\n")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("compress/data/simulator/arm.py", *COMMENT),
        ("compress/data/simulator/arm.py", '"""', '"""Otherwise: '),
        ("compress/data/simulator/motor_units.py", "return ", "return 2 * "),
        ("bench/hil/page.py", *COMMENT),
        ("bench/hil/page.py", "return ", "return 2 * "),
        ("bench/pareto/page.py", '"""', '"""Otherwise: '),
        ("compress/report/drawing.py", "return ", "return 2 * "),
        ("compress/tasks/pose/pictures.py", "return ", "return 2 * "),
        ("compress/report/quantized.py", "output SQNR", "SQNR of the output"),  # in text()
        ("compress/compression/choose.py", "return ", "return 2 * "),
        ("compress/quantization/quantize.py", *COMMENT),
        ("compress/quantization/quantize.py", '"""', '"""Otherwise: '),
        ("compress/quantization/rounding.py", "\nimport numpy as np\n", "\n\nimport numpy as np\n"),
        ("compress/interpreter/integer.py", *COMMENT),
    ],
)
def test_a_comment_a_simulator_or_a_page_does_not_quantize_again(copy, file, old, new):
    assert graph_key(edited(copy(), file, old, new)) == graph_key(ROOT)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("compress/quantization/quantize.py", "return ", "return 2 * "),
        ("compress/quantization/scales.py", "return ", "return 2 * "),
        ("compress/quantization/proof.py", "return ", "return 2 * "),
        ("compress/graph/verify.py", "return ", "return 2 * "),
        ("compress/ops/dense.py", "return ", "return 2 * "),
        ("compress/ops/norm.py", "return ", "return 2 * "),
        ("compress/quantization/rounding.py", "return ", "return 2 * "),
        ("compress/quantization/calibrate.py", "return ", "return 2 * "),
        ("compress/ops/tables.py", "return ", "return 2 * "),
        ("compress/ops/scan.py", "return ", "return 2 * "),
        ("compress/interpreter/base.py", "return ", "return 2 * "),
        ("compress/frontend/lower.py", "return ", "return 2 * "),
        ("compress/frontend/families/hybrid/handlers.py", "return ", "return 2 * "),
        ("compress/frontend/families/emg2pose/handlers.py", "return ", "return 2 * "),
        ("compress/tasks/typing/session.py", "return ", "return 2 * "),
        ("compress/tasks/pose/session.py", "return ", "return 2 * "),
        ("compress/data/datasets.py", "CALIBRATION_SECONDS = ", "CALIBRATION_SECONDS = 2 * "),
        ("compress/quantization/signals.py", "weights < 8", "weights < 9"),
    ],
)
def test_a_rule_quantizes_again(copy, file, old, new):
    assert graph_key(edited(copy(), file, old, new)) != graph_key(ROOT)


def test_a_score_scores_again_but_does_not_quantize_again(copy):
    changed = edited(copy(), "compress/tasks/typing/scores.py", "return ", "return 2 * ")
    assert graph_key(changed) == graph_key(ROOT)
    assert report_key(changed) != report_key(ROOT)
    written = edited(copy(), "compress/report/quantized.py", "output SQNR", "SQNR of the output")
    assert report_key(written) == report_key(ROOT)


def test_what_a_rule_begins_to_import_counts(copy):
    root = edited(
        copy(),
        "compress/quantization/rounding.py",
        "import numpy as np\n",
        "import numpy as np\nfrom compress.quantization import half\n",
    )
    (root / "compress/quantization/half.py").write_text("HALF = 0.5\n")
    assert "compress.quantization.half" in closure(*GRAPH, root=root)
    other = shutil.copytree(root, root.with_name("other"))
    (other / "compress/quantization/half.py").write_text("HALF = 0.4\n")
    assert len({graph_key(r) for r in (ROOT, root, other)}) == 3


def test_what_is_imported_inside_a_function_counts_and_what_types_need_does_not(tmp_path):
    package = tmp_path / "compress"
    package.mkdir()
    for name in ("__init__", "late", "typed", "unused", "deep"):
        (package / f"{name}.py").write_text("")
    (package / "first.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from compress import unused\n"
        "if TYPE_CHECKING:\n    from compress import typed\n"
        "def f(x: typed.T) -> None:\n    from . import late\n    g()\n"
        "def g(): import compress.deep\n"
        "def h(): return unused\n"
    )
    found = closure("compress.first:f", root=tmp_path)
    assert set(found) == {"compress", "compress.first", "compress.late", "compress.deep"}
    assert "compress.unused" in closure("compress.first", root=tmp_path)


def test_a_key_that_names_what_is_not_there_is_refused():
    with pytest.raises(TendonError, match="no_such_module: expected a module"):
        code_hash("compress.no_such_module")
    with pytest.raises(TendonError, match=r"compress\.pipeline: expected it to define nothing"):
        code_hash("compress.pipeline:nothing")


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("#include", "/* new\n   lines */\n#include", True),
        ("#include", "// it's new\n\n#include", True),
        (";\n", "; // new\n", True),
        ("    ", "\t", True),
        ("int32_t", "int64_t", False),
        ("#include", 'static const char *const url = "http://a.b";\n#include', False),
    ],
)
def test_c_counts_without_its_comments(copy, old, new, same):
    key = code_hash("firmware/nn", root=copy())
    changed = edited(copy(), "firmware/nn/nn_add_s16.c", old, new)
    assert (code_hash("firmware/nn", root=changed) == key) is same


def test_slashes_in_a_string_are_no_comment(copy):
    urls = ('"http://a.b"', '"http://c.d"')
    keys = {
        code_hash(
            "firmware/nn",
            root=edited(copy(), "firmware/nn/nn_add_s16.c", "#include", f"#pragma {url}\n#include"),
        )
        for url in urls
    }
    assert len(keys) == 2


def test_recordings_are_made_again_by_another_simulator_alone(copy):
    def origin(root: Path, kind: str) -> str:
        make = f"compress.tasks.{kind}.simulated:_make"
        return code_hash(make, without=("compress.tasks", "compress.tasks.*"), root=root)

    here = {kind: origin(ROOT, kind) for kind in ("typing", "pose")}
    for file, old, new, remade in (
        ("compress/data/simulator/arm.py", *COMMENT, []),
        ("compress/tasks/typing/session.py", "return ", "return 2 * ", []),
        ("compress/data/simulator/typist.py", "return ", "return 2 * ", ["typing", "pose"]),
        ("compress/data/simulator/text.py", "return ", "return 2 * ", ["typing"]),
        ("compress/data/simulator/gestures.py", "return ", "return 2 * ", ["pose"]),
    ):
        root = edited(copy(), file, old, new)
        assert [kind for kind in here if origin(root, kind) != here[kind]] == remade, file


def test_every_function_that_runs_while_a_network_is_quantized_counts(
    tmp_path, simulated, published_checkpoint
):
    path = published_checkpoint("TC_S4_small")
    signals = sorted((simulated / "calibration").glob("*.hdf5"))
    tasks.named("typing")  # imported before it, not while it is watched
    ran: set[str] = set()

    def note(frame, event, _):
        if event == "call":
            ran.add(frame.f_globals.get("__name__", ""))

    sys.setprofile(note)
    try:
        pipeline.family([Folder(tmp_path, "TC_S4_small", "w8a16")], path, signals)
    finally:
        sys.setprofile(None)
    own = {name for name in ran if name.split(".")[0] in ("compress", "bench", "host", "export")}
    own -= {"compress.report.logs", "compress.report.progress"}  # they write what others say
    assert "compress.quantization.quantize" in own
    assert own <= set(closure(*GRAPH, without=(*APART, *pipeline.SCORES)))


def test_keys_are_told_in_several_threads_at_once() -> None:
    """As sweeps do; Python 3.11 cannot build the trees of two sources at a time."""
    entries = [
        f"compress.ops.{p.stem}" for p in sorted((ROOT / "compress" / "ops").glob("[a-z]*.py"))
    ]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(artifacts.code_hash, entries))
    artifacts.keys._code_hash.cache_clear()
    assert together == [artifacts.code_hash(entry) for entry in entries]
