#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "CStorage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define RETURN_OR_ERRNO(call) \
    do { \
        __typeof__(call) result_ = (call); \
        return result_ < 0 ? -errno : result_; \
    } while (0)

int cstorage_stat_at(int dirfd, const char *name, struct cstorage_stat *out) {
    struct statx s;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name[0] ? 0 : AT_EMPTY_PATH);
    if (statx(dirfd, name, flags, STATX_BASIC_STATS | STATX_MNT_ID, &s) < 0)
        return -errno;
    out->ino = s.stx_ino;
    out->dev = ((uint64_t)s.stx_dev_major << 32) | s.stx_dev_minor;
    out->rdev = makedev(s.stx_rdev_major, s.stx_rdev_minor);
    out->mount = s.stx_mnt_id;
    out->size = (int64_t)s.stx_size;
    out->blocks = s.stx_blocks;
    out->ctime_sec = s.stx_ctime.tv_sec;
    out->mtime_sec = s.stx_mtime.tv_sec;
    out->atime_sec = s.stx_atime.tv_sec;
    out->ctime_nsec = s.stx_ctime.tv_nsec;
    out->mtime_nsec = s.stx_mtime.tv_nsec;
    out->atime_nsec = s.stx_atime.tv_nsec;
    out->mode = s.stx_mode;
    out->uid = s.stx_uid;
    out->gid = s.stx_gid;
    out->nlink = s.stx_nlink;
    return 0;
}

int cstorage_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = flags | O_CLOEXEC;
    how.mode = mode;
    how.resolve = resolve;
    for (int tries = 0;; tries++) {
        long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        // EAGAIN: something was renamed while ".." was resolved; the kernel asks for another try.
        if (errno == EINTR || (errno == EAGAIN && tries < 100))
            continue;
        return -errno;
    }
}

ssize_t cstorage_getdents(int fd, void *buffer, size_t size) {
    RETURN_OR_ERRNO(getdents64(fd, buffer, size));
}

size_t cstorage_next_entry(const void *buffer, size_t offset, const char **name, uint8_t *type, uint64_t *ino) {
    const struct dirent64 *entry = (const struct dirent64 *)((const char *)buffer + offset);
    *name = entry->d_name;
    *type = entry->d_type;
    *ino = entry->d_ino;
    return offset + entry->d_reclen;
}

int cstorage_clone(int destination, int source) {
    RETURN_OR_ERRNO(ioctl(destination, FICLONE, source));
}

ssize_t cstorage_flistxattr(int fd, char *list, size_t size) {
    RETURN_OR_ERRNO(flistxattr(fd, list, size));
}

ssize_t cstorage_fgetxattr(int fd, const char *name, void *value, size_t size) {
    RETURN_OR_ERRNO(fgetxattr(fd, name, value, size));
}

int cstorage_fsetxattr(int fd, const char *name, const void *value, size_t size) {
    RETURN_OR_ERRNO(fsetxattr(fd, name, value, size, 0));
}

int cstorage_fremovexattr(int fd, const char *name) {
    RETURN_OR_ERRNO(fremovexattr(fd, name));
}

ssize_t cstorage_llistxattr(const char *path, char *list, size_t size) {
    RETURN_OR_ERRNO(llistxattr(path, list, size));
}

ssize_t cstorage_lgetxattr(const char *path, const char *name, void *value, size_t size) {
    RETURN_OR_ERRNO(lgetxattr(path, name, value, size));
}

int cstorage_lsetxattr(const char *path, const char *name, const void *value, size_t size) {
    RETURN_OR_ERRNO(lsetxattr(path, name, value, size, 0));
}

int cstorage_write_back(int fd) {
    RETURN_OR_ERRNO(sync_file_range(
        fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
}

int cstorage_punch_hole(int fd, int64_t offset, int64_t length) {
    RETURN_OR_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length));
}

void cstorage_clear_protection(int fd) {
    int flags;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL))) {
        flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
        (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
}

int cstorage_exchange(const char *first, const char *second) {
    RETURN_OR_ERRNO(renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE));
}

int cstorage_rename_new(const char *from, const char *to) {
    return cstorage_rename_new_at(AT_FDCWD, from, AT_FDCWD, to);
}

int cstorage_rename_new_at(int from_dirfd, const char *from, int to_dirfd, const char *to) {
    RETURN_OR_ERRNO(renameat2(from_dirfd, from, to_dirfd, to, RENAME_NOREPLACE));
}
