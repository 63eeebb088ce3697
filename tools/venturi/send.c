/* send.c - venturi send: events from JSON Lines to the daemon, and what became of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "line_reader.h"
#include "net/client/json_row.h"
#include "net/client/row_batch.h"
#include "net/client/row_columns.h"
#include "progress.h"
#include "send_summary.h"
#include "tools/common/options.h"
#include "venturi/assert.h"
#include "venturi/client.h"

static const char usage_text[] =
    "venturi send - send events from a file of JSON Lines, and say what became of them\n"
    "\n"
    "example: venturi send --to 127.0.0.1:7400 --token-file data/admin.token events.jsonl\n"
    "         generate | venturi send --to 127.0.0.1:7400 --rate 5000 -\n"
    "         venturi send --to 127.0.0.1:7400 --producer meter-7 --epoch 3 spool.jsonl\n"
    "\n"
    "usage: venturi send --to HOST:PORT [options] FILE.jsonl|-\n"
    "\n"
    "A line is one event; one that is no JSON object is named on standard error and left out. A\n"
    "daemon that goes away is waited for, and nothing is counted twice when it comes back. Events\n"
    "whose acks were lost on the way are counted as \"resumed\" in the summary: the daemon has "
    "them,\n"
    "and its own summary tells their verdicts.\n"
    "\n"
    "  --to HOST:PORT     the daemon's frame port\n"
    "  --token-file FILE  a token with scope ingest                  (environment VENTURI_TOKEN)\n"
    "  --batch N          events in a frame, 1 to 65536              (1000)\n"
    "  --rate N           events a second at most                    (no limit)\n"
    "  --timeout SECONDS  how long to wait for a daemon that is away (60)\n"
    "  --full-timeout SECONDS  and for one whose disk is full; 0: what it refuses then is named\n"
    "                     and left out                               (for ever)\n"
    "  --producer NAME    events without an id get one from their place in NAME's stream\n"
    "  --epoch N          of the producer. The same again goes on after what the daemon has of\n"
    "                     this epoch: the input must be the same    (one that is new)\n"
    "\n"
    "  --columns          frames of columns where the events allow it, else rows: the same "
    "verdicts\n"
    "                     and summary. Less work for the daemon where long stretches have one "
    "type;\n"
    "                     a stream of mixed types makes many small frames or stays rows, and this\n"
    "                     end does more work. Hence rows are what is sent without it\n"
    "\n"
    "On a terminal standard error shows how far it is.\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage, 3 done but some input was refused\n";

#define POLL_MS           50
#define FLIGHTS_MAX       2048U
#define BATCH_DEFAULT     1000
#define TIMEOUT_DEFAULT_S 60
#define COLUMN_EVENTS_MIN 32 /* fewer gain nothing as a frame of their own */

/* Which lines a frame was made of, for the message where it is refused. */
struct flight {
    uint64_t sequence;
    uint64_t first_line;
    uint64_t last_line;
};

struct sender {
    const char *name; /* of the command, for messages */
    struct line_reader reader;
    struct json_row *row;
    struct row_batch batch;
    struct vt_client *client;
    uint64_t rate;
    int64_t started_ns;
    uint64_t skip; /* events at the start that the daemon has */
    uint64_t sent;
    uint32_t flight_at;
    struct flight flights[FLIGHTS_MAX];

    uint32_t events_max; /* of a batch */
    uint64_t *lines;     /* of the batch's events */
    uint32_t *sizes;
    struct row_columns *columns; /* NULL: rows */
    struct send_summary summary;
    struct progress progress;
};

struct send_options {
    const char *to;
    const char *token_file;
    const char *producer;
    uint64_t batch;
    uint64_t rate;
    uint64_t timeout_s;
    uint64_t full_timeout_s;
    uint64_t epoch;
    bool columns;
};

static int64_t
clock_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now); /* cannot fail with these clocks */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- answers */

