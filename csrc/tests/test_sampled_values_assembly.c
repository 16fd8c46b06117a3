/* Streams: what is lost, late, restarted or bad never shifts what follows. */
#include "check.h"
#include "sv_frames.h"

#define START_NS INT64_C(1700000000000000000)

enum { RATE = 4000, PERIOD_NS = 250000, ROOM = 64 };

static const dcpi_sv_stream STREAM = {.sv_id = "MU01",
                                      .sv_id_length = 4,
                                      .appid = DCPI_SV_ABSENT,
                                      .vlan = DCPI_SV_ABSENT,
                                      .rate_hz = RATE,
                                      .rows = 2,
                                      .channel = {4, 0},
                                      .scale = {0.01, 0.001}};

static dcpi_sv_assembler state;
static dcpi_sv_stream stream;
static float rows[2 * ROOM];

static void begin(void) {
    stream = STREAM;
    CHECK(dcpi_sv_begin(&state, START_NS) == DCPI_SV_OK);
}

/* One frame that comes `late_ns` after its time, as the first block that it makes. */
static dcpi_sv_block take(const frame_recipe *recipe, int64_t received_ns) {
    raw_frame raw = frame_of(recipe);
    dcpi_sv_span span = {received_ns, 0, (uint32_t)raw.size, DCPI_SV_ABSENT, 0};
    dcpi_sv_batch batch = {raw.bytes, raw.size, &span, 1};
    dcpi_sv_cursor at = {0, 0};
    dcpi_sv_block block;
    CHECK(dcpi_sv_take(&state, &stream, &batch, &at, rows, ROOM, &block) == DCPI_SV_OK);
    CHECK(at.frame == 1);
    return block;
}

static dcpi_sv_block take_at(int32_t smp_cnt, int32_t smp_synch, int64_t received_ns) {
    frame_recipe recipe = NORMAL;
    recipe.smp_cnt = smp_cnt;
    recipe.smp_synch = smp_synch;
    return take(&recipe, received_ns);
}

static int64_t time_of(int64_t index) {
    return START_NS + index * PERIOD_NS + 100000;
}

static void a_synchronised_stream_keeps_utc_over_the_second(void) {
    begin();
    for (int64_t index = 2 * RATE - 3; index < 5 * RATE; index++) {
        dcpi_sv_block block = take_at((int32_t)(index % RATE), 2, time_of(index));
        CHECK(block.samples == 1 && block.first_index == index && block.flags == 0);
        CHECK(block.received_ns == time_of(index));
        CHECK_NEAR(rows[0], (double)(1000 * (index % RATE) + 4) * 0.01, 1e-2);
        CHECK_NEAR(rows[1], (double)(1000 * (index % RATE)) * 0.001, 1e-3);
    }
    CHECK(state.counts.lost_samples == 0 && state.counts.frames == 3 * RATE + 3);
}

static void any_loss_is_a_jump_of_the_index_by_just_as_much(void) {
    static const int64_t losses[] = {1, 2, 399, 2000, 3999, 4000, 4001, 10 * RATE + 7};
    for (int32_t synch = 0; synch < 3; synch++) {
        begin();
        int64_t index = 1, lost = 0;
        take_at(1, synch, time_of(1));
        for (size_t k = 0; k < sizeof losses / sizeof *losses; k++) {
            index += 1 + losses[k];
            lost += losses[k];
            dcpi_sv_block block = take_at((int32_t)(index % RATE), synch, time_of(index));
            CHECK(block.first_index == index && block.samples == 1);
        }
        CHECK(state.counts.lost_samples == (uint64_t)lost && state.counts.restarts == 0);
    }
}

static void loss_without_times_is_found_from_the_counter(void) {
    begin();
    take_at(3990, 0, 0);
    dcpi_sv_block block = take_at(10, 0, 0);
    CHECK(block.first_index == 4010 && block.received_ns == 0);
}

