/*
 * Goal:   where io_uring is switched off the store says so, clearly, and an io without a ring still
 *         works.
 * Method: a seccomp filter makes io_uring_setup fail as a container's or the sysctl's does.
 *         Criterion runs each test in a process of its own, so the filter ends with it.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "storage/io.h"

static void
refuse_io_uring(uint32_t error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};

    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(io_refused, says_that_io_uring_is_off, .timeout = 10)
{
    struct io *io = NULL;

    refuse_io_uring(EPERM);
    cr_expect_eq(io_uring_open(8, &io), VT_UNSUPPORTED);
    cr_expect(strstr(vt_err_last(), "io_uring") != NULL, "the detail names it: %s", vt_err_last());
    cr_expect_null(io, "an output is untouched on a failure");
}

Test(io_refused, says_that_the_kernel_has_none, .timeout = 10)
{
    struct io *io = NULL;

    refuse_io_uring(ENOSYS);
    cr_expect_eq(io_uring_open(8, &io), VT_UNSUPPORTED);
    cr_expect(strstr(vt_err_last(), "io_uring") != NULL, "the detail names it: %s", vt_err_last());
}

Test(io_refused, synchronous_calls_need_no_ring, .timeout = 10)
{
    struct io *io = NULL;

    refuse_io_uring(EPERM);
    cr_assert_eq(io_uring_open(0, &io), VT_OK);
    io_close(io);
}
