// The kernel calls Swift cannot make itself: variadic, macro-laden, or made between fork and exec.
#pragma once

#include <stddef.h>
#include <stdint.h>

// No <sys/types.h> here: its types would then count as this module's, and could not be used in public Swift.

// All functions return -1 and set errno on failure, unless said otherwise.

// ---- Constants that older headers lack, or that are macros Swift does not import.
#define APUS_OPEN_TREE_CLONE 1u
#define APUS_OPEN_TREE_CLOEXEC 02000000u
#define APUS_AT_RECURSIVE 0x8000u
#define APUS_AT_EMPTY_PATH 0x1000u
#define APUS_MOUNT_ATTR_IDMAP 0x00100000ull
#define APUS_MOUNT_ATTR_RDONLY 0x00000001ull
#define APUS_RESOLVE_NO_XDEV 0x01ull
#define APUS_RESOLVE_NO_MAGICLINKS 0x02ull
#define APUS_RESOLVE_NO_SYMLINKS 0x04ull
#define APUS_RESOLVE_BENEATH 0x08ull
#define APUS_RESOLVE_IN_ROOT 0x10ull
#define APUS_CLONE_NEWTIME 0x00000080u
#define APUS_CLONE_NEWNS 0x00020000u
#define APUS_CLONE_NEWCGROUP 0x02000000u
#define APUS_CLONE_NEWUTS 0x04000000u
#define APUS_CLONE_NEWIPC 0x08000000u
#define APUS_CLONE_NEWUSER 0x10000000u
#define APUS_CLONE_NEWPID 0x20000000u
#define APUS_CLONE_NEWNET 0x40000000u
#define APUS_CLONE_PARENT 0x00008000u

// ---- Plain system calls.
int apus_open_tree(int dirfd, const char *path, unsigned flags);
int apus_move_mount(int from_dirfd, const char *from, int to_dirfd, const char *to);
int apus_mount_setattr(int dirfd, const char *path, unsigned flags, uint64_t set, uint64_t clear,
                       uint64_t propagation, int userns_fd);
int apus_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
int apus_pivot_root(const char *new_root, const char *put_old);
int apus_setns(int fd, int flags);
int apus_unshare(int flags);
int apus_pidfd_open(int32_t pid, unsigned flags);
int apus_pidfd_send_signal(int pidfd, int signal);
int apus_pidfd_getfd(int pidfd, int target);
int apus_close_range(unsigned first, unsigned last, unsigned flags);
int64_t apus_file_system(int fd);
// Room on the disk for a file, also beyond its end, which stays where it is.
int apus_reserve(int fd, int64_t offset, int64_t length);
int apus_memfd_create(const char *name, unsigned flags);

// Like fork(), but with clone flags. Only for single-threaded callers.
int32_t apus_fork(unsigned long flags);
// Like fork(), but the child is born into a v2 cgroup, given by a descriptor of its directory.
int32_t apus_fork_into(unsigned long flags, int cgroup);

// Limits of a process on its resources (RLIMIT_…); pid 0 is the caller.
int apus_set_rlimit(int32_t pid, int resource, uint64_t soft, uint64_t hard);
int apus_get_rlimit(int32_t pid, int resource, uint64_t *soft, uint64_t *hard);

int apus_winsize_set(int fd, unsigned short rows, unsigned short columns);
int apus_winsize_get(int fd, unsigned short *rows, unsigned short *columns);
int apus_pty_peer(int master, int flags);
int apus_pty_unlock(int master);
int apus_pty_number(int master);
int apus_set_controlling_terminal(int fd);

// waitid on a pidfd or pid. how: 0 = no news (WNOHANG), 1 = exited with status, 2 = killed by signal.
int apus_wait_pidfd(int pidfd, int nohang, int *how, int *status);
int32_t apus_wait_any(int nohang, int *how, int *status);

