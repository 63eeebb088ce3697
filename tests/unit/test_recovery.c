/*
 * Goal:   the rules of the chain one by one: each image has one thing that a rule decides.
 * Method: lanes are written commit by commit on the simulated disk, with numbers, starts and checks
 *         chosen per case; the chain found and the verdict are compared.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "io_sim.h"
#include "recovery.h"
#include "venturi/assert.h"
#include "venturi/hash.h"

#define LANE_COUNT 3U
#define LANE_BYTES 65536U
#define STORE_ID   UINT64_C(77)

/* A commit of the image. `parent` is the index of the commit whose check it names, -1: the
 * store. */
struct spec {
    uint64_t number;
    uint64_t start;
    int parent;
    uint64_t durable;
    int follows; /* index of what its LOG_START names; -2: no such record */
    bool broken; /* its payload is not as written */
};

struct expectation {
    const char *name;
    struct spec specs[10];
    uint32_t count;
    uint64_t last_start; /* of the manifest, with what it follows */
    uint64_t follows;
    uint64_t known;
    vt_err want;
    uint64_t last; /* of the chain */
    int last_is;   /* index of it, -1: none */
};

static struct io *io;
static struct io_file *files[LANE_COUNT];
static uint64_t lane_end[LANE_COUNT];

static void
setup(void)
{
    static const char *const names[LANE_COUNT] = {"lane-00", "lane-01", "lane-02"};
    uint8_t *zeros = calloc(1, LANE_BYTES);

    cr_assert(zeros != NULL);
    cr_assert_eq(io_sim_open(1, &io), VT_OK);
    for (uint32_t i = 0; i < LANE_COUNT; i++) {
        cr_assert_eq(io_open(io, names[i], IO_OPEN_WRITE | IO_OPEN_CREATE, &files[i]), VT_OK);
        cr_assert_eq(io_write_at(files[i], zeros, LANE_BYTES, 0), VT_OK);
        lane_end[i] = 0;
    }
    free(zeros);
}

static void
teardown(void)
{
    for (uint32_t i = 0; i < LANE_COUNT; i++)
        io_close_file(files[i]);
    io_close(io);
}

TestSuite(recovery, .timeout = 20);

/* Writes a commit behind the last one of its lane; gives its check. */
static uint64_t
write_commit(const struct spec *spec, const uint64_t *checks, const struct spec *all)
{
    static uint8_t block[COMMIT_BLOCK_BYTES];
    struct commit_head *head = (struct commit_head *)block;
    struct commit_record *record = (struct commit_record *)(head + 1);
    struct commit_start *start = (struct commit_start *)(record + 1);
    uint32_t lane = (uint32_t)(spec->number % LANE_COUNT);

    memset(block, 0, sizeof block);
    head->store = le64_put(STORE_ID);
    head->start = le64_put(spec->start);
    head->number = le64_put(spec->number);
    head->previous = le64_put(spec->parent < 0 ? STORE_ID : checks[spec->parent]);
    head->first_position = le64_put(1);
    head->record_count = le32_put(1);
    head->head_bytes = le32_put(LOG_COMMIT_HEAD_BYTES + sizeof *record);
    head->bytes = le32_put(LOG_COMMIT_HEAD_BYTES + sizeof *record + sizeof *start);
    head->lane = le32_put(lane);
    head->offset = le64_put(lane_end[lane]);
    head->durable = le64_put(spec->durable);
    record->kind = spec->follows == -2 ? LOG_TICK : LOG_START;
    record->bytes = le32_put(sizeof *start);
    record->offset = le32_put(LOG_COMMIT_HEAD_BYTES + sizeof *record);
    start->number = le64_put(spec->follows < 0 ? 0 : all[spec->follows].number);
    start->check = le64_put(spec->follows < 0 ? STORE_ID : checks[spec->follows]);
    record->payload_crc = le32_put(vt_crc32c(start, sizeof *start));
    commit_seal(head);
    if (spec->broken)
        start->check.byte[3] ^= 1;
    cr_assert_eq(io_write_at(files[lane], block, sizeof block, lane_end[lane]), VT_OK);
    lane_end[lane] += sizeof block;
    return le64_get(head->check);
}

