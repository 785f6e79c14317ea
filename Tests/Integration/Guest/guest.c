/*
 * What runs inside the containers of the tests. Static, so that it needs nothing of the container.
 *
 *   guest run DIR           hold 64 MiB of patterned memory, a thread pool, files open and deleted, pipes, socket
 *                           pairs, an inotify watch, timers and a tree of children; tick ten times a second; answer
 *                           on the socket DIR/socket
 *   guest counter DIR       count as fast as it goes, in memory, in a file and in a file's shared mapping, and look
 *                           each time whether the three still agree
 *   guest ask DIR WORD      ask the one above; prints its answer, one line of JSON; 0 if it says "ok":true
 *   guest pid1              how many clock ticks of CPU PID 1 uses in one second
 *   guest hold memfd|trace|mapped   be a process that CRIU cannot save, or not bring back
 *   guest fill MIB          touch that much memory and wait
 *   guest gaps FILE         tick each millisecond; at SIGTERM, write the longest pauses, in µs, into FILE
 *   guest answer PORT       send back what comes over TCP
 *   guest client IP PORT [FILE]  ask the one above each 5 ms over one connection, and say "connected"; at the end of standard
 *                           input, print how many answers came and the longest time between two, in µs; FILE gets
 *                           a line for each: when it was asked, and how long the answer took, in µs
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGES 16384
#define PAGE 4096
#define THREADS 4
#define CHILDREN 3

static char problems[2048];

/* Remember one thing that is not as it should be. */
static void problem(const char *format, ...) {
    size_t used = strlen(problems);
    va_list arguments;
    if (used > sizeof problems - 200) return;
    if (used) used += snprintf(problems + used, sizeof problems - used, ",");
    used += snprintf(problems + used, sizeof problems - used, "\"");
    va_start(arguments, format);
    used += vsnprintf(problems + used, sizeof problems - used, format, arguments);
    va_end(arguments);
    snprintf(problems + used, sizeof problems - used, "\"");
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int check(int result, const char *what) {
    if (result < 0) die(what);
    return result;
}

static uint64_t now_us(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1000000ull + time.tv_nsec / 1000;
}

static uint64_t mix(uint64_t x) {
    x ^= x >> 33, x *= 0xff51afd7ed558ccdull, x ^= x >> 33, x *= 0xc4ceb9fe1a85ec53ull;
    return x ^ x >> 33;
}

static int listen_at(const char *directory) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", directory);
    unlink(address.sun_path);
    check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
    check(listen(fd, 8), "listen");
    return fd;
}

/* ---- memory: each page holds its number, how often it was changed, and what follows from the two ---- */

static uint64_t *memory;

static void write_page(uint64_t page, uint64_t generation) {
    uint64_t *words = memory + page * (PAGE / 8), seed = mix(page * 1000003 + generation);
    for (int i = 0; i < PAGE / 8; i++) words[i] = seed + i;
}

static void verify_memory(uint64_t tick) {
    for (uint64_t page = 0; page < PAGES; page++) {
        uint64_t generation = tick / PAGES + (tick % PAGES >= page + 1 ? 1 : 0);
        uint64_t *words = memory + page * (PAGE / 8), seed = mix(page * 1000003 + generation);
        for (int i = 0; i < PAGE / 8; i++)
            if (words[i] != seed + i) {
                problem("memory: page %" PRIu64 " word %d is wrong", page, i);
                return;
            }
    }
}

/* ---- thread pool ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER, idle = PTHREAD_COND_INITIALIZER;
static uint64_t submitted, taken, finished;
static __thread uint64_t mine; /* thread-local storage has to come back too */
static uint64_t per_thread[THREADS];

