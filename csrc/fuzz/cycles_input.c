/* Settings that mostly fit and commands for fuzz_cycles.c: waves, gaps, times, corrections, bytes.
 */
#include "fuzz_input.h"

enum { CYCLES_INPUT_MAX = 512 };

size_t fuzz_input(uint8_t *data) {
    size_t size = 8 + fuzz_any(CYCLES_INPUT_MAX - 8);
    for (size_t k = 0; k < size; k++)
        data[k] = (uint8_t)fuzz_any(256);
    if (fuzz_any(8)) {
        data[0] = (uint8_t)(1 + fuzz_any(3) + 128 * fuzz_any(2));
        data[2] |= 1;
        data[5] = (uint8_t)(28 + fuzz_any(200));
    }
    /* Most commands are long waves near 50 Hz: three bytes each. */
    for (size_t k = 8; k + 2 < size && fuzz_any(64); k += 3) {
        data[k] = (uint8_t)(fuzz_any(16) ? 8 * fuzz_any(32) + 1 + fuzz_any(7) : 252 + fuzz_any(4));
        data[k + 2] = (uint8_t)(fuzz_any(4) ? 75 + fuzz_any(10) : fuzz_any(256));
    }
    return size;
}
