#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "CStorage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef FAN_REPORT_DFID_NAME
#define FAN_REPORT_DFID_NAME 0x00000c00
#endif

#define NAME_BITS (FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO)
#define CONTENT_BITS (FAN_MODIFY | FAN_ATTRIB)

int cstorage_watch(int directory) {
    int watch = fanotify_init(
        FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_UNLIMITED_QUEUE | FAN_NONBLOCK | FAN_CLOEXEC,
        O_RDONLY | O_CLOEXEC | O_LARGEFILE);
    if (watch < 0)
        return -errno;
    uint64_t mask = NAME_BITS | CONTENT_BITS | FAN_CLOSE_WRITE | FAN_ONDIR;
    if (fanotify_mark(watch, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, directory, NULL) < 0) {
        int error = errno;
        close(watch);
        return -error;
    }
    return watch;
}

ssize_t cstorage_watch_read(int watch, void *buffer, size_t size) {
    while (1) {
        ssize_t got = read(watch, buffer, size);
        if (got >= 0)
            return got;
        if (errno == EAGAIN)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

size_t cstorage_watch_next(
    const void *buffer, size_t filled, size_t offset, uint32_t *change, struct cstorage_handle *handle,
    const char **name) {
    const struct fanotify_event_metadata *event = (const void *)((const char *)buffer + offset);
    memset(handle, 0, sizeof *handle);
    *name = "";
    if (offset >= filled || !FAN_EVENT_OK(event, filled - offset))
        return 0;
    *change = (event->mask & NAME_BITS ? cstorage_change_name : 0) |
              (event->mask & CONTENT_BITS ? cstorage_change_content : 0) |
              (event->mask & FAN_CLOSE_WRITE ? cstorage_change_closed : 0) |
              (event->mask & FAN_Q_OVERFLOW ? cstorage_change_overflow : 0);
    size_t at = offset + event->metadata_len, end = offset + event->event_len;
    while (at + sizeof(struct fanotify_event_info_header) <= end) {
        const struct fanotify_event_info_fid *info = (const void *)((const char *)buffer + at);
        if (info->hdr.len == 0)
            break;
        if (info->hdr.info_type == FAN_EVENT_INFO_TYPE_DFID_NAME ||
            info->hdr.info_type == FAN_EVENT_INFO_TYPE_DFID) {
            const struct file_handle *found = (const void *)info->handle;
            handle->bytes = found->f_handle;
            handle->size = found->handle_bytes;
            handle->type = found->handle_type;
            *name = info->hdr.info_type == FAN_EVENT_INFO_TYPE_DFID_NAME
                ? (const char *)found->f_handle + found->handle_bytes : ".";
        }
        at += info->hdr.len;
    }
    return end;
}

int cstorage_open_directory(int mount, const struct cstorage_handle *handle) {
    struct {
        struct file_handle handle;
        unsigned char bytes[MAX_HANDLE_SZ];
    } room;
    if (handle->size > MAX_HANDLE_SZ)
        return -EINVAL;
    memset(&room, 0, sizeof room);
    room.handle.handle_bytes = handle->size;
    room.handle.handle_type = handle->type;
    memcpy(room.bytes, handle->bytes, handle->size);
    int fd = open_by_handle_at(mount, &room.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int cstorage_mappings_show(int fd) {
    struct statfs figures;
    if (fstatfs(fd, &figures) < 0)
        return 0;
    switch ((unsigned long)figures.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
        return 1;
    default:
        return 0;
    }
}

ssize_t cstorage_send(int socket, const void *bytes, size_t size) {
    while (1) {
        ssize_t sent = send(socket, bytes, size, MSG_NOSIGNAL);
        if (sent >= 0)
            return sent;
        if (errno != EINTR)
            return -errno;
    }
}

int cstorage_syncfs(int fd) { return syncfs(fd) < 0 ? -errno : 0; }

int cstorage_stat_behind(int dirfd, const char *name, struct cstorage_stat *out) {
    struct stat s;
    if (fstatat(dirfd, name, &s, 0) < 0)
        return -errno;
    memset(out, 0, sizeof *out);
    out->ino = s.st_ino;
    out->dev = ((uint64_t)major(s.st_dev) << 32) | minor(s.st_dev);
    out->mode = s.st_mode;
    out->size = s.st_size;
    out->nlink = (uint32_t)s.st_nlink;
    return 0;
}
