/*
 * io_sim_disk.h - the state of the simulated disk: pages by reference, files with a visible and a
 * durable image, names with the changes that are not durable yet. io_sim.c puts io.h on top of it.
 *
 * Thread: as io_sim.h.
 */
#pragma once

#include "io_internal.h"
#include "io_sim.h"

#define SIM_PAGE_BYTES   4096U
#define SIM_SECTOR_BYTES 512U
#define SIM_PATH_BYTES   256
#define SIM_NAMES_MAX    128U

struct sim_page {
    uint32_t references;
    uint8_t bytes[SIM_PAGE_BYTES];
};

/* An array of pages; NULL is zeros. */
struct sim_image {
    struct sim_page **pages;
    uint64_t page_count;
};

/* A sector that was written and is not durable. */
struct sim_pending {
    uint64_t sector;
    uint64_t write; /* number of the write that it belongs to */
    uint8_t bytes[SIM_SECTOR_BYTES];
};

struct sim_node {
    uint32_t references; /* by names and open files */
    bool is_dir;
    bool locked;
    uint64_t size;
    uint64_t durable_size;
    struct sim_image visible;
    struct sim_image durable;
    struct sim_pending *pendings; /* in the order of writing */
    uint32_t pending_count;
    uint32_t pending_max;
    struct sim_node *copy; /* from sim_disk_crash to sim_disk_crash_end */
};

struct sim_name {
    char path[SIM_PATH_BYTES];
    struct sim_node *node;
};

struct sim_names {
    struct sim_name *names;
    uint32_t count;
    uint32_t max;
};

/* A change of names that is not durable. */
struct sim_change {
    char from[SIM_PATH_BYTES]; /* empty: a new file `node` */
    char to[SIM_PATH_BYTES];   /* empty: unlink */
    struct sim_node *node;
};

struct sim_flight {
    struct io_op *op;
    struct sim_node *node;
};

struct sim_disk {
    struct sim_names visible;
    struct sim_names durable;
    struct sim_change *changes;
    uint32_t change_count;
    uint32_t change_max;
    uint64_t write_count;
};

/* splitmix64 (S. Vigna, 2015). */
uint64_t sim_random(uint64_t *state);

struct sim_node *sim_node_new(bool is_dir);
void sim_node_put(struct sim_node *node); /* NULL is allowed */

void sim_node_read(const struct sim_node *node, void *out, uint64_t bytes, uint64_t offset);
/* Visible, and pending until a sync. */
void sim_node_write(struct sim_disk *disk, struct sim_node *node, struct vt_bytes bytes,
                    uint64_t offset);
/* Visible and durable; whole sectors. */
void sim_node_write_durable(struct sim_node *node, struct vt_bytes bytes, uint64_t offset);
void sim_node_sync(struct sim_node *node);
/* What a failed sync does: some of it is durable, the rest is never tried again. */
void sim_node_sync_failed(struct sim_node *node, uint64_t *random);
void sim_node_resize(struct sim_node *node, uint64_t size);

struct sim_node *sim_find(const struct sim_names *names, const char *path);
bool sim_parent_exists(const struct sim_names *names, const char *path);

/* Visible at once, durable after sim_names_sync of the directory. */
void sim_change_names(struct sim_disk *disk, const char *from, const char *to,
                      struct sim_node *node);
void sim_names_sync(struct sim_disk *disk, const char *dir);

void sim_disk_deinit(struct sim_disk *disk);

/* `to` is empty. Folds what survived into *subset. */
void sim_disk_crash(const struct sim_disk *from, const struct io_sim_crash *crash,
                    struct sim_disk *to, uint64_t *subset);
/* After sim_disk_crash: a write that was in flight. */
void sim_disk_crash_flight(const struct sim_flight *flight, const struct io_sim_crash *crash,
                           struct sim_disk *to, uint64_t *subset);
/* After both. */
void sim_disk_crash_end(const struct sim_disk *from);
