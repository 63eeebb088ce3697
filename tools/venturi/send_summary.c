#include "send_summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/options.h"

void
send_summary_ack(struct send_summary *summary, const struct vt_client_ack *ack)
{
    if (ack->resumed) {
        summary->resumed += ack->event_count;
        return;
    }
    summary->accepted += ack->accepted;
    for (uint32_t i = 0; i < ack->verdict_count; i++) {
        const struct vt_ack_entry *entry = &ack->verdicts[i];

        if (entry->verdict == VT_EXCEPTION) {
            summary->exceptions++;
            summary->by_reason[entry->reason < VT_REASON_COUNT ? entry->reason : 0]++;
            continue;
        }
        summary->duplicates++;
        summary->conflicts += entry->verdict == VT_CONFLICT;
    }
}

uint64_t
send_summary_acked(const struct send_summary *summary)
{
    return summary->accepted + summary->duplicates + summary->exceptions + summary->resumed;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(vt_reason_name(*(const uint8_t *)a), vt_reason_name(*(const uint8_t *)b));
}

static void
print_more(const char *key, uint64_t count)
{
    if (count > 0)
        printf(", \"%s\": %llu", key, (unsigned long long)count);
}

int
send_summary_print(const struct send_summary *summary)
{
    uint8_t reasons[VT_REASON_COUNT];
    const char *comma = "";
    uint64_t received = summary->accepted + summary->duplicates + summary->exceptions;

    for (uint32_t i = 0; i < VT_REASON_COUNT; i++)
        reasons[i] = (uint8_t)i;
    qsort(reasons, VT_REASON_COUNT, sizeof reasons[0], by_name);
    printf("{\"accepted\": %llu, \"conflicts\": %llu, \"duplicates\": %llu, \"exceptions\": %llu, "
           "\"received\": %llu, \"exceptions_by_reason\": {",
           (unsigned long long)summary->accepted, (unsigned long long)summary->conflicts,
           (unsigned long long)summary->duplicates, (unsigned long long)summary->exceptions,
           (unsigned long long)received);
    for (uint32_t i = 0; i < VT_REASON_COUNT; i++) {
        if (summary->by_reason[reasons[i]] == 0)
            continue;
        printf("%s\"%s\": %llu", comma, vt_reason_name(reasons[i]),
               (unsigned long long)summary->by_reason[reasons[i]]);
        comma = ", ";
    }
    (void)fputs("}", stdout);
    print_more("resumed", summary->resumed);
    print_more("refused_lines", summary->refused_lines);
    print_more("refused_events", summary->refused_events);
    if (puts("}") == EOF || fflush(stdout) != 0)
        return EXIT_FAILED;
    return summary->refused_lines + summary->refused_events > 0 ? EXIT_REFUSED : EXIT_DONE;
}
