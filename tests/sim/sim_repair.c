/*
 * sim_repair - damages the sealed data of a small store in memory, repairs it from its second copy,
 * and compares every file with what it was, byte by byte.
 *
 *   A damage is one of: flipped bits, a sector of zeros, a sector of noise, two sectors swapped
 *   within a file, a sector that belongs to another file, a file cut short, one with bytes behind
 *   its end, another segment's file, the file of another history under the same name, no file at
 *   all; in segments, in one copy of the manifest or the superblock, or in all of the superblock.
 *   Every damage must be found. At times the copy has the same file damaged: then the store's file
 *   must stay as it is, and be told.
 *
 * usage: sim_repair [--damages N] [--seed S]
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy_rig.h"
#include "venturi/assert.h"

#define DAMAGES_DEFAULT 400
#define FILES_MAX       64
#define SECTOR          512U
#define DAMAGES_A_STORE 100 /* then another store */
#define SEALS           4

enum damage {
    DAMAGE_FLIP,
    DAMAGE_ZEROS,
    DAMAGE_NOISE,
    DAMAGE_SWAP,
    DAMAGE_FOREIGN,
    DAMAGE_CUT,
    DAMAGE_LONGER,
    DAMAGE_STALE,
    DAMAGE_OTHER_HISTORY,
    DAMAGE_GONE,
    DAMAGE_COUNT,
};
static const char *const damage_names[DAMAGE_COUNT] = {
    "flipped bits", "zeros",  "noise",           "swapped sectors", "sector of another file",
    "cut short",    "longer", "another segment", "another history", "no file",
};

struct image {
    char name[96];
    struct vt_bytes bytes;
    struct vt_bytes other; /* of another history, of the same name; empty: none */
};

struct campaign {
    struct io *io;
    struct image images[FILES_MAX];
    uint32_t count;
    uint32_t segments; /* the first so many images */
    uint64_t random;
    uint64_t done[DAMAGE_COUNT];
    uint64_t refused; /* the copy was damaged as well */
};

struct told {
    uint64_t repaired;
    uint64_t left;
    char file[256];
};

static uint64_t seed_of_run;

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fprintf(stderr, "sim_repair: --seed %" PRIu64 ": ", seed_of_run);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, " [%s]\n", vt_err_last());
    va_end(arguments);
    exit(1);
}

static void
must(vt_err err, const char *what)
{
    if (err != VT_OK)
        die("%s: %s", what, vt_err_name(err));
}

static void
path_of(const char *dir, const char *name, char out_path[256])
{
    (void)snprintf(out_path, 256, "%s/%s", dir, name);
}

/* ---- a store and its copy */

static void
store_fill(struct io *io, uint64_t seed)
{
    struct copy_rig rig;

    copy_rig_open(&rig, io, "s", seed);
    for (uint32_t i = 0; i < SEALS; i++) {
        copy_rig_append(&rig, 3);
        copy_rig_seal(&rig);
    }
    copy_rig_append(&rig, 2);
    copy_rig_close(&rig);
}

static void
copy_make(struct io *io)
{
    const struct backup_options options = {.dir = "s", .to = "c"};
    struct backup *backup = NULL;

    must(backup_open(io, &options, &backup), "backup_open");
    must(backup_round(backup), "backup_round");
    backup_close(backup);
}

static struct vt_bytes
file_of(const struct campaign *campaign, const char *dir, const char *name)
{
    char path[256];

    path_of(dir, name, path);
    return copy_rig_file(campaign->io, path);
}

static void
image_add(struct campaign *campaign, const char *name)
{
    struct image *image = &campaign->images[campaign->count++];

    VT_ASSERT(campaign->count <= FILES_MAX);
    (void)snprintf(image->name, sizeof image->name, "%s", name);
    image->bytes = file_of(campaign, "s", name);
}

static void
campaign_open(struct campaign *campaign, uint64_t seed)
{
    struct io_name_list names;
    struct io *other = NULL;
    char name[96];

    must(io_sim_open(seed, &campaign->io), "io");
    store_fill(campaign->io, seed);
    copy_make(campaign->io);
    must(io_list_dir(campaign->io, "s/segments", &names), "list");
    campaign->count = 0;
    for (uint32_t i = 0; i < names.count; i++) {
        (void)snprintf(name, sizeof name, "segments/%s", names.names[i]);
        image_add(campaign, name);
    }
    campaign->segments = campaign->count;
    image_add(campaign, "manifest-0");
    image_add(campaign, "manifest-1");
    image_add(campaign, "store");
    io_name_list_free(&names);
    /* The same store id and the same cuts, as a restored one goes on, but other contents. */
    must(io_sim_open(seed, &other), "io");
    store_fill(other, seed + 1);
    for (uint32_t i = 0; i < campaign->segments; i++) {
        char path[256];

        path_of("s", campaign->images[i].name, path);
        campaign->images[i].other = copy_rig_file(other, path);
    }
    io_close(other);
}

