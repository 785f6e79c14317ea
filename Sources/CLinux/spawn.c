// Starting a program from a process with many threads. The child shares our memory until it executes, so it does
// nothing but system calls, and tells what failed by writing into the request.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE (256 * 1024)
#define PARKED_FROM 700

enum step { STEP_NONE, STEP_CLONE, STEP_CGROUP, STEP_JOIN, STEP_UNSHARE, STEP_MOUNT, STEP_FDS, STEP_CWD,
            STEP_SESSION, STEP_USER, STEP_EXEC };

const char *apus_spawn_step(int step) {
    static const char *const names[] = {"", "clone", "join cgroup", "setns", "unshare", "mount", "dup2", "chdir",
                                        "setsid", "setuid", "execve"};
    return step > 0 && step <= STEP_EXEC ? names[step] : "spawn";
}

struct context {
    struct apus_spawn *request;
    sigset_t *mask;
    pid_t parent;
    volatile int error, step;
};

static int fail(struct context *context, int step) {
    context->error = errno ? errno : EINVAL;
    context->step = step;
    return 127;
}

static int place_fds(const struct apus_spawn *r) {
    int parked[64];
    if (r->fd_count > 64) return errno = EMFILE, -1;
    for (size_t i = 0; i < r->fd_count; i++) {
        parked[i] = fcntl(r->fd_sources[i], F_DUPFD_CLOEXEC, PARKED_FROM);
        if (parked[i] < 0) return -1;
    }
    int next = 0;
    for (size_t i = 0; i < r->fd_count; i++) {
        int target = r->fd_targets[i];
        if (target > next) apus_close_range((unsigned)next, (unsigned)target - 1, 0);
        if (dup2(parked[i], target) < 0) return -1;
        next = target + 1;
    }
    apus_close_range((unsigned)next, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
    return 0;
}

static int child(void *argument) {
    struct context *context = argument;
    const struct apus_spawn *r = context->request;
    // Not by sigaction(): glibc keeps two signals to itself, which we may have inherited as ignored.
    const unsigned long plain[4] = {0};
    for (int signal = 1; signal < 65; signal++) syscall(SYS_rt_sigaction, signal, plain, NULL, 8);
    errno = 0;
    if (r->parent_death_signal) prctl(PR_SET_PDEATHSIG, (unsigned long)r->parent_death_signal, 0ul, 0ul, 0ul);
    for (size_t i = 0; i < r->cgroup_count; i++) {
        int fd = open(r->cgroup_procs[i], O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) < 0) return fail(context, STEP_CGROUP);
        close(fd);
    }
    for (size_t i = 0; i < r->join_count; i++)
        if (setns(r->join_fds[i], 0) < 0) return fail(context, STEP_JOIN);
    int flags = r->unshare_flags | (r->private_mounts ? CLONE_NEWNS : 0);
    if (flags && unshare(flags) < 0) return fail(context, STEP_UNSHARE);
    if (r->private_mounts && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return fail(context, STEP_MOUNT);
    for (size_t i = 0; i < r->mount_count; i++) {
        const struct apus_spawn_mount *m = &r->mounts[i];
        if (mount(m->source, m->target, m->type, m->flags, m->options) < 0) return fail(context, STEP_MOUNT);
    }
    if (place_fds(r) < 0) return fail(context, STEP_FDS);
    if (r->cwd && chdir(r->cwd) < 0) return fail(context, STEP_CWD);
    if (r->new_session && setsid() < 0) return fail(context, STEP_SESSION);
    if (r->change_user
        && (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, r->gid, r->gid, r->gid) < 0
            || syscall(SYS_setresuid, r->uid, r->uid, r->uid) < 0))
        return fail(context, STEP_USER);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(r->path, r->argv, r->envp);
    return fail(context, STEP_EXEC);
}

pid_t apus_spawn_start(struct apus_spawn *request) {
    struct context context = {.request = request};
    sigset_t all, before;
    request->pidfd = -1;
    request->failed_step = STEP_NONE;
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return request->failed_step = STEP_CLONE, -1;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int pidfd = -1;
    pid_t pid = clone(child, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &context, &pidfd);
    int saved = errno;
    if (pid < 0) {
        request->failed_step = STEP_CLONE;
    } else if (context.error) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
        close(pidfd);
        saved = context.error;
        request->failed_step = context.step;
        pid = -1;
    } else {
        request->pidfd = pidfd;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, STACK_SIZE);
    errno = saved;
    return pid;
}

static int wait_for_the_end(void *unused) {
    (void)unused;
    prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0ul, 0ul, 0ul);
    for (;;) pause();
    return 0;
}

int apus_userns_hold(struct apus_userns_holder *holder) {
    sigset_t all, before;
    holder->stack = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (holder->stack == MAP_FAILED) return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    holder->pid = clone(wait_for_the_end, (char *)holder->stack + 16384, CLONE_NEWUSER | CLONE_VM | SIGCHLD, NULL);
    int saved = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (holder->pid < 0) munmap(holder->stack, 16384);
    errno = saved;
    return holder->pid < 0 ? -1 : 0;
}

void apus_userns_release(struct apus_userns_holder *holder) {
    kill(holder->pid, SIGKILL);
    while (waitpid(holder->pid, NULL, 0) < 0 && errno == EINTR) {}
    munmap(holder->stack, 16384);
}

struct probe {
    const void *program;
    size_t bytes;
    struct apus_call *calls;
    size_t count;
    int error;
};

static int probe_child(void *argument) {
    struct probe *p = argument;
    if (apus_seccomp_load(p->program, p->bytes) < 0) {
        p->error = errno;
        _exit(1);
    }
    for (size_t i = 0; i < p->count; i++) {
        struct apus_call *call = &p->calls[i];
        long result = syscall(call->number, call->arguments[0], call->arguments[1], call->arguments[2], 0, 0, 0);
        call->error = result < 0 ? errno : 0;
    }
    _exit(0);
}

int apus_seccomp_probe(const void *program, size_t bytes, struct apus_call *calls, size_t count) {
    struct probe p = {program, bytes, calls, count, 0};
    sigset_t all, before;
    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t pid = clone(probe_child, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD, &p);
    int saved = errno;
    if (pid > 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
        saved = p.error;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, 65536);
    errno = saved;
    return pid < 0 || p.error ? -1 : 0;
}
