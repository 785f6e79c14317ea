#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define HANDLE_ROOM 128

struct room {
    struct file_handle handle;
    unsigned char bytes[HANDLE_ROOM];
};

int apus_open_by_handle(int mount, int type, const uint8_t *bytes, uint32_t size) {
    struct room room;
    if (size > HANDLE_ROOM) {
        errno = EINVAL;
        return -1;
    }
    memset(&room, 0, sizeof room);
    room.handle.handle_bytes = size;
    room.handle.handle_type = type;
    memcpy(room.bytes, bytes, size);
    return open_by_handle_at(mount, &room.handle, O_PATH | O_CLOEXEC);
}

int apus_name_to_handle(int fd, int *type, uint8_t *bytes, uint32_t *size) {
    struct room room;
    int mount;
    memset(&room, 0, sizeof room);
    room.handle.handle_bytes = *size < HANDLE_ROOM ? *size : HANDLE_ROOM;
    if (name_to_handle_at(fd, "", &room.handle, &mount, AT_EMPTY_PATH) < 0)
        return -1;
    memcpy(bytes, room.bytes, room.handle.handle_bytes);
    *size = room.handle.handle_bytes;
    *type = room.handle.handle_type;
    return 0;
}
