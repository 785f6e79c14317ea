// File descriptors over unix sockets; the control-message macros are beyond Swift.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST_FDS 64

ssize_t apus_send_fds(int socket, const void *data, size_t length, const int *fds, size_t count, int flags) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * MOST_FDS)];
    } control;
    struct iovec part = {(void *)data, length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > MOST_FDS) {
        errno = EINVAL;
        return -1;
    }
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
    }
    ssize_t sent;
    do sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

ssize_t apus_receive_fds(int socket, void *data, size_t length, int *fds, size_t capacity, size_t *count,
                         int flags, int *message_flags) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * MOST_FDS)];
    } control;
    struct iovec part = {data, length};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control};
    ssize_t received;
    *count = 0;
    do received = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0) return received;
    *message_flags = message.msg_flags;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        size_t got = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < got; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof fd);
            if (*count < capacity)
                fds[(*count)++] = fd;
            else
                close(fd);
        }
    }
    return received;
}

int apus_peer_credentials(int socket, pid_t *pid, uid_t *uid, gid_t *gid) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return -1;
    *pid = peer.pid;
    *uid = peer.uid;
    *gid = peer.gid;
    return 0;
}

int apus_unix_socket(int type) { return socket(AF_UNIX, type | SOCK_CLOEXEC, 0); }

static int address(struct sockaddr_un *to, const char *path) {
    if (strlen(path) >= sizeof to->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    strcpy(to->sun_path, path);
    return 0;
}

int apus_unix_bind(int socket, const char *path) {
    struct sockaddr_un name;
    if (address(&name, path) < 0) return -1;
    return bind(socket, (struct sockaddr *)&name, sizeof name);
}

int apus_unix_connect(int socket, const char *path) {
    struct sockaddr_un name;
    if (address(&name, path) < 0) return -1;
    int result;
    do result = connect(socket, (struct sockaddr *)&name, sizeof name);
    while (result < 0 && errno == EINTR);
    return result;
}

int apus_timer(int first, int interval) {
    struct itimerspec when = {
        .it_value = {first / 1000, first % 1000 * 1000000L},
        .it_interval = {interval / 1000, interval % 1000 * 1000000L}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0) return -1;
    if (timerfd_settime(fd, 0, &when, NULL) == 0) return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}
