// btrfs subvolumes and loop devices, by ioctl: no program is started for a snapshot.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// Whether an open file lies on btrfs. Returns 1, 0 or -errno.
int cstorage_is_btrfs(int fd);

/// Whether an open directory is the root of a subvolume. Returns 1, 0 or -errno.
int cstorage_is_subvolume(int fd);

/// Makes an empty subvolume `name` in a directory. Returns 0 or -errno.
int cstorage_subvolume_create(int dirfd, const char *name);

/// Makes a snapshot `name`, in a directory, of the subvolume that is open as `source`. Returns 0 or -errno.
int cstorage_subvolume_snapshot(int source, int dirfd, const char *name, int read_only);

/// Deletes the subvolume `name` of a directory; one with subvolumes below is refused. Returns 0 or -errno.
int cstorage_subvolume_destroy(int dirfd, const char *name);

/// Makes a subvolume read only, or writable. Returns 0 or -errno.
int cstorage_subvolume_set_read_only(int fd, int read_only);

/// The number of the subvolume that an open file lies in. Returns 0 or -errno.
int cstorage_subvolume_id(int fd, uint64_t *id);

/// The paths, below the directory that is open as `fd` (a subvolume's root), of the subvolumes directly in it: one
/// call gives one, from index 0 on. Returns 1 with the path, 0 when there are no more, or -errno.
int cstorage_subvolume_child(int fd, uint64_t *last_id, char *path, size_t size);

/// Writes out what the file system still holds in memory. Returns 0 or -errno.
int cstorage_sync_file_system(int fd);

/// Switches quotas on. Returns 0 or -errno.
int cstorage_quota_enable(int fd);

/// Limits the bytes a subvolume refers to; 0: no limit. Returns 0 or -errno.
int cstorage_quota_limit(int fd, uint64_t id, uint64_t bytes);

/// The bytes a subvolume refers to and has for itself, as quotas count them. Returns 0 or -errno (ENOENT: not counted).
int cstorage_quota_usage(int fd, uint64_t id, uint64_t *referenced, uint64_t *exclusive);

/// The limit of a subvolume in bytes, 0 if it has none. Returns 0 or -errno.
int cstorage_quota_get_limit(int fd, uint64_t id, uint64_t *bytes);

/// Lets a file system take the whole of its device, which has grown. Returns 0 or -errno.
int cstorage_btrfs_grow(int fd);

/// Attaches a file to a free loop device, which lets go of it when its last user does. `path` (64 bytes) becomes the
/// device's. Returns the device's descriptor (close it once the device is mounted) or -errno.
int cstorage_loop_attach(int file, char *path, size_t size);

/// Tells a loop device that its file has grown. Returns 0 or -errno.
int cstorage_loop_grow(int device);

/// The file's device and inode behind a loop device. Returns 0 or -errno.
int cstorage_loop_status(int device, uint64_t *dev, uint64_t *ino);