static void
campaign_close(struct campaign *campaign)
{
    for (uint32_t i = 0; i < campaign->count; i++) {
        free(vt_owned(campaign->images[i].bytes.data));
        free(vt_owned(campaign->images[i].other.data));
        campaign->images[i] = (struct image){.bytes = {NULL, 0}};
    }
    io_close(campaign->io);
}

/* ---- damage */

static void
file_put(struct campaign *campaign, const char *dir, const char *name, const struct vt_bytes *bytes)
{
    char path[256];
    char folder[256];
    vt_err ignored;

    path_of(dir, name, path);
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    ignored = io_unlink(campaign->io, path);
    (void)ignored;
    must(io_sync_dir(campaign->io, folder), "sync");
    if (bytes != NULL)
        must(io_sim_put_file(campaign->io, path, *bytes), path);
}

static uint64_t
sector_draw(struct campaign *campaign, uint64_t size)
{
    uint64_t count = (size + SECTOR - 1) / SECTOR;

    return copy_rig_draw(&campaign->random) % count * SECTOR;
}

static uint64_t
sector_size(uint64_t size, uint64_t at)
{
    return size - at < SECTOR ? size - at : SECTOR;
}

/* Bytes of two places change theirs, as far as both reach. */
static void
sectors_swap(uint8_t *data, uint64_t size, uint64_t a, uint64_t b)
{
    for (uint64_t i = 0; i < sector_size(size, a > b ? a : b); i++) {
        uint8_t byte = data[a + i];

        data[a + i] = data[b + i];
        data[b + i] = byte;
    }
}

/* Another file's bytes in the place of this one's. */
static void
replace(const struct vt_bytes *from, uint8_t *data, uint64_t *size)
{
    memcpy(data, from->data, from->size);
    *size = from->size;
}