int apus_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int apus_capability_drop_bounding(int capability);
// Loads a ready-made BPF program (an array of struct sock_filter) as the seccomp filter of this thread.
int apus_seccomp_load(const void *program, size_t bytes);

int apus_sched_setaffinity(int32_t tid, const uint8_t *mask, size_t bytes);
// Returns the number of bytes the kernel filled in.
int apus_sched_getaffinity(int32_t tid, uint8_t *mask, size_t bytes);

// The I/O priority of a thread, as ioprio_get(2) has it.
int apus_ioprio_get(int32_t tid);
int apus_ioprio_set(int32_t tid, int32_t value);

// A signalfd for the given signals; they are blocked as well.
int apus_signalfd(const int *signals, size_t count);
void apus_unblock_all_signals(void);
int apus_sigrtmin(void);

// ---- File descriptors over unix sockets. fds received beyond `capacity` are closed.
intptr_t apus_send_fds(int socket, const void *data, size_t length, const int *fds, size_t count, int flags);
intptr_t apus_receive_fds(int socket, void *data, size_t length, int *fds, size_t capacity, size_t *count,
                         int flags, int *message_flags);
int apus_peer_credentials(int socket, int32_t *pid, uint32_t *uid, uint32_t *gid);
int apus_unix_socket(int type);
int apus_unix_bind(int socket, const char *path);
int apus_unix_connect(int socket, const char *path);
// A socket that sends whole frames out of an interface of this network namespace, and receives none.
int apus_frame_socket(int interface);
// A socket for TCP packets to `count` Ethernet addresses of 6 bytes each, with room for so many bytes of them. Each comes as a
// virtio_net_hdr and the frame: what is still to be cut or summed by hardware stays so.
int apus_frame_trap(const uint8_t *addresses, int count, int room);
// From now on it gets what any interface of this network namespace receives or sends.
int apus_frame_trap_set(int trap);
// The next one, if there is one; its whole length, even if that is more than `size`.
intptr_t apus_frame_take(int trap, void *room, size_t size, int32_t *interface, int *is_outgoing, int *is_tagged);
// A socket that sends such frames out of an interface.
int apus_frame_sender(int interface);

// A descriptor that can be read after `first` milliseconds, and then each `interval`.
int apus_timer(int first, int interval);

// ---- Starting a program from a process with many threads: nothing but system calls between clone and exec.
struct apus_spawn_mount {
    const char *source, *target, *type, *options;
    unsigned long flags;
};

struct apus_spawn {
    const char *path;
    char *const *argv;
    char *const *envp;
    const char *cwd;               // or NULL
    const int *fd_sources;         // fd_sources[i] becomes fd_targets[i]; everything else is closed
    const int *fd_targets;         // ascending
    size_t fd_count;
    int new_session;
    int private_mounts;            // unshare the mount namespace, then make the mounts below in it
    const struct apus_spawn_mount *mounts;
    size_t mount_count;
    const char *const *cgroup_procs; // "0" is written to each, first of all
    size_t cgroup_count;
    const int *join_fds;           // setns() to each, in this order
    size_t join_count;
    int unshare_flags;             // after joining the cgroups
    int parent_death_signal;       // 0 for none
    int change_user;
    uint32_t uid;
    uint32_t gid;
    // Results.
    int pidfd;
    int failed_step;               // see apus_spawn_step
};

// The name of the step that failed, for error messages.
const char *apus_spawn_step(int step);
int32_t apus_spawn_start(struct apus_spawn *request);

// ---- Network namespaces.
// Brings `lo` of the current network namespace up.
int apus_loopback_up(void);

// ---- Multicast memberships; addresses have 4 bytes or 16.
// The sources (packed) and the mode of a membership; returns how many, or -1 (EADDRNOTAVAIL: not a member).
int apus_multicast_filter(int socket, const uint8_t *group, size_t length, uint32_t interface, uint32_t *mode,
                          uint8_t *sources, uint32_t capacity);
int apus_multicast_join(int socket, const uint8_t *group, size_t length, uint32_t interface, uint32_t mode,
                        const uint8_t *sources, uint32_t count);

