#!/bin/sh
# sh stamp.sh <objdump> <firmware.elf>
# Writes into a linked image the CRC-32 of all that it puts into flash (image.c), which the firmware
# checks at every start. gzip ends with that CRC. Without these programs the image stays as it is:
# it then checks its tables only, and says so.
set -e
for tool in "$1" awk dd gzip head tail; do
    command -v "$tool" >/dev/null || {
        echo "$2: no CRC over its code: $tool was not found" >&2
        exit 0
    }
done
elf=$2
headers=$("$1" -h "$elf")

# of a section: its size and its place in the file, in hexadecimal
section() {
    printf '%s\n' "$headers" | awk -v name="$1" '$2 == name { print $3, $6 }'
}

content() {
    for name in .vectors .text .cold_tables .tables .rodata .ARM.extab .ARM.exidx .data; do
        set -- $(section "$name")
        [ $# -eq 0 ] || [ $((0x$1)) -eq 0 ] || tail -c +$((0x$2 + 1)) "$elf" | head -c $((0x$1))
    done
}

set -- $(section .image_crc)
[ $# -eq 2 ] || exit 0 # an application without image.c, which checks its tables by itself
{
    printf 'CRC1' # PORT_STAMPED
    content | gzip -1 -c | tail -c 8 | head -c 4
} | dd of="$elf" bs=1 seek=$((0x$2)) conv=notrunc 2>/dev/null