static void
show(struct sender *sender)
{
    struct progress_counts counts = {
        .sent = sender->sent,
        .acked = send_summary_acked(&sender->summary),
        .refused_events = sender->summary.refused_events,
        .refused_lines = sender->summary.refused_lines,
        .bytes = sender->reader.bytes_taken,
    };

    progress_show(&sender->progress, &counts);
}

static void
on_acked(void *context, const struct vt_client_ack *ack)
{
    struct sender *sender = context;

    send_summary_ack(&sender->summary, ack);
    show(sender);
}

static void
on_refused(void *context, const struct vt_client_refusal *refusal)
{
    struct sender *sender = context;
    struct flight flight = {.sequence = 0};

    for (uint32_t i = 0; i < FLIGHTS_MAX; i++)
        if (sender->flights[i].sequence == refusal->sequence)
            flight = sender->flights[i];
    sender->summary.refused_events += refusal->event_count;
    progress_clear(&sender->progress);
    (void)fprintf(stderr, "%s: %s: lines %llu to %llu, %u events: refused: %.*s (%s)\n",
                  sender->name, sender->reader.name, (unsigned long long)flight.first_line,
                  (unsigned long long)flight.last_line, refusal->event_count,
                  (int)refusal->text.size, refusal->text.data, vt_err_name(refusal->err));
}

static void
on_waiting(void *context, const struct vt_str *text)
{
    struct sender *sender = context;

    progress_clear(&sender->progress);
    if (text != NULL)
        (void)fprintf(stderr, "%s: waiting: %.*s\n", sender->name, (int)text->size, text->data);
    else
        (void)fprintf(stderr, "%s: going on: there is space again\n", sender->name);
}

static void
line_refused(struct sender *sender, const char *why)
{
    sender->summary.refused_lines++;
    progress_clear(&sender->progress);
    (void)fprintf(stderr, "%s: %s: line %llu: %s; left out\n", sender->name, sender->reader.name,
                  (unsigned long long)sender->reader.number, why);
}

/* ---- sending */

/* Keeps to the rate by waiting, with an ear for the daemon. */
static vt_err
rate_keep(struct sender *sender)
{
    vt_err err = VT_OK;

    while (err == VT_OK && sender->rate > 0) {
        int64_t passed_ns = clock_ns(CLOCK_MONOTONIC) - sender->started_ns;
        uint64_t due_ns = sender->sent / sender->rate * 1000000000 +
                          sender->sent % sender->rate * 1000000000 / sender->rate;

        if ((uint64_t)passed_ns >= due_ns)
            return VT_OK;
        uint64_t wait_ms = (due_ns - (uint64_t)passed_ns) / 1000000 + 1;

        err = vt_client_poll(sender->client, wait_ms < POLL_MS ? (uint32_t)wait_ms : POLL_MS);
    }
    return err;
}

/* A frame of the batch's events from `first` on. */
static vt_err
frame_send(struct sender *sender, const struct row_columns_frame *frame, uint32_t first)
{
    struct vt_client_info info;

    VT_ASSERT(frame->event_count > 0);
    VT_ASSERT(first + frame->event_count <= sender->batch.event_count);
    vt_client_get_info(sender->client, &info);
    sender->flights[sender->flight_at++ % FLIGHTS_MAX] = (struct flight){
        .sequence = info.sequence_next,
        .first_line = sender->lines[first],
        .last_line = sender->lines[first + frame->event_count - 1],
    };
    vt_err err = vt_client_send(sender->client, frame->type, frame->event_count, frame->payload);

    sender->sent += frame->event_count;
    show(sender);
    return err == VT_OK ? rate_keep(sender) : err;
}

static vt_err
batch_send(struct sender *sender)
{
    struct row_columns_frame frame = {
        .type = VT_FRAME_BATCH_ROWS,
        .event_count = sender->batch.event_count,
        .payload = row_batch_payload(&sender->batch),
    };
    uint32_t first = 0;
    vt_err err = VT_OK;

    if (frame.event_count == 0)
        return VT_OK;
    if (sender->columns == NULL) {
        err = frame_send(sender, &frame, 0);
    } else {
        err = row_columns_begin(sender->columns, frame.payload, sender->sizes, frame.event_count);
        while (err == VT_OK && first < sender->batch.event_count) {
            err = row_columns_next(sender->columns, &frame);
            if (err == VT_OK)
                err = frame_send(sender, &frame, first);
            first += frame.event_count;
        }
    }
    row_batch_clear(&sender->batch);
    return err;
}

