/* Feeds a fuzzer without libFuzzer: random bytes from a seed, for so many seconds.
 *
 *   fuzz SECONDS [SEED]     prints how many inputs; a broken promise aborts */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { INPUT_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state;

/* xorshift64*, S. Vigna, ACM TOMS 42(4), 2016. */
static uint32_t any(uint32_t below) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 32) % below;
}

int main(int count, char **arguments) {
    static uint8_t data[INPUT_MAX];
    double seconds = count > 1 ? strtod(arguments[1], NULL) : 10;
    uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    unsigned long inputs = 0;
    time_t start = time(NULL);
    do {
        /* Input n of a seed is input 0 of seed + n. */
        state = 0x9E3779B97F4A7C15u * (seed + inputs + 1);
        size_t size = any(INPUT_MAX);
        for (size_t k = 0; k < size; k++)
            data[k] = (uint8_t)any(256);
        LLVMFuzzerTestOneInput(data, size);
        inputs++;
    } while (difftime(time(NULL), start) < seconds);
    printf("ok %lu inputs from seed %llu\n", inputs, (unsigned long long)seed);
    return 0;
}
