/* Which cycles make a 10/12-cycle, a 150/180-cycle, a 10 min and a 10 s value: the synchronisation
 * of IEC 61000-4-30:2015 4.5 for class A. At a tick of 10 min new intervals begin at the next zero
 * crossing, while those in progress go on to their end and belong to the time before it. */
#include "cycles_internal.h"

#define TEN_SECONDS_NS 10000000000
#define TEN_MINUTES_NS 600000000000

static int64_t next_tick(int64_t now_ns, int64_t interval_ns) {
    int64_t tick = now_ns - now_ns % interval_ns;
    return tick < now_ns ? tick + interval_ns : tick;
}

/* A crossing two cycles after a tick is not the first: samples are missing before it. */
static int is_late(const dcpi_cycles *cycles, int64_t after_ns) {
    return (double)after_ns * 1e-9 * cycles->config.nominal_hz > 2;
}

static void announce(dcpi_cycles *cycles, dcpi_cycle_kind kind) {
    cycles->ready |= 1u << kind;
}

/* The 10 s that end at the tick which this crossing is the first at or after. */
static void end_ten_seconds(dcpi_cycles *cycles) {
    dcpi_cycle_frequency *frequency = &cycles->frequency;
    double count = cycles->last_cycle - cycles->first_cycle;
    double seconds = (cycles->last_at - cycles->first_at) / cycles->time_rate_hz;
    frequency->start_ns = cycles->next_ten_seconds_ns - TEN_SECONDS_NS;
    int good = cycles->ten_seconds_good && seconds > 0;
    frequency->cycles = good ? (int64_t)rint(count) : 0;
    frequency->duration_s = good ? seconds : 0;
    frequency->frequency_hz = good ? count / seconds : NAN;
    announce(cycles, DCPI_CYCLE_FREQUENCY);
}

static void count_ten_seconds(dcpi_cycles *cycles, double cycle, double position, int referenced) {
    int64_t now_ns = nanoseconds(cycles, position);
    if (cycles->next_ten_seconds_ns == 0)
        cycles->next_ten_seconds_ns = next_tick(now_ns, TEN_SECONDS_NS);
    if (now_ns <= cycles->next_ten_seconds_ns) {
        cycles->last_cycle = cycle;
        cycles->last_at = position;
    }
    if (!referenced)
        cycles->ten_seconds_good = 0;
    if (now_ns < cycles->next_ten_seconds_ns)
        return;
    if (cycles->ten_seconds_whole)
        end_ten_seconds(cycles);
    cycles->ten_seconds_good = referenced && !is_late(cycles, now_ns - cycles->next_ten_seconds_ns);
    cycles->ten_seconds_whole = 1;
    cycles->first_cycle = cycles->last_cycle = cycle;
    cycles->first_at = cycles->last_at = position;
    cycles->next_ten_seconds_ns = next_tick(now_ns + 1, TEN_SECONDS_NS);
}

static void add_to_short(dcpi_cycles *cycles, dcpi_cycle_sum *sum) {
    dcpi_cycle_sum_add(sum, &cycles->ten_twelve);
    if (sum->values.count < DCPI_CYCLE_INTERVALS)
        return;
    dcpi_cycle_sum_mean(sum, &cycles->short_mean);
    announce(cycles, DCPI_CYCLE_SHORT);
    sum->active = 0;
}

static void end_long(dcpi_cycles *cycles, int64_t tick_ns) {
    dcpi_cycle_sum *sum = &cycles->long_sum;
    if (sum->active && sum->values.count > 0) {
        dcpi_cycle_sum_mean(sum, &cycles->long_mean);
        cycles->long_mean.start_ns = tick_ns - TEN_MINUTES_NS;
        cycles->long_mean.end_ns = tick_ns;
        announce(cycles, DCPI_CYCLE_LONG);
    }
    dcpi_cycle_sum_begin(sum);
}

