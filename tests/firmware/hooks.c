/* What compilers call at the begin of functions, for profiles, coverage and guards of the stack. It
 * leaves nothing in the registers that a call may change. */
#include <stdint.h>

#include "nn_intrinsics.h"

#define HOOK(name)                                                                                 \
    NN_NAKED void name(void *function, void *caller);                                              \
    NN_NAKED void name(void *function, void *caller)                                               \
    {                                                                                              \
        __asm__("mvn r0, #0x55\n\tmvn r1, #0x66\n\tmvn r2, #0x77\n\tmvn r3, #0x88\n\t"             \
                "mvn r12, #0x99\n\tbx lr");                                                        \
    }

HOOK(__cyg_profile_func_enter)
HOOK(__cyg_profile_func_exit)
HOOK(__sanitizer_cov_trace_pc)
HOOK(__gcov_init)
HOOK(__gcov_exit)
HOOK(__gcov_merge_add)
HOOK(llvm_gcov_init)
HOOK(llvm_gcda_start_file)
HOOK(llvm_gcda_emit_function)
HOOK(llvm_gcda_emit_arcs)
HOOK(llvm_gcda_summary_info)
HOOK(llvm_gcda_end_file)

uintptr_t __stack_chk_guard = 0x5AA50FF0u;

/* The case runner does not answer, which the test finds. */
_Noreturn void __stack_chk_fail(void);
_Noreturn void __stack_chk_fail(void)
{
    for (;;)
        __asm__ volatile("bkpt 0");
}