static void *worker(void *argument) {
    int number = (int)(intptr_t)argument;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (taken == submitted) pthread_cond_wait(&work, &lock);
        taken++;
        pthread_mutex_unlock(&lock);
        mine++;
        pthread_mutex_lock(&lock);
        per_thread[number]++;
        if (per_thread[number] != mine) problem("thread %d: its own count is off", number);
        finished++;
        pthread_cond_signal(&idle);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void submit(int jobs) {
    pthread_mutex_lock(&lock);
    submitted += jobs;
    pthread_cond_broadcast(&work);
    pthread_mutex_unlock(&lock);
}

static void verify_threads(void) {
    struct timespec limit;
    uint64_t sum = 0;
    submit(1000);
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 10;
    pthread_mutex_lock(&lock);
    while (finished != submitted)
        if (pthread_cond_timedwait(&idle, &lock, &limit) == ETIMEDOUT) break;
    if (finished != submitted) problem("threads: %" PRIu64 " of %" PRIu64 " jobs done", finished, submitted);
    for (int i = 0; i < THREADS; i++) sum += per_thread[i];
    if (sum != finished) problem("threads: the counts do not add up");
    pthread_mutex_unlock(&lock);
}

/* ---- children: a chain, each passes a word on to the next over a pipe and the answer back over a socket pair ---- */

static int to_child[2], from_child[2];
static pid_t chain[CHILDREN];

static _Noreturn void child(int depth, int in, int out) {
    int down[2], up[2];
    pid_t next = 0;
    if (depth + 1 < CHILDREN) {
        check(pipe(down), "pipe");
        check(socketpair(AF_UNIX, SOCK_STREAM, 0, up), "socketpair");
        next = check(fork(), "fork");
        if (!next) {
            close(down[1]), close(up[0]);
            child(depth + 1, down[0], up[1]);
        }
        close(down[0]), close(up[1]);
    }
    for (;;) {
        uint64_t word;
        pid_t pids[CHILDREN] = {0};
        if (read(in, &word, sizeof word) != sizeof word) _exit(0);
        if (next) {
            if (write(down[1], &word, sizeof word) != sizeof word) _exit(2);
            if (recv(up[0], pids, sizeof pids, MSG_WAITALL) != sizeof pids) _exit(3);
        }
        pids[depth] = getpid();
        if (write(out, pids, sizeof pids) != sizeof pids) _exit(4);
    }
}

/* poll() that a signal does not end: the timer's would pass for silence. */
static int wait_for(struct pollfd *descriptor, int milliseconds) {
    int64_t end = now_us(CLOCK_MONOTONIC) / 1000 + milliseconds;
    for (;;) {
        int64_t left = end - (int64_t)(now_us(CLOCK_MONOTONIC) / 1000);
        int ready = poll(descriptor, 1, left > 0 ? left : 0);
        if (ready >= 0 || errno != EINTR) return ready;
    }
}

static void ask_children(pid_t *pids) {
    uint64_t word = 42;
    struct pollfd answer = {.fd = from_child[0], .events = POLLIN};
    if (write(to_child[1], &word, sizeof word) != sizeof word) problem("children: cannot write");
    if (wait_for(&answer, 10000) != 1 ||
        recv(from_child[0], pids, CHILDREN * sizeof *pids, MSG_WAITALL) != (ssize_t)(CHILDREN * sizeof *pids))
        problem("children: no answer");
}

static void verify_children(void) {
    pid_t pids[CHILDREN] = {0};
    ask_children(pids);
    for (int i = 0; i < CHILDREN; i++)
        if (pids[i] != chain[i]) problem("children: number %d was pid %d and is %d", i, chain[i], pids[i]);
    if (waitpid(chain[0], NULL, WNOHANG) != 0) problem("children: the first is no longer ours");
}

/* ---- the rest of the list ---- */

static const char secret[] = "this file has no name any more";
static int deleted, full_pipe[2], full_pair[2], watch, watch_id, log_fd, log_append;
static char watched[256];
static volatile sig_atomic_t alarms;

static void on_alarm(int signal) { (void)signal, alarms++; }

static void verify_files(uint64_t tick) {
    char text[sizeof secret] = "";
    struct stat status;
    if (pread(deleted, text, sizeof secret, 0) != sizeof secret || strcmp(text, secret))
        problem("deleted file: its content is gone");
    if (lseek(deleted, 0, SEEK_CUR) != 7) problem("deleted file: its offset moved");
    if (fstat(deleted, &status) || status.st_nlink != 0) problem("deleted file: it has a name again");
    /* The log: one line for each tick, in order, none missing, none twice. */
    char *all = NULL;
    off_t size = lseek(log_fd, 0, SEEK_END);
    uint64_t expected = 1, last_time = 0;
    all = malloc(size + 1);
    if (!all || pread(log_fd, all, size, 0) != size) {
        problem("log: cannot read it");
        free(all);
        return;
    }
    all[size] = 0;
    for (char *line = all; *line; expected++) {
        char *end;
        uint64_t number = strtoull(line, &end, 10), time = strtoull(end, &end, 10);
        if (number != expected) {
            problem("log: line %" PRIu64 " says %" PRIu64, expected, number);
            break;
        }
        if (time < last_time) problem("log: the clock ran backwards at %" PRIu64, number);
        last_time = time;
        line = *end ? end + 1 : end;
    }
    if (expected != tick + 1) problem("log: ends at %" PRIu64 ", memory says %" PRIu64, expected - 1, tick);
    free(all);
}

static void verify_queues(void) {
    /* What lay unread in a pipe and in a socket pair still lies there, and no more. */
    char text[64] = "";
    ssize_t got = read(full_pipe[0], text, sizeof text);
    if (got != 11 || memcmp(text, "in the pipe", 11)) problem("pipe: what lay in it is lost");
    if (write(full_pipe[1], "in the pipe", 11) != 11) problem("pipe: cannot write");
    got = recv(full_pair[0], text, sizeof text, MSG_DONTWAIT);
    if (got != 11 || memcmp(text, "in the pair", 11)) problem("socket pair: what lay in it is lost");
    if (send(full_pair[1], "in the pair", 11, 0) != 11) problem("socket pair: cannot write");
}

/* A connection to oneself; -1 where the container has no loopback address. */
static int tcp[2] = {-1, -1}, tcp_listener = -1;

static void connect_tcp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct timeval limit = {.tv_sec = 5};
    tcp_listener = check(socket(AF_INET, SOCK_STREAM, 0), "socket");
    if (bind(tcp_listener, (struct sockaddr *)&address, sizeof address) || listen(tcp_listener, 4) ||
        getsockname(tcp_listener, (struct sockaddr *)&address, &length))
        return;
    int client = check(socket(AF_INET, SOCK_STREAM, 0), "socket");
    if (connect(client, (struct sockaddr *)&address, sizeof address)) return;
    tcp[0] = client, tcp[1] = accept(tcp_listener, NULL, NULL);
    for (int i = 0; i < 2; i++) setsockopt(tcp[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

static void verify_tcp(void) {
    char text[16] = "";
    if (tcp[1] < 0) return;
    for (int i = 0; i < 2; i++)
        if (send(tcp[i], "over tcp", 8, MSG_NOSIGNAL) != 8 || recv(tcp[1 - i], text, 8, MSG_WAITALL) != 8 ||
            memcmp(text, "over tcp", 8))
            problem("tcp: nothing comes through, direction %d", i);
}

static void verify_watch(void) {
    char path[300], events[4096] __attribute__((aligned(8)));
    struct pollfd ready = {.fd = watch, .events = POLLIN};
    while (read(watch, events, sizeof events) > 0)
        ;
    snprintf(path, sizeof path, "%s/touched", watched);
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    for (int tries = 0; tries < 10; tries++) {
        if (wait_for(&ready, 2000) != 1) break;
        ssize_t got = read(watch, events, sizeof events);
        for (char *at = events; at < events + got;) {
            struct inotify_event *event = (struct inotify_event *)at;
            if (event->wd == watch_id && event->mask & IN_CREATE && !strcmp(event->name, "touched")) return;
            at += sizeof *event + event->len;
        }
    }
    problem("inotify: no event for a new file");
}

/* ---- what CRIU does not keep ---- */

#define WHO_PROCESS 1
#define IDLE_CLASS (3 << 13)
static int member;
static struct group_filter membership;

static void set_unkept(void) {
    struct group_req request = {.gr_interface = 1};
    struct sockaddr_in group = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xef010203)};
    memcpy(&request.gr_group, &group, sizeof group);
    membership.gf_interface = 1;
    membership.gf_group = request.gr_group;
    member = check(socket(AF_INET, SOCK_DGRAM, 0), "socket");
    check(setsockopt(member, IPPROTO_IP, MCAST_JOIN_GROUP, &request, sizeof request), "join a multicast group");
    check((int)syscall(SYS_ioprio_set, WHO_PROCESS, 0, IDLE_CLASS), "ioprio_set");
}

static void verify_unkept(void) {
    struct group_filter filter = membership;
    socklen_t size = sizeof filter;
    int priority = (int)syscall(SYS_ioprio_get, WHO_PROCESS, 0);
    if (getsockopt(member, IPPROTO_IP, MCAST_MSFILTER, &filter, &size) < 0)
        problem("multicast: no longer in the group: %s", strerror(errno));
    if (priority != IDLE_CLASS) problem("ioprio: is %x", priority);
}

static void reply(int server, const char *format, ...) {
    int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    char word[64] = "", line[4096];
    va_list arguments;
    if (fd < 0) return;
    if (read(fd, word, sizeof word - 1) > 0) {
        va_start(arguments, format);
        int length = vsnprintf(line, sizeof line, format, arguments);
        va_end(arguments);
        if (write(fd, line, length) < 0) perror("answer");
    }
    close(fd);
}

static _Noreturn void run(const char *directory) {
    char path[256], id[17];
    uint64_t tick = 0, expirations, salt = mix(now_us(CLOCK_REALTIME) ^ getpid());
    pthread_t thread;
    mkdir(directory, 0700);
    snprintf(id, sizeof id, "%016" PRIx64, salt);
    signal(SIGPIPE, SIG_IGN);

    check(pipe(to_child), "pipe");
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, from_child), "socketpair");
    if (!check(fork(), "fork")) {
        close(to_child[1]), close(from_child[0]);
        child(0, to_child[0], from_child[1]);
    }
    close(to_child[0]), close(from_child[1]);
    ask_children(chain);

    memory = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) die("mmap");
    for (uint64_t page = 0; page < PAGES; page++) write_page(page, 0);
    for (intptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&thread, NULL, worker, (void *)i)) die("pthread_create");

    snprintf(path, sizeof path, "%s/deleted", directory);
    deleted = check(open(path, O_CREAT | O_TRUNC | O_RDWR, 0600), path);
    if (write(deleted, secret, sizeof secret) != sizeof secret) die("write");
    unlink(path);
    lseek(deleted, 7, SEEK_SET);
    snprintf(path, sizeof path, "%s/log", directory);
    log_fd = check(open(path, O_CREAT | O_TRUNC | O_RDWR, 0600), path);
    log_append = check(open(path, O_WRONLY | O_APPEND), path);

    check(pipe(full_pipe), "pipe");
    check(socketpair(AF_UNIX, SOCK_DGRAM, 0, full_pair), "socketpair");
    if (write(full_pipe[1], "in the pipe", 11) != 11 || send(full_pair[1], "in the pair", 11, 0) != 11) die("write");

    connect_tcp();
    set_unkept();
    snprintf(watched, sizeof watched, "%s/watched", directory);
    mkdir(watched, 0700);
    watch = check(inotify_init1(IN_NONBLOCK | IN_CLOEXEC), "inotify_init1");
    watch_id = check(inotify_add_watch(watch, watched, IN_CREATE), "inotify_add_watch");

    signal(SIGRTMIN + 1, on_alarm);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
    struct itimerspec often = {.it_value = {.tv_nsec = 500000000}, .it_interval = {.tv_nsec = 500000000}};
    check(timer_create(CLOCK_MONOTONIC, &event, &timer), "timer_create");
    check(timer_settime(timer, 0, &often, NULL), "timer_settime");
    int clock = check(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd_create");
    struct itimerspec beat = {.it_value = {.tv_nsec = 100000000}, .it_interval = {.tv_nsec = 100000000}};
    check(timerfd_settime(clock, 0, &beat, NULL), "timerfd_settime");

    int server = listen_at(directory);
    struct pollfd ready[] = {{.fd = clock, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    for (;;) {
        if (poll(ready, 2, -1) < 0) continue;
        if (ready[0].revents && read(clock, &expirations, sizeof expirations) == sizeof expirations) {
            write_page(tick % PAGES, tick / PAGES + 1);
            tick++;
            submit(3);
            dprintf(log_append, "%" PRIu64 " %" PRIu64 "\n", tick, now_us(CLOCK_MONOTONIC));
        }
        if (ready[1].revents) {
            sig_atomic_t before = alarms;
            problems[0] = 0;
            verify_memory(tick);
            verify_threads();
            verify_children();
            verify_files(tick);
            verify_queues();
            verify_tcp();
            verify_watch();
            verify_unkept();
            for (int i = 0; i < 30 && alarms == before; i++) poll(NULL, 0, 100);
            if (alarms == before) problem("timer: no signal in three seconds");
            reply(server, "{\"ok\":%s,\"id\":\"%s\",\"pid\":%d,\"tick\":%" PRIu64 ",\"tcp\":%s,\"problems\":[%s]}\n",
                  problems[0] ? "false" : "true", id, getpid(), tick, tcp[1] < 0 ? "false" : "true", problems);
        }
    }
}

/* One number, kept in memory, in a file and in a shared mapping of another file. */
static _Noreturn void counter(const char *directory) {
    char path[256];
    uint64_t count = 0, in_file = 0, disagreed = 0;
    mkdir(directory, 0700);
    snprintf(path, sizeof path, "%s/count", directory);
    int file = check(open(path, O_CREAT | O_TRUNC | O_RDWR, 0600), path);
    if (pwrite(file, &count, sizeof count, 0) != sizeof count) die("pwrite");
    snprintf(path, sizeof path, "%s/mapped", directory);
    int mapping = check(open(path, O_CREAT | O_TRUNC | O_RDWR, 0600), path);
    check(ftruncate(mapping, PAGE), "ftruncate");
    volatile uint64_t *mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mapping, 0);
    if (mapped == MAP_FAILED) die("mmap");
    int server = listen_at(directory);
    struct pollfd ready = {.fd = server, .events = POLLIN};
    for (;;) {
        if (pread(file, &in_file, sizeof in_file, 0) != sizeof in_file) in_file = ~0ull;
        if (in_file != count || *mapped != count) {
            disagreed++;
            problem("memory says %" PRIu64 ", the file %" PRIu64 ", the mapping %" PRIu64, count, in_file, *mapped);
            *mapped = count;
        }
        uint64_t next = count + 1;
        if (pwrite(file, &next, sizeof next, 0) != sizeof next) problem("cannot write");
        (*mapped)++;
        count = next;
        if (count % 64 == 0 && poll(&ready, 1, 0) == 1)
            reply(server, "{\"ok\":%s,\"count\":%" PRIu64 ",\"disagreed\":%" PRIu64 ",\"problems\":[%s]}\n",
                  disagreed ? "false" : "true", count, disagreed, problems);
    }
}

static int ask(const char *directory, const char *word) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char line[4096] = "";
    size_t used = 0;
    ssize_t got;
    int fd = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", directory);
    check(connect(fd, (struct sockaddr *)&address, sizeof address), address.sun_path);
    if (write(fd, word, strlen(word)) < 0) die("write");
    while ((got = read(fd, line + used, sizeof line - 1 - used)) > 0) used += got;
    fputs(line, stdout);
    return strstr(line, "\"ok\":true") ? 0 : 1;
}