static void repeated_and_straggling_frames_are_not_used(void) {
    begin();
    take_at(5, 2, time_of(5));
    take_at(8, 2, time_of(8));
    CHECK(take_at(8, 2, time_of(8)).samples == 0);
    CHECK(take_at(6, 2, time_of(8)).samples == 0);
    CHECK(take_at(9, 2, time_of(9)).first_index == 9);
    CHECK(state.counts.late_samples == 2 && state.counts.lost_samples == 2);
    /* Each frame twice, as PRP delivers them, for longer than any restart needs. */
    for (int32_t k = 10; k < 400; k++) {
        CHECK(take_at(k, 0, time_of(k)).first_index == k);
        CHECK(take_at(k, 0, time_of(k)).samples == 0);
    }
    CHECK(state.counts.restarts == 0);
}

static void copies_that_come_in_bursts_are_no_restart(void) {
    for (int64_t burst = 30; burst <= 600; burst *= 20) {
        int64_t delay = burst == 30 ? 30 : 0; /* samples by which the copies are late */
        begin();
        for (int64_t first = 0; first < 3000; first += burst) {
            for (int64_t k = first; k < first + burst; k++)
                CHECK(take_at((int32_t)k, 0, time_of(k)).first_index == k);
            for (int64_t k = first; k < first + burst; k++)
                CHECK(take_at((int32_t)k, 0, time_of(k + delay)).samples == 0);
        }
        CHECK(state.counts.restarts == 0 && state.counts.lost_samples == 0);
    }
}

static void a_straggler_from_before_the_second_is_late(void) {
    for (int32_t synch = 0; synch < 3; synch += 2) {
        begin();
        take_at(3998, synch, time_of(3998));
        take_at(2, synch, time_of(4002));
        CHECK(take_at(3999, synch, time_of(4002)).samples == 0);
        CHECK(take_at(3, synch, time_of(4003)).first_index == 4003);
        CHECK(state.counts.late_samples == 1 && state.counts.lost_samples == 3);
    }
}

static void a_restarted_publisher_is_placed_by_the_clock(void) {
    begin();
    take_at(1999, 0, time_of(1999));
    dcpi_sv_block block = take_at(0, 0, time_of(2100));
    CHECK(block.first_index == 2100 && block.flags == (DCPI_SV_UNSYNCHRONISED | DCPI_SV_RESTARTED));
    block = take_at(1, 0, time_of(2101));
    CHECK(block.first_index == 2101 && block.flags == DCPI_SV_UNSYNCHRONISED);
    CHECK(state.counts.restarts == 1);
}

static void a_short_jump_back_is_a_restart_when_it_goes_on(void) {
    begin();
    take_at(300, 0, time_of(300));
    int32_t dropped = 0;
    dcpi_sv_block block;
    while (block = take_at(dropped, 0, time_of(301 + dropped)), !block.samples)
        dropped++;
    CHECK(dropped == RATE / 100 && block.flags & DCPI_SV_RESTARTED);
    CHECK(block.first_index == 301 + dropped);
}

static void an_unsynchronised_counter_may_roll_at_the_end_of_its_bits(void) {
    begin();
    for (int64_t index = 0; index < 140000; index++) {
        dcpi_sv_block block = take_at((int32_t)(index % 65536), 0, time_of(index));
        CHECK(block.first_index == index);
    }
    CHECK(state.counts.restarts == 0 && state.counts.lost_samples == 0);
    CHECK(take_at(4000, 2, time_of(150000)).samples == 0);
    CHECK(state.counts.last_bad_status == DCPI_SV_BEYOND_RATE);
}

