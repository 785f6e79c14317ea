#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "btrfs_shim.h"

#include <errno.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SUBVOLUME_ROOT_INODE 256
#define SUBVOLUME_PLACE_INODE 2

static int result(int value) { return value < 0 ? -errno : value; }

int cstorage_is_btrfs(int fd) {
    struct statfs s;
    if (fstatfs(fd, &s) < 0)
        return -errno;
    return (unsigned long)s.f_type == BTRFS_SUPER_MAGIC;
}

int cstorage_is_subvolume(int fd) {
    struct stat s;
    if (fstat(fd, &s) < 0)
        return -errno;
    return S_ISDIR(s.st_mode) && s.st_ino == SUBVOLUME_ROOT_INODE && cstorage_is_btrfs(fd) == 1;
}

static int set_name(char *field, size_t size, const char *name) {
    size_t length = strlen(name);
    if (length >= size)
        return -ENAMETOOLONG;
    memcpy(field, name, length + 1);
    return 0;
}

int cstorage_subvolume_create(int dirfd, const char *name) {
    struct btrfs_ioctl_vol_args args;
    memset(&args, 0, sizeof args);
    int failed = set_name(args.name, sizeof args.name, name);
    return failed ? failed : result(ioctl(dirfd, BTRFS_IOC_SUBVOL_CREATE, &args));
}

int cstorage_subvolume_snapshot(int source, int dirfd, const char *name, int read_only) {
    struct btrfs_ioctl_vol_args_v2 args;
    memset(&args, 0, sizeof args);
    args.fd = source;
    args.flags = read_only ? BTRFS_SUBVOL_RDONLY : 0;
    int failed = set_name(args.name, sizeof args.name, name);
    return failed ? failed : result(ioctl(dirfd, BTRFS_IOC_SNAP_CREATE_V2, &args));
}

int cstorage_subvolume_destroy(int dirfd, const char *name) {
    struct btrfs_ioctl_vol_args args;
    memset(&args, 0, sizeof args);
    int failed = set_name(args.name, sizeof args.name, name);
    return failed ? failed : result(ioctl(dirfd, BTRFS_IOC_SNAP_DESTROY, &args));
}

int cstorage_subvolume_set_read_only(int fd, int read_only) {
    uint64_t flags = 0;
    if (ioctl(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) < 0)
        return -errno;
    uint64_t wanted = read_only ? flags | BTRFS_SUBVOL_RDONLY : flags & ~(uint64_t)BTRFS_SUBVOL_RDONLY;
    return wanted == flags ? 0 : result(ioctl(fd, BTRFS_IOC_SUBVOL_SETFLAGS, &wanted));
}

int cstorage_subvolume_id(int fd, uint64_t *id) {
    struct btrfs_ioctl_ino_lookup_args args;
    memset(&args, 0, sizeof args);
    args.objectid = BTRFS_FIRST_FREE_OBJECTID;
    if (ioctl(fd, BTRFS_IOC_INO_LOOKUP, &args) < 0)
        return -errno;
    *id = args.treeid;
    return 0;
}

int cstorage_subvolume_child(int fd, uint64_t *last_id, char *path, size_t size) {
    struct btrfs_ioctl_get_subvol_rootref_args *refs = calloc(1, sizeof *refs);
    struct btrfs_ioctl_ino_lookup_user_args *place = calloc(1, sizeof *place);
    int found = -ENOMEM;
    if (refs && place) {
        refs->min_treeid = *last_id + 1;
        // EOVERFLOW: there are more than fit; the first ones are there.
        if (ioctl(fd, BTRFS_IOC_GET_SUBVOL_ROOTREF, refs) < 0 && errno != EOVERFLOW) {
            found = -errno;
        } else if (refs->num_items == 0) {
            found = 0;
        } else {
            place->treeid = refs->rootref[0].treeid;
            place->dirid = refs->rootref[0].dirid;
            *last_id = place->treeid;
            if (ioctl(fd, BTRFS_IOC_INO_LOOKUP_USER, place) < 0) {
                found = -errno;
            } else {
                // The path ends with a slash, unless it is empty.
                int length = snprintf(path, size, "%s%s", place->path, place->name);
                found = length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 1;
            }
        }
    }
    free(refs);
    free(place);
    return found;
}

int cstorage_sync_file_system(int fd) { return result(syncfs(fd)); }

int cstorage_quota_enable(int fd) {
    struct btrfs_ioctl_quota_ctl_args args;
    memset(&args, 0, sizeof args);
    args.cmd = BTRFS_QUOTA_CTL_ENABLE;
    return result(ioctl(fd, BTRFS_IOC_QUOTA_CTL, &args));
}

int cstorage_quota_limit(int fd, uint64_t id, uint64_t bytes) {
    struct btrfs_ioctl_qgroup_limit_args args;
    memset(&args, 0, sizeof args);
    args.qgroupid = id;
    args.lim.flags = BTRFS_QGROUP_LIMIT_MAX_RFER;
    // All ones clear the limit.
    args.lim.max_rfer = bytes ? bytes : ~(uint64_t)0;
    return result(ioctl(fd, BTRFS_IOC_QGROUP_LIMIT, &args));
}

/// Reads one item of the quota tree about a subvolume. Returns 0 or -errno.
static int quota_item(int fd, uint64_t id, uint32_t type, void *item, size_t size) {
    struct btrfs_ioctl_search_args *args = calloc(1, sizeof *args);
    if (!args)
        return -ENOMEM;
    struct btrfs_ioctl_search_key *key = &args->key;
    key->tree_id = BTRFS_QUOTA_TREE_OBJECTID;
    key->min_type = key->max_type = type;
    key->min_offset = key->max_offset = id;
    key->max_transid = ~(uint64_t)0;
    key->nr_items = 1;
    int answer = ioctl(fd, BTRFS_IOC_TREE_SEARCH, args) < 0 ? -errno : -ENOENT;
    if (answer == -ENOENT && key->nr_items > 0) {
        struct btrfs_ioctl_search_header header;
        memcpy(&header, args->buf, sizeof header);
        if (header.len >= size) {
            memcpy(item, args->buf + sizeof header, size);
            answer = 0;
        }
    }
    free(args);
    return answer;
}

int cstorage_quota_usage(int fd, uint64_t id, uint64_t *referenced, uint64_t *exclusive) {
    struct btrfs_qgroup_info_item item;
    int failed = quota_item(fd, id, BTRFS_QGROUP_INFO_KEY, &item, sizeof item);
    if (failed)
        return failed;
    *referenced = item.rfer;
    *exclusive = item.excl;
    return 0;
}

int cstorage_quota_get_limit(int fd, uint64_t id, uint64_t *bytes) {
    struct btrfs_qgroup_limit_item item;
    int failed = quota_item(fd, id, BTRFS_QGROUP_LIMIT_KEY, &item, sizeof item);
    if (failed)
        return failed;
    *bytes = item.flags & BTRFS_QGROUP_LIMIT_MAX_RFER ? item.max_rfer : 0;
    return 0;
}

int cstorage_btrfs_grow(int fd) {
    struct btrfs_ioctl_vol_args args;
    memset(&args, 0, sizeof args);
    strcpy(args.name, "max");
    return result(ioctl(fd, BTRFS_IOC_RESIZE, &args));
}
