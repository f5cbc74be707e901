/* Functions written in assembly: naked ones, whose body is one asm, so that no compiler, level,
 * frame pointer or link-time optimization brings registers, stack or an order of its own into them.
 * Their only parameter, in r0, points to a struct whose offsets the source asserts. Above each
 * stands how much stack it pushes, in a form that tests read: a compiler's own figures leave it
 * out. */
#ifndef NN_ASSEMBLY_H
#define NN_ASSEMBLY_H

#include <stddef.h>

#include "nn_intrinsics.h"

/* gcc would take arguments away that it sees no use of; clang leaves naked functions alone. */
#if defined(__has_attribute)
#if __has_attribute(noipa)
#define NN_NAKED __attribute__((naked, noinline, noipa))
#endif
#endif
#ifndef NN_NAKED
#define NN_NAKED __attribute__((naked, noinline))
#endif

#define NN_TEXT_OF(v) #v
#define NN_TEXT(v) NN_TEXT_OF(v)

/* Lines of assembly. `at` is an offset in bytes, a macro that is a number. */
#define LDR(to, base, at) "ldr " to ", [" base ", #" NN_TEXT(at) "]\n\t"
#define STR(from, base, at) "str " from ", [" base ", #" NN_TEXT(at) "]\n\t"
#define LDRD(to, next, base, at) "ldrd " to ", " next ", [" base ", #" NN_TEXT(at) "]\n\t"
#define STRD(from, next, base, at) "strd " from ", " next ", [" base ", #" NN_TEXT(at) "]\n\t"
#define MOV(to, from) "mov " to ", " from "\n\t"
#define ADD(to, a, b) "add " to ", " a ", " b "\n\t"

/* That a field lies where the assembly looks for it */
#define NN_LIES(type, field, at) \
    _Static_assert(offsetof(type, field) == (at), #field " lies elsewhere")

#endif
