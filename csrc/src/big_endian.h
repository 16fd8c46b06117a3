/* Numbers as the network orders them; a compiler makes one load and a swap of each. */
#ifndef DCPI_BIG_ENDIAN_H
#define DCPI_BIG_ENDIAN_H

#include <stdint.h>

static inline uint32_t big_endian_16(const uint8_t *at) {
    return (uint32_t)at[0] << 8 | at[1];
}

static inline uint32_t big_endian_32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

#endif
