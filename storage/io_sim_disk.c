/*
 * io_sim_disk.c - pages, files and names of the simulated disk, and what a crash makes of them. A
 * test double: it ends the process where memory runs out.
 */
#include "io_sim_disk.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

uint64_t
sim_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void
page_put(struct sim_page *page)
{
    if (page != NULL && --page->references == 0)
        free(page);
}

static void
image_resize(struct sim_image *image, uint64_t page_count)
{
    for (uint64_t i = page_count; i < image->page_count; i++)
        page_put(image->pages[i]);
    if (page_count > image->page_count) {
        image->pages = realloc(image->pages, page_count * sizeof(void *));
        VT_ASSERT(image->pages != NULL);
        memset(image->pages + image->page_count, 0,
               (page_count - image->page_count) * sizeof(void *));
    }
    image->page_count = page_count;
}

static void
image_deinit(struct sim_image *image)
{
    image_resize(image, 0);
    free(image->pages);
}

/* `to` becomes equal to `from` by sharing its pages. */
static void
image_share(struct sim_image *to, const struct sim_image *from)
{
    image_resize(to, from->page_count);
    for (uint64_t i = 0; i < from->page_count; i++) {
        if (to->pages[i] == from->pages[i])
            continue;
        page_put(to->pages[i]);
        to->pages[i] = from->pages[i];
        if (to->pages[i] != NULL)
            to->pages[i]->references++;
    }
}

/* A page that only this image holds. */
static struct sim_page *
page_own(struct sim_image *image, uint64_t index)
{
    struct sim_page *page = image->pages[index];

    if (page != NULL && page->references == 1)
        return page;
    struct sim_page *own = malloc(sizeof *own);

    VT_ASSERT(own != NULL);
    own->references = 1;
    if (page == NULL)
        memset(own->bytes, 0, sizeof own->bytes);
    else
        memmove(own->bytes, page->bytes, sizeof own->bytes);
    page_put(page);
    image->pages[index] = own;
    return own;
}

