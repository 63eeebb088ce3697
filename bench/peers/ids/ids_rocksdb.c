/*
 * ids_rocksdb - remembers ids in RocksDB: a batch is looked up (MultiGet), the absent are written
 * in one synced write batch. Options as the wiki's "Setup Options and Basic Tuning" and "RocksDB
 * Bloom Filter" advise: full filters of 10 bits, level compaction, as many jobs as there are cores.
 */
#include <rocksdb/c.h>

#include "ids_made.h"

static void
check(const char *what, char *error)
{
    if (error == NULL)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, error);
    exit(1);
}

static rocksdb_t *
opened(const char *dir)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    const int none[7] = {0}; /* random bytes do not shrink, and no level is to try */
    char *error = NULL;

    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_increase_parallelism(options, 2);
    rocksdb_options_optimize_level_style_compaction(options, 512u << 20);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_compression_per_level(options, none, 7);
    rocksdb_options_set_bytes_per_sync(options, 1u << 20);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru(512u << 20));
    rocksdb_block_based_options_set_format_version(table, 5);
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_t *base = rocksdb_open(options, dir, &error);

    check("open", error);
    return base;
}

struct batch {
    uint64_t size;
    char *ids;
    const char **keys;
    size_t *sizes;
    char **values;
    size_t *value_sizes;
    char **errors;
};

static struct batch
batch_open(uint64_t size)
{
    struct batch batch = {
        .size = size,
        .ids = malloc(size * 16),
        .keys = malloc(size * sizeof(char *)),
        .sizes = malloc(size * sizeof(size_t)),
        .values = malloc(size * sizeof(char *)),
        .value_sizes = malloc(size * sizeof(size_t)),
        .errors = malloc(size * sizeof(char *)),
    };

    if (batch.ids == NULL || batch.keys == NULL || batch.sizes == NULL || batch.values == NULL ||
        batch.value_sizes == NULL || batch.errors == NULL)
        exit(1);
    for (uint64_t i = 0; i < size; i++) {
        batch.keys[i] = batch.ids + i * 16;
        batch.sizes[i] = 16;
    }
    return batch;
}

/* Looks a batch up; values[i] tells which are there. Gives how many. */
static uint64_t
look_up(rocksdb_t *base, rocksdb_readoptions_t *read, struct batch *batch, uint64_t count)
{
    uint64_t found = 0;

    rocksdb_multi_get(base, read, count, batch->keys, batch->sizes, batch->values,
                      batch->value_sizes, batch->errors);
    for (uint64_t i = 0; i < count; i++) {
        check("get", batch->errors[i]);
        found += batch->values[i] != NULL;
    }
    return found;
}

int
main(int argc, char **argv)
{
    struct ids_task task = task_read(argc, argv);
    struct ids_result result = {.repeats = task.repeats};
    rocksdb_t *base = opened(task.dir);
    rocksdb_readoptions_t *read = rocksdb_readoptions_create();
    rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
    rocksdb_writebatch_t *puts = rocksdb_writebatch_create();
    struct batch batch = batch_open(task.batch);
    char *error = NULL;
    double began = seconds_now();

    rocksdb_writeoptions_set_sync(write, 1);
    for (uint64_t first = 0; first < task.count; first += task.batch) {
        uint64_t count = task.count - first < task.batch ? task.count - first : task.batch;

        for (uint64_t i = 0; i < count; i++)
            id_made(first + i, batch.ids + i * 16);
        (void)look_up(base, read, &batch, count);
        rocksdb_writebatch_clear(puts);
        for (uint64_t i = 0; i < count; i++) {
            if (batch.values[i] == NULL) {
                rocksdb_writebatch_put(puts, batch.keys[i], 16, "", 0);
                result.inserted++;
            }
            rocksdb_free(batch.values[i]);
        }
        rocksdb_write(base, write, puts, &error);
        check("write", error);
    }
    result.insert_seconds = seconds_now() - began;
    result.insert_cpu_seconds = cpu_seconds_now();
    began = seconds_now();
    for (uint64_t first = 0; first < task.repeats; first += task.batch) {
        uint64_t count = task.repeats - first < task.batch ? task.repeats - first : task.batch;

        for (uint64_t i = 0; i < count; i++)
            id_made(repeat_number(first + i, task.count), batch.ids + i * 16);
        result.found += look_up(base, read, &batch, count);
        for (uint64_t i = 0; i < count; i++)
            rocksdb_free(batch.values[i]);
    }
    result.repeat_seconds = seconds_now() - began;
    result_print(&result);
    rocksdb_close(base);
    return 0;
}
