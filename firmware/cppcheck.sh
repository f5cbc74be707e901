#!/bin/sh
# Static analysis of all C: everything cppcheck knows but what firmware/cppcheck.suppressions names,
# with the reason there.
set -eu
cd "$(dirname "$0")/.."
exec cppcheck --std=c11 --quiet --error-exitcode=1 --inline-suppr \
    --enable=warning,style,performance,portability \
    --suppressions-list=firmware/cppcheck.suppressions --platform=arm32-wchar_t4 \
    -Ifirmware/app -Ifirmware/examples -Ifirmware/nn -Ifirmware/port -Ifirmware/port/cortex-m \
    -Ifirmware/port/cmsdk -Ifirmware/port/virtual-f405 -Itests/firmware/toy_model \
    firmware/app firmware/examples firmware/nn firmware/port tests/firmware
