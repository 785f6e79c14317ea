#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "CLinux.h"

#include <errno.h>
#include <sys/epoll.h>

int apus_poller_make(void) { return epoll_create1(EPOLL_CLOEXEC); }

int apus_poller_add(int poller, int fd, int write, uint64_t id) {
    struct epoll_event event;
    event.events = (write ? EPOLLOUT : EPOLLIN | EPOLLRDHUP) | EPOLLONESHOT;
    event.data.u64 = id;
    return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

int apus_poller_remove(int poller, int fd) { return epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL); }

int apus_poller_wait(int poller, uint64_t *ids, int room) {
    struct epoll_event events[64];
    int count;
    do {
        count = epoll_wait(poller, events, room < 64 ? room : 64, -1);
    } while (count < 0 && errno == EINTR);
    for (int i = 0; i < count; i++)
        ids[i] = events[i].data.u64;
    return count;
}
