/*
 * Sampled values: from Ethernet frames to rows of samples.
 *
 * IEC 61850-9-2:2011 (the frame, clause 8 and annex A), UCA's 9-2LE guideline R2-1 (the data set of
 * four currents and four voltages) and IEC 61869-9:2016 (other data sets, several ASDUs a frame).
 *
 * Nothing in a frame is trusted. No heap, no global state, no I/O: the caller owns all memory,
 * input is only read, and outputs are written only when DCPI_SV_OK comes back.
 */
#ifndef DCPI_SAMPLED_VALUES_H
#define DCPI_SAMPLED_VALUES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Limits. */
enum {
    DCPI_SV_ASDUS_MAX = 64,      /* the smallest ASDU takes 27 bytes: 55 fit a frame of 1518 */
    DCPI_SV_ID_MAX = 129,        /* IEC 61850-9-2:2011 table 9, MsvID: VISIBLE STRING129 */
    DCPI_SV_CHANNELS_MAX = 512,  /* more than a frame holds */
    DCPI_SV_ROWS_MAX = 6,        /* three phases of voltage and current */
    DCPI_SV_RATE_MAX_HZ = 65536, /* smpCnt has 16 bits */
    DCPI_SV_BATCH_MAX = 1 << 24, /* frames in one call */
    DCPI_SV_ABSENT = -1          /* an optional field that the frame does not have */
};

typedef enum {
    DCPI_SV_OK = 0,
    DCPI_SV_BAD_ARGUMENT = 1,     /* null, or a number outside its limits */
    DCPI_SV_OTHER_PROTOCOL = 2,   /* whole, but not of EtherType 0x88BA */
    DCPI_SV_SHORT = 3,            /* ends within its Ethernet or sampled value header */
    DCPI_SV_BAD_LENGTH = 4,       /* the Length field does not fit the bytes that were captured */
    DCPI_SV_NOT_A_PDU = 5,        /* what follows the header is no savPdu */
    DCPI_SV_BAD_ENCODING = 6,     /* a BER element that is cut, or that ends beyond its parent */
    DCPI_SV_BAD_ASDU_COUNT = 7,   /* noASDU is not 1 to DCPI_SV_ASDUS_MAX, or not what follows */
    DCPI_SV_MISSING_FIELD = 8,    /* noASDU, seqASDU, svID, smpCnt, confRev, smpSynch or sample */
    DCPI_SV_REPEATED_FIELD = 9,   /* a field stands twice: which one holds is unknown */
    DCPI_SV_BAD_FIELD = 10,       /* a field does not have its size; sample: 8 bytes a channel */
    DCPI_SV_MISSING_CHANNEL = 11, /* the data set has no channel of that number */
    DCPI_SV_OTHER_CONFIGURATION = 12, /* not the confRev that is asked for */
    DCPI_SV_BEYOND_RATE = 13          /* smpCnt, synchronised to UTC, is not below the rate */
} dcpi_sv_status;

/* Quality of one sample, IEC 61850-8-1:2011 8.2 in the order of bits on the wire; kept as it is. */
typedef enum {
    DCPI_SV_VALIDITY = 0x3, /* 0 good, 1 invalid, 2 reserved, 3 questionable */
    DCPI_SV_OVERFLOW = 0x4,
    DCPI_SV_OUT_OF_RANGE = 0x8,
    DCPI_SV_BAD_REFERENCE = 0x10,
    DCPI_SV_OSCILLATORY = 0x20,
    DCPI_SV_FAILURE = 0x40,
    DCPI_SV_OLD_DATA = 0x80,
    DCPI_SV_INCONSISTENT = 0x100,
    DCPI_SV_INACCURATE = 0x200,
    DCPI_SV_SUBSTITUTED = 0x400,
    DCPI_SV_TEST = 0x800,
    DCPI_SV_OPERATOR_BLOCKED = 0x1000,
    DCPI_SV_DERIVED = 0x2000 /* 9-2LE: computed from other channels, which is no fault */
} dcpi_sv_quality;

