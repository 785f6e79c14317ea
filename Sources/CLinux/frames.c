// Whole Ethernet frames; see packet(7).
#define _GNU_SOURCE
#include "CLinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int apus_frame_socket(int interface) {
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = interface};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

// TCP in IPv4 or IPv6 (without extension headers) to one of these Ethernet addresses; classic BPF, see socket(7).
static int accept_tcp_to(int fd, const uint8_t *addresses, int count) {
    enum { MOST = 16, PER_ADDRESS = 4, HEAD = 8 };
    struct sock_filter program[HEAD + MOST * PER_ADDRESS + 1];
    if (count < 1 || count > MOST) {
        errno = EINVAL;
        return -1;
    }
    const struct sock_filter head[HEAD] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 2),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 9),
        BPF_JUMP(BPF_JMP | BPF_JA, 2, 0, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 2),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 6),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    memcpy(program, head, sizeof head);
    struct sock_filter *next = program + HEAD;
    for (int i = 0; i < count; i++) {
        const uint8_t *to = addresses + 6 * i;
        unsigned high = (unsigned)to[0] << 24 | to[1] << 16 | to[2] << 8 | to[3], low = to[4] << 8 | to[5];
        *next++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
        *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 3);
        *next++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4);
        *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 1);
        *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
    }
    *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog filter = {.len = next - program, .filter = program};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

int apus_frame_trap(const uint8_t *addresses, int count, int room) {
    int yes = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    if (accept_tcp_to(fd, addresses, count) == 0 &&
        setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof yes) == 0 &&
        setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &yes, sizeof yes) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

int apus_frame_trap_set(int trap) {
    struct sockaddr_ll everywhere = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    return bind(trap, (struct sockaddr *)&everywhere, sizeof everywhere);
}

intptr_t apus_frame_take(int trap, void *room, size_t size, int32_t *interface, int *is_outgoing, int *is_tagged) {
    struct sockaddr_ll from;
    char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    struct iovec data = {room, size};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &data, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got;
    do got = recvmsg(trap, &message, MSG_DONTWAIT | MSG_TRUNC);
    while (got < 0 && errno == EINTR);
    if (got < 0) return got;
    *interface = from.sll_ifindex;
    *is_outgoing = from.sll_pkttype == PACKET_OUTGOING;
    *is_tagged = 0;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each))
        if (each->cmsg_level == SOL_PACKET && each->cmsg_type == PACKET_AUXDATA) {
            struct tpacket_auxdata more;
            memcpy(&more, CMSG_DATA(each), sizeof more);
            *is_tagged = (more.tp_status & TP_STATUS_VLAN_VALID) != 0;
        }
    return got;
}

int apus_frame_sender(int interface) {
    int yes = 1, fd = apus_frame_socket(interface);
    if (fd < 0) return -1;
    if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof yes) == 0) return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}
