"""`validate`: the cycle models against cycles that others measured on silicon and published; with
--record they are stored, in bench/cycles/validation.json, which every report reads, and as a table.

CoreMark (COREMARK=checkout of github.com/eembc/coremark) is compiled here, with the flags published
and another version of the compiler: its error is that of the model and of the compilers together.
The AES of github.com/jnk0le/cortexm-AES (AES=checkout) is assembly: the very instructions that were
measured run here, and the error is the model's alone. CMSIS-NN (CMSIS_NN=checkout) computes the
dense layers of MLPerf Tiny's autoencoder, which others measured with the version of their time, a
framework's own work included. Nothing of these is part of this project.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import results
from bench.bare.cores import CORES, HERE, Core
from bench.cycles import chips, on_core
from bench.cycles.chips import CHIPS
from bench.cycles.cost import Cost, total
from bench.cycles.counting import Region
from bench.cycles.modelling import Modelled
from bench.cycles.validated import RESULTS, load
from bench.speed import cmsis_nn, peers
from bench.speed.layers import Layer
from compress.errors import TendonError, UsageError
from compress.files import write_json

SOURCES = Path(__file__).parent
ITERATIONS = 100
CHECKSUMS = (
    "crclist       : 0xe714",
    "crcmatrix     : 0x1fd7",
    "crcstate      : 0x8e3a",
)  # CoreMark's own, of a performance run
FIPS_197 = bytes.fromhex(
    "69c4e0d86a7b0430d8cdb78070b4c55a"
)  # appendix C.1: what its example encrypts to
PLAIN = bytes(0x11 * i for i in range(16))
H723 = "README of h723-mini/bare/coremark_550m (GitHub): STM32H723 at 550 MHz, caches on"
H735 = (
    "ST, STM32H735G-DK demonstration firmware, readme: STM32H735 at 550 MHz, code in flash, data in"
    " DTCM"
)
F401 = "README 'Benchmarking STM32F4 with GCC and Clang' (GitHub): STM32F401 at 84 MHz"
F405 = "github.com/XIVN1987/MCUCode, coremark/README.md: STM32F405 at 168 MHz"
AES = "github.com/jnk0le/cortexm-AES b18b7a4, doc/aes"


@dataclass(frozen=True)
class Published:
    """Cycles that somebody measured on a chip. `function` of `what` is counted; `memory` is where
    its data lay. `comparable`: by instructions that are the same or of the same compiler's other
    version; others' compilers win or lose 20 % and more."""

    what: str
    function: str
    chip: str
    memory: str
    cycles: float
    source: str
    compiler: str
    flags: tuple[str, ...] = ("-O3",)

    @property
    def comparable(self) -> bool:
        return self.compiler.startswith(("gcc", "assembly"))


def _coremark(
    chip: str, memory: str, score_per_mhz: float, source: str, compiler: str, *flags: str
) -> Published:
    return Published(
        "CoreMark", "iterate", chip, memory, 1e6 / score_per_mhz, source, compiler, flags
    )


def _aes(function: str, chip: str, memory: str, measured: int, file: str) -> Published:
    return Published(
        "AES", function, chip, memory, measured, f"{AES}/{file}", "assembly: the same instructions"
    )


AUTOENCODER = (
    640,
    128,
    128,
    128,
    128,
    8,
    128,
    128,
    128,
    128,
    640,
)  # MLPerf Tiny, anomaly detection: widths of its dense layers
DENSE = "arm_fully_connected_wrapper_s8"
MLPERF = Published(
    "CMSIS-NN",
    DENSE,
    "stm32l4r5",
    "flash",
    120e6 / 116.212,  # inferences a second
    "MLPerf Tiny v1.1, Krai, NUCLEO-L4R5ZI_MICROTVM-CMSIS-NN, ad: 120 MHz, dual bank, the"
    " framework's own work included",
    "gcc of Zephyr SDK 0.13.2, CMSIS-NN 51263182",
    ("-O3",),
)
AES_CALLS = 100  # of each function, as aes.c calls it

PUBLISHED = (
    _coremark("stm32f401", "ram", 220.762735 / 84, F401, "gcc 14.2.1", "-Ofast"),
    _coremark(
        "stm32h723",
        "axi",
        2440.93 / 550,
        H723,
        "gcc 15.3.1",
        "-Ofast",
        "-ffp-contract=fast",
        "-funroll-all-loops",
    ),
    _coremark("stm32f405", "ram", 436.681223 / 168, F405, "Arm Compiler (MDK)", "-O3"),
    _coremark("stm32h723", "dtcm", 2777 / 550, H735, "IAR 7.80", "-Ofast", "-funroll-all-loops"),
    _aes("CM3_1T_AES128_keyschedule_enc", "cortex-m4", "ram", 302, "CM3_CM4_details.md"),
    _aes("CM3_1T_AES_encrypt", "cortex-m4", "ram", 626, "CM3_CM4_details.md"),
    _aes("CM3_1T_AES_decrypt", "cortex-m4", "ram", 629, "CM3_CM4_details.md"),
    _aes("CM4_DSPsBOX_AES_encrypt", "cortex-m4", "ram", 844, "CM3_CM4_details.md"),
    _aes("CM7_1T_AES128_keyschedule_enc", "stm32h743", "dtcm", 139, "CM7_details.md"),
    _aes("CM7_1T_AES_encrypt", "stm32h743", "dtcm", 292, "CM7_details.md"),
    _aes("CM7_1T_AES_decrypt", "stm32h743", "dtcm", 293, "CM7_details.md"),
    _aes("CM7_DSPsBOX_AES_encrypt", "stm32h743", "dtcm", 400, "CM7_details.md"),
)


