/* Events on their way out: to the callback at once, and to a bounded queue. */
#include "events_internal.h"

void dcpi_event_queue_init(dcpi_event_queue *queue, dcpi_event_callback callback, void *user) {
    memset(queue, 0, sizeof *queue);
    queue->callback = callback;
    queue->user = user;
}

dcpi_event dcpi_event_begin(dcpi_event_queue *queue, dcpi_event_kind kind) {
    dcpi_event event = {.number = ++queue->numbered,
                        .kind = (int32_t)kind,
                        .onset_ms = NAN,
                        .detected_ms = NAN,
                        .end_ms = NAN,
                        .before_w = NAN,
                        .after_w = NAN,
                        .extreme_v = NAN};
    return event;
}

void dcpi_event_emit(dcpi_event_queue *queue, const dcpi_event *event) {
    if (queue->callback)
        queue->callback(event, queue->user);
    if (queue->count == DCPI_EVENT_QUEUE) {
        queue->lost++;
        return;
    }
    queue->waiting[(queue->first + queue->count) % DCPI_EVENT_QUEUE] = *event;
    queue->count++;
}

int32_t dcpi_event_queue_take(dcpi_event_queue *queue, dcpi_event *out, int32_t capacity) {
    int32_t taken = 0;
    while (taken < capacity && queue->count > 0) {
        out[taken++] = queue->waiting[queue->first];
        queue->first = (queue->first + 1) % DCPI_EVENT_QUEUE;
        queue->count--;
    }
    return taken;
}
