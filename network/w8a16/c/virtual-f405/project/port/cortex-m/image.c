/* Where the image lies: what sections.ld puts into flash, in the order of stamp.sh. */
#include "port.h"

extern const uint8_t vectors_begin[], vectors_end[], code_begin[], code_end[];
extern const uint8_t cold_tables_begin[], cold_tables_end[], tables_begin[], tables_end[];
extern const uint8_t constants_begin[], constants_end[], unwinding_begin[], unwinding_end[];
extern const uint8_t unwinding_index_begin[], unwinding_index_end[], data_load[], data_load_end[];

static const port_piece pieces[] = {
    {vectors_begin, vectors_end},
    {code_begin, code_end},
    {cold_tables_begin, cold_tables_end},
    {tables_begin, tables_end},
    {constants_begin, constants_end},
    {unwinding_begin, unwinding_end},
    {unwinding_index_begin, unwinding_index_end},
    {data_load, data_load_end},
};

/* stamp.sh writes here once the image is linked. */
static const uint32_t stamp[2] __attribute__((section(".image_crc"), used)) = {0, 0};

static const port_image image = {.pieces = pieces,
                                 .count = sizeof pieces / sizeof pieces[0],
                                 .stamp = stamp};

const port_image *port_layout(void)
{
    return &image;
}
