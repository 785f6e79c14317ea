// The file calls that Swift's Glibc module does not show: extended attributes, openat2, statx, reflinks.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "btrfs_shim.h"
#include "watch_shim.h"

/// What statx tells of one directory entry, packed for tables of many thousand files.
struct cstorage_stat {
    uint64_t ino;
    uint64_t dev;
    uint64_t rdev;
    uint64_t mount;
    int64_t size;
    uint64_t blocks;
    int64_t ctime_sec;
    int64_t mtime_sec;
    int64_t atime_sec;
    uint32_t ctime_nsec;
    uint32_t mtime_nsec;
    uint32_t atime_nsec;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint32_t nlink;
};

/// statx of `name` below `dirfd`, never following a symlink; an empty name means `dirfd` itself.
/// Returns 0 or -errno.
int cstorage_stat_at(int dirfd, const char *name, struct cstorage_stat *out);

/// openat2 with RESOLVE_* flags. Returns the descriptor or -errno.
int cstorage_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

/// Reads directory entries into `buffer` (struct linux_dirent64). Returns bytes, 0 at the end or -errno.
ssize_t cstorage_getdents(int fd, void *buffer, size_t size);

/// One directory entry inside a getdents buffer; returns the offset of the next one.
size_t cstorage_next_entry(const void *buffer, size_t offset, const char **name, uint8_t *type, uint64_t *ino);

/// Reflinks the whole of `source` into `destination`. Returns 0 or -errno.
int cstorage_clone(int destination, int source);

/// The extended attributes of an open file. Each returns a size, 0 or -errno.
ssize_t cstorage_flistxattr(int fd, char *list, size_t size);
ssize_t cstorage_fgetxattr(int fd, const char *name, void *value, size_t size);
int cstorage_fsetxattr(int fd, const char *name, const void *value, size_t size);
int cstorage_fremovexattr(int fd, const char *name);

/// The same for a path that may be a symlink or a special file (never followed).
ssize_t cstorage_llistxattr(const char *path, char *list, size_t size);
ssize_t cstorage_lgetxattr(const char *path, const char *name, void *value, size_t size);
int cstorage_lsetxattr(const char *path, const char *name, const void *value, size_t size);

/// Starts and awaits write-back of a file's dirty pages, which also write-protects its shared mappings.
int cstorage_write_back(int fd);

/// Cuts a hole into a file, keeping its size. Returns 0 or -errno.
int cstorage_punch_hole(int fd, int64_t offset, int64_t length);

/// Takes the immutable and append-only flags off an open file.
void cstorage_clear_protection(int fd);

/// Exchanges two paths atomically. Returns 0 or -errno.
int cstorage_exchange(const char *first, const char *second);

/// Renames, refusing to replace anything. Returns 0 or -errno.
int cstorage_rename_new(const char *from, const char *to);
int cstorage_rename_new_at(int from_dirfd, const char *from, int to_dirfd, const char *to);
