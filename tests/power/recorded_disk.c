/* recorded_disk.c - see recorded_disk.h. */
#define FUSE_USE_VERSION 34
#include "recorded_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "venturi/assert.h"

#define RECORDS_MAX (UINT64_C(1) << 20)
#define DATA_MAX    (UINT64_C(4) << 30) /* of address space; memory only as it is written */
#define FILE_INODE  2
#define FILE_NAME   "disk"
#define WAIT_STEPS  500 /* of 10 ms */

struct record {
    uint64_t offset;
    uint64_t data; /* where its bytes begin */
    uint32_t bytes;
    uint32_t flush;
};

/* Memory of both processes; the server writes, and publishes by `count`. */
struct shared {
    _Atomic uint64_t count;
    uint64_t data_bytes;
    uint64_t disk_bytes;
    bool recording;
    struct record records[RECORDS_MAX];
};

struct recorded_disk {
    struct shared *shared;
    uint8_t *image;
    uint8_t *data;
    pid_t server;
    int loop;
    char device[32];
    char dir[128];
};

/* ---- the server, a process of its own */

static struct recorded_disk *served;

static void
attributes(fuse_ino_t inode, struct stat *out)
{
    *out = (struct stat){.st_ino = inode, .st_nlink = 1};
    out->st_mode = inode == FILE_INODE ? S_IFREG | 0600 : S_IFDIR | 0700;
    out->st_size = inode == FILE_INODE ? (off_t)served->shared->disk_bytes : 0;
}

static void
serve_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = {
        .ino = FILE_INODE, .attr_timeout = 3600, .entry_timeout = 3600};

    if (parent != FUSE_ROOT_ID || strcmp(name, FILE_NAME) != 0) {
        fuse_reply_err(request, ENOENT);
        return;
    }
    attributes(FILE_INODE, &entry.attr);
    fuse_reply_entry(request, &entry);
}

static void
serve_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
    struct stat stat;

    (void)info;
    attributes(inode, &stat);
    fuse_reply_attr(request, &stat, 3600);
}

static void
serve_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
    if (inode != FILE_INODE) {
        fuse_reply_err(request, EISDIR);
        return;
    }
    info->direct_io = 1; /* no page cache between the loop device and us */
    fuse_reply_open(request, info);
}

static void
serve_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
           struct fuse_file_info *info)
{
    uint64_t left = served->shared->disk_bytes - (uint64_t)offset;

    (void)inode;
    (void)info;
    if ((uint64_t)offset >= served->shared->disk_bytes)
        left = 0;
    fuse_reply_buf(request, (const char *)served->image + offset, size < left ? size : left);
}

static void
record_add(const struct record *record, const void *bytes)
{
    struct shared *shared = served->shared;
    uint64_t count = atomic_load_explicit(&shared->count, memory_order_relaxed);

    if (!shared->recording)
        return;
    VT_ASSERT(count < RECORDS_MAX && shared->data_bytes + record->bytes <= DATA_MAX);
    shared->records[count] = *record;
    shared->records[count].data = shared->data_bytes;
    if (record->bytes > 0)
        memcpy(served->data + shared->data_bytes, bytes, record->bytes);
    shared->data_bytes += record->bytes;
    /* Pairs with recorded_disk_count. */
    atomic_store_explicit(&shared->count, count + 1, memory_order_release);
}

static void
serve_write(fuse_req_t request, fuse_ino_t inode, const char *bytes, size_t size, off_t offset,
            struct fuse_file_info *info)
{
    const struct record record = {.offset = (uint64_t)offset, .bytes = (uint32_t)size};

    (void)inode;
    (void)info;
    if (record.offset + size > served->shared->disk_bytes) {
        fuse_reply_err(request, ENOSPC);
        return;
    }
    memcpy(served->image + offset, bytes, size);
    record_add(&record, bytes);
    fuse_reply_write(request, size);
}

static void
serve_fsync(fuse_req_t request, fuse_ino_t inode, int datasync, struct fuse_file_info *info)
{
    const struct record record = {.flush = 1};

    (void)inode;
    (void)datasync;
    (void)info;
    record_add(&record, "");
    fuse_reply_err(request, 0);
}

static const struct fuse_lowlevel_ops served_ops = {
    .lookup = serve_lookup,
    .getattr = serve_getattr,
    .open = serve_open,
    .read = serve_read,
    .write = serve_write,
    .fsync = serve_fsync,
};

/* One request after the other, so that the record's order is that of the replies. */
static void
serve(struct recorded_disk *disk)
{
    char name[] = "recorded_disk";
    char *arguments[] = {name, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, arguments);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    served = disk;
    struct fuse_session *session = fuse_session_new(&args, &served_ops, sizeof served_ops, NULL);

    if (session == NULL || fuse_session_mount(session, disk->dir) != 0)
        _exit(1);
    (void)fuse_session_loop(session);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    _exit(0);
}