/* What a checkpoint has to refuse. */
static _Noreturn void hold(const char *what, char **words) {
    if (!strcmp(what, "memfd")) { /* a program run from memory: dumps, but does not come back */
        char buffer[65536];
        ssize_t got;
        int self = check(open("/proc/self/exe", O_RDONLY), "/proc/self/exe");
        int copy = check(memfd_create("guest", MFD_CLOEXEC), "memfd_create");
        while ((got = read(self, buffer, sizeof buffer)) > 0)
            if (write(copy, buffer, got) != got) die("write");
        words[2] = "pause";
        fexecve(copy, words, (char *[]){NULL});
        die("fexecve");
    }
    if (!strcmp(what, "mapped")) { /* sealed against writing, and mapped shared: dumps, but does not come back */
        int fd = check(memfd_create("sealed", MFD_ALLOW_SEALING), "memfd_create");
        check(ftruncate(fd, PAGE), "ftruncate");
        check(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), "F_ADD_SEALS");
        if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED) die("mmap");
    }
    if (!strcmp(what, "trace") && check(fork(), "fork") == 0) {
        check(ptrace(PTRACE_TRACEME, 0, NULL, NULL), "ptrace");
        for (;;) pause();
    }
    puts("holding");
    fflush(stdout);
    for (;;) pause();
}

