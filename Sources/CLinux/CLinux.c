#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

struct attributes { uint64_t set, clear, propagation, userns_fd; };
struct how { uint64_t flags, mode, resolve; };

int apus_open_tree(int dirfd, const char *path, unsigned flags) {
    return (int)syscall(SYS_open_tree, dirfd, path, flags);
}

int apus_move_mount(int from_dirfd, const char *from, int to_dirfd, const char *to) {
    // MOVE_MOUNT_F_EMPTY_PATH = 4, MOVE_MOUNT_T_EMPTY_PATH = 0x40
    unsigned flags = (*from ? 0u : 4u) | (*to ? 0u : 0x40u);
    return (int)syscall(SYS_move_mount, from_dirfd, from, to_dirfd, to, flags);
}

int apus_mount_setattr(int dirfd, const char *path, unsigned flags, uint64_t set, uint64_t clear,
                       uint64_t propagation, int userns_fd) {
    struct attributes a = {set, clear, propagation, userns_fd < 0 ? 0 : (uint64_t)userns_fd};
    return (int)syscall(SYS_mount_setattr, dirfd, path, flags, &a, sizeof a);
}

int apus_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct how how = {flags, mode, resolve};
    return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof how);
}

int apus_pivot_root(const char *new_root, const char *put_old) {
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}
int apus_setns(int fd, int flags) { return setns(fd, flags); }
int apus_unshare(int flags) { return unshare(flags); }
int apus_pidfd_open(pid_t pid, unsigned flags) { return (int)syscall(SYS_pidfd_open, pid, flags); }
int apus_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}
int apus_pidfd_getfd(int pidfd, int target) { return (int)syscall(SYS_pidfd_getfd, pidfd, target, 0); }
int apus_close_range(unsigned first, unsigned last, unsigned flags) {
    return (int)syscall(SYS_close_range, first, last, flags);
}
int64_t apus_file_system(int fd) {
    struct statfs information;
    return fstatfs(fd, &information) == 0 ? (int64_t)information.f_type : -1;
}
int apus_reserve(int fd, int64_t offset, int64_t length) {
    return fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
}

int apus_memfd_create(const char *name, unsigned flags) { return (int)syscall(SYS_memfd_create, name, flags); }

pid_t apus_fork(unsigned long flags) {
    return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}
pid_t apus_fork_into(unsigned long flags, int cgroup) {
    struct clone_args args = {.flags = flags | CLONE_INTO_CGROUP, .cgroup = (uint64_t)cgroup};
    // With CLONE_PARENT the signal is that of our own parent's choice, and may not be given.
    if (!(flags & CLONE_PARENT)) args.exit_signal = SIGCHLD;
    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

int apus_winsize_set(int fd, unsigned short rows, unsigned short columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(fd, TIOCSWINSZ, &size);
}
int apus_winsize_get(int fd, unsigned short *rows, unsigned short *columns) {
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) < 0) return -1;
    *rows = size.ws_row;
    *columns = size.ws_col;
    return 0;
}
int apus_pty_peer(int master, int flags) { return ioctl(master, TIOCGPTPEER, flags); }
int apus_pty_unlock(int master) {
    int off = 0;
    return ioctl(master, TIOCSPTLCK, &off);
}
int apus_pty_number(int master) {
    unsigned number = 0;
    return ioctl(master, TIOCGPTN, &number) < 0 ? -1 : (int)number;
}
int apus_set_controlling_terminal(int fd) { return ioctl(fd, TIOCSCTTY, 0); }

static void exit_kind(const siginfo_t *info, int *how, int *status) {
    *how = info->si_pid == 0 ? 0 : info->si_code == CLD_EXITED ? 1 : 2;
    *status = info->si_status;
}

int apus_wait_pidfd(int pidfd, int nohang, int *how, int *status) {
    siginfo_t info = {0};
    int result;
    do result = waitid((idtype_t)3 /* P_PIDFD */, (id_t)pidfd, &info, WEXITED | (nohang ? WNOHANG : 0));
    while (result < 0 && errno == EINTR);
    if (result == 0) exit_kind(&info, how, status);
    return result;
}

pid_t apus_wait_any(int nohang, int *how, int *status) {
    siginfo_t info = {0};
    int result;
    do result = waitid(P_ALL, 0, &info, WEXITED | (nohang ? WNOHANG : 0));
    while (result < 0 && errno == EINTR);
    if (result < 0) return -1;
    exit_kind(&info, how, status);
    return info.si_pid;
}

int apus_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    return prctl(option, a, b, c, d);
}
int apus_capability_drop_bounding(int capability) {
    return prctl(PR_CAPBSET_DROP, (unsigned long)capability, 0ul, 0ul, 0ul);
}
int apus_seccomp_load(const void *program, size_t bytes) {
    struct sock_fprog filter = {
        .len = (unsigned short)(bytes / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)program,
    };
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

int apus_sched_setaffinity(pid_t tid, const uint8_t *mask, size_t bytes) {
    return (int)syscall(SYS_sched_setaffinity, tid, bytes, mask);
}
int apus_sched_getaffinity(pid_t tid, uint8_t *mask, size_t bytes) {
    return (int)syscall(SYS_sched_getaffinity, tid, bytes, mask);
}

// IOPRIO_WHO_PROCESS means one thread; glibc has no wrappers.
#define WHO_PROCESS 1
int apus_ioprio_get(pid_t tid) { return (int)syscall(SYS_ioprio_get, WHO_PROCESS, tid); }
int apus_ioprio_set(pid_t tid, int32_t value) { return (int)syscall(SYS_ioprio_set, WHO_PROCESS, tid, value); }

int apus_signalfd(const int *signals, size_t count) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
void apus_unblock_all_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
}
int apus_sigrtmin(void) { return SIGRTMIN; }

int apus_loopback_up(void) {
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    strcpy(request.ifr_name, "lo");
    int result = ioctl(fd, SIOCGIFFLAGS, &request);
    if (result == 0) {
        request.ifr_flags |= IFF_UP | IFF_RUNNING;
        result = ioctl(fd, SIOCSIFFLAGS, &request);
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return result;
}

int apus_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }
int apus_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC); }
int apus_umount(const char *target, int lazy) {
    return umount2(target, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0));
}
int apus_setgroups(size_t count, const gid_t *groups) { return setgroups(count, groups); }
int apus_setresuid(uid_t uid) { return setresuid(uid, uid, uid); }
int apus_setresgid(gid_t gid) { return setresgid(gid, gid, gid); }
int apus_set_rlimit(int32_t pid, int resource, uint64_t soft, uint64_t hard) {
    struct rlimit limit = {soft, hard};
    return prlimit(pid, resource, &limit, NULL);
}
int apus_get_rlimit(int32_t pid, int resource, uint64_t *soft, uint64_t *hard) {
    struct rlimit limit;
    if (prlimit(pid, resource, NULL, &limit) < 0) return -1;
    *soft = limit.rlim_cur;
    *hard = limit.rlim_max;
    return 0;
}
char **apus_environment(void) { return environ; }
void apus_error_text(int code, char *room, size_t length) {
    const char *text = strerror_r(code, room, length);
    if (text != room) strncpy(room, text, length - 1);
}

void apus_heap_stay_small(void) {
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
    (void)mallopt(M_TRIM_THRESHOLD, 128 << 10);
}
