/* Random bytes for fuzz_events.c, which reads them as commands. */
#include "fuzz_input.h"

enum { EVENTS_INPUT_MAX = 4096 };

size_t fuzz_input(uint8_t *data) {
    size_t size = fuzz_any(EVENTS_INPUT_MAX);
    for (size_t k = 0; k < size; k++)
        data[k] = (uint8_t)fuzz_any(256);
    return size;
}