/* ---- loop devices */

vt_err
loop_attach(const char *path, int *out_fd, char out_device[32])
{
    struct loop_config config = {.info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int file = open(path, O_RDWR | O_CLOEXEC);
    int fd = -1;
    vt_err err = VT_UNSUPPORTED;

    /* Another process may take the number that is free. */
    for (int i = 0; control >= 0 && file >= 0 && fd < 0 && i < 50; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);

        (void)snprintf(out_device, 32, "/dev/loop%d", number);
        fd = number < 0 ? -1 : open(out_device, O_RDWR | O_CLOEXEC);
        config.fd = (uint32_t)file;
        if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) != 0) {
            close(fd);
            fd = -1;
        }
    }
    if (fd >= 0) {
        *out_fd = fd;
        err = VT_OK;
    } else {
        err = vt_err_detail(err, "no loop device on %s: %s", path, strerror(errno));
    }
    if (control >= 0)
        close(control);
    if (file >= 0)
        close(file);
    return err;
}

void
loop_detach(int fd)
{
    (void)ioctl(fd, LOOP_CLR_FD);
    close(fd);
}

/* ---- the disk */

static void *
map_shared(uint64_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

/* Until the file is there. */
static vt_err
wait_for_file(struct recorded_disk *disk, char *path)
{
    struct stat stat_of;

    for (int i = 0; i < WAIT_STEPS; i++) {
        int status;

        if (waitpid(disk->server, &status, WNOHANG) == disk->server) {
            disk->server = 0;
            return vt_err_detail(VT_UNSUPPORTED, "FUSE cannot be mounted on %s", disk->dir);
        }
        if (stat(path, &stat_of) == 0)
            return VT_OK;
        usleep(10000);
    }
    return vt_err_detail(VT_IO, "the FUSE server does not answer");
}

vt_err
recorded_disk_open(uint64_t bytes, const char *dir, struct recorded_disk **out_disk)
{
    struct recorded_disk *disk = calloc(1, sizeof *disk);
    char path[160];

    if (disk == NULL)
        return VT_NOMEM;
    disk->loop = -1;
    (void)snprintf(disk->dir, sizeof disk->dir, "%s", dir);
    (void)snprintf(path, sizeof path, "%s/" FILE_NAME, dir);
    disk->shared = map_shared(sizeof *disk->shared);
    disk->image = map_shared(bytes);
    disk->data = map_shared(DATA_MAX);
    vt_err err = VT_NOMEM;

    if (disk->shared == NULL || disk->image == NULL || disk->data == NULL)
        goto fail;
    disk->shared->disk_bytes = bytes;
    disk->shared->recording = true;
    err = VT_UNSUPPORTED;
    if (access("/dev/fuse", R_OK | W_OK) != 0) {
        err = vt_err_detail(err, "/dev/fuse cannot be used: %s", strerror(errno));
        goto fail;
    }
    disk->server = fork();
    if (disk->server == 0)
        serve(disk);
    err = disk->server < 0 ? VT_NOMEM : wait_for_file(disk, path);
    if (err == VT_OK)
        err = loop_attach(path, &disk->loop, disk->device);
    if (err != VT_OK)
        goto fail;
    *out_disk = disk;
    return VT_OK;

fail:
    recorded_disk_close(disk);
    return err;
}

void
recorded_disk_stop(struct recorded_disk *disk)
{
    int status;

    disk->shared->recording = false;
    if (disk->loop >= 0)
        loop_detach(disk->loop);
    disk->loop = -1;
    if (disk->server > 0) {
        (void)umount2(disk->dir, MNT_DETACH);
        (void)kill(disk->server, SIGKILL);
        (void)waitpid(disk->server, &status, 0);
    }
    disk->server = 0;
}

void
recorded_disk_close(struct recorded_disk *disk)
{
    if (disk == NULL)
        return;
    if (disk->shared != NULL) {
        uint64_t bytes = disk->shared->disk_bytes;

        recorded_disk_stop(disk);
        (void)munmap(disk->shared, sizeof *disk->shared);
        if (disk->image != NULL && bytes > 0)
            (void)munmap(disk->image, bytes);
    }
    if (disk->data != NULL)
        (void)munmap(disk->data, DATA_MAX);
    free(disk);
}

const char *
recorded_disk_device(const struct recorded_disk *disk)
{
    return disk->device;
}

uint64_t
recorded_disk_count(const struct recorded_disk *disk)
{
    return atomic_load_explicit(&disk->shared->count, memory_order_acquire);
}

void
recorded_disk_at(const struct recorded_disk *disk, uint64_t index, struct recorded *out)
{
    VT_ASSERT(index < recorded_disk_count(disk));
    const struct record *record = &disk->shared->records[index];

    *out = (struct recorded){
        .flush = record->flush != 0,
        .offset = record->offset,
        .bytes = {disk->data + record->data, record->bytes},
    };
}