static void regained_synchronisation_puts_the_index_back_on_the_second(void) {
    begin();
    dcpi_sv_block block = take_at(700, 0, time_of(1000));
    CHECK(block.first_index == 1000 && block.flags == DCPI_SV_UNSYNCHRONISED);
    block = take_at(701, 1, time_of(1001));
    CHECK(block.flags == (DCPI_SV_LOCAL_CLOCK | DCPI_SV_SYNCHRONISATION_CHANGED));
    /* The publisher moves to UTC: forward by 10, then back by 4. */
    block = take_at(1012, 2, time_of(1002));
    CHECK(block.first_index == 1012 && block.flags == DCPI_SV_SYNCHRONISATION_CHANGED);
    block = take_at(1013, 2, time_of(1013));
    CHECK(block.first_index == 1013 && block.flags == 0);
    take_at(1014, 0, time_of(1014));
    for (int32_t cnt = 1011; cnt < 1015; cnt++)
        CHECK(take_at(cnt, 2, time_of(cnt + 4)).samples == 0);
    CHECK(take_at(1015, 2, time_of(1019)).first_index == 1015);
    CHECK(state.counts.synchronisation_changes == 4);
}

static void every_bad_quality_voids_its_sample(void) {
    for (uint32_t bit = 0; bit < 32; bit++) {
        frame_recipe recipe = NORMAL;
        recipe.quality = 1u << bit;
        begin();
        dcpi_sv_block block = take(&recipe, time_of(0));
        CHECK(block.samples == 1 && block.quality == recipe.quality);
        CHECK(!isnan(rows[0]) == (recipe.quality == DCPI_SV_DERIVED));
        stream.accepted_quality = recipe.quality;
        recipe.smp_cnt = 1;
        take(&recipe, time_of(1));
        /* Of the validities only "questionable" can be accepted. */
        CHECK(isnan(rows[0]) == (bit < 2));
        recipe.quality = 3;
        recipe.smp_cnt = 2;
        stream.accepted_quality = 3;
        take(&recipe, time_of(2));
        CHECK(!isnan(rows[0]));
    }
}

static void simulated_frames_are_used_when_they_are_asked_for(void) {
    frame_recipe recipe = NORMAL;
    begin();
    recipe.is_simulated = 1;
    CHECK(take(&recipe, time_of(0)).samples == 0 && state.counts.simulated_frames == 1);
    stream.accepts_simulated = 1;
    CHECK(take(&NORMAL, time_of(0)).flags == 0);
    recipe.smp_cnt = 1;
    CHECK(take(&recipe, time_of(1)).flags == DCPI_SV_SIMULATED);
    CHECK(take_at(2, 2, time_of(2)).samples == 0);
}

static void frames_that_do_not_fit_are_counted(void) {
    frame_recipe recipe = NORMAL;
    begin();
    stream.sv_id[3] = '2';
    CHECK(take(&recipe, time_of(0)).samples == 0 && state.counts.other_frames == 1);
    stream = STREAM;
    stream.channel[1] = 8;
    CHECK(take(&recipe, time_of(0)).samples == 0 && state.counts.bad_frames == 1);
    CHECK(state.counts.last_bad_status == DCPI_SV_MISSING_CHANNEL);
    stream = STREAM;
    stream.has_conf_rev = 1;
    stream.conf_rev = 2;
    CHECK(take(&recipe, time_of(0)).samples == 0);
    CHECK(state.counts.last_bad_status == DCPI_SV_OTHER_CONFIGURATION);
    stream = STREAM;
    take(&recipe, time_of(0));
    recipe.smp_cnt = 1;
    recipe.conf_rev = 7;
    CHECK(take(&recipe, time_of(1)).flags == DCPI_SV_CONFIGURATION_CHANGED);
}

