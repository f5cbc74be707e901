#include "octospi.h"
#include "pin.h"
#include "registers.h"
#include "select.h"

#define ONE_LINE OCTOSPI_CCR_IMODE_ONE
#define ONE_LINE_ADDRESS (OCTOSPI_CCR_ADMODE_ONE | OCTOSPI_CCR_ADSIZE_32)
#define EIGHT_LINES (OCTOSPI_CCR_IMODE_EIGHT | OCTOSPI_CCR_IDTR | OCTOSPI_CCR_ISIZE_16)
#define EIGHT_LINES_ADDRESS (OCTOSPI_CCR_ADMODE_EIGHT | OCTOSPI_CCR_ADDTR | OCTOSPI_CCR_ADSIZE_32)
#define EIGHT_LINES_DATA (OCTOSPI_CCR_DMODE_EIGHT | OCTOSPI_CCR_DDTR | OCTOSPI_CCR_DQSE)
/* turns of about 8 cycles at 520 MHz; eight of them on the internal oscillator */
#define MILLISECOND 65000u

/* UM2679 (STM32H735G-DK), Octo-SPI flash, and the STM32H735's table of alternate functions: all of
 * port 1. */
static void set_pins(void)
{
    static const struct {
        uint32_t port;
        uint8_t pin, function;
    } pins[] = {
        {GPIOG, 6, 10}, {GPIOF, 10, 9}, {GPIOB, 2, 10}, /* select, clock, data strobe */
        {GPIOD, 11, 9}, {GPIOD, 12, 9}, {GPIOE, 2, 9},  {GPIOD, 13, 9},
        {GPIOD, 4, 10}, {GPIOD, 5, 10}, {GPIOG, 9, 9},  {GPIOD, 7, 10},
    };
    for (uint32_t i = 0; i < sizeof pins / sizeof pins[0]; i++) {
        pin_alternate(pins[i].port, pins[i].pin, pins[i].function);
        pin_field(pins[i].port + 0x08u, pins[i].pin, 2u, 3u); /* very high speed */
    }
    pin_pull_up(GPIOG, 6u); /* not selected while nothing drives it */
}

/* RM0468, SYSCFG, I/O compensation: edges of pins above 50 MHz, kept alike over temperature by a
 * cell that CSI clocks. */
static void compensate_pins(void)
{
    RCC_CR |= RCC_CR_CSION;
    RCC_APB4ENR |= RCC_APB4ENR_SYSCFG;
    if (!wait_for(&RCC_CR, RCC_CR_CSIRDY, RCC_CR_CSIRDY))
        return;
    SYSCFG_CCCSR |= SYSCFG_CCCSR_EN;
    (void)wait_for(&SYSCFG_CCCSR, SYSCFG_CCCSR_READY, SYSCFG_CCCSR_READY);
}

/* PLL2 R: HSI 64 MHz / 4 * 25 / 2 = 200 MHz, which the interface halves. P and Q are not used. */
static bool clock_ready(void)
{
    RCC_PLLCKSELR = (RCC_PLLCKSELR & ~(RCC_PLLCKSELR_PLLSRC | RCC_PLLCKSELR_DIVM2)) | 4u << 12;
    RCC_PLLCFGR =
        (RCC_PLLCFGR & ~RCC_PLLCFGR_PLL2) | RCC_PLLCFGR_PLL2RGE_16MHZ | RCC_PLLCFGR_DIVR2EN;
    RCC_PLL2DIVR = (25u - 1u) | (8u - 1u) << 9 | (8u - 1u) << 16 | (2u - 1u) << 24;
    RCC_CR |= RCC_CR_PLL2ON;
    if (!wait_for(&RCC_CR, RCC_CR_PLL2RDY, RCC_CR_PLL2RDY))
        return false;
    RCC_D1CCIPR = (RCC_D1CCIPR & ~RCC_D1CCIPR_OCTOSPISEL) | RCC_D1CCIPR_OCTOSPISEL_PLL2R;
    return true;
}

static void pause(uint32_t turns)
{
    for (volatile uint32_t turn = 0; turn < turns; turn++) {
    }
}

static bool idle(void)
{
    return wait_for(&OCTOSPI_SR, OCTOSPI_SR_BUSY, 0u);
}

/* What does not end by itself is aborted (RM0468, OCTOSPI, abort): the next command finds the
 * interface idle. */
static bool finished(uint32_t flag)
{
    const bool done = wait_for(&OCTOSPI_SR, flag, flag);
    if (!done) {
        OCTOSPI_CR |= OCTOSPI_CR_ABORT;
        (void)wait_for(&OCTOSPI_CR, OCTOSPI_CR_ABORT, 0u);
    }
    OCTOSPI_FCR = OCTOSPI_FCR_ALL;
    return done && idle();
}

/* RM0468, OCTOSPI: mode, lines and timing are written while nothing is under way; a command begins
 * with the last that it needs: the instruction, or the address, or the data. */
static void prepare(uint32_t mode, uint32_t lines, uint32_t dummy)
{
    (void)idle();
    OCTOSPI_CR = OCTOSPI_CR_EN | OCTOSPI_CR_APMS | mode;
    OCTOSPI_CCR = lines;
    OCTOSPI_TCR = dummy | ((lines & OCTOSPI_CCR_IDTR) ? OCTOSPI_TCR_DHQC : 0u);
}

static bool command(uint32_t lines, uint32_t instruction)
{
    prepare(OCTOSPI_CR_FMODE_WRITE, lines, 0u);
    OCTOSPI_IR = instruction;
    return finished(OCTOSPI_SR_TCF);
}

