/* For an application that has a heap: newlib's malloc() asks here for memory, and gets what
 * linker.ld leaves of BUFFERS. Nothing of this project calls it, and then the linker drops it. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

extern uint8_t __heap_start[], __heap_end[];

void *_sbrk(ptrdiff_t more) __attribute__((weak)); /* an application may have its own */

void *_sbrk(ptrdiff_t more)
{
    static ptrdiff_t used;
    const ptrdiff_t room = (ptrdiff_t)((uintptr_t)__heap_end - (uintptr_t)__heap_start);
    if (more > room - used || more < -used) {
        errno = ENOMEM;
        return (void *)-1; /* as sbrk() of POSIX says it */
    }
    uint8_t *const begin = __heap_start + used;
    used += more;
    return begin;
}
