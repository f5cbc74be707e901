"""Sends the samples of a file to own_samples_serial.elf in QEMU, and prints what it says.

    python3 send_samples.py samples qemu-system-arm ... -kernel own_samples_serial.elf -serial stdio

Samples are int16, low byte first. Needs nothing but Python 3.8 or later.
"""

import subprocess
import sys

ENQ = b"\5"


def talk(samples, send, receive, show):
    greeting = receive.readline()
    if not greeting.rpartition(b":")[2].strip().isdigit():
        sys.exit(f"expected how many bytes a step has, found {greeting!r}")
    step = int(greeting.rpartition(b":")[2])
    while byte := receive.read(1):
        if byte != ENQ:
            show.write(byte)
            show.flush()
            continue
        content = samples.read(step)
        if len(content) < step:
            if content:
                print(f"left over: {len(content)} bytes, a step has {step}", file=sys.stderr)
            return
        send.write(content)
        send.flush()
    sys.exit("the board ended")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with open(sys.argv[1], "rb") as samples, subprocess.Popen(sys.argv[2:], **pipes) as board:
        try:
            talk(samples, board.stdin, board.stdout, sys.stdout.buffer)
        finally:
            board.kill()


main()