static vt_err
event_add(struct sender *sender, struct vt_bytes event)
{
    if (sender->skip > 0) {
        sender->skip--;
        sender->summary.resumed++;
        return VT_OK;
    }
    vt_err err = row_batch_add(&sender->batch, event);

    if (err == VT_FULL) {
        err = batch_send(sender);
        if (err == VT_OK)
            err = row_batch_add(&sender->batch, event);
    }
    if (err == VT_TOO_LARGE) {
        line_refused(sender, "it is larger than a frame may be");
        return VT_OK;
    }
    if (err != VT_OK)
        return err;
    sender->lines[sender->batch.event_count - 1] = sender->reader.number;
    sender->sizes[sender->batch.event_count - 1] = (uint32_t)event.size;
    return sender->batch.event_count == sender->batch.events_max ? batch_send(sender) : VT_OK;
}

/* "line 7, column 1: what" without its line, which the message has already. */
static const char *
after_place(const char *text)
{
    const char *comma = strncmp(text, "line ", 5) == 0 ? strstr(text, ", ") : NULL;

    return comma == NULL ? text : comma + 2;
}

static vt_err
lines_send(struct sender *sender)
{
    for (;;) {
        struct vt_bytes event;
        struct vt_str line;
        vt_err err = line_reader_next(&sender->reader, &line);

        if (err == VT_END)
            return batch_send(sender);
        if (err == VT_AGAIN) {
            /* A pipe that rests: what there is goes out. */
            err = batch_send(sender);
            if (err == VT_OK)
                err = vt_client_poll(sender->client, POLL_MS);
            show(sender);
        } else if (err == VT_TOO_LARGE) {
            line_refused(sender, "it is too long");
            err = VT_OK;
        } else if (err == VT_OK) {
            err = json_row_parse(sender->row, line, sender->reader.number, &event);
            if (err == VT_OK) {
                err = event_add(sender, event);
            } else if (err == VT_BAD_JSON || err == VT_TOO_DEEP) {
                line_refused(sender, after_place(vt_err_last()));
                err = VT_OK;
            }
        }
        if (err != VT_OK)
            return err;
    }
}

/* ---- the command */

/* A session is what makes a resend count once. One that nobody named gets a name that comes again
 * on this machine, so that they do not pile up in the store. */
static void
producer_make(char out_name[256])
{
    char host[128] = "?";

    (void)gethostname(host, sizeof host - 1); /* else all of them share "?" */
    host[sizeof host - 1] = '\0';
    (void)snprintf(out_name, 256, "!send@%s:%ld", host, (long)getpid());
}

static vt_err
batch_make(struct sender *sender, const struct send_options *options,
           const struct vt_client_info *info)
{
    uint32_t events_max =
        options->batch < info->batch_events_max ? (uint32_t)options->batch : info->batch_events_max;

    sender->lines = calloc(events_max, sizeof *sender->lines);
    sender->sizes = calloc(events_max, sizeof *sender->sizes);
    if (sender->lines == NULL || sender->sizes == NULL)
        return VT_NOMEM;
    vt_err err = row_batch_init(&sender->batch, info->frame_bytes_max, events_max);

    if (err == VT_OK && options->columns)
        err = row_columns_open(info->frame_bytes_max, COLUMN_EVENTS_MIN, &sender->columns);
    return err;
}

