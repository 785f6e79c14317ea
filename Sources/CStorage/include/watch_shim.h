// Notices of what changes in a file system (fanotify), and opening directories by the handles they name.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// What has happened to an entry of a directory, or to the directory itself (its name is "." then).
enum cstorage_change {
    /// The name was made, removed or renamed: it may mean another file now.
    cstorage_change_name = 1,
    /// The file was written to, or its attributes changed.
    cstorage_change_content = 2,
    /// Notices were lost.
    cstorage_change_overflow = 4,
    /// It was closed after it had been open for writing, and may have been written to through a mapping.
    cstorage_change_closed = 8,
};

/// A directory's handle, as the kernel names it in its notices.
struct cstorage_handle {
    const uint8_t *bytes;
    uint32_t size;
    int32_t type;
};

/// Watches the file system of an open directory. Returns a descriptor or -errno.
int cstorage_watch(int directory);

/// Reads notices into `buffer`. Returns bytes, 0 when there are none, or -errno.
ssize_t cstorage_watch_read(int watch, void *buffer, size_t size);

/// One notice inside that buffer: what changed (bits of cstorage_change), where, and the name. Returns the offset of
/// the next one, or 0 at the end. A notice that names no directory has a handle of size 0.
size_t cstorage_watch_next(
    const void *buffer, size_t filled, size_t offset, uint32_t *change, struct cstorage_handle *handle,
    const char **name);

/// Opens a directory by its handle; `mount` is any directory of its file system. Returns a descriptor or -errno.
int cstorage_open_directory(int mount, const struct cstorage_handle *handle);

/// Whether stores into a shared mapping of a file, on the file system of this open file, show in its times once its
/// pages were written out. Returns 1 or 0.
int cstorage_mappings_show(int fd);

/// Sends bytes through a socket; never ends the process by a signal. Returns bytes or -errno.
ssize_t cstorage_send(int socket, const void *bytes, size_t size);

/// Writes out all of the file system of an open file. Returns 0 or -errno.
int cstorage_syncfs(int fd);

/// The status of the file behind a magic link of /proc, such as /proc/PID/fd/N. Returns 0 or -errno.
struct cstorage_stat;
int cstorage_stat_behind(int dirfd, const char *name, struct cstorage_stat *out);
