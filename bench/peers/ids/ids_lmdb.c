/*
 * ids_lmdb - remembers ids in LMDB: a batch is one synced transaction of puts that overwrite
 * nothing. Keys of a fixed size, as its documentation (lmdb.h, "Getting Started") has them.
 */
#include <lmdb.h>

#include "ids_made.h"

static void
check(const char *what, int status)
{
    if (status == 0)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, mdb_strerror(status));
    exit(1);
}

int
main(int argc, char **argv)
{
    struct ids_task task = task_read(argc, argv);
    struct ids_result result = {.repeats = task.repeats};
    MDB_env *environment = NULL;
    MDB_txn *transaction = NULL;
    MDB_dbi table = 0;
    char id[16];
    MDB_val key = {sizeof id, id};

    check("environment", mdb_env_create(&environment));
    check("map", mdb_env_set_mapsize(environment, (size_t)task.count * 128 + (1u << 30)));
    check("open", mdb_env_open(environment, task.dir, 0, 0600));
    double began = seconds_now();

    for (uint64_t first = 0; first < task.count; first += task.batch) {
        uint64_t last = first + task.batch < task.count ? first + task.batch : task.count;

        check("begin", mdb_txn_begin(environment, NULL, 0, &transaction));
        if (first == 0)
            check("table", mdb_dbi_open(transaction, NULL, 0, &table));
        for (uint64_t i = first; i < last; i++) {
            MDB_val value = {0, NULL};

            id_made(i, id);
            int status = mdb_put(transaction, table, &key, &value, MDB_NOOVERWRITE);

            if (status != MDB_KEYEXIST) {
                check("put", status);
                result.inserted++;
            }
        }
        check("commit", mdb_txn_commit(transaction));
    }
    result.insert_seconds = seconds_now() - began;
    result.insert_cpu_seconds = cpu_seconds_now();
    began = seconds_now();
    for (uint64_t first = 0; first < task.repeats; first += task.batch) {
        check("begin", mdb_txn_begin(environment, NULL, MDB_RDONLY, &transaction));
        for (uint64_t i = first; i < first + task.batch && i < task.repeats; i++) {
            MDB_val value;

            id_made(repeat_number(i, task.count), id);
            int status = mdb_get(transaction, table, &key, &value);

            if (status != MDB_NOTFOUND) {
                check("get", status);
                result.found++;
            }
        }
        mdb_txn_abort(transaction);
    }
    result.repeat_seconds = seconds_now() - began;
    result_print(&result);
    mdb_env_close(environment);
    return 0;
}