static void
image_write(struct sim_image *image, struct vt_bytes bytes, uint64_t offset)
{
    uint64_t end = offset + bytes.size;

    if ((end + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES > image->page_count)
        image_resize(image, (end + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES);
    while (bytes.size > 0) {
        uint64_t at = offset % SIM_PAGE_BYTES;
        uint64_t part = SIM_PAGE_BYTES - at < bytes.size ? SIM_PAGE_BYTES - at : bytes.size;

        memmove(page_own(image, offset / SIM_PAGE_BYTES)->bytes + at, bytes.data, part);
        bytes.data += part;
        bytes.size -= part;
        offset += part;
    }
}

static void
image_read(const struct sim_image *image, uint8_t *out, uint64_t bytes, uint64_t offset)
{
    while (bytes > 0) {
        uint64_t at = offset % SIM_PAGE_BYTES;
        uint64_t part = SIM_PAGE_BYTES - at < bytes ? SIM_PAGE_BYTES - at : bytes;
        uint64_t index = offset / SIM_PAGE_BYTES;
        const struct sim_page *page = index < image->page_count ? image->pages[index] : NULL;

        if (page == NULL)
            memset(out, 0, part);
        else
            memmove(out, page->bytes + at, part); /* gcc makes `rep movs` of a memcpy */
        out += part;
        bytes -= part;
        offset += part;
    }
}

struct sim_node *
sim_node_new(bool is_dir)
{
    struct sim_node *node = calloc(1, sizeof *node);

    VT_ASSERT(node != NULL);
    node->references = 1;
    node->is_dir = is_dir;
    return node;
}

void
sim_node_put(struct sim_node *node)
{
    if (node == NULL || --node->references > 0)
        return;
    image_deinit(&node->visible);
    image_deinit(&node->durable);
    free(node->pendings);
    free(node);
}

void
sim_node_read(const struct sim_node *node, void *out, uint64_t bytes, uint64_t offset)
{
    image_read(&node->visible, out, bytes, offset);
}

static void
pend(struct sim_node *node, uint64_t sector, uint64_t write)
{
    if (node->pending_count == node->pending_max) {
        node->pending_max = node->pending_max == 0 ? 8 : node->pending_max * 2;
        node->pendings = realloc(node->pendings, node->pending_max * sizeof node->pendings[0]);
        VT_ASSERT(node->pendings != NULL);
    }
    struct sim_pending *pending = &node->pendings[node->pending_count++];

    pending->sector = sector;
    pending->write = write;
    image_read(&node->visible, pending->bytes, SIM_SECTOR_BYTES, sector * SIM_SECTOR_BYTES);
}

void
sim_node_write(struct sim_disk *disk, struct sim_node *node, struct vt_bytes bytes, uint64_t offset)
{
    uint64_t end = offset + bytes.size;

    if (bytes.size == 0)
        return;
    disk->write_count++;
    image_write(&node->visible, bytes, offset);
    if (end > node->size)
        node->size = end;
    for (uint64_t sector = offset / SIM_SECTOR_BYTES; sector * SIM_SECTOR_BYTES < end; sector++)
        pend(node, sector, disk->write_count);
}

void
sim_node_write_durable(struct sim_node *node, struct vt_bytes bytes, uint64_t offset)
{
    uint64_t end = offset + bytes.size;
    uint32_t kept = 0;

    VT_ASSERT(offset % SIM_SECTOR_BYTES == 0 && bytes.size % SIM_SECTOR_BYTES == 0);
    image_write(&node->visible, bytes, offset);
    image_write(&node->durable, bytes, offset);
    if (end > node->size)
        node->size = end;
    if (end > node->durable_size)
        node->durable_size = end;
    /* What was pending there is older. */
    for (uint32_t i = 0; i < node->pending_count; i++) {
        uint64_t at = node->pendings[i].sector * SIM_SECTOR_BYTES;

        if (at >= offset && at < end)
            continue;
        if (kept != i)
            node->pendings[kept] = node->pendings[i];
        kept++;
    }
    node->pending_count = kept;
}

static void
apply_pending(struct sim_image *image, uint64_t *size, const struct sim_pending *pending)
{
    uint64_t at = pending->sector * SIM_SECTOR_BYTES;

    image_write(image, (struct vt_bytes){pending->bytes, SIM_SECTOR_BYTES}, at);
    if (at + SIM_SECTOR_BYTES > *size)
        *size = at + SIM_SECTOR_BYTES;
}

void
sim_node_sync(struct sim_node *node)
{
    /* Only what is pending: what a failed sync gave up stays lost, although it is still seen. */
    for (uint32_t i = 0; i < node->pending_count; i++)
        apply_pending(&node->durable, &node->durable_size, &node->pendings[i]);
    node->durable_size = node->size;
    node->pending_count = 0;
}

void
sim_node_sync_failed(struct sim_node *node, uint64_t *random)
{
    for (uint32_t i = 0; i < node->pending_count; i++)
        if (sim_random(random) % 2 == 0)
            apply_pending(&node->durable, &node->durable_size, &node->pendings[i]);
    if (node->durable_size > node->size)
        node->durable_size = node->size;
    node->pending_count = 0;
}

void
sim_node_resize(struct sim_node *node, uint64_t size)
{
    uint64_t page_count = (size + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES;

    image_resize(&node->visible, page_count);
    image_resize(&node->durable, page_count);
    node->size = node->durable_size = size;
}

/* names->count where there is none. */
static uint32_t
name_index(const struct sim_names *names, const char *path)
{
    uint32_t i = 0;

    while (i < names->count && strcmp(names->names[i].path, path) != 0)
        i++;
    return i;
}

struct sim_node *
sim_find(const struct sim_names *names, const char *path)
{
    uint32_t index = name_index(names, path);

    return index == names->count ? NULL : names->names[index].node;
}

static void
names_remove(struct sim_names *names, const char *path)
{
    uint32_t index = name_index(names, path);

    if (index == names->count)
        return;
    sim_node_put(names->names[index].node);
    names->names[index] = names->names[--names->count];
}

static void
names_put(struct sim_names *names, const char *path, struct sim_node *node)
{
    node->references++;
    names_remove(names, path);
    VT_ASSERT(names->count < SIM_NAMES_MAX && strlen(path) < SIM_PATH_BYTES);
    if (names->count == names->max) {
        names->max = names->max == 0 ? 16 : names->max * 2;
        names->names = realloc(names->names, names->max * sizeof names->names[0]);
        VT_ASSERT(names->names != NULL);
    }
    struct sim_name *name = &names->names[names->count++];

    memcpy(name->path, path, strlen(path) + 1);
    name->node = node;
}

/* The length of the directory's part of a path. */
static size_t
parent_size(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? 0 : (size_t)(slash - path);
}

bool
sim_parent_exists(const struct sim_names *names, const char *path)
{
    char parent[SIM_PATH_BYTES];
    size_t size = parent_size(path);

    if (size == 0)
        return true;
    memcpy(parent, path, size);
    parent[size] = '\0';
    const struct sim_node *node = sim_find(names, parent);

    return node != NULL && node->is_dir;
}

/* Carries out a change; one whose ground was lost has no effect. */
static void
names_change(struct sim_names *names, const struct sim_change *change)
{
    struct sim_node *node = change->node;

    if (change->from[0] != '\0')
        node = sim_find(names, change->from);
    if (node == NULL)
        return;
    /* First the new name, then the old: the node is never without one. */
    if (change->to[0] != '\0')
        names_put(names, change->to, node);
    if (change->from[0] != '\0')
        names_remove(names, change->from);
}

void
sim_change_names(struct sim_disk *disk, const char *from, const char *to, struct sim_node *node)
{
    if (disk->change_count == disk->change_max) {
        disk->change_max = disk->change_max == 0 ? 8 : disk->change_max * 2;
        disk->changes = realloc(disk->changes, disk->change_max * sizeof disk->changes[0]);
        VT_ASSERT(disk->changes != NULL);
    }
    VT_ASSERT(strlen(from) < SIM_PATH_BYTES && strlen(to) < SIM_PATH_BYTES);
    struct sim_change *change = &disk->changes[disk->change_count++];

    memcpy(change->from, from, strlen(from) + 1);
    memcpy(change->to, to, strlen(to) + 1);
    change->node = node;
    if (node != NULL)
        node->references++;
    names_change(&disk->visible, change);
}

static bool
is_in(const char *path, const char *dir)
{
    size_t size = parent_size(path);

    if (size == 0)
        return strcmp(dir, ".") == 0 || strcmp(dir, "/") == 0;
    return strlen(dir) == size && memcmp(path, dir, size) == 0;
}

void
sim_names_sync(struct sim_disk *disk, const char *dir)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < disk->change_count; i++) {
        struct sim_change *change = &disk->changes[i];

        if (!is_in(change->to[0] != '\0' ? change->to : change->from, dir)) {
            if (kept != i)
                disk->changes[kept] = *change;
            kept++;
            continue;
        }
        names_change(&disk->durable, change);
        sim_node_put(change->node);
    }
    disk->change_count = kept;
}

void
sim_disk_deinit(struct sim_disk *disk)
{
    for (uint32_t i = 0; i < disk->visible.count; i++)
        sim_node_put(disk->visible.names[i].node);
    for (uint32_t i = 0; i < disk->durable.count; i++)
        sim_node_put(disk->durable.names[i].node);
    for (uint32_t i = 0; i < disk->change_count; i++)
        sim_node_put(disk->changes[i].node);
    free(disk->changes);
    free(disk->visible.names);
    free(disk->durable.names);
    *disk = (struct sim_disk){0};
}

/* Which unsynced things survive: the plain cases that find most, and arbitrary ones. */
enum survival { LOSE_ALL, KEEP_ALL, ANY, ANY_TORN, WHOLE_WRITES, LOSE_ONE, KEEP_ONE, SURVIVALS };

struct survivor {
    enum survival survival;
    uint64_t random;
    uint64_t one; /* counts down to the one */
    uint64_t *subset;
};

static struct survivor
survivor_of(uint64_t seed)
{
    struct survivor survivor = {.random = seed};

    survivor.survival = (enum survival)(sim_random(&survivor.random) % SURVIVALS);
    survivor.one = sim_random(&survivor.random) % 24;
    return survivor;
}

static bool
survives(struct survivor *survivor, uint64_t write)
{
    bool yes = false;
    uint64_t of_write = survivor->random ^ write * UINT64_C(0x9e3779b97f4a7c15);

    switch (survivor->survival) {
    case LOSE_ALL:
    case SURVIVALS:
        break;
    case KEEP_ALL:
        yes = true;
        break;
    case ANY:
    case ANY_TORN:
        yes = sim_random(&survivor->random) % 2 == 0;
        break;
    case WHOLE_WRITES:
        yes = sim_random(&of_write) % 2 == 0;
        break;
    case LOSE_ONE:
    case KEEP_ONE:
        yes = (survivor->one-- == 0) == (survivor->survival == KEEP_ONE);
        break;
    }
    *survivor->subset = (*survivor->subset ^ (yes ? 2 : 1)) * UINT64_C(0x100000001b3);
    return yes;
}

/* A sector that survives; in the torn case sometimes only its first bytes. */
static void
survive_sector(struct survivor *survivor, struct sim_node *node, const struct sim_pending *pending)
{
    struct sim_pending torn = *pending;

    if (survivor->survival == ANY_TORN && sim_random(&survivor->random) % 16 == 0) {
        uint64_t at = sim_random(&survivor->random) % SIM_SECTOR_BYTES;

        image_read(&node->durable, torn.bytes, SIM_SECTOR_BYTES, torn.sector * SIM_SECTOR_BYTES);
        memcpy(torn.bytes, pending->bytes, at);
        *survivor->subset = (*survivor->subset ^ (at + 3)) * UINT64_C(0x100000001b3);
    }
    apply_pending(&node->durable, &node->durable_size, &torn);
}

static struct sim_node *
node_crash(struct sim_node *from, struct survivor *survivor)
{
    struct sim_node *to = sim_node_new(from->is_dir);

    image_share(&to->durable, &from->durable);
    to->durable_size = from->durable_size;
    for (uint32_t i = 0; i < from->pending_count; i++)
        if (survives(survivor, from->pendings[i].write))
            survive_sector(survivor, to, &from->pendings[i]);
    if (to->durable_size > from->size)
        to->durable_size = from->size;
    image_share(&to->visible, &to->durable);
    to->size = to->durable_size;
    return to;
}

/* After a kill everything is as it was, durable or not. */
static struct sim_node *
node_kill(const struct sim_node *from)
{
    struct sim_node *to = sim_node_new(from->is_dir);

    image_share(&to->visible, &from->visible);
    image_share(&to->durable, &from->durable);
    to->size = from->size;
    to->durable_size = from->durable_size;
    to->pending_count = to->pending_max = from->pending_count;
    if (from->pending_count == 0)
        return to;
    to->pendings = malloc(from->pending_count * sizeof to->pendings[0]);
    VT_ASSERT(to->pendings != NULL);
    memcpy(to->pendings, from->pendings, from->pending_count * sizeof to->pendings[0]);
    return to;
}

static struct sim_node *
node_copy(struct sim_node *from, const struct io_sim_crash *crash, struct survivor *survivor)
{
    /* A node lives as long as a name or a file has it; the analyzer loses count. */
    if (from->copy == NULL)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        from->copy = crash->kill ? node_kill(from) : node_crash(from, survivor);
    return from->copy; /* NOLINT(clang-analyzer-unix.Malloc) */
}

static void
names_copy(const struct sim_names *from, const struct io_sim_crash *crash,
           struct survivor *survivor, struct sim_names *to)
{
    for (uint32_t i = 0; i < from->count; i++)
        names_put(to, from->names[i].path, node_copy(from->names[i].node, crash, survivor));
}

/* Takes names whose directory was lost. */
static void
drop_orphans(struct sim_names *names)
{
    for (uint32_t i = 0; i < names->count;) {
        if (sim_parent_exists(names, names->names[i].path)) {
            i++;
            continue;
        }
        char path[SIM_PATH_BYTES];

        memcpy(path, names->names[i].path, sizeof path);
        names_remove(names, path);
        i = 0;
    }
}

static void
changes_copy(const struct sim_disk *from, const struct io_sim_crash *crash,
             struct survivor *survivor, struct sim_disk *to)
{
    for (uint32_t i = 0; i < from->change_count; i++) {
        struct sim_change change = from->changes[i];

        if (change.node != NULL)
            change.node = node_copy(change.node, crash, survivor);
        if (crash->kill)
            sim_change_names(to, change.from, change.to, change.node);
        else if (survives(survivor, i))
            names_change(&to->durable, &change);
    }
}

void
sim_disk_crash_end(const struct sim_disk *from)
{
    const struct sim_names *lists[] = {&from->visible, &from->durable};

    for (size_t k = 0; k < VT_COUNT(lists); k++)
        for (uint32_t i = 0; i < lists[k]->count; i++) {
            sim_node_put(lists[k]->names[i].node->copy);
            lists[k]->names[i].node->copy = NULL;
        }
    for (uint32_t i = 0; i < from->change_count; i++)
        if (from->changes[i].node != NULL) {
            sim_node_put(from->changes[i].node->copy);
            from->changes[i].node->copy = NULL;
        }
}

void
sim_disk_crash(const struct sim_disk *from, const struct io_sim_crash *crash, struct sim_disk *to,
               uint64_t *subset)
{
    struct survivor survivor = survivor_of(crash->seed);

    survivor.subset = subset;
    names_copy(&from->durable, crash, &survivor, &to->durable);
    if (crash->kill)
        names_copy(&from->durable, crash, &survivor, &to->visible);
    changes_copy(from, crash, &survivor, to);
    to->write_count = from->write_count;
    if (crash->kill)
        return;
    drop_orphans(&to->durable);
    for (uint32_t i = 0; i < to->durable.count; i++)
        names_put(&to->visible, to->durable.names[i].path, to->durable.names[i].node);
}

void
sim_disk_crash_flight(const struct sim_flight *flight, const struct io_sim_crash *crash,
                      struct sim_disk *to, uint64_t *subset)
{
    struct survivor survivor = survivor_of(crash->seed ^ flight->op->offset);
    const struct io_op *op = flight->op;
    const uint8_t *data = op->buffer;
    struct sim_node *node = flight->node->copy;
    struct sim_pending pending = {.write = op->offset};

    survivor.subset = subset;
    if (node == NULL)
        return;
    if (crash->kill) {
        /* The kernel carries on what it was given, or never was. */
        if (survives(&survivor, op->offset))
            sim_node_write(to, node, (struct vt_bytes){data, op->bytes}, op->offset);
        return;
    }
    for (uint32_t at = 0; at < op->bytes; at += SIM_SECTOR_BYTES) {
        if (!survives(&survivor, op->offset))
            continue;
        pending.sector = (op->offset + at) / SIM_SECTOR_BYTES;
        memcpy(pending.bytes, data + at, SIM_SECTOR_BYTES);
        survive_sector(&survivor, node, &pending);
    }
    if (node->durable_size > node->size)
        node->size = node->durable_size;
    image_share(&node->visible, &node->durable);
}
