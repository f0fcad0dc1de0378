/* A disk that goes wrong at the n-th call that changes it, for a real server or worker: loaded with LD_PRELOAD.
 *
 * FAULT_ROLE   server (armed by fault_arm) or worker (armed at the start of `python -m pipeline.training`)
 * FAULT_ROOT   what lies below this directory is the disk
 * FAULT_TOKEN  a file: the fault happens only while it is there, and unless FAULT_STAYS is set it is removed by the
 *              fault, which so happens once in however many processes
 * FAULT_AT     which call, counted from 1 in each process; 0 is none
 * FAULT_ERRNO  what the call fails with; 0 kills the process instead, after half of the bytes have been written
 * FAULT_STAYS  every call that needs space fails from then on, the first one after half of its bytes
 * FAULT_TRACE  a file that gets the name of every call, and "fault" where the fault happened
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PASS, HALF, FAIL };                 /* what becomes of a call */
enum { KEEPS = 0, NEEDS_SPACE = 1, FREES = 2 }; /* what a call does to the disk */

static int armed, code, stays, trace = -1;
static long at;
static atomic_long count;
static atomic_int happened;
static const char *root, *token;

static const char *env(const char *name) { const char *value = getenv(name); return value ? value : ""; }

void fault_arm(void)
{
    root = strdup(env("FAULT_ROOT"));
    token = strdup(env("FAULT_TOKEN"));
    at = atol(env("FAULT_AT"));
    code = atoi(env("FAULT_ERRNO"));
    stays = *env("FAULT_STAYS") != 0;
    if (*env("FAULT_TRACE"))
        trace = syscall(SYS_openat, AT_FDCWD, env("FAULT_TRACE"), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    armed = *root != 0;
}

__attribute__((constructor)) static void at_start(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "pipeline.training") && !strcmp(env("FAULT_ROLE"), "worker"))
            fault_arm();
}

static void note(const char *call)
{
    char line[64];
    int length = snprintf(line, sizeof line, "%s\n", call);
    if (trace >= 0)
        syscall(SYS_write, trace, line, (size_t)length);
}

static int remove_token(void) { return syscall(SYS_unlinkat, AT_FDCWD, token, 0) == 0; }

static int judge(const char *call, const char *path, int kind)
{
    int saved = errno;
    if (!armed || strncmp(path, root, strlen(root)))
        return PASS;
    long number = atomic_fetch_add(&count, 1) + 1;
    note(call);
    int verdict = PASS;
    if (at && number >= at) {
        if (!code) {
            verdict = remove_token() ? HALF : PASS;
        } else if (stays) {
            int full = syscall(SYS_faccessat, AT_FDCWD, token, F_OK) == 0 && kind == NEEDS_SPACE;
            verdict = !full ? PASS : atomic_exchange(&happened, 1) ? FAIL : HALF;
        } else if (kind != FREES) {
            verdict = remove_token() ? FAIL : PASS;
        }
    }
    if (verdict != PASS)
        note("fault");
    errno = saved;
    return verdict;
}

/* A call that writes nothing in part: dies here, or fails. */
static int fails(const char *call, const char *path, int kind)
{
    int verdict = judge(call, path, kind);
    if (verdict != PASS && !code)
        kill(getpid(), SIGKILL);
    if (verdict != PASS)
        errno = code;
    return verdict != PASS;
}

static const char *path_of(int fd, char *space)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, space, PATH_MAX - 1);
    space[length < 0 ? 0 : length] = 0;
    return space;
}

