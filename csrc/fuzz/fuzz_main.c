/* Drives a fuzzer without libFuzzer: inputs from a seed, for so many seconds.
 *
 *   fuzz SECONDS [SEED [FILE...]]   prints how many inputs; a broken promise aborts. With files,
 *                                   every other input is one of them, damaged.
 *   fuzz FILE...                    each as it is, as libFuzzer writes it
 *   fuzz seeds FOLDER COUNT         so many inputs as files, for libFuzzer to begin with */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fuzz_input.h"

enum { FILE_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state;

/* xorshift64*, S. Vigna, ACM TOMS 42(4), 2016. */
uint32_t fuzz_any(uint32_t below) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 32) % below;
}

double fuzz_share(void) {
    return fuzz_any(1u << 24) / (double)(1u << 24);
}

void fuzz_damage(uint8_t *data, size_t size) {
    static const uint8_t patterns[] = {0x00, 0xff, 0x7f, 0x80};
    for (uint32_t left = fuzz_any(6); left > 0; left--) {
        size_t at = fuzz_any((uint32_t)size), length = 1 + fuzz_any(16);
        if (fuzz_any(2))
            data[at] ^= (uint8_t)(1u << fuzz_any(8));
        else
            memset(data + at, patterns[fuzz_any(4)], length < size - at ? length : size - at);
    }
}

/* The file's bytes; the program ends when there are none. */
static size_t read_file(const char *path, uint8_t *data) {
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(data, 1, FILE_MAX, file) : 0;
    if (file)
        fclose(file);
    if (size)
        return size;
    fprintf(stderr, "cannot read %s\n", path);
    exit(2);
}

static size_t damaged_file(const char *path, uint8_t *data) {
    size_t size = read_file(path, data);
    fuzz_damage(data, size);
    return fuzz_any(4) ? size : fuzz_any((uint32_t)size + 1);
}

/* Input n of a seed is input 0 of seed + n: a debugger shows n where a promise broke. */
static void begin_input(uint64_t seed) {
    state = 0x9E3779B97F4A7C15u * (seed + 1);
}

static int write_seeds(const char *folder, unsigned long count, uint8_t *data) {
    char path[4096];
    for (unsigned long n = 0; n < count; n++) {
        begin_input(n);
        snprintf(path, sizeof path, "%s/made-%lu", folder, n);
        FILE *file = fopen(path, "wb");
        size_t size = fuzz_input(data);
        if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
            fprintf(stderr, "cannot write %s\n", path);
            return 2;
        }
    }
    return 0;
}

int main(int count, char **arguments) {
    static uint8_t data[FILE_MAX];
    if (count == 4 && strcmp(arguments[1], "seeds") == 0)
        return write_seeds(arguments[2], strtoul(arguments[3], NULL, 10), data);
    char *end = NULL;
    double seconds = count > 1 ? strtod(arguments[1], &end) : 10;
    if (end && *end) {
        for (int k = 1; k < count; k++)
            LLVMFuzzerTestOneInput(data, read_file(arguments[k], data));
        return 0;
    }
    uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    uint32_t files = count > 3 ? (uint32_t)count - 3 : 0;
    unsigned long inputs = 0;
    time_t start = time(NULL);
    do {
        begin_input(seed + inputs);
        int from_file = files && fuzz_any(2);
        LLVMFuzzerTestOneInput(data, from_file ? damaged_file(arguments[3 + fuzz_any(files)], data)
                                               : fuzz_input(data));
        inputs++;
    } while (difftime(time(NULL), start) < seconds);
    printf("ok %lu inputs from seed %llu\n", inputs, (unsigned long long)seed);
    return 0;
}