/* One ASDU. The pointers lead into the frame. */
typedef struct {
    const uint8_t *sv_id;
    const uint8_t *samples; /* channels times {INT32 value, UINT32 quality}, big-endian */
    int32_t sv_id_length;   /* 0 to DCPI_SV_ID_MAX */
    int32_t channels;       /* 1 to DCPI_SV_CHANNELS_MAX */
    uint32_t conf_rev;
    int32_t smp_cnt;
    int32_t smp_synch; /* 0 none, 1 and 3 to 255 a local clock, 2 global (UTC) */
    int32_t smp_rate;  /* or DCPI_SV_ABSENT */
    int32_t smp_mod;   /* 0 samples a nominal period, 1 samples a second, or DCPI_SV_ABSENT */
} dcpi_sv_asdu;

typedef struct {
    uint8_t destination[6], source[6];
    int32_t vlan; /* id of the innermost 802.1Q tag, or DCPI_SV_ABSENT */
    int32_t appid;
    int32_t is_simulated; /* bit S of Reserved 1 */
    int32_t asdus;
    dcpi_sv_asdu asdu[DCPI_SV_ASDUS_MAX]; /* the first `asdus` are set */
} dcpi_sv_frame;

/* Decode one Ethernet frame, with or without 802.1Q tags; padding behind it is ignored. */
dcpi_sv_status dcpi_sv_decode(const uint8_t *bytes, size_t size, dcpi_sv_frame *frame);

/* Raw value and quality of a channel, which must be 0 to asdu->channels - 1. */
int32_t dcpi_sv_value(const dcpi_sv_asdu *asdu, int32_t channel);
uint32_t dcpi_sv_quality_of(const dcpi_sv_asdu *asdu, int32_t channel);

/* Where a captured frame lies in a batch's memory. */
typedef struct {
    int64_t received_ns; /* UTC; 0: unknown */
    uint32_t offset, size;
    int32_t vlan; /* id of a tag that the network card took off, or DCPI_SV_ABSENT */
    int32_t unused;
} dcpi_sv_span;

/* Frames in memory of `bytes_size` bytes. */
typedef struct {
    const uint8_t *bytes;
    size_t bytes_size;
    const dcpi_sv_span *spans;
    int32_t count;
} dcpi_sv_batch;

/* Which frames are one stream, and what its rows are. Zero or DCPI_SV_ABSENT: any. */
typedef struct {
    uint8_t sv_id[DCPI_SV_ID_MAX];
    uint8_t source[6], destination[6];
    int32_t sv_id_length;
    int32_t appid, vlan;
    int32_t has_source, has_destination;
    int32_t has_conf_rev;
    uint32_t conf_rev;
    int32_t rate_hz;                   /* samples a second */
    int32_t rows;                      /* 1 to DCPI_SV_ROWS_MAX */
    int32_t channel[DCPI_SV_ROWS_MAX]; /* of each row, counted from 0 */
    double scale[DCPI_SV_ROWS_MAX];    /* V or A of one step; 9-2LE: 0.01 V and 0.001 A */
    int32_t accepts_simulated;         /* then real frames beside simulated ones are ignored */
    uint32_t accepted_quality; /* bits that leave a sample valid; validity 3 is one of them */
} dcpi_sv_stream;

/* What is unusual about the samples of a block. */
typedef enum {
    DCPI_SV_UNSYNCHRONISED = 1, /* smpSynch 0 */
    DCPI_SV_LOCAL_CLOCK = 2,    /* smpSynch neither 0 nor 2 */
    DCPI_SV_SYNCHRONISATION_CHANGED = 4,
    DCPI_SV_RESTARTED = 8,              /* smpCnt jumped: the index was found again by the clock */
    DCPI_SV_CONFIGURATION_CHANGED = 16, /* another confRev */
    DCPI_SV_SIMULATED = 32
} dcpi_sv_flag;

/* Consecutive samples. */
typedef struct {
    int64_t first_index; /* since the epoch of the assembler */
    int64_t received_ns; /* of the last frame; 0: unknown */
    int32_t samples;     /* of each row */
    uint32_t flags;
    uint32_t quality; /* all quality bits of the rows' samples */
} dcpi_sv_block;

