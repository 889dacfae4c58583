// Shims for Linux calls that Swift cannot make itself. Each says why it is here.
//
// Prototypes alone: the definitions need _GNU_SOURCE, which changes what the system's headers
// declare, and Swift imports those without it.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>


// openat is variadic, and Swift cannot call variadic functions.
int cl_openat(int dir, const char *path, int flags, mode_t mode);

// fcntl is variadic.
int cl_fcntl(int fd, int command, int argument);

// O_TMPFILE is a compound macro that Swift does not import.
int cl_o_tmpfile(void);

// AT_EMPTY_PATH is a macro behind _GNU_SOURCE.
int cl_at_empty_path(void);

// The fields of struct statx that Cistern uses, without its padding and its bit-fields, so that
// one call fills a value that Swift copies cheaply.
struct cl_stat {
    uint64_t inode, size, device, rdev;
    int64_t mtime_s, ctime_s;
    uint32_t mtime_ns, ctime_ns, mode, uid, gid, links;
};

// device and rdev are put back together here because makedev is a macro.
int cl_statx(int dir, const char *path, int flags, struct cl_stat *out);

// Swift does not see the flexible array member d_name, nor getdents64 in every glibc header set.
ssize_t cl_getdents64(int fd, void *buffer, size_t size);
struct cl_dirent {
    uint64_t inode;
    uint16_t record_length;
    uint8_t type;
    const char *name;
};
struct cl_dirent cl_dirent_at(const void *buffer, size_t offset);

// unshare(CLONE_FS) gives the calling thread a working directory of its own.
int cl_unshare_fs(void);

// Times before 1970 need negative tv_sec with positive tv_nsec; UTIME_OMIT is a macro.
int cl_set_mtime(int dir, const char *path, int64_t s, uint32_t ns, int flags);

// struct sigaction's handler is a union member behind a macro.
int cl_signal_handler(int sig, void (*handler)(int));
int cl_signal_ignore(int sig);

// prctl is variadic. A worker asks to be told when the dispatcher that started it dies.
int cl_set_parent_death_signal(int sig);

// The W* macros of wait(2).
int cl_exited(int status);
int cl_exit_code(int status);
int cl_term_signal(int status);

// makedev, major and minor are macros.
uint64_t cl_makedev(uint32_t ma, uint32_t mi);

// strerror_r has two signatures, chosen by macros; this is always the GNU one, copied out.
void cl_strerror(int code, char *out, size_t size);

// In Swift `flock` is the struct, not the function.
int cl_flock_exclusive(int fd);

// ioctl is variadic.
int cl_terminal_columns(int fd);

// syscall is variadic, and glibc has no pidfd_open before 2.36.
int cl_pidfd_open(pid_t pid);

// posix_spawn's attributes have flags behind macros, and signal sets are filled by macros. The
// child gets a process group of its own, no blocked signals and default actions, /dev/null as its
// input and standard error as its output: standard output belongs to the parent's own text.
// environ is passed here because two modules of Swift's C library name it.
int cl_spawn(pid_t *pid, const char *path, char *const argv[]);

// The same with standard output to a descriptor, and with the program looked for in $PATH.
int cl_spawn_to(pid_t *pid, const char *path, char *const argv[], int output);

// A pipe whose ends no other program gets.
int cl_pipe(int ends[2]);

// The rest are plain calls that glibc declares for _GNU_SOURCE only.
int cl_sync_file_system(int fd);

// Turns O_DIRECT on or off for an open file; -1 with errno where the file system has none.
int cl_set_direct(int fd, int on);
int cl_stat_open_file(int fd, struct cl_stat *out);
// renameat2 with RENAME_NOREPLACE, within one directory.
int cl_rename_exclusively(int dir, const char *from, const char *to);
ssize_t cl_list_xattrs(const char *path, char *list, size_t size);
ssize_t cl_get_xattr(const char *path, const char *name, void *value, size_t size);
int cl_set_xattr(const char *path, const char *name, const void *value, size_t size);
int cl_set_open_xattr(int fd, const char *name, const void *value, size_t size);
int cl_remove_xattr(const char *path, const char *name);
int cl_remove_open_xattr(int fd, const char *name);
int cl_has_open_xattr(int fd, const char *name);
void cl_name_thread(unsigned long thread, const char *name);

// mallopt's parameters are macros. Few arenas, and large blocks always given back to the system.
void cl_bound_heap(void);