static void end_interval(dcpi_cycles *cycles, dcpi_open_interval *interval, double position) {
    dcpi_cycle_evaluate(cycles, interval, position);
    announce(cycles, DCPI_CYCLE_TEN_TWELVE);
    interval->active = 0;
    dcpi_cycle_sum_add(&cycles->long_sum, &cycles->ten_twelve);
    /* What began before a tick is none of the 150/180 cycles that begin at it. */
    if (cycles->short_overlapping.active)
        add_to_short(cycles, &cycles->short_overlapping);
    if (interval == &cycles->overlapping)
        return;
    if (!cycles->short_sum.active)
        dcpi_cycle_sum_begin(&cycles->short_sum);
    add_to_short(cycles, &cycles->short_sum);
}

static int ends_here(const dcpi_cycles *cycles, const dcpi_open_interval *interval, double cycle) {
    return interval->active && cycle - interval->at_cycle > cycles->cycles_per_interval - 0.5;
}

static void begin_interval(dcpi_cycles *cycles, double cycle, double position) {
    cycles->current = (dcpi_open_interval){position, cycle, 1, 0};
}

/* The first crossing at or after a 10 min tick. */
static void resynchronise(dcpi_cycles *cycles, double cycle, double position) {
    int64_t tick_ns = cycles->next_ten_minutes_ns, now_ns = nanoseconds(cycles, position);
    cycles->next_ten_minutes_ns = next_tick(now_ns + 1, TEN_MINUTES_NS);
    cycles->short_overlapping.active = 0;
    if (cycles->short_sum.active || cycles->current.active)
        cycles->short_overlapping = cycles->short_sum;
    cycles->short_sum.active = 0;
    if (cycles->current.active) {
        if (!cycles->short_overlapping.active)
            dcpi_cycle_sum_begin(&cycles->short_overlapping);
        cycles->overlapping = cycles->current;
        cycles->overlapping.flags |= DCPI_CYCLE_OVERLAP;
    } else {
        end_long(cycles, tick_ns);
        if (is_late(cycles, now_ns - tick_ns))
            cycles->long_sum.values.flags |= DCPI_CYCLE_INCOMPLETE;
    }
    begin_interval(cycles, cycle, position);
}

static void mark(dcpi_open_interval *interval, int referenced) {
    if (interval->active && !referenced)
        interval->flags |= DCPI_CYCLE_NO_REFERENCE;
}

/* A rising zero crossing of the reference; `referenced`: the cycle before it is a voltage's own. */
void dcpi_cycle_boundary(dcpi_cycles *cycles, double cycle, double position, int referenced) {
    int64_t now_ns = nanoseconds(cycles, position);
    mark(&cycles->current, referenced);
    mark(&cycles->overlapping, referenced);
    count_ten_seconds(cycles, cycle, position, referenced);
    if (cycles->next_ten_minutes_ns == 0) {
        cycles->next_ten_minutes_ns = next_tick(now_ns, TEN_MINUTES_NS);
        dcpi_cycle_sum_begin(&cycles->long_sum);
        if (now_ns < cycles->next_ten_minutes_ns)
            cycles->long_sum.values.flags |= DCPI_CYCLE_INCOMPLETE;
    }
    if (ends_here(cycles, &cycles->overlapping, cycle)) {
        end_interval(cycles, &cycles->overlapping, position);
        end_long(cycles, cycles->next_ten_minutes_ns - TEN_MINUTES_NS);
    } else if (ends_here(cycles, &cycles->current, cycle)) {
        end_interval(cycles, &cycles->current, position);
    }
    if (now_ns >= cycles->next_ten_minutes_ns)
        resynchronise(cycles, cycle, position);
    else if (!cycles->current.active)
        begin_interval(cycles, cycle, position);
}

static void drop(dcpi_cycles *cycles, dcpi_open_interval *interval) {
    cycles->dropped += interval->active;
    interval->active = 0;
}

/* What was begun is lost. */
void dcpi_cycle_break(dcpi_cycles *cycles) {
    cycles->long_sum.values.flags |= DCPI_CYCLE_INCOMPLETE;
    if (cycles->overlapping.active) {
        end_long(cycles, cycles->next_ten_minutes_ns - TEN_MINUTES_NS);
        cycles->long_sum.values.flags |= DCPI_CYCLE_INCOMPLETE;
    }
    drop(cycles, &cycles->overlapping);
    drop(cycles, &cycles->current);
    cycles->short_sum.active = cycles->short_overlapping.active = 0;
    cycles->ten_seconds_good = 0;
}
