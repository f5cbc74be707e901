"""What an executed instruction does for a layer: loads or stores, unpacks, multiplies, requantizes,
or the rest. By its mnemonic.

Each instruction is in exactly one class: the first whose rule it meets, and `rest` when it meets
none.

    load_store    memory that holds tables, activations, state or a layer's description: LDR, LDRD,
                  LDM, STR, VLDR, VSTR, … what is kept on the stack (base SP) and literals beside
                  the code (base PC) are `rest`
    unpack        widening and pairing: SXTB16, SXTH, UXTB, SBFX, PKHBT, shifts by 16, masks over
                  registers (nibbles); VMOVL, VSHLL, VMOVN, bitwise operations on vectors
    mac           multiplications that keep the low or the whole product: SMLAD, SMLALD, SMLSD, MLA,
                  MUL, SMULL, …; VMLADAV, VMLA, VMUL
    requantize    rounded high halves, saturation, clamps: SMMULR, SMMLAR, SSAT, USAT, QADD16,
                  UQADD16, UADD16; VQRDMULH, VRMULH, VRSHL, VQMOVN, VMAX, VMIN
    rest          loops, addresses, calls, moves, and plain sums

Mnemonics: Armv7-M ARM (DDI 0403E), chapter A7; Armv8-M ARM (DDI 0553B), chapter C2, for the vector
instructions.
"""

from __future__ import annotations

import re

from bench.cycles.instructions import Instruction

CLASSES = ("load_store", "unpack", "mac", "requantize", "rest")
TITLES = {
    "load_store": "load, store",
    "unpack": "unpack",
    "mac": "multiply-accumulate",
    "requantize": "requantize",
    "rest": "loop, address, call",
}

_MEMORY = re.compile(r"(ldr|str|ldm|stm|vldr|vstr|vldm|vstm|vld[24]|vst[24])")
_STACK = re.compile(r"\[(sp|pc)\b|^sp!?,")
_REQUANTIZE = re.compile(
    r"smm(ul|la|ls)|[su]sat|q(add|sub|dadd|dsub|asx|sax)|uq(add|sub|asx|sax)|[su](add|sub)16|sel\b"
    r"|u?q?rshrl?|sqrshr|[su]qshl|v(r|qrd|qd)?mulh|vq?rsh|vqshl|vqshrn|vqshru|vqrsh"
    r"|vqmov|vqadd|vqsub|vmax|vmin"
)
_MAC = re.compile(
    r"ml[as]|mul|[su]mull|[su]mlal|umaal|sm(la|ls|ua|us|ul)|vr?ml[as]|vmul|vcmla|vcmul"
    r"|vq(r?)d(mla|mls|mull|mlash|mladh|mlsdh)|vaddl?v"
)
_UNPACK = re.compile(r"[su]xt|[su]bfx|pkh|vmovl|vmovn|vshll|vrev|veor|vand|vorr|vbic")
_SHIFT = re.compile(r"(ls[lr]|asr)s?$")


def classify(instruction: Instruction) -> str:
    """One of CLASSES."""
    name, operands = instruction.mnemonic, instruction.operands
    if _MEMORY.match(name):
        return "rest" if _STACK.search(operands) else "load_store"
    if _REQUANTIZE.match(name):
        return "requantize"
    if _MAC.match(name):
        return "mac"
    if _UNPACK.match(name) or _is_mask(name, operands) or _is_half(name, operands):
        return "unpack"
    return "rest"


def _is_mask(name: str, operands: str) -> bool:
    """AND of two registers, the second shifted or not: the nibbles of packed weights."""
    return (
        re.match(r"ands?$", name) is not None
        and "#" not in operands.split("ls")[0]
        and operands.count(",") >= 2
    )


def _is_half(name: str, operands: str) -> bool:
    """A shift by 16: the high half of a pair, or a half moved there."""
    return _SHIFT.match(name) is not None and operands.endswith("#16")
