/* What a fuzzer's maker of inputs and fuzz_main.c owe each other. */
#ifndef DCPI_FUZZ_INPUT_H
#define DCPI_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

enum { FUZZ_INPUT_MAX = 65536 };

/* Make one input of at most FUZZ_INPUT_MAX bytes; its size. */
size_t fuzz_input(uint8_t *data);

/* At random: a number below that one, a share of 1, and none to five faults in some bytes. */
uint32_t fuzz_any(uint32_t below);
double fuzz_share(void);
void fuzz_damage(uint8_t *data, size_t size);

#endif