/* Reads the status register until its masked bits are `value`: one byte, or on both edges the same
 * one twice. */
static bool status_is(bool eight_lines, uint32_t mask, uint32_t value)
{
    const uint32_t lines = eight_lines ? EIGHT_LINES | EIGHT_LINES_ADDRESS | EIGHT_LINES_DATA
                                       : ONE_LINE | OCTOSPI_CCR_DMODE_ONE;
    prepare(OCTOSPI_CR_FMODE_POLL, lines, eight_lines ? NOR8_STATUS_DUMMY : 0u);
    OCTOSPI_DLR = eight_lines ? 1u : 0u; /* bytes - 1 */
    OCTOSPI_PSMKR = mask;
    OCTOSPI_PSMAR = value;
    OCTOSPI_PIR = 16u; /* clocks between two readings */
    OCTOSPI_IR = eight_lines ? NOR8_READ_STATUS : NOR_READ_STATUS;
    if (eight_lines)
        OCTOSPI_AR = 0u;
    return finished(OCTOSPI_SR_SMF);
}

/* A reset of the chip does not reset the flash: it may still be on eight lines, from this program
 * or a loader's. Out of reading it is back within 40 us (out of an erase within 100 ms, but then
 * its tables are not whole either). */
static bool reset_flash(void)
{
    (void)command(EIGHT_LINES, NOR8_RESET_ENABLE);
    (void)command(EIGHT_LINES, NOR8_RESET);
    (void)command(ONE_LINE, NOR_RESET_ENABLE);
    (void)command(ONE_LINE, NOR_RESET);
    pause(MILLISECOND);
    return status_is(false, NOR_STATUS_BUSY, 0u);
}

/* MX25LM51245G, configuration register 2, address 0: from the next command on eight lines, both
 * edges. */
static bool widen(void)
{
    if (!command(ONE_LINE, NOR_WRITE_ENABLE) ||
        !status_is(false, NOR_STATUS_WRITABLE, NOR_STATUS_WRITABLE))
        return false;
    prepare(OCTOSPI_CR_FMODE_WRITE, ONE_LINE | ONE_LINE_ADDRESS | OCTOSPI_CCR_DMODE_ONE, 0u);
    OCTOSPI_DLR = 0u;
    OCTOSPI_IR = NOR_WRITE_CONFIGURATION_2;
    OCTOSPI_AR = 0u;
    /* one byte: the width of the access is what is sent */
    *(volatile uint8_t *)&OCTOSPI_DR = NOR_CR2_EIGHT_LINES_BOTH_EDGES;
    const bool written = finished(OCTOSPI_SR_TCF);
    pause(40u * MILLISECOND); /* the longest that a register takes to be written */
    return written;
}

/* On eight lines it lets itself be told something and says so, with its data strobe. Without this
 * answer a read would wait for the strobe for ever, and the core with it. */
static bool answers_on_eight_lines(void)
{
    return command(EIGHT_LINES, NOR8_WRITE_ENABLE) &&
           status_is(true, NOR_STATUS_WRITABLE, NOR_STATUS_WRITABLE) &&
           command(EIGHT_LINES, NOR8_WRITE_DISABLE);
}

/* RM0468, OCTOSPI, memory-mapped mode. */
static void map(bool eight_lines)
{
    if (eight_lines)
        prepare(OCTOSPI_CR_FMODE_WRITE, EIGHT_LINES | EIGHT_LINES_ADDRESS | EIGHT_LINES_DATA,
                NOR8_READ_DUMMY);
    else
        prepare(OCTOSPI_CR_FMODE_WRITE, ONE_LINE | ONE_LINE_ADDRESS | OCTOSPI_CCR_DMODE_ONE, 0u);
    OCTOSPI_IR = eight_lines ? NOR8_READ : NOR_READ;
    OCTOSPI_CR = OCTOSPI_CR_EN | OCTOSPI_CR_FMODE_MAP;
}

/* On one line, by the clock: PLL2's, or the AXI bus's, which the core's PLL makes or HSI. */
static const char *one_line(bool answers, bool fast)
{
    if (!answers)
        return "one line, no answer";
    if (fast)
        return "one line, 50 MHz";
    return clock_selected() == RCC_CFGR_SW_PLL1 ? "one line, 65 MHz" : "one line, 16 MHz";
}

const char *octospi_start(void)
{
    RCC_AHB4ENR |= RCC_AHB4ENR_GPIOB_D_E_F_G;
    RCC_AHB3ENR |= RCC_AHB3ENR_OSPI1 | RCC_AHB3ENR_IOMNGR;
    (void)RCC_AHB3ENR; /* until the clocks run */
    compensate_pins();
    const bool fast = clock_ready();
    set_pins();
    OCTOSPI_CR = 0;
    OCTOSPI_DCR1 = OCTOSPI_DCR1_MTYP_MACRONIX | OCTOSPI_DCR1_DEVSIZE_64MB | OCTOSPI_DCR1_CSHT_2;
    OCTOSPI_DCR2 = 4u - 1u; /* 50 MHz, what one line is read with; 65 at most from the AXI clock */
    bool answers = reset_flash();
    const bool wide = answers && fast && widen();
    if (wide)
        OCTOSPI_DCR2 = 2u - 1u;
    const bool eight_lines = wide && answers_on_eight_lines();
    if (wide && !eight_lines) {
        OCTOSPI_DCR2 = 4u - 1u;
        answers = reset_flash();
    }
    map(eight_lines);
    return eight_lines ? "eight lines, both edges, 100 MHz" : one_line(answers, fast);
}