static void
damage_make(struct campaign *campaign, const struct image *image, enum damage damage, uint8_t *data,
            uint64_t *size)
{
    uint64_t random = copy_rig_draw(&campaign->random);
    const struct image *other = &campaign->images[random % campaign->segments];
    uint64_t at = sector_draw(campaign, *size);

    switch (damage) {
    case DAMAGE_FLIP:
        for (uint64_t i = 0; i <= random % 3; i++) {
            uint64_t bit = copy_rig_draw(&campaign->random) % (*size * 8);

            data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        break;
    case DAMAGE_ZEROS:
        memset(data + at, 0, sector_size(*size, at));
        break;
    case DAMAGE_NOISE:
        for (uint64_t i = 0; i < sector_size(*size, at); i++)
            data[at + i] = (uint8_t)copy_rig_draw(&campaign->random);
        break;
    case DAMAGE_SWAP:
        sectors_swap(data, *size, at, sector_draw(campaign, *size));
        break;
    case DAMAGE_FOREIGN:
        if (other->bytes.size > at)
            memcpy(data + at, other->bytes.data + at,
                   other->bytes.size < *size ? sector_size(other->bytes.size, at)
                                             : sector_size(*size, at));
        break;
    case DAMAGE_CUT:
        *size = random % *size;
        break;
    case DAMAGE_LONGER:
        *size += 1 + random % SECTOR;
        break;
    case DAMAGE_STALE:
        replace(&other->bytes, data, size);
        break;
    case DAMAGE_OTHER_HISTORY:
        if (image->other.size > 0)
            replace(&image->other, data, size);
        break;
    case DAMAGE_GONE:
    case DAMAGE_COUNT:
        break;
    }
}

/* What a file is after a damage; false where it is as it was, by chance. */
static bool
damaged_bytes(struct campaign *campaign, const struct image *image, enum damage damage,
              struct vt_bytes *out_bytes)
{
    uint64_t room = UINT64_C(1) << 20;
    uint64_t size = image->bytes.size;
    uint8_t *data = calloc(1, room);

    VT_ASSERT(data != NULL && size < room);
    memcpy(data, image->bytes.data, size);
    damage_make(campaign, image, damage, data, &size);
    *out_bytes = (struct vt_bytes){data, size};
    return damage == DAMAGE_GONE || size != image->bytes.size ||
           memcmp(data, image->bytes.data, size) != 0;
}

/* ---- repair */

static void
note(void *context, const struct repair_news *news)
{
    struct told *told = context;

    told->repaired += news->verdict == REPAIR_DONE;
    told->left += news->verdict == REPAIR_NOT_POSSIBLE;
    (void)snprintf(told->file, sizeof told->file, "%s", news->file);
    if (news->text[0] == '\0')
        die("a repair without a word");
}

static void
expect_file(const struct campaign *campaign, const struct image *image, const struct vt_bytes *want,
            const char *what)
{
    struct vt_bytes now = file_of(campaign, "s", image->name);

    if (now.size != want->size || (now.data == NULL) != (want->data == NULL) ||
        (now.size > 0 && memcmp(now.data, want->data, now.size) != 0))
        die("%s of %s: the file is not %s", what, image->name,
            want == &image->bytes ? "what it was" : "as it was found");
    free(vt_owned(now.data));
}

static struct told
repair(const struct campaign *campaign, const char *what)
{
    struct told told = {.repaired = 0};
    struct repair_result result;
    const struct repair_options options = {.dir = "s", .from = "c", .news = note, .context = &told};

    vt_err_clear();
    vt_err err = repair_run(campaign->io, &options, &result);

    if (err != VT_OK)
        die("%s: repair: %s", what, vt_err_name(err));
    return told;
}

/* The manifest is repaired as a whole, and its sequence goes on: what counts is that it reads. */
static void
expect_repaired(struct campaign *campaign, const struct image *image, enum damage damage)
{
    const char *what = damage_names[damage];
    struct told told = repair(campaign, what);

    if (told.repaired != 1 || told.left != 0 || strstr(told.file, image->name) == NULL)
        die("%s of %s: repaired %" PRIu64 ", left %" PRIu64 ", last %s", what, image->name,
            told.repaired, told.left, told.file);
    if (strncmp(image->name, "manifest", 8) != 0)
        expect_file(campaign, image, &image->bytes, what);
    told = repair(campaign, what);
    if (told.repaired + told.left != 0)
        die("%s of %s: damage after a repair: %s", what, image->name, told.file);
    campaign->done[damage]++;
}

static void
damage_once(struct campaign *campaign)
{
    uint64_t random = copy_rig_draw(&campaign->random);
    enum damage damage = (enum damage)(random % DAMAGE_COUNT);
    bool segment = (random >> 8) % 10 != 0;
    const struct image *image =
        &campaign->images[segment ? (random >> 16) % campaign->segments
                                  : campaign->segments + (random >> 16) % 3];
    bool both = segment && (random >> 32) % 16 == 0;
    struct vt_bytes bytes;

    /* An end that is torn is what a crash leaves of a manifest; the rest has tests of its own. */
    if (!segment)
        damage = image->name[0] == 'm' ? DAMAGE_GONE : DAMAGE_FLIP;
    if (!damaged_bytes(campaign, image, damage, &bytes)) {
        free(vt_owned(bytes.data));
        return;
    }
    const struct vt_bytes *now = damage == DAMAGE_GONE ? NULL : &bytes;

    file_put(campaign, "s", image->name, now);
    if (both) {
        struct told told;
        const struct vt_bytes nothing = {NULL, 0};

        file_put(campaign, "c", image->name, now);
        told = repair(campaign, damage_names[damage]);
        if (told.repaired != 0 || told.left != 1)
            die("%s of %s in both: repaired %" PRIu64 ", left %" PRIu64, damage_names[damage],
                image->name, told.repaired, told.left);
        expect_file(campaign, image, now == NULL ? &nothing : now, damage_names[damage]);
        file_put(campaign, "c", image->name, &image->bytes);
        campaign->refused++;
    }
    expect_repaired(campaign, image, damage);
    free(vt_owned(bytes.data));
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"damages", required_argument, NULL, 'd'},
        {"seed", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    static struct campaign campaign;
    uint64_t wanted = DAMAGES_DEFAULT;
    uint64_t seed = 0;
    uint64_t done = 0;
    struct io *io = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd')
            wanted = strtoull(optarg, NULL, 10);
        else if (option == 's')
            seed = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    if (seed == 0) {
        must(io_uring_open(0, &io), "io");
        must(io_random(io, &seed, 4), "random");
        io_close(io);
        seed = (seed & UINT32_MAX) + 1;
    }
    (void)printf("sim_repair: --damages %" PRIu64 " --seed %" PRIu64 "\n", wanted, seed);
    seed_of_run = seed;
    campaign.random = seed;
    for (uint64_t store = 0; done < wanted; store++) {
        campaign_open(&campaign, seed + store);
        for (uint32_t i = 0; done < wanted && i < DAMAGES_A_STORE; i++) {
            damage_once(&campaign);
            done = 0;
            for (uint32_t k = 0; k < DAMAGE_COUNT; k++)
                done += campaign.done[k];
        }
        campaign_close(&campaign);
    }
    for (uint32_t k = 0; k < DAMAGE_COUNT; k++)
        (void)printf("%24s %" PRIu64 "\n", damage_names[k], campaign.done[k]);
    (void)printf("sim_repair: %" PRIu64 " damages repaired bit for bit, %" PRIu64
                 " refused while the copy was damaged too\n",
                 done, campaign.refused);
    return 0;
}