/* Twelve samples in two frames, with one loss and one change of quality between. */
static void a_batch_is_cut_where_samples_part(void) {
    frame_recipe recipe = NORMAL;
    recipe.asdus = 6;
    recipe.smp_cnt = 3990;
    raw_frame first = frame_of(&recipe);
    recipe.smp_cnt = 3998 % RATE;
    recipe.asdus = 2;
    recipe.quality = DCPI_SV_TEST;
    raw_frame second = frame_of(&recipe);
    uint8_t memory[2 * sizeof first.bytes];
    memcpy(memory, first.bytes, first.size);
    memcpy(memory + first.size, second.bytes, second.size);
    dcpi_sv_span spans[] = {{time_of(3995), 0, (uint32_t)first.size, -1, 0},
                            {time_of(3999), (uint32_t)first.size, (uint32_t)second.size, -1, 0},
                            {time_of(3999), 5, UINT32_MAX, -1, 0},
                            {time_of(3999), UINT32_MAX, 1, -1, 0}};
    dcpi_sv_batch batch = {memory, first.size + second.size, spans, 4};
    dcpi_sv_cursor at = {0, 0};
    dcpi_sv_block block;
    begin();
    CHECK(dcpi_sv_take(&state, &stream, &batch, &at, rows, 4, &block) == DCPI_SV_OK);
    CHECK(block.first_index == 3990 && block.samples == 4 && at.frame == 0 && at.asdu == 4);
    CHECK(block.received_ns == time_of(3993));
    CHECK_NEAR(rows[7], 3993000 * 0.001, 1e-3);
    CHECK(dcpi_sv_take(&state, &stream, &batch, &at, rows, 4, &block) == DCPI_SV_OK);
    CHECK(block.first_index == 3994 && block.samples == 2 && at.frame == 1);
    CHECK_NEAR(rows[1], 3995004 * 0.01, 1e-2);
    CHECK_NEAR(rows[2], 3994000 * 0.001, 1e-3); /* rows without gaps */
    CHECK(dcpi_sv_take(&state, &stream, &batch, &at, rows, 4, &block) == DCPI_SV_OK);
    CHECK(block.first_index == 3998 && block.samples == 2 && block.quality == DCPI_SV_TEST);
    CHECK(isnan(rows[0]) && isnan(rows[3]));
    CHECK(at.frame == 4 && state.counts.bad_frames == 2 && state.counts.frames == 2);
}

static void a_gap_within_a_batch_ends_its_block(void) {
    raw_frame first = frame_of(&NORMAL);
    uint8_t memory[2 * sizeof first.bytes];
    dcpi_sv_span spans[2];
    dcpi_sv_cursor at = {0, 0};
    dcpi_sv_block block;
    begin();
    for (int32_t k = 0; k < 2; k++) {
        first.bytes[45] = (uint8_t)(5 * k); /* smpCnt */
        memcpy(memory + (size_t)k * first.size, first.bytes, first.size);
        spans[k] = (dcpi_sv_span){time_of(5 * k), (uint32_t)((size_t)k * first.size),
                                  (uint32_t)first.size, -1, 0};
    }
    dcpi_sv_batch batch = {memory, 2 * first.size, spans, 2};
    CHECK(dcpi_sv_take(&state, &stream, &batch, &at, rows, ROOM, &block) == DCPI_SV_OK);
    CHECK(block.first_index == 0 && block.samples == 1 && at.frame == 1);
    CHECK(dcpi_sv_take(&state, &stream, &batch, &at, rows, ROOM, &block) == DCPI_SV_OK);
    CHECK(block.first_index == 5 && block.samples == 1 && at.frame == 2);
}

static void bad_arguments_are_refused(void) {
    dcpi_sv_batch batch = {(const uint8_t *)"", 0, (const dcpi_sv_span *)rows, 0};
    dcpi_sv_cursor at = {0, 0};
    dcpi_sv_block block;
    begin();
    CHECK(dcpi_sv_begin(&state, START_NS + 1) == DCPI_SV_BAD_ARGUMENT);
    CHECK(dcpi_sv_begin(&state, -1000000000) == DCPI_SV_BAD_ARGUMENT);
    CHECK(dcpi_sv_take(&state, &stream, &batch, &at, rows, 0, &block) == DCPI_SV_BAD_ARGUMENT);
    CHECK(dcpi_sv_take(&state, NULL, &batch, &at, rows, 1, &block) == DCPI_SV_BAD_ARGUMENT);
    static const int32_t rates[] = {0, -1, 65537};
    for (size_t k = 0; k < 3; k++) {
        stream.rate_hz = rates[k];
        CHECK(dcpi_sv_take(&state, &stream, &batch, &at, rows, 1, &block) == DCPI_SV_BAD_ARGUMENT);
    }
    stream = STREAM;
    stream.scale[1] = (double)NAN;
    CHECK(dcpi_sv_take(&state, &stream, &batch, &at, rows, 1, &block) == DCPI_SV_BAD_ARGUMENT);
    stream = STREAM;
    stream.channel[1] = -1;
    CHECK(dcpi_sv_take(&state, &stream, &batch, &at, rows, 1, &block) == DCPI_SV_BAD_ARGUMENT);
}

