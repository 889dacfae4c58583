// The definitions of the shims that CLinux.h explains.
#define _GNU_SOURCE 1
#include "CLinux.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

int cl_openat(int dir, const char *path, int flags, mode_t mode) {
    return openat(dir, path, flags, mode);
}

int cl_fcntl(int fd, int command, int argument) {
    return fcntl(fd, command, argument);
}

int cl_o_tmpfile(void) { return O_TMPFILE; }

int cl_at_empty_path(void) { return AT_EMPTY_PATH; }

int cl_statx(int dir, const char *path, int flags, struct cl_stat *out) {
    struct statx x;
    int r = statx(dir, path, flags | AT_STATX_SYNC_AS_STAT | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &x);
    if (r != 0) return r;
    out->inode = x.stx_ino;
    out->size = x.stx_size;
    out->device = makedev(x.stx_dev_major, x.stx_dev_minor);
    out->rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor);
    out->mtime_s = x.stx_mtime.tv_sec;
    out->mtime_ns = x.stx_mtime.tv_nsec;
    out->ctime_s = x.stx_ctime.tv_sec;
    out->ctime_ns = x.stx_ctime.tv_nsec;
    out->mode = x.stx_mode;
    out->uid = x.stx_uid;
    out->gid = x.stx_gid;
    out->links = x.stx_nlink;
    return 0;
}

ssize_t cl_getdents64(int fd, void *buffer, size_t size) {
    return getdents64(fd, buffer, size);
}

struct cl_dirent cl_dirent_at(const void *buffer, size_t offset) {
    const struct dirent64 *d = (const struct dirent64 *)((const char *)buffer + offset);
    struct cl_dirent r = {d->d_ino, d->d_reclen, d->d_type, d->d_name};
    return r;
}

int cl_unshare_fs(void) { return unshare(CLONE_FS); }

int cl_set_mtime(int dir, const char *path, int64_t s, uint32_t ns, int flags) {
    struct timespec t[2] = {{s, ns}, {s, ns}};
    return utimensat(dir, path, t, flags);
}

int cl_signal_handler(int sig, void (*handler)(int)) {
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = handler;
    sigemptyset(&a.sa_mask);
    a.sa_flags = SA_RESTART;
    return sigaction(sig, &a, 0);
}

int cl_signal_ignore(int sig) { return cl_signal_handler(sig, SIG_IGN); }

int cl_set_parent_death_signal(int sig) { return prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0); }

int cl_exited(int status) { return WIFEXITED(status); }

int cl_exit_code(int status) { return WEXITSTATUS(status); }

int cl_term_signal(int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }

uint64_t cl_makedev(uint32_t ma, uint32_t mi) { return makedev(ma, mi); }

void cl_strerror(int code, char *out, size_t size) {
    char buffer[256];
    const char *text = strerror_r(code, buffer, sizeof buffer);
    snprintf(out, size, "%s", text);
}

int cl_flock_exclusive(int fd) { return flock(fd, LOCK_EX | LOCK_NB); }

int cl_terminal_columns(int fd) {
    struct winsize w;
    return ioctl(fd, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

int cl_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

static int spawn(
    pid_t *pid, const char *path, char *const argv[], int output, int search) {
    posix_spawnattr_t a;
    posix_spawn_file_actions_t f;
    sigset_t none, handled;
    int r;
    sigemptyset(&none);
    sigemptyset(&handled);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGHUP);
    sigaddset(&handled, SIGPIPE);
    posix_spawnattr_init(&a);
    posix_spawn_file_actions_init(&f);
    posix_spawnattr_setflags(
        &a, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&a, 0);
    posix_spawnattr_setsigmask(&a, &none);
    posix_spawnattr_setsigdefault(&a, &handled);
    posix_spawn_file_actions_addopen(&f, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&f, output, 1);
    r = search ? posix_spawnp(pid, path, &f, &a, argv, environ)
               : posix_spawn(pid, path, &f, &a, argv, environ);
    posix_spawn_file_actions_destroy(&f);
    posix_spawnattr_destroy(&a);
    return r;
}

int cl_spawn(pid_t *pid, const char *path, char *const argv[]) {
    return spawn(pid, path, argv, 2, 0);
}

int cl_spawn_to(pid_t *pid, const char *path, char *const argv[], int output) {
    return spawn(pid, path, argv, output, 1);
}

int cl_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int cl_sync_file_system(int fd) { return syncfs(fd); }

int cl_set_direct(int fd, int on) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -1;
    return fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT);
}

int cl_stat_open_file(int fd, struct cl_stat *out) { return cl_statx(fd, "", AT_EMPTY_PATH, out); }

ssize_t cl_list_xattrs(const char *path, char *list, size_t size) {
    return llistxattr(path, list, size);
}

ssize_t cl_get_xattr(const char *path, const char *name, void *value, size_t size) {
    return lgetxattr(path, name, value, size);
}

int cl_set_xattr(const char *path, const char *name, const void *value, size_t size) {
    return lsetxattr(path, name, value, size, 0);
}

int cl_set_open_xattr(int fd, const char *name, const void *value, size_t size) {
    return fsetxattr(fd, name, value, size, 0);
}

int cl_rename_exclusively(int dir, const char *from, const char *to) {
    return renameat2(dir, from, dir, to, RENAME_NOREPLACE);
}

int cl_remove_xattr(const char *path, const char *name) { return lremovexattr(path, name); }

int cl_remove_open_xattr(int fd, const char *name) { return fremovexattr(fd, name); }

int cl_has_open_xattr(int fd, const char *name) { return fgetxattr(fd, name, NULL, 0) >= 0; }

void cl_name_thread(unsigned long thread, const char *name) { pthread_setname_np(thread, name); }

void cl_bound_heap(void) {
    // Setting the threshold also stops glibc from raising it, after which pack-sized buffers would
    // come from arenas and never be given back.
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    mallopt(M_ARENA_MAX, 2);
}