static uint64_t cpu_of_pid1(void) {
    char text[1024] = "";
    uint64_t user = 0, system = 0;
    int fd = check(open("/proc/1/stat", O_RDONLY), "/proc/1/stat");
    if (read(fd, text, sizeof text - 1) < 0) die("/proc/1/stat");
    close(fd);
    char *after = strrchr(text, ')');
    if (after) sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user, &system);
    return user + system;
}

static volatile sig_atomic_t ended;

static void on_end(int signal) { (void)signal, ended = 1; }

/* By the wall clock: a restore puts the others into a time namespace of its own, which hides the pause. */
static int gaps(const char *path) {
    enum { MOST = 5 };
    uint64_t longest[MOST] = {0}, last = now_us(CLOCK_REALTIME);
    signal(SIGTERM, on_end);
    while (!ended) {
        poll(NULL, 0, 1);
        uint64_t now = now_us(CLOCK_REALTIME), gap = now - last;
        last = now;
        for (int i = 0; i < MOST; i++)
            if (gap > longest[i]) {
                memmove(longest + i + 1, longest + i, (MOST - i - 1) * sizeof *longest);
                longest[i] = gap;
                break;
            }
    }
    int fd = check(open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600), path);
    for (int i = 0; i < MOST; i++) dprintf(fd, "%" PRIu64 "\n", longest[i]);
    return 0;
}

