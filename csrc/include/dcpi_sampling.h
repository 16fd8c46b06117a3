/*
 * Power quality of one window of polyphase voltage and current samples.
 *
 * No heap, no global state, no I/O: the caller owns all memory, one workspace per thread.
 * Definitions: IEEE Std 1459-2010 for powers, IEC 61000-4-30 for magnitudes and unbalance,
 * IEC 61000-4-7 for distortion (but over one short window, so not its groups).
 */
#ifndef DCPI_SAMPLING_H
#define DCPI_SAMPLING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Limits. */
enum {
    DCPI_PHASES_MAX = 3,
    DCPI_ORDER_MAX = 50,           /* highest harmonic, IEC 61000-3-6 and IEEE 519-2022 */
    DCPI_ORDERS = 51,              /* orders 0 to 50 */
    DCPI_RATE_MIN_HZ = 400,        /* reaches at least order 2 at 69 Hz */
    DCPI_RATE_MAX_HZ = 1000000,    /* far above any instrument transformer */
    DCPI_SAMPLES_MAX = 131072,     /* 2.5 s at 51.2 kS/s */
    DCPI_WINDOW_MAX_MS = 2000,     /* longer ones would average a drifting frequency */
    DCPI_ANALYSED_MIN_SAMPLES = 60 /* fewer are DCPI_TOO_SHORT */
};

typedef enum {
    DCPI_OK = 0,
    DCPI_BAD_POINTER = 1, /* null, or not aligned to its element */
    DCPI_BAD_PHASES = 2,  /* not 1 to DCPI_PHASES_MAX */
    DCPI_BAD_LENGTH = 3,  /* no samples, or more than DCPI_SAMPLES_MAX or DCPI_WINDOW_MAX_MS */
    DCPI_BAD_RATE = 4,    /* not DCPI_RATE_MIN_HZ to DCPI_RATE_MAX_HZ */
    DCPI_BAD_NOMINAL = 5, /* neither 0 nor 42.5 to 69 Hz */
    DCPI_BAD_SKEW = 6,    /* not finite, or longer than 10 ms */
    DCPI_BAD_DEMAND = 7,  /* demand current negative or not finite */
    DCPI_BAD_GAIN = 8,    /* a correction's: magnitude not 1e-6 to 1e9 */
    DCPI_BAD_OFFSET = 9,  /* a correction's: magnitude not 0 to 1e15 */
    DCPI_BAD_ANGLE = 10,  /* a correction's: magnitude not 0 to 0.5 rad */
    DCPI_BAD_DELAY = 11,  /* a correction's: not finite, or longer than 10 ms */
    DCPI_BAD_COUNT = 12,  /* number of windows negative */
    /* dcpi_events.h */
    DCPI_BAD_THRESHOLD = 20, /* not positive and finite, or voltage shares out of order */
    DCPI_BAD_TICK = 21,      /* the first tick lies before sample 0 or more than a tick after it */
    DCPI_BAD_BLOCK = 22      /* no samples, rows that overlap, or an index that went back */
} dcpi_status;

/* What is wrong with a window or a phase; values that it makes meaningless are NaN. */
typedef enum {
    DCPI_NO_SIGNAL = 1,              /* no line-frequency voltage; magnitudes are plain means */
    DCPI_CLIPPED = 2,                /* samples stand at the end of a range: magnitudes are low */
    DCPI_NOT_FINITE = 4,             /* NaN, infinite or beyond 1e15: the phase is void */
    DCPI_FREQUENCY_OUT_OF_RANGE = 8, /* not 42.5 to 69 Hz, or beyond 15 % of the nominal one */
    DCPI_NON_STATIONARY = 16,        /* step, ramp, modulation, phase jump or transient */
    DCPI_INTERHARMONIC = 32,         /* a tone beside the fundamental that is no harmonic */
    DCPI_TOO_SHORT = 64,             /* under three periods of 42.5 Hz, or too few samples */
    DCPI_LIMITED_ORDER = 128,        /* the rate does not reach order 50 */
    DCPI_NO_CURRENT = 256,           /* no line-frequency current: ratios to it are NaN */
    DCPI_REVERSED_SEQUENCE = 512,    /* negative above positive sequence voltage */
    DCPI_COARSE = 1024,        /* under 32 steps of the converter, and no noise to blur them */
    DCPI_NEAR_HALF_RATE = 2048 /* content close to half the rate that may be an alias */
} dcpi_flag;

/* Scratch memory, 84 KiB; needs no initialisation and carries nothing between calls. */
enum { DCPI_WORKSPACE_CELLS = 10752 };
typedef struct {
    double cells[DCPI_WORKSPACE_CELLS];
} dcpi_workspace;

/* What is known of the sensor of one channel. Value = gain * (sample - offset), and every order's
 * phasor is then turned back by phase_rad + 2 pi * order * frequency * delay_s. A negative gain is
 * a sensor connected the wrong way round. Without a line frequency only gain and offset apply. */