static const struct expectation expectations[] = {
    /* clang-format off */
    { "nothing at all", { { 0 } }, 0, 1, 0, 0, VT_OK, 0, -1 },
    { "one start",
      { { 1, 1, -1, 0, -1, false }, { 2, 1, 0, 0, -2, false }, { 3, 1, 1, 0, -2, false } },
      3, 1, 0, 0, VT_OK, 3, 2 },
    { "the first commit of a start without its record is none",
      { { 1, 1, -1, 0, -2, false } }, 1, 0, 0, 0, VT_OK, 0, -1 },
    { "a second start that names what it follows",
      { { 1, 1, -1, 0, -1, false }, { 2, 2, 0, 0, 0, false } }, 2, 2, 1, 1, VT_OK, 2, 1 },
    { "a second start that does not",
      { { 1, 1, -1, 0, -1, false }, { 2, 2, 0, 0, -2, false } }, 2, 2, 1, 1, VT_OK, 1, 0 },
    { "of two with one number the higher start holds",
      { { 1, 1, -1, 0, -1, false }, { 2, 1, 0, 0, -2, false }, { 2, 2, 0, 0, 0, false } },
      3, 2, 1, 1, VT_OK, 2, 2 },
    { "and holds although a third start followed it",
      { { 1, 1, -1, 0, -1, false }, { 2, 1, 0, 0, -2, false }, { 2, 2, 0, 0, 0, false } },
      3, 3, 2, 2, VT_OK, 2, 2 },
    { "what the older start wrote beyond is void, also where the newer wrote nothing",
      { { 1, 1, -1, 0, -1, false }, { 2, 1, 0, 0, -2, false } }, 2, 2, 1, 1, VT_OK, 1, 0 },
    { "a void commit behind a gap does not return",
      { { 1, 1, -1, 0, -1, false }, { 3, 1, 0, 0, -2, false }, { 2, 2, 0, 0, 0, false } },
      3, 2, 1, 1, VT_OK, 2, 2 },
    { "another previous check", { { 1, 1, -1, 0, -1, false }, { 2, 1, -1, 0, -2, false } },
      2, 1, 0, 0, VT_OK, 1, 0 },
    { "a lower start after a higher one",
      { { 1, 2, -1, 0, -1, false }, { 2, 1, 0, 0, -2, false } }, 2, 2, 0, 0, VT_OK, 1, 0 },
    { "a torn end that nothing proves durable",
      { { 1, 1, -1, 0, -1, false }, { 2, 1, 0, 0, -2, true }, { 3, 1, 1, 0, -2, false } },
      3, 1, 0, 0, VT_OK, 1, 0 },
    { "torn, but a later one says that it was durable",
      { { 1, 1, -1, 0, -1, false }, { 2, 1, 0, 0, -2, true }, { 3, 1, 1, 2, -2, false } },
      3, 1, 0, 0, VT_DAMAGED, 0, 0 },
    { "missing, but the lanes' number later there is one",
      { { 1, 1, -1, 0, -1, false }, { 5, 1, 0, 0, -2, false } }, 2, 1, 0, 0, VT_DAMAGED, 0, 0 },
    { "missing, and one less than that later",
      { { 1, 1, -1, 0, -1, false }, { 4, 1, 0, 0, -2, false } }, 2, 1, 0, 0, VT_OK, 1, 0 },
    { "missing, but a start followed it",
      { { 1, 1, -1, 0, -1, false }, { 2, 1, 0, 0, -2, true }, { 3, 2, 1, 0, 1, false } },
      3, 1, 0, 0, VT_DAMAGED, 0, 0 },
    { "missing, but the manifest knew it",
      { { 1, 1, -1, 0, -1, false } }, 1, 1, 0, 2, VT_DAMAGED, 0, 0 },
    /* clang-format on */
};

static void
run(const struct expectation *c)
{
    const struct chain_lanes lanes = {
        .files = files,
        .dir = "s",
        .store = STORE_ID,
        .lane_bytes = LANE_BYTES,
        .lane_count = LANE_COUNT,
        .commit_bytes_max = 8192,
    };
    uint64_t checks[10] = {0};
    struct chain chain;

    for (uint32_t i = 0; i < c->count; i++)
        checks[i] = write_commit(&c->specs[i], checks, c->specs);
    const struct chain_base base = {
        .check = STORE_ID,
        .last_start = c->last_start,
        .follows_number = c->follows,
        .follows_check = c->follows == 0   ? STORE_ID
                         : c->follows == 1 ? checks[0]
                                           : checks[c->last_is],
        .known_number = c->known,
    };

    vt_err_clear();
    vt_err err = chain_scan(&lanes, &base, false, &chain);

    cr_expect_eq(err, c->want, "%s: %s, %s", c->name, vt_err_name(err), vt_err_last());
    if (err != VT_OK) {
        cr_expect(strstr(vt_err_last(), "lane-02 at 0: commit 2 is missing") != NULL, "%s: %s",
                  c->name, vt_err_last());
        return;
    }
    cr_expect_eq(chain.last_number, c->last, "%s: ends at %lu", c->name,
                 (unsigned long)chain.last_number);
    cr_expect_eq(chain.last_check, c->last_is < 0 ? STORE_ID : checks[c->last_is], "%s", c->name);
    cr_expect_eq(chain_settle(&chain, &lanes), VT_OK, "%s", c->name);
    chain_deinit(&chain);
}

Test(recovery, takes_the_chain_that_the_rules_give)
{
    for (size_t i = 0; i < VT_COUNT(expectations); i++) {
        setup();
        run(&expectations[i]);
        teardown();
    }
}

/*
 * Method: flip every bit of a commit's 4096 bytes in turn; none may leave it in the chain.
 */
Test(recovery, no_flipped_bit_of_a_commit_is_accepted)
{
    static uint8_t block[COMMIT_BLOCK_BYTES];
    const struct spec spec = {1, 1, -1, 0, -1, false};
    const struct commit_place place = {
        .store = STORE_ID,
        .lane_bytes = LANE_BYTES,
        .lane = 1,
        .lane_count = LANE_COUNT,
        .commit_bytes_max = 8192,
    };

    setup();
    (void)write_commit(&spec, NULL, &spec);
    cr_assert_eq(io_read_at(files[1], block, sizeof block, 0), VT_OK);
    for (uint32_t bit = 0; bit <= sizeof block * 8; bit++) {
        struct commit_info info = {0};

        if (bit < sizeof block * 8)
            block[bit / 8] ^= (uint8_t)(1U << bit % 8);
        vt_err err = commit_check_first((const struct commit_head *)block, &place);

        if (err == VT_OK)
            err = commit_check(block, &place, &info);
        bool accepted = err == VT_OK && info.intact;

        /* The last round has no flip. */
        cr_assert_eq(accepted, bit == sizeof block * 8, "bit %u", bit);
        if (bit < sizeof block * 8)
            block[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    teardown();
}
