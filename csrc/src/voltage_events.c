/* Dips, swells and interruptions from Urms(1/2): IEC 61000-4-30:2015, 5.4 and 5.5. */
#include "events_internal.h"

typedef enum { GOES_ON, BEGINS, ENDS } turn;

static double share_or(double share, double standard) {
    return share > 0 ? share : standard;
}

void dcpi_voltage_watch_init(dcpi_voltage_watch *watch, const dcpi_events_config *config) {
    /* Dip 90 %, swell 110 %, hysteresis 2 %: IEC 61000-4-30:2015, 5.4.2 and 5.4.3;
     * interruption 5 %: EN 50160:2010, 3.14. */
    double declared = config->declared_v, gap = share_or(config->hysteresis, 0.02);
    memset(watch, 0, sizeof *watch);
    watch->declared_v = declared;
    watch->dip_v = declared * share_or(config->dip, 0.9);
    watch->dip_end_v = watch->dip_v + declared * gap;
    watch->swell_v = declared * share_or(config->swell, 1.1);
    watch->swell_end_v = watch->swell_v - declared * gap;
    watch->interruption_v = declared * share_or(config->interruption, 0.05);
    watch->interruption_end_v = watch->interruption_v + declared * gap;
    for (int k = 0; k < DCPI_PHASES_MAX; k++) {
        watch->rms_v[k] = NAN;
        dcpi_half_cycle_init(watch->half_cycle + k);
    }
}

static void begin(dcpi_voltage_event *state, dcpi_event_queue *queue, dcpi_event_kind kind,
                  const dcpi_voltage_news *news) {
    state->is_active = 1;
    state->event = dcpi_event_begin(queue, kind);
    state->event.onset_ms = news->start_ms;
    state->event.detected_ms = news->known_ms;
    /* An interruption is one of all voltages. */
    state->event.channels =
        kind == DCPI_EVENT_INTERRUPTION ? (1u << news->channels) - 1 : 1u << news->channel;
    state->event.extreme_v = news->rms_v;
    dcpi_event_emit(queue, &state->event);
}

static void end(dcpi_voltage_event *state, dcpi_event_queue *queue, double end_ms, int is_cut) {
    state->is_active = 0;
    state->event.is_end = 1;
    state->event.is_cut = is_cut;
    state->event.end_ms = end_ms;
    dcpi_event_emit(queue, &state->event);
}

static void follow(dcpi_voltage_event *state, dcpi_event_queue *queue, dcpi_event_kind kind,
                   turn next, const dcpi_voltage_news *news) {
    if (!state->is_active && next == BEGINS)
        begin(state, queue, kind, news);
    else if (state->is_active && next == ENDS)
        end(state, queue, news->end_ms, 0);
}

/* The new value enters an event that goes on. */
static void extend(dcpi_voltage_event *state, const dcpi_voltage_news *news, int is_beyond) {
    if (!state->is_active || !is_beyond)
        return;
    int is_swell = state->event.kind == DCPI_EVENT_SWELL;
    state->event.channels |= 1u << news->channel;
    state->event.extreme_v = is_swell ? fmax(state->event.extreme_v, news->rms_v)
                                      : fmin(state->event.extreme_v, news->rms_v);
}

/* How many voltages are below a level, or at least at it; an unknown one is neither. */
static int below(const dcpi_voltage_watch *watch, int32_t channels, double level) {
    int count = 0;
    for (int32_t k = 0; k < channels; k++)
        count += watch->rms_v[k] < level;
    return count;
}

static int at_least(const dcpi_voltage_watch *watch, int32_t channels, double level) {
    int count = 0;
    for (int32_t k = 0; k < channels; k++)
        count += watch->rms_v[k] >= level;
    return count;
}

static int at_most(const dcpi_voltage_watch *watch, int32_t channels, double level) {
    int count = 0;
    for (int32_t k = 0; k < channels; k++)
        count += watch->rms_v[k] <= level;
    return count;
}

void dcpi_voltage_watch_take(dcpi_voltage_watch *watch, dcpi_event_queue *queue,
                             const dcpi_voltage_news *news) {
    int32_t channels = news->channels;
    double rms = news->rms_v;
    watch->rms_v[news->channel] = rms;
    extend(&watch->dip, news, rms < watch->dip_v);
    extend(&watch->swell, news, rms > watch->swell_v);
    extend(&watch->interruption, news, rms < watch->interruption_v);
    turn dip = rms < watch->dip_v                                        ? BEGINS
               : at_least(watch, channels, watch->dip_end_v) == channels ? ENDS
                                                                         : GOES_ON;
    turn swell = rms > watch->swell_v                                       ? BEGINS
                 : at_most(watch, channels, watch->swell_end_v) == channels ? ENDS
                                                                            : GOES_ON;
    turn interruption = below(watch, channels, watch->interruption_v) == channels  ? BEGINS
                        : at_least(watch, channels, watch->interruption_end_v) > 0 ? ENDS
                                                                                   : GOES_ON;
    follow(&watch->dip, queue, DCPI_EVENT_DIP, dip, news);
    follow(&watch->swell, queue, DCPI_EVENT_SWELL, swell, news);
    follow(&watch->interruption, queue, DCPI_EVENT_INTERRUPTION, interruption, news);
}

void dcpi_voltage_watch_restart(dcpi_voltage_watch *watch, dcpi_event_queue *queue) {
    dcpi_voltage_event *states[] = {&watch->dip, &watch->swell, &watch->interruption};
    for (size_t k = 0; k < sizeof states / sizeof *states; k++)
        if (states[k]->is_active)
            end(states[k], queue, NAN, 1);
    for (int k = 0; k < DCPI_PHASES_MAX; k++) {
        watch->rms_v[k] = NAN;
        dcpi_half_cycle_init(watch->half_cycle + k);
    }
}
