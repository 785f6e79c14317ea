// Which devices the processes of a v2 cgroup may open: v1 had files for that, v2 wants a small BPF program.
#define _GNU_SOURCE
#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "CLinux.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MKNOD_ONLY = BPF_DEVCG_ACC_MKNOD, MOST = 256 };

struct program {
    struct bpf_insn instructions[MOST];
    int count;
};

static void put(struct program *p, uint8_t code, uint8_t dst, uint8_t src, int16_t offset, int32_t immediate) {
    p->instructions[p->count++] =
        (struct bpf_insn){.code = code, .dst_reg = dst, .src_reg = src, .off = offset, .imm = immediate};
}

static void answer(struct program *p, int allowed) {
    put(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allowed);
    put(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

int apus_cgroup_limit_devices(int cgroup, const int32_t *majors, const int32_t *minors, size_t count) {
    struct program p = {.count = 0};
    if (count * 4 + 16 > MOST) return errno = E2BIG, -1;
    // r2 = kind of device, r3 = kind of access, r4 = major, r5 = minor
    put(&p, BPF_LDX | BPF_W | BPF_MEM, BPF_REG_2, BPF_REG_1, 0, 0);
    put(&p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
    put(&p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
    put(&p, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
    put(&p, BPF_LDX | BPF_W | BPF_MEM, BPF_REG_4, BPF_REG_1, 4, 0);
    put(&p, BPF_LDX | BPF_W | BPF_MEM, BPF_REG_5, BPF_REG_1, 8, 0);
    // Making a node is harmless.
    put(&p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_3, 0, 2, MKNOD_ONLY);
    answer(&p, 1);
    put(&p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 2, BPF_DEVCG_DEV_CHAR);
    answer(&p, 0);
    for (size_t i = 0; i < count; i++) {
        int any = minors[i] < 0;
        put(&p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, any ? 2 : 3, majors[i]);
        if (!any) put(&p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, 2, minors[i]);
        answer(&p, 1);
    }
    answer(&p, 0);

    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insn_cnt = (uint32_t)p.count,
        .insns = (uint64_t)(uintptr_t)p.instructions,
        .license = (uint64_t)(uintptr_t) "Apache-2.0",
    };
    int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (program < 0) return -1;
    union bpf_attr attach;
    memset(&attach, 0, sizeof attach);
    attach.target_fd = (uint32_t)cgroup;
    attach.attach_bpf_fd = (uint32_t)program;
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    int result = (int)syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach);
    int saved = errno;
    close(program);
    errno = saved;
    return result;
}

int apus_inotify(const char *directory) {
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) return -1;
    if (inotify_add_watch(fd, directory, IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}
