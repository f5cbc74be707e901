#!/bin/sh
# Makes sure of the cross compiler, newlib, QEMU and cppcheck: from the distribution, or with a clear message why not.
set -eu

need=""
have() { command -v "$1" >/dev/null 2>&1; }
have gcc || need="$need gcc libc6-dev"
have arm-none-eabi-gcc || need="$need gcc-arm-none-eabi"
{ have arm-none-eabi-gcc && [ -f "$(arm-none-eabi-gcc -print-file-name=libc.a)" ]; } || need="$need libnewlib-arm-none-eabi"
have qemu-system-arm || need="$need qemu-system-arm"
have cppcheck || need="$need cppcheck"
[ -z "$need" ] && exit 0

if ! have apt-get; then
    echo "Tendon needs:$need (Debian's names)." >&2
    echo "This system has no apt-get: install the same from your distribution, then run make again." >&2
    exit 1
fi
run=""
if [ "$(id -u)" -ne 0 ]; then
    if have sudo && sudo -n true 2>/dev/null; then
        run="sudo"
    else
        echo "Tendon needs:$need. Installing them needs administrator rights:" >&2
        echo "    sudo apt-get install --no-install-recommends$need" >&2
        exit 1
    fi
fi
echo "installing$need"
$run apt-get update -qq
DEBIAN_FRONTEND=noninteractive $run apt-get install -qq -y --no-install-recommends $need >/dev/null
