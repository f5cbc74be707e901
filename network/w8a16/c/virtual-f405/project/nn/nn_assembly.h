/* Lines of assembly, for naked functions (nn_intrinsics.h) whose only parameter points to a struct:
 * its fields are read at offsets that the source asserts. */
#ifndef NN_ASSEMBLY_H
#define NN_ASSEMBLY_H

#include <stddef.h>

#include "nn_intrinsics.h"

#define NN_TEXT_OF(v) #v
#define NN_TEXT(v) NN_TEXT_OF(v)

/* `at` is an offset in bytes, a macro that is a number. */
#define LDR(to, base, at) "ldr " to ", [" base ", #" NN_TEXT(at) "]\n"
#define STR(from, base, at) "str " from ", [" base ", #" NN_TEXT(at) "]\n"
#define LDRD(to, next, base, at) "ldrd " to ", " next ", [" base ", #" NN_TEXT(at) "]\n"
#define STRD(from, next, base, at) "strd " from ", " next ", [" base ", #" NN_TEXT(at) "]\n"
#define MOV(to, from) "mov " to ", " from "\n"
#define ADD(to, a, b) "add " to ", " a ", " b "\n"

/* A line for each of some registers, in which it is called \r */
#define EACH(registers, line) ".irp r, " registers "\n" line "\n.endr\n"
#define TIMES(count, lines) ".rept " NN_TEXT(count) "\n" lines ".endr\n"

/* That a field lies where the assembly looks for it */
#define NN_LIES(type, field, at) \
    _Static_assert(offsetof(type, field) == (at), #field " lies elsewhere")

#endif
