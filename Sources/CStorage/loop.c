#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "btrfs_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int result(int value) { return value < 0 ? -errno : value; }

/// Opens the device, making its node where no udev does.
static int open_device(int number, char *path, size_t size) {
    snprintf(path, size, "/dev/loop%d", number);
    int device = open(path, O_RDWR | O_CLOEXEC);
    if (device < 0 && errno == ENOENT) {
        if (mknod(path, S_IFBLK | 0660, makedev(7, number)) < 0 && errno != EEXIST)
            return -errno;
        device = open(path, O_RDWR | O_CLOEXEC);
    }
    return result(device);
}

int cstorage_loop_attach(int file, char *path, size_t size) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return -errno;
    int device = -EBUSY;
    // Between asking for a free device and taking it somebody else may have taken it.
    for (int tries = 0; tries < 64 && device == -EBUSY; tries++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) {
            device = -errno;
            break;
        }
        device = open_device(number, path, size);
        if (device < 0)
            continue;
        struct loop_config config;
        memset(&config, 0, sizeof config);
        config.fd = (unsigned)file;
        config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
        int failed = result(ioctl(device, LOOP_CONFIGURE, &config));
        if (failed == -EINVAL) {
            // The file system below cannot do without its cache.
            config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
            failed = result(ioctl(device, LOOP_CONFIGURE, &config));
        }
        if (failed < 0) {
            close(device);
            device = failed;
        }
    }
    close(control);
    return device;
}

int cstorage_loop_grow(int device) { return result(ioctl(device, LOOP_SET_CAPACITY)); }

int cstorage_loop_status(int device, uint64_t *dev, uint64_t *ino) {
    struct loop_info64 info;
    memset(&info, 0, sizeof info);
    if (ioctl(device, LOOP_GET_STATUS64, &info) < 0)
        return -errno;
    *dev = info.lo_device;
    *ino = info.lo_inode;
    return 0;
}