def run(args: argparse.Namespace) -> int:
    """Measure what there are sources for, print it beside what was published and what was measured
    before; store it where that is asked for."""
    if args.coremark is None and args.aes is None and args.cmsis_nn is None:
        raise UsageError(
            "expected COREMARK=, AES= or CMSIS_NN=, checkouts of programs whose cycles are"
            " published"
        )
    rows = measure(args.coremark, args.aes)
    if args.cmsis_nn is not None:
        rows.append(_autoencoder(args.cmsis_nn))
        print(_line(rows[-1]))
    found = _with_stored(rows)
    print(format_table(found))
    if args.record is not None:
        write_json(RESULTS, found)
    results.record(args, measurement(found))
    return 0


def _with_stored(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """These rows behind those of other programs that were measured before, each with its date and
    compiler."""
    made = {"date": datetime.date.today().isoformat(), "compiler": _compiler()}
    before = load() if RESULTS.is_file() else {"rows": []}
    what = {row["what"] for row in rows}
    stored = [
        {"date": before["date"], "compiler": before["compiler"], **row}
        for row in before["rows"]
        if row["what"] not in what
    ]
    return {**made, "rows": [*stored, *({**made, **row} for row in rows)]}


def measurement(found: dict[str, Any]) -> results.Measurement:
    """What is kept where it is asked for: every published figure beside the model's."""
    columns = {"program": "", "function": "", "chip": "", "published": ",.0f", "modelled": ",.0f"}
    columns |= {
        "least": ",.0f",
        "most": ",.0f",
        "error %": "+.1f",
        "compiler there": "",
        "modelled on": "",
    }
    names = ("what", "function", "chip", "published", "modelled", "least", "most", "error_percent")
    rows = [
        [*(row[name] for name in (*names, "published_compiler")), row["date"]]
        for row in found["rows"]
    ]
    return results.Measurement(
        "validate",
        "The cycle models against published cycles",
        "published: measured on silicon by others; the rest modelled from instructions that QEMU"
        " counts",
        [results.Table("Cycles", columns, rows)],
        {
            "compiler": "; ".join(dict.fromkeys(row["compiler"] for row in found["rows"])),
            "QEMU": results.emulator(),
        },
    )


def measure(coremark: Path | None, aes: Path | None) -> list[dict[str, Any]]:
    """One row per published figure whose source is there."""
    build = {"CoreMark": (coremark, _build_coremark), "AES": (aes, _build_aes)}
    rows = []
    for figure in PUBLISHED:
        checkout, builder = build[figure.what]
        if checkout is None:
            continue
        chip = chips.bare(figure.chip, figure.memory)
        with tempfile.TemporaryDirectory() as folder:
            elf = builder(checkout, CORES[chip.core], Path(folder), figure.flags)
            (elf.parent / "cases.bin").touch()
            steps, each = (1, ITERATIONS) if figure.what == "CoreMark" else (AES_CALLS, 1)
            found = on_core.modelled(CORES[chip.core], elf, figure.function, steps, chip)
            _check(figure, (elf.parent / "results.bin").read_bytes())
        rows.append(_row(figure, found, found.steps * each))
        print(_line(rows[-1]))
    return rows


def _row(figure: Published, found: Modelled, times: int) -> dict[str, Any]:
    modelled, least, most = (
        round(value / times, 1) for value in (found.cycles, found.least, found.most)
    )
    return {
        "what": figure.what,
        "function": figure.function,
        "core": found.core,
        "chip": found.chip,
        "published": round(figure.cycles, 1),
        "source": figure.source,
        "published_compiler": figure.compiler,
        "comparable": figure.comparable,
        "flags": " ".join(figure.flags),
        "instructions": round(found.instructions / times, 1),
        "modelled": modelled,
        "least": least,
        "most": most,
        "error_percent": round(100 * (modelled / figure.cycles - 1), 1),
    }


def _autoencoder(checkout: Path) -> dict[str, Any]:
    """The dense layers of one inference, weights and requantization in flash."""
    shapes = Counter(pairwise(AUTOENCODER))
    with tempfile.TemporaryDirectory() as folder:
        library = next(
            found
            for found in cmsis_nn.find(checkout, Path(folder))
            if found.core.name == "cortex-m4"
        )
        elf, parts, executed = peers.build(library, Path(folder), "peers.c"), [], 0
        chip = replace(
            CHIPS["stm32l4r5"],
            memory=replace(CHIPS["stm32l4r5"].memory, regions=_tables_of_peers(elf)),
        )
        for (inputs, out), times in shapes.items():
            call = peers.Call(Layer(f"{inputs}→{out}", inputs, out), seed=1)
            (elf.parent / "cases.bin").write_bytes(call.to_bytes(repeats=1))
            found = on_core.modelled(library.core, elf, DENSE, 1, chip)
            parts.append(Cost(found.cycles, found.least, found.most) * times)
            executed += found.instructions * times
    whole = total(parts)
    return _row(
        MLPERF,
        replace(
            found, instructions=executed, cycles=whole.cycles, least=whole.least, most=whole.most
        ),
        1,
    )


def _tables_of_peers(elf: Path) -> tuple[Region, ...]:
    """What an exported model has in flash is read into RAM by peers.c; and its code."""
    names = {"weights": 1 << 20, "bias": 1 << 13, "multiplier": 1 << 13, "shift": 1 << 13}
    tables = [
        Region("flash", on_core.address_of(elf, name), size, cached=True)
        for name, size in names.items()
    ]
    return (*tables, Region("flash", 0, 1 << 22, cached=True))


def _build_coremark(checkout: Path, core: Core, folder: Path, flags: tuple[str, ...]) -> Path:
    names = ("core_list_join.c", "core_main.c", "core_matrix.c", "core_state.c", "core_util.c")
    sources = [*(checkout / name for name in names), SOURCES / "core_portme.c"]
    return compile_program(
        core,
        folder,
        sources,
        [*flags, f"-I{checkout}", f"-DITERATIONS={ITERATIONS}", "-DPERFORMANCE_RUN=1"],
    )


def _build_aes(checkout: Path, core: Core, folder: Path, flags: tuple[str, ...]) -> Path:
    family = "CM7*" if core.name == "cortex-m7" else "CM[34]*"
    sources = [
        *sorted((checkout / "aes" / "target").glob(f"{family}/*.S")),
        checkout / "aes" / "lookup_tables.c",
        SOURCES / "aes.c",
    ]
    return compile_program(
        core, folder, sources, [*flags, f"-I{checkout}", f"-DAES_FOR={core.name[-1]}"]
    )


def compile_program(core: Core, folder: Path, sources: list[Path], flags: list[str]) -> Path:
    missing = [str(source) for source in sources if not source.is_file()]
    if missing:
        raise TendonError(f"expected a checkout with {', '.join(missing)}")
    elf = folder / "program.elf"
    include = [f"-I{SOURCES}", f"-I{HERE}"]
    command = [
        "arm-none-eabi-gcc",
        *core.flags,
        *core.link_flags,
        *flags,
        *include,
        *map(str, sources),
        str(HERE / "port_qemu.c"),
    ]
    heap = "-Wl,--defsym=end=_bss_end"  # where newlib would begin one
    done = subprocess.run(
        [*command, heap, "-o", str(elf)], capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        raise TendonError(f"arm-none-eabi-gcc failed:\n{done.stderr[-4000:]}")
    return elf


def _check(figure: Published, results: bytes) -> None:
    """The program computed what it should; otherwise its cycles mean nothing."""
    if figure.what == "CoreMark":
        wrong = [line for line in CHECKSUMS if line.encode() not in results]
        if wrong:
            raise TendonError(
                f"CoreMark: expected {', '.join(wrong)}, found"
                f" {results[:400].decode(errors='replace')!r}"
            )
    elif results != 2 * FIPS_197 + PLAIN:
        raise TendonError(f"AES: expected the example of FIPS 197, found {results.hex()}")


def _compiler() -> str:
    return subprocess.run(
        ["arm-none-eabi-gcc", "--version"], capture_output=True, text=True, errors="replace"
    ).stdout.splitlines()[0]


def format_table(found: dict[str, Any]) -> str:
    """The rows as text."""
    names = f"{'':10}{'function':32}{'chip':32}"
    head = (
        f"{names}{'published':>11}{'modelled':>11}{'least':>11}{'most':>11}{'error':>9}   compiled"
        " for the published figure by"
    )
    made = dict.fromkeys(f"{row['compiler']}, {row['date']}" for row in found["rows"])
    return "\n".join([head, *map(_line, found["rows"]), "", f"modelled: {'; '.join(made)}"])


def _line(row: dict[str, Any]) -> str:
    figures = "".join(f"{row[name]:>11,.0f}" for name in ("published", "modelled", "least", "most"))
    names = f"{row['what']:10}{row['function']:32}{row['chip']:32}"
    return f"{names}{figures}{row['error_percent']:>+8.1f} %  {row['published_compiler']}"