// ---- User namespaces.
// Starts a process that does nothing in a user namespace of its own, so that its maps can be written and the
// namespace opened. End it with apus_userns_release.
struct apus_userns_holder {
    int32_t pid;
    void *stack;
};
int apus_userns_hold(struct apus_userns_holder *holder);
void apus_userns_release(struct apus_userns_holder *holder);

// ---- Calls that glibc only declares for _GNU_SOURCE.
int apus_pipe(int ends[2]);
/* Watches what appears or changes in a directory; a descriptor to read. */
int apus_inotify(const char *directory);
int apus_accept(int listener);
int apus_umount(const char *target, int lazy);
int apus_setgroups(size_t count, const uint32_t *groups);
int apus_setresuid(uint32_t uid);
int apus_setresgid(uint32_t gid);
char **apus_environment(void);
void apus_error_text(int code, char *room, size_t length);

// ---- The heap. Large blocks go back to the kernel when they are freed.
void apus_heap_stay_small(void);

// ---- Devices.
// Lets the processes of a v2 cgroup open only these character devices (a minor of -1 is any).
int apus_cgroup_limit_devices(int cgroup, const int32_t *majors, const int32_t *minors, size_t count);

// ---- Trying a seccomp filter.
struct apus_call {
    long number;
    unsigned long arguments[3];
    int error; // result: 0 or errno
};
// Makes the calls in a child that has loaded the filter, and tells what each answered.
int apus_seccomp_probe(const void *program, size_t bytes, struct apus_call *calls, size_t count);

// ---- File handles.
/// Opens (O_PATH) a file of the file system that `mount` lies on, by the handle the kernel gave for it.
int apus_open_by_handle(int mount, int type, const uint8_t *bytes, uint32_t size);
/// The handle of an open file; `size` is the room in `bytes`, and becomes the handle's.
int apus_name_to_handle(int fd, int *type, uint8_t *bytes, uint32_t *size);

// ---- Waiting for many descriptors.
/// An epoll instance.
int apus_poller_make(void);
/// Waits once for a descriptor, under a number of the caller's. EPERM: it is always ready.
int apus_poller_add(int poller, int fd, int write, uint64_t id);
/// Does not wait for it any more.
int apus_poller_remove(int poller, int fd);
/// Waits until some are ready; how many, with their numbers in `ids`.
int apus_poller_wait(int poller, uint64_t *ids, int room);


// ---- Tracing. All calls about one process have to come from the same thread.
// Begins to trace without stopping; with stop_at_exit it stops before it ends, also when it is killed.
int apus_trace_seize(int32_t pid, int stop_at_exit);
int apus_trace_interrupt(int32_t pid);
int apus_trace_continue(int32_t pid, int signal);
// Leaves a process that was stopped by a signal stopped.
int apus_trace_listen(int32_t pid);
int apus_trace_detach(int32_t pid);
enum {
    APUS_TRACE_ENDED = 0,      // it has ended; its end is still there to be waited for
    APUS_TRACE_STOPPED = 1,    // by apus_trace_interrupt
    APUS_TRACE_SIGNAL = 2,     // a signal is about to be delivered
    APUS_TRACE_GROUP_STOP = 3, // by SIGSTOP or the like
    APUS_TRACE_ENDING = 4,     // about to end
};
// Waits for that long at most, or for ever (-1); what has nothing to tell by then counts as ended.
int apus_trace_wait(int32_t pid, int milliseconds, int *signal);
// Takes note of the end of what is traced and no child of ours: only then its parent hears of it.
void apus_trace_reap(int32_t pid);
int apus_trace_signal_mask(int32_t pid, uint64_t *mask, int set);
// The general or the extended registers, as the kernel lays them out. Returns their size.
int apus_trace_registers(int32_t pid, int extended, void *registers, size_t size, int set);
int apus_trace_clear_breakpoints(int32_t pid);
