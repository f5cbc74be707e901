/* A function that is nothing but its assembly. Guards of the stack, profilers and coverage put code
 * in front of it, which `naked` alone does not forbid: that code overwrites r0 to r3, and after a
 * fault the stack may not be one. (nn_intrinsics.h says the same for kernels, which come without a
 * port.) */
#ifndef NAKED_H
#define NAKED_H

#define NAKED                                                                                      \
    __attribute__((naked, UNGUARDED UNPROFILED UNCOVERED UNPATCHED no_instrument_function))
#if __has_attribute(no_stack_protector)
#define UNGUARDED no_stack_protector,
#else
#define UNGUARDED optimize("no-stack-protector"),
#endif
#if __has_attribute(no_profile_instrument_function)
#define UNPROFILED no_profile_instrument_function,
#else
#define UNPROFILED
#endif
#if defined(__clang__)
#define UNCOVERED no_sanitize("coverage"),
#elif __has_attribute(no_sanitize_coverage)
#define UNCOVERED no_sanitize_coverage,
#else
#define UNCOVERED
#endif
#if __has_attribute(patchable_function_entry)
#define UNPATCHED patchable_function_entry(0),
#else
#define UNPATCHED
#endif
#endif