static void a_survey_tells_the_streams_and_their_wrap(void) {
    dcpi_sv_heard heard[2];
    dcpi_sv_survey survey = {.heard = heard, .capacity = 2};
    frame_recipe recipe = NORMAL;
    for (int32_t index = 0; index < 3 * RATE; index++) {
        recipe.smp_cnt = index % RATE;
        raw_frame raw = frame_of(&recipe);
        int32_t publisher = index % 1000 == 500 ? 1 : (index % 1000 == 600 ? 2 : 0);
        raw.bytes[11] = (uint8_t)publisher; /* of the source address */
        dcpi_sv_span span = {time_of(index), 0, (uint32_t)raw.size, publisher ? -1 : 7, 0};
        dcpi_sv_batch batch = {raw.bytes, raw.size, &span, 1};
        CHECK(dcpi_sv_listen(&batch, &survey) == DCPI_SV_OK);
    }
    CHECK(survey.count == 2 && survey.unlisted_frames == 3 * RATE / 1000);
    CHECK(heard[0].vlan == 7 && heard[1].vlan == DCPI_SV_ABSENT);
    CHECK(heard[0].frames == 3 * RATE - 6 * RATE / 1000 && heard[0].channels == 8 &&
          heard[0].asdus == 1);
    CHECK(heard[0].turned == 3 * RATE - 1);
    CHECK(heard[0].wrap == RATE && heard[1].wrap == 0 && heard[0].first_received_ns == time_of(0));
}

static void a_survey_does_not_count_copies(void) {
    enum { DELAY = 80 };
    dcpi_sv_heard heard[1] = {{.wrap = 0}};
    dcpi_sv_survey survey = {.heard = heard, .capacity = 1};
    for (int32_t index = 500; index < 3 * RATE; index++)
        for (int32_t delay = 0; delay <= DELAY && delay <= index - 500; delay += DELAY) {
            frame_recipe recipe = NORMAL;
            recipe.smp_cnt = (index - delay) % RATE;
            raw_frame raw = frame_of(&recipe);
            dcpi_sv_span span = {time_of(index), 0, (uint32_t)raw.size, DCPI_SV_ABSENT, 0};
            dcpi_sv_batch batch = {raw.bytes, raw.size, &span, 1};
            CHECK(dcpi_sv_listen(&batch, &survey) == DCPI_SV_OK);
        }
    CHECK(heard[0].wrap == RATE && heard[0].turned == 3 * RATE - 1 - 500);
}

int main(void) {
    RUN(a_synchronised_stream_keeps_utc_over_the_second);
    RUN(any_loss_is_a_jump_of_the_index_by_just_as_much);
    RUN(loss_without_times_is_found_from_the_counter);
    RUN(repeated_and_straggling_frames_are_not_used);
    RUN(copies_that_come_in_bursts_are_no_restart);
    RUN(a_straggler_from_before_the_second_is_late);
    RUN(a_restarted_publisher_is_placed_by_the_clock);
    RUN(a_short_jump_back_is_a_restart_when_it_goes_on);
    RUN(an_unsynchronised_counter_may_roll_at_the_end_of_its_bits);
    RUN(regained_synchronisation_puts_the_index_back_on_the_second);
    RUN(every_bad_quality_voids_its_sample);
    RUN(simulated_frames_are_used_when_they_are_asked_for);
    RUN(frames_that_do_not_fit_are_counted);
    RUN(a_batch_is_cut_where_samples_part);
    RUN(a_gap_within_a_batch_ends_its_block);
    RUN(bad_arguments_are_refused);
    RUN(a_survey_tells_the_streams_and_their_wrap);
    RUN(a_survey_does_not_count_copies);
    return 0;
}