static vt_err
client_make(struct sender *sender, const struct send_options *options)
{
    char token[TOKEN_LINE_BYTES];
    char producer[256];
    struct vt_client_info info;
    vt_err err = token_load(options->token_file, token);

    if (err != VT_OK)
        return err;
    producer_make(producer);
    const char *name = options->producer != NULL ? options->producer : producer;
    struct vt_client_options client_options = {
        .address = options->to,
        .token = {token, (uint32_t)strlen(token)},
        .producer = {name, (uint32_t)strlen(name)},
        .epoch = options->epoch != UINT64_MAX ? options->epoch
                                              : (uint64_t)clock_ns(CLOCK_REALTIME) / 1000,
        .away_ms = options->timeout_s * 1000,
        .full_ms =
            options->full_timeout_s == UINT64_MAX ? UINT64_MAX : options->full_timeout_s * 1000,
        .waiting = on_waiting,
        .acked = on_acked,
        .refused = on_refused,
        .context = sender,
    };

    err = vt_client_open(&client_options, &sender->client);
    if (err != VT_OK)
        return err;
    vt_client_get_info(sender->client, &info);
    sender->skip = info.sequence_first - 1;
    return batch_make(sender, options, &info);
}

static int
send_file(struct sender *sender, const struct send_options *options, const char *path)
{
    vt_err err = line_reader_open(path, &sender->reader);

    if (err != VT_OK)
        return options_failed(sender->name, NULL, err);
    err = json_row_open(&sender->row);
    if (err == VT_OK)
        err = client_make(sender, options);
    sender->rate = options->rate;
    sender->started_ns = clock_ns(CLOCK_MONOTONIC);
    progress_open(&sender->progress, sender->reader.bytes_all);
    if (err == VT_OK)
        err = lines_send(sender);
    if (err == VT_OK)
        err = vt_client_flush(sender->client);
    progress_close(&sender->progress);
    int status = err == VT_OK ? EXIT_DONE : options_failed(sender->name, NULL, err);

    if (err == VT_INVALID && sender->client == NULL)
        status = EXIT_USAGE;

    if (sender->client != NULL) {
        int printed = send_summary_print(&sender->summary);

        status = status == EXIT_DONE ? printed : status;
    }
    vt_client_close(sender->client);
    row_batch_deinit(&sender->batch);
    row_columns_close(sender->columns);
    free(sender->lines);
    free(sender->sizes);
    json_row_close(sender->row);
    line_reader_close(&sender->reader);
    return status;
}

int
command_send(int argc, char **argv)
{
    struct send_options options = {
        .batch = BATCH_DEFAULT,
        .timeout_s = TIMEOUT_DEFAULT_S,
        .full_timeout_s = UINT64_MAX,
        .epoch = UINT64_MAX,
    };
    const struct option_spec specs[] = {
        {"to", OPTION_TEXT, &options.to, 0, 0},
        {"token-file", OPTION_TEXT, &options.token_file, 0, 0},
        {"batch", OPTION_NUMBER, &options.batch, 1, VT_BATCH_EVENTS_MAX},
        {"rate", OPTION_NUMBER, &options.rate, 1, 1000000000},
        {"timeout", OPTION_NUMBER, &options.timeout_s, 0, 1000000},
        {"full-timeout", OPTION_NUMBER, &options.full_timeout_s, 0, 1000000000},
        {"producer", OPTION_TEXT, &options.producer, 0, 0},
        {"epoch", OPTION_NUMBER, &options.epoch, 0, INT64_MAX},
        {"columns", OPTION_FLAG, &options.columns, 0, 0},
        {NULL, OPTION_FLAG, NULL, 0, 0},
    };
    int first = 0;
    int status = options_read(argc, argv, usage_text, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    if (options.to == NULL)
        return options_misused(argv[0], "--to is missing");
    if (argc - first != 1)
        return options_misused(argv[0], "one file is expected, or - for standard input");
    if (options.producer != NULL &&
        (strlen(options.producer) == 0 || strlen(options.producer) > 255))
        return options_misused(argv[0], "--producer: 1 to 255 bytes");
    struct sender *sender = calloc(1, sizeof *sender);

    if (sender == NULL)
        return options_failed(argv[0], NULL, VT_NOMEM);
    sender->name = argv[0];
    status = send_file(sender, &options, argv[first]);
    free(sender);
    return status;
}
