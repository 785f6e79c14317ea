// Multicast memberships of a socket; their structures end in arrays of any length, which Swift cannot lay out.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int level_of(size_t length) { return length == 4 ? IPPROTO_IP : IPPROTO_IPV6; }

static int put_address(struct sockaddr_storage *to, const uint8_t *address, size_t length) {
    memset(to, 0, sizeof *to);
    if (length == 4) {
        to->ss_family = AF_INET;
        memcpy(&((struct sockaddr_in *)to)->sin_addr, address, length);
    } else if (length == 16) {
        to->ss_family = AF_INET6;
        memcpy(&((struct sockaddr_in6 *)to)->sin6_addr, address, length);
    } else {
        errno = EINVAL;
        return -1;
    }
    return 0;
}

static void get_address(uint8_t *address, size_t length, const struct sockaddr_storage *from) {
    if (length == 4) memcpy(address, &((const struct sockaddr_in *)from)->sin_addr, length);
    else memcpy(address, &((const struct sockaddr_in6 *)from)->sin6_addr, length);
}

int apus_multicast_filter(int socket, const uint8_t *group, size_t length, uint32_t interface, uint32_t *mode,
                          uint8_t *sources, uint32_t capacity) {
    socklen_t size = GROUP_FILTER_SIZE(capacity);
    struct group_filter *filter = calloc(1, size < sizeof *filter ? sizeof *filter : size);
    int count = -1;
    if (!filter) return -1;
    filter->gf_interface = interface;
    filter->gf_numsrc = capacity;
    if (put_address(&filter->gf_group, group, length) == 0 &&
        getsockopt(socket, level_of(length), MCAST_MSFILTER, filter, &size) == 0) {
        count = (int)(filter->gf_numsrc < capacity ? filter->gf_numsrc : capacity);
        *mode = filter->gf_fmode;
        for (int i = 0; i < count; i++) get_address(sources + i * length, length, &filter->gf_slist[i]);
    }
    free(filter);
    return count;
}

int apus_multicast_join(int socket, const uint8_t *group, size_t length, uint32_t interface, uint32_t mode,
                        const uint8_t *sources, uint32_t count) {
    struct group_req request = {.gr_interface = interface};
    if (put_address(&request.gr_group, group, length) != 0 ||
        setsockopt(socket, level_of(length), MCAST_JOIN_GROUP, &request, sizeof request) != 0)
        return -1;
    if (mode == MCAST_EXCLUDE && count == 0) return 0;
    socklen_t size = GROUP_FILTER_SIZE(count);
    struct group_filter *filter = calloc(1, size < sizeof *filter ? sizeof *filter : size);
    if (!filter) return -1;
    filter->gf_interface = interface;
    filter->gf_group = request.gr_group;
    filter->gf_fmode = mode;
    filter->gf_numsrc = count;
    int result = 0;
    for (uint32_t i = 0; i < count && result == 0; i++)
        result = put_address(&filter->gf_slist[i], sources + i * length, length);
    if (result == 0) result = setsockopt(socket, level_of(length), MCAST_MSFILTER, filter, size);
    free(filter);
    return result;
}
