/* RCC_CSR or RCC_RSR, which registers.h names: a flag for each cause. An internal reset pulls the
 * pin too, so the pin is believed last; after power-on the other flags mean nothing, so that comes
 * first. */
#include "reset.h"
#include "port.h"
#include "registers.h"

/* Here it is the clock security system's, or a memory's, and both are faults. */
const bool reset_nmi_is_watchdog = false;

static uint32_t cause_of(uint32_t flags)
{
    static const struct {
        uint32_t flags, cause;
    } causes[] = {
        {RESET_POWER_ON, PORT_RESET_POWER_ON}, {RESET_BROWN_OUT, PORT_RESET_BROWN_OUT},
        {RESET_WATCHDOG, PORT_RESET_WATCHDOG}, {RESET_OTHER, PORT_RESET_OTHER},
        {RESET_SOFTWARE, PORT_RESET_SOFTWARE}, {RESET_PIN, PORT_RESET_PIN},
    };
    for (uint32_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
        if (flags & causes[i].flags)
            return causes[i].cause;
    return PORT_RESET_UNKNOWN;
}

reset_origin reset_read(void)
{
    const uint32_t flags = RESET_REGISTER & RESET_FLAGS;
    RESET_REGISTER |= RESET_CLEAR;
    RESET_REGISTER &= ~RESET_CLEAR; /* on some it stays set, and would clear the next ones too */
    return (reset_origin){.cause = cause_of(flags), .ram_lost = flags & RESET_LOSES_RAM,
                          .flags = flags};
}