/* What has been seen since the start. A frame of several ASDUs counts once, samples are per row. */
typedef struct {
    uint64_t frames;           /* of this stream, used */
    uint64_t other_frames;     /* of other streams or protocols */
    uint64_t simulated_frames; /* of this stream, ignored for their bit S (or the lack of it) */
    uint64_t bad_frames;       /* broken, or without a channel or the confRev that is asked for */
    uint64_t samples;
    uint64_t lost_samples;
    uint64_t late_samples; /* repeated or out of order: not used */
    uint64_t void_samples; /* values that became NaN for their quality */
    uint64_t restarts, synchronisation_changes, configuration_changes;
    int32_t last_bad_status; /* dcpi_sv_status of the latest bad frame */
} dcpi_sv_counts;

/* The state of one stream between calls; dcpi_sv_begin sets it. Private but for `counts`. */
typedef struct {
    dcpi_sv_counts counts;
    int64_t epoch_ns;
    int64_t next_index;
    int64_t received_ns;        /* when the latest sample in sequence came; 0: unknown */
    int32_t modulus;            /* where smpCnt wraps; 0: at the rate */
    int32_t smp_cnt, smp_synch; /* of the latest sample in sequence */
    uint32_t conf_rev;
    int32_t late_run, late_cnt; /* how many late samples came in sequence, and the latest of them */
    int32_t is_running, has_simulated;
} dcpi_sv_assembler;

/* A place in a batch: start with zeros. */
typedef struct {
    int32_t frame, asdu;
} dcpi_sv_cursor;

/* Begin a stream. Sample i is taken at epoch_ns + i / rate; `epoch_ns` is a whole UTC second. */
dcpi_sv_status dcpi_sv_begin(dcpi_sv_assembler *assembler, int64_t epoch_ns);

/*
 * Assemble frames from `at` of the batch on, until one block of consecutive samples that are alike
 * in their flags and quality is whole; `at` then tells where to go on. The block is empty (samples
 * 0) when the batch holds no more of the stream.
 *
 * `rows` takes stream->rows times the block's samples, one row after the other without gaps; it has
 * room for `capacity` samples a row. A sample of unaccepted quality is NaN. What is lost is a jump
 * of the index, so that the samples behind it stay where they are in time.
 */
dcpi_sv_status dcpi_sv_take(dcpi_sv_assembler *assembler, const dcpi_sv_stream *stream,
                            const dcpi_sv_batch *batch, dcpi_sv_cursor *at, float *rows,
                            int32_t capacity, dcpi_sv_block *block);

/* A stream that was heard. */
typedef struct {
    uint8_t sv_id[DCPI_SV_ID_MAX];
    uint8_t source[6], destination[6];
    int32_t sv_id_length;
    int32_t appid, vlan;
    int32_t asdus, channels; /* of the first frame */
    int32_t smp_synch, smp_rate, smp_mod;
    uint32_t conf_rev;
    int32_t last_cnt;
    int32_t wrap; /* how many values smpCnt took until it came to 0 again; 0: not seen */
    int64_t first_received_ns, last_received_ns; /* 0: unknown */
    uint64_t turned; /* by how many samples smpCnt went on, those of lost frames among them */
    uint64_t frames, samples, simulated_frames;
} dcpi_sv_heard;

/* All streams of some batches: the first `count` of `capacity` places are in use. */
typedef struct {
    dcpi_sv_heard *heard;
    int32_t capacity, count;
    uint64_t other_frames, bad_frames;
    uint64_t unlisted_frames; /* of streams for which there was no place */
    int32_t last_bad_status;
} dcpi_sv_survey;

/* Add a batch to a survey; a stream is told by its svID, APPID, addresses and VLAN. */
dcpi_sv_status dcpi_sv_listen(const dcpi_sv_batch *batch, dcpi_sv_survey *survey);

/* What a status means, in English; never null. */
const char *dcpi_sv_status_text(dcpi_sv_status status);

#ifdef __cplusplus
}
#endif

#endif
