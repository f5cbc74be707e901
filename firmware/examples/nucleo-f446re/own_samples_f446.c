/* Own samples on a NUCLEO-F446RE: a front end sends them by SPI, DMA fills two buffers in turn,
 * each full one becomes a step, and what the network says goes to the ST-LINK's serial port as
 * text (USART2, 921600 baud, 8N1). Built, not run: it has not yet run on silicon.
 *
 * The front end is the master of SPI1 in mode 0, 16 bits a word, most significant bit first:
 *      NSS   PA4, A2 on CN8: low for one sample (NETWORK_INPUTS words), high before the next
 *      SCK   PA5, D13 on CN5, where the LED LD2 flickers with it
 *      MOSI  PA7, D11 on CN5
 * It sends NETWORK_SAMPLE_RATE samples a second, filtered as network.h says under Samples.
 *
 * RM0390 is ST's reference manual of the chip: chapter 9 its DMA, 26 its SPI. Clock, USART,
 * start-up and watchdog are those of port/. */
#include "network.h"
#include "line.h"
#include "number_text.h"
#include "own_samples.h"
#include "pin.h"
#include "port.h"
#include "registers.h"
#include "task.h"
#include "vectors.h"
#include "wait.h"
#include <string.h>

#define RCC_APB2ENR REGISTER(0x40023844u)
#define RCC_APB2ENR_SPI1 (1u << 12)
#define RCC_AHB1ENR_DMA2 (1u << 22)
#define GPIOA_IDR REGISTER(GPIOA + 0x10u)
#define GPIOA_IDR_NSS (1u << 4)

#define SPI1_CR1 REGISTER(0x40013000u)
#define SPI1_CR2 REGISTER(0x40013004u)
#define SPI1_SR REGISTER(0x40013008u)
#define SPI1_DR REGISTER(0x4001300Cu)
#define SPI_CR1_SPE (1u << 6)
#define SPI_CR1_RXONLY (1u << 10)
#define SPI_CR1_DFF (1u << 11) /* 16 bits */
#define SPI_CR2_RXDMAEN (1u << 0)
#define SPI_SR_OVR (1u << 6)

/* SPI1_RX is channel 3 of DMA2's stream 0 (RM0390, table of DMA2's requests). */
#define DMA2_LISR REGISTER(0x40026400u)
#define DMA2_LIFCR REGISTER(0x40026408u)
#define DMA2_S0CR REGISTER(0x40026410u)
#define DMA2_S0NDTR REGISTER(0x40026414u)
#define DMA2_S0PAR REGISTER(0x40026418u)
#define DMA2_S0M0AR REGISTER(0x4002641Cu)
#define DMA2_S0M1AR REGISTER(0x40026420u)
#define DMA2_STREAM0_IRQ 56u
#define DMA_STREAM0_FLAGS 0x3Du
#define DMA_TCIF0 (1u << 5)
#define DMA_DMEIF0 (1u << 2)
#define DMA_TEIF0 (1u << 3)
#define DMA_CR_EN (1u << 0)
#define DMA_CR_DMEIE (1u << 1)
#define DMA_CR_TEIE (1u << 2)
#define DMA_CR_TCIE (1u << 4)
#define DMA_CR_MINC (1u << 10)
#define DMA_CR_16_BITS (1u << 11 | 1u << 13) /* PSIZE, MSIZE */
#define DMA_CR_PRIORITY (2u << 16)           /* high */
#define DMA_CR_DBM (1u << 18)                /* two buffers */
#define DMA_CR_CT (1u << 19)                 /* which of them is being filled */
#define DMA_CR_CHANNEL_3 (3u << 25)

_Static_assert(NETWORK_STEP_SAMPLES <= 65535, "the DMA counts words in 16 bits");

NETWORK_DEFINE(net);
static int16_t words[2][NETWORK_STEP_SAMPLES];
static int16_t out[NETWORK_STEP_OUTPUTS];
static two_buffers buffers;
static volatile uint32_t broken; /* the DMA gave up, or lost a word */
static task reader;
static int meaningless;

/* --- the hardware ----------------------------------------------------------------------------- */

static void DMA2_Stream0_IRQHandler(void)
{
    const uint32_t status = DMA2_LISR & DMA_STREAM0_FLAGS;
    DMA2_LIFCR = status;
    if (status & (DMA_TEIF0 | DMA_DMEIF0))
        broken = 1u;
    if (status & DMA_TCIF0)
        buffer_filled(&buffers, (DMA2_S0CR & DMA_CR_CT) ? 1u : 0u);
}

/* The vectors of the port are in flash, and have none for the DMA: a copy of them has. It lies on a
 * power of two that it does not exceed (ARM DDI 0403, B3.2.5). */