typedef struct {
    double gain;      /* V or A for a sample of 1 */
    double offset;    /* the sample at 0 V or 0 A */
    double phase_rad; /* how far the sensor's signal leads, the same at every order
                       * (IEC 61869-1, phase displacement) */
    double delay_s;   /* how late the channel's samples are taken */
} dcpi_correction;

/* One window. Each array is [phase][sample], rows without gaps, and only read during the call. */
typedef struct {
    const void *voltage; /* V */
    const void *current; /* A, positive into the load */
    int32_t voltage_is_float32;
    int32_t current_is_float32;
    int32_t phases;
    int32_t samples; /* per channel */
    double sample_rate_hz;
    double nominal_hz;                  /* 0: unknown */
    double demand_current_a;            /* rms, for TDD; 0: unknown */
    double skew_s[DCPI_PHASES_MAX];     /* how late the current's samples are taken */
    const dcpi_correction *corrections; /* of the voltages, then of the currents; null: none */
} dcpi_window;

/* One phase. Unknown is NaN. */
typedef struct {
    double v_rms, i_rms;                 /* V, A; with DC and all harmonics */
    double v_dc, i_dc;                   /* V, A */
    double p_w, p_mean_w;                /* W; weighted over whole periods, and plain mean of v*i */
    double s_va;                         /* VA: v_rms * i_rms */
    double q1_var;                       /* var: Im(V1 * conj(I1)), inductive positive */
    double p1_w, s1_va;                  /* W, VA of the fundamental */
    double n_va;                         /* VA: sqrt(s^2 - p^2) */
    double di_va, dv_va, sh_va;          /* VA: V1*I_H, V_H*I1, V_H*I_H */
    double pf, dpf;                      /* p/s and p1/s1, signed */
    double v1_rms, i1_rms;               /* V, A of the fundamental */
    double phi1_deg;                     /* angle of V1 minus angle of I1, -180 to 180 */
    double thd_v_percent;                /* harmonics 2 to h_max over the fundamental */
    double thd_i_percent;                /* the same of the current */
    double thdr_v_percent;               /* harmonics over the rms without DC */
    double thdr_i_percent;               /* the same of the current */
    double tdd_percent;                  /* current harmonics over the demand current */
    double k_factor;                     /* sum h^2*I_h^2 / sum I_h^2 */
    double crest_v, crest_i;             /* peak over rms */
    double v_harmonics_rms[DCPI_ORDERS]; /* V; index is the order */
    double i_harmonics_rms[DCPI_ORDERS]; /* A */
    double v_harmonics_deg[DCPI_ORDERS]; /* of the cosine at the first sample */
    double i_harmonics_deg[DCPI_ORDERS];
    uint32_t flags;
    int32_t h_max; /* highest order below 0.49 of the rate; 0: frequency unknown */
    int32_t v_clipped_samples;
    int32_t i_clipped_samples;
} dcpi_phase;

/* All phases together. Sums are NaN when a phase is void; the rest needs three phases. */
typedef struct {
    double p_w, p_mean_w, q1_var;
    double s_va;                                       /* arithmetic: sum of the phases' */
    double s_effective_va;                             /* IEEE 1459-2010 3.2.3, effective */
    double pf;                                         /* p_w / s_va */
    double pf_effective;                               /* p_w / s_effective_va */
    double v_positive_rms, v_negative_rms, v_zero_rms; /* V, symmetrical components of V1 */
    double i_positive_rms, i_negative_rms, i_zero_rms; /* A */
    double u2_percent, u0_percent; /* negative, zero over positive sequence voltage */
    double i_neutral;              /* A: rms of the sum of the phase currents */
} dcpi_total;

typedef struct {
    double frequency_hz;
    uint32_t flags; /* of the window and of all its phases */
    int32_t phases;
    dcpi_phase phase[DCPI_PHASES_MAX];
    dcpi_total total;
} dcpi_analysis;

/* Analyse one window. `analysis` is written only when DCPI_OK comes back. */
dcpi_status dcpi_analyze(const dcpi_window *window, dcpi_workspace *workspace,
                         dcpi_analysis *analysis);

/* Analyse `count` windows that only differ in their samples: `first` describes the first one, and
 * each other's voltages stand `voltage_stride` samples after those of the one before, its currents
 * `current_stride`. All `analyses` are written, or none when not DCPI_OK comes back. */
dcpi_status dcpi_analyze_many(const dcpi_window *first, int32_t count, size_t voltage_stride,
                              size_t current_stride, dcpi_workspace *workspace,
                              dcpi_analysis *analyses);

/* What a status means, in English; never null. */
const char *dcpi_status_text(dcpi_status status);

#ifdef __cplusplus
}
#endif

#endif