static const char *path_at(int fd, const char *path, char *space)
{
    char folder[PATH_MAX];
    if (*path == '/' || fd == AT_FDCWD)
        return path;
    snprintf(space, PATH_MAX, "%s/%s", path_of(fd, folder), path);
    return space;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* How many bytes of a write get through: all, half with the process dead or the disk full after it, or -1. */
static ssize_t allowed(const char *call, int fd, size_t length)
{
    char space[PATH_MAX];
    int verdict = armed ? judge(call, path_of(fd, space), NEEDS_SPACE) : PASS;
    if (verdict == PASS)
        return (ssize_t)length;
    if (verdict == HALF && length > 1)
        return (ssize_t)(length / 2);
    if (!code)
        kill(getpid(), SIGKILL);
    errno = code;
    return -1;
}

#define WRITES(name, call, parameters, arguments)                                                                     \
    ssize_t name parameters                                                                                           \
    {                                                                                                                 \
        ssize_t length = allowed(call, fd, size), done;                                                               \
        if (length < 0)                                                                                               \
            return -1;                                                                                                \
        done = REAL(name) arguments;                                                                                  \
        if ((size_t)length < size && !code)                                                                           \
            kill(getpid(), SIGKILL);                                                                                  \
        return done;                                                                                                  \
    }

WRITES(write, "write", (int fd, const void *data, size_t size), (fd, data, (size_t)length))
WRITES(pwrite, "write", (int fd, const void *data, size_t size, off_t offset), (fd, data, (size_t)length, offset))
WRITES(pwrite64, "write", (int fd, const void *data, size_t size, off64_t offset), (fd, data, (size_t)length, offset))

#define ON_FD(name, call, kind, parameters, arguments)                                                                \
    int name parameters                                                                                               \
    {                                                                                                                 \
        char space[PATH_MAX];                                                                                         \
        return armed && fails(call, path_of(fd, space), kind) ? -1 : REAL(name) arguments;                            \
    }

ON_FD(fsync, "fsync", KEEPS, (int fd), (fd))
ON_FD(fdatasync, "fsync", KEEPS, (int fd), (fd))
ON_FD(ftruncate, "ftruncate", NEEDS_SPACE, (int fd, off_t length), (fd, length))
ON_FD(ftruncate64, "ftruncate", NEEDS_SPACE, (int fd, off64_t length), (fd, length))

#define ON_PATH(name, call, kind, parameters, arguments)                                                              \
    int name parameters { return armed && fails(call, path, kind) ? -1 : REAL(name) arguments; }

ON_PATH(rename, "rename", KEEPS, (const char *from, const char *path), (from, path))
ON_PATH(mkdir, "mkdir", NEEDS_SPACE, (const char *path, mode_t mode), (path, mode))
ON_PATH(link, "link", NEEDS_SPACE, (const char *from, const char *path), (from, path))
ON_PATH(unlink, "unlink", FREES, (const char *path), (path))
ON_PATH(rmdir, "unlink", FREES, (const char *path), (path))

int unlinkat(int fd, const char *path, int flags)
{
    char space[PATH_MAX];
    return armed && fails("unlink", path_at(fd, path, space), FREES) ? -1 : REAL(unlinkat)(fd, path, flags);
}

#define OPENS(name, first, arguments)                                                                                 \
    int name(first const char *path, int flags, ...)                                                                  \
    {                                                                                                                 \
        char space[PATH_MAX];                                                                                         \
        va_list rest;                                                                                                 \
        va_start(rest, flags);                                                                                        \
        int makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;                                            \
        mode_t mode = makes ? va_arg(rest, mode_t) : 0;                                                               \
        va_end(rest);                                                                                                 \
        (void)space;                                                                                                  \
        if (armed && (flags & O_CREAT) && fails("create", WHERE, NEEDS_SPACE))                                        \
            return -1;                                                                                                \
        return REAL(name) arguments;                                                                                  \
    }

#define NOTHING
#define FOLDER int fd,
#define WHERE path
OPENS(open, NOTHING, (path, flags, mode))
OPENS(open64, NOTHING, (path, flags, mode))
#undef WHERE
#define WHERE path_at(fd, path, space)
OPENS(openat, FOLDER, (fd, path, flags, mode))
OPENS(openat64, FOLDER, (fd, path, flags, mode))