/* ---- one connection, asked again and again ---- */

static struct sockaddr_in at(const char *ip, const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    if (inet_pton(AF_INET, ip, &address.sin_addr) != 1) die(ip);
    return address;
}

static void speak_at_once(int fd) {
    int yes = 1;
    check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "TCP_NODELAY");
}

static void *answer_one(void *argument) {
    int fd = (int)(intptr_t)argument;
    char buffer[4096];
    speak_at_once(fd);
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;)
        if (write(fd, buffer, got) != got) break;
    close(fd);
    return NULL;
}

static int answer(const char *port) {
    struct sockaddr_in address = at("0.0.0.0", port);
    int yes = 1, fd = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), "SO_REUSEADDR");
    check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
    check(listen(fd, 8), "listen");
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        pthread_t thread;
        int connection = accept(fd, NULL, NULL);
        if (connection < 0) continue;
        if (pthread_create(&thread, NULL, answer_one, (void *)(intptr_t)connection)) die("pthread_create");
        pthread_detach(thread);
    }
}

static int client(const char *ip, const char *port, const char *path) {
    struct sockaddr_in address = at(ip, port);
    struct pollfd input = {.fd = 0, .events = POLLIN};
    int fd = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    uint64_t answers = 0, longest = 0, last = 0, start = now_us(CLOCK_MONOTONIC);
    FILE *record = path ? fopen(path, "we") : NULL;
    if (path && !record) die(path);
    check(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
    speak_at_once(fd);
    printf("connected\n");
    fflush(stdout);
    for (;;) {
        uint64_t sent = now_us(CLOCK_MONOTONIC), back, now;
        if (write(fd, &answers, sizeof answers) != sizeof answers) die("send");
        if (recv(fd, &back, sizeof back, MSG_WAITALL) != sizeof back) die("receive");
        if (back != answers) die("another answer than the one that was due");
        now = now_us(CLOCK_MONOTONIC);
        if (record) fprintf(record, "%" PRIu64 " %" PRIu64 "\n", sent - start, now - sent);
        if (answers++ && now - last > longest) longest = now - last;
        last = now;
        if (poll(&input, 1, 0) > 0 && (input.revents & POLLHUP || getchar() == EOF)) break;
        if (now < sent + 5000) usleep(sent + 5000 - now);
    }
    if (record && fclose(record)) die(path);
    printf("%" PRIu64 " %" PRIu64 "\n", answers, longest);
    return 0;
}

int main(int count, char **words) {
    const char *verb = count > 1 ? words[1] : "", *argument = count > 2 ? words[2] : "";
    if (!strcmp(verb, "run")) run(argument);
    if (!strcmp(verb, "counter")) counter(argument);
    if (!strcmp(verb, "ask")) return ask(argument, count > 3 ? words[3] : "verify");
    if (!strcmp(verb, "hold")) hold(argument, words);
    if (!strcmp(verb, "gaps")) return gaps(argument);
    if (!strcmp(verb, "answer")) return answer(argument);
    if (!strcmp(verb, "client") && count > 3) return client(argument, words[3], count > 4 ? words[4] : NULL);
    if (!strcmp(verb, "pid1")) {
        uint64_t before = cpu_of_pid1();
        poll(NULL, 0, 1000);
        printf("%" PRIu64 "\n", cpu_of_pid1() - before);
        return 0;
    }
    if (!strcmp(verb, "fill")) {
        size_t size = strtoull(argument, NULL, 10) << 20;
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) die("mmap");
        for (size_t page = 0; page < size / PAGE; page++) write_page(page, 0);
        for (;;) pause();
    }
    fputs("usage: guest run|counter DIR | ask DIR WORD | hold WHAT | pid1 | fill MIB | gaps FILE | answer PORT |\n"
          "       client IP PORT [FILE]\n",
          stderr);
    return 2;
}
