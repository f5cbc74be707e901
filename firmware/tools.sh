#!/bin/sh
# Makes sure of what Tendon needs from the distribution, or says clearly what to install and why it
# did not.
#   tools.sh          cross compiler, newlib, QEMU, a native compiler, CMake and cppcheck
#   tools.sh clang    clang, its linker and its sanitizers, for who builds with them too; without
#                     them tests are skipped and `make bench` counts gcc's code alone, so this never
#                     fails
#   tools.sh browser  chromium, with which a test looks at a report; without it that test is
#                     skipped, so this never fails
#   tools.sh python   Python 3.11 with venv, and a C++ compiler with Python's headers: the package
#                     kenlm is built from source
set -eu

need=""
missing=1 # exit code when something cannot be had
have() { command -v "$1" >/dev/null 2>&1; }
if [ "${1:-}" = python ]; then
    python3.11 -c 'import ensurepip, venv' 2>/dev/null || need=" python3.11 python3.11-venv"
    python3.11 -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' \
        2>/dev/null || need="$need python3.11-dev"
    have g++ || need="$need g++"
elif [ "${1:-}" = clang ]; then
    missing=0
    name=""
    for version in 24 23 22 21 20 19 18 17 16 15; do
        if [ -z "$name" ] && have "clang-$version"; then name=clang-$version; fi
    done
    if [ -z "$name" ]; then
        plain=$(clang -dumpversion 2>/dev/null || echo 0)
        [ "${plain%%.*}" -lt 15 ] || name=clang
    fi
    if [ -z "$name" ]; then
        need=" clang-19 lld-19 libclang-rt-19-dev"
    else
        suffix=${name#clang}
        version=$($name -dumpversion)
        have "ld.lld$suffix" || need=" lld$suffix"
        # the sanitizers, with which tests build
        ls "$($name -print-resource-dir)"/lib/*/libclang_rt.asan* >/dev/null 2>&1 ||
            need="$need libclang-rt-${version%%.*}-dev"
    fi
elif [ "${1:-}" = browser ]; then
    missing=0
    have chromium || need=" chromium"
else
    have gcc || need="$need gcc libc6-dev"
    have arm-none-eabi-gcc || need="$need gcc-arm-none-eabi"
    { have arm-none-eabi-gcc && [ -f "$(arm-none-eabi-gcc -print-file-name=libc.a)" ]; } ||
        need="$need libnewlib-arm-none-eabi"
    # TFLM= names a TFLite-Micro library to link: it is C++
    [ -z "${TFLM:-}" ] ||
        { have arm-none-eabi-g++ && [ -f "$(arm-none-eabi-g++ -print-file-name=libstdc++.a)" ]; } ||
        need="$need libstdc++-arm-none-eabi-newlib"
    have qemu-system-arm || need="$need qemu-system-arm"
    have cppcheck || need="$need cppcheck"
    have cmake || need="$need cmake"
fi
[ -z "$need" ] && exit 0

if ! have apt-get; then
    echo "Tendon needs:$need (Debian's names)." >&2
    echo "This system has no apt-get: install the same from your distribution," \
        "then run make again." >&2
    exit $missing
fi
run=""
if [ "$(id -u)" -ne 0 ]; then
    if have sudo && sudo -n true 2>/dev/null; then
        run="sudo"
    else
        echo "Tendon needs:$need. Installing them needs administrator rights:" >&2
        echo "    sudo apt-get install --no-install-recommends$need" >&2
        exit $missing
    fi
fi
. "$(dirname "$0")/alone.sh"
echo "installing$need"
wait="-o DPkg::Lock::Timeout=600" # for whoever else installs
$run apt-get update -qq $wait || [ $missing = 0 ]
DEBIAN_FRONTEND=noninteractive $run apt-get install -qq -y $wait --no-install-recommends $need \
    >/dev/null || {
    echo "The distribution could not install$need; install them by hand, then run make again." >&2
    exit $missing
}