static void set_vector(uint32_t irq, vector handler)
{
    static vector table[16u + PERIPHERALS] __attribute__((aligned(512)));
    memcpy(table, (const void *)(uintptr_t)SCB_VTOR, sizeof table);
    table[16u + irq] = handler;
    SCB_VTOR = (uint32_t)(uintptr_t)table;
    __asm volatile("dsb" ::: "memory");
    NVIC_IPR(irq) = 0;
    NVIC_ISER(irq) = 1u << (irq % 32u);
}

static void set_pins(void)
{
    RCC_APB2ENR |= RCC_APB2ENR_SPI1;
    RCC_AHB1ENR |= RCC_AHB1ENR_DMA2;
    (void)RCC_AHB1ENR; /* until the clocks run */
    pin_alternate(GPIOA, 4u, 5u); /* alternate function 5 (STM32F446 data sheet) */
    pin_alternate(GPIOA, 5u, 5u);
    pin_alternate(GPIOA, 7u, 5u);
    pin_pull_up(GPIOA, 4u); /* without a front end nobody is selected */
}

static void stop_front_end(void)
{
    SPI1_CR1 &= ~SPI_CR1_SPE;
    DMA2_S0CR &= ~DMA_CR_EN;
    wait_for(&DMA2_S0CR, DMA_CR_EN, 0);
    DMA2_LIFCR = DMA_STREAM0_FLAGS;
    (void)SPI1_DR; /* this order clears OVR */
    (void)SPI1_SR;
}

/* For ever, if no front end is there. */
static void wait_for_select(uint32_t level)
{
    while ((GPIOA_IDR & GPIOA_IDR_NSS) != level)
        line_serve_watchdog();
}

/* Begins with the first electrode: the SPI is switched on between two samples. The order is that of
 * RM0390 26.3.9: DMA request, DMA stream, SPI. */
static void start_front_end(void)
{
    stop_front_end();
    buffers.filled = buffers.taken = broken = 0;
    DMA2_S0PAR = (uint32_t)(uintptr_t)&SPI1_DR;
    DMA2_S0M0AR = (uint32_t)(uintptr_t)words[0];
    DMA2_S0M1AR = (uint32_t)(uintptr_t)words[1];
    DMA2_S0NDTR = NETWORK_STEP_SAMPLES;
    DMA2_S0CR = DMA_CR_CHANNEL_3 | DMA_CR_DBM | DMA_CR_PRIORITY | DMA_CR_16_BITS | DMA_CR_MINC |
                DMA_CR_TCIE | DMA_CR_TEIE | DMA_CR_DMEIE;
    SPI1_CR1 = SPI_CR1_RXONLY | SPI_CR1_DFF;
    SPI1_CR2 = SPI_CR2_RXDMAEN;
    DMA2_S0CR |= DMA_CR_EN;
    wait_for_select(0);
    wait_for_select(GPIOA_IDR_NSS);
    SPI1_CR1 |= SPI_CR1_SPE;
}

/* Masked: an interrupt that comes between the question and the sleep still ends it. */
static void sleep_until_filled(void)
{
    line_rest_watchdog();
    __asm volatile("cpsid i" ::: "memory");
    if (!buffer_waits(&buffers) && broken == 0)
        __asm volatile("wfi");
    __asm volatile("cpsie i" ::: "memory");
    line_serve_watchdog();
}

/* --- the stream ------------------------------------------------------------------------------- */

static void say(const char *text)
{
    port_write((const uint8_t *)text, (uint32_t)strlen(text));
}

/* As before the first sample: where samples are missing, the stream is another. */
static void begin_anew(void)
{
    network_reset(&net);
    task_reset(&reader);
    meaningless = NETWORK_START_UP;
}

static void say_frames(void)
{
    for (int i = 0; i < NETWORK_FRAMES_PER_STEP; i++)
        if (meaningless > 0)
            meaningless--;
        else
            task_frame(&reader, &out[i * NETWORK_OUTPUTS], say);
}

/* The oldest full buffer. */
static void step(void)
{
    int16_t *const samples = words[buffer_next(&buffers)];
    own_samples(samples, NETWORK_STEP_SAMPLES);
    network_step(&net, samples, out);
    if (buffer_done(&buffers) == 0) {
        say_frames();
        return;
    }
    say("\r\n[too slow, steps lost so far: ");
    say_number(buffers.lost, 0, say);
    say("]\r\n");
    begin_anew();
}

int main(void)
{
    port_start();
    if (network_selftest(&net, words[0], out) != 0) {
        say("the self-test failed: tables or kernels are damaged\r\n");
        for (;;)
            line_serve_watchdog();
    }
    begin_anew();
    set_pins();
    set_vector(DMA2_STREAM0_IRQ, DMA2_Stream0_IRQHandler);
    start_front_end();
    for (;;) {
        sleep_until_filled();
        if (broken != 0 || (SPI1_SR & SPI_SR_OVR)) {
            say("\r\n[the front end's words came too fast: begins anew]\r\n");
            start_front_end();
            begin_anew();
        } else if (buffer_waits(&buffers)) {
            step();
        }
    }
}
