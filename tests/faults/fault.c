/* Faults of a disk, put into a process by LD_PRELOAD.
 *
 * Calls that change files below one folder are counted; at the n-th of the chosen kinds the process is killed, the
 * call fails, or a write is cut short. Nothing is synced for real: what a sync would have kept is written to a trace,
 * from which tests/faults/power.py makes what a power cut leaves. Calls by paths must name absolute ones.
 * Armed by fault_arm() in a forked child; or for whole programs by the environment: below FAULT_ROOT all works until
 * the file FAULT_CONTROL (two ints: an errno, a mask of kinds) says otherwise, so that a disk is full for a while.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE, SYNC, TRUNCATE, RENAME, UNLINK, CREATE, LINK, KINDS };
enum { NOTHING, KILL_BEFORE, KILL_AFTER, FAIL, TORN, SHORT };

static char root[512];
static size_t root_length;
static unsigned mask;
static long at, seen, fired, counted[KINDS];
static int action, error_number, sticky, trace = -1, armed;
static uint64_t chance;
static volatile int *control;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
#define REAL(name) ({ static __typeof__(&name) f; if (!f) f = (__typeof__(&name))dlsym(RTLD_NEXT, #name); f; })

/* Begin: below `folder`, let `what` happen at the `number`-th call of the kinds in `kinds`; 0: only count. */
void fault_arm(const char *folder, unsigned kinds, long number, int what, int failure, int stays, uint64_t seed,
               int fd) {
    snprintf(root, sizeof root, "%s", folder);
    root_length = strlen(root);
    mask = kinds, at = number, action = what, error_number = failure, sticky = stays, trace = fd;
    chance = seed * 2654435769u + 88172645463325252u, seen = fired = 0, armed = 1;
    memset(counted, 0, sizeof counted);
}
long fault_counted(int kind) { return counted[kind]; }
long fault_fired(void) { return fired; }
__attribute__((constructor)) static void from_environment(void) {
    const char *folder = getenv("FAULT_ROOT"), *file = getenv("FAULT_CONTROL");
    int fd = folder && file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    control = mmap(0, 2 * sizeof(int), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (control == MAP_FAILED) abort();
    fault_arm(folder, 0, 0, NOTHING, 0, 0, 0, -1);
}

static int below(const char *path) {
    return armed && path && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}
static int path_of(int fd, char *path) {
    char link[32];
    int kept = errno;
    if (!armed) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    errno = kept, path[n < 0 ? 0 : n] = 0;
    return below(path);
}
static size_t prefix_of(size_t n) {
    chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
    return n ? chance % n : 0;
}
static void die(void) { for (;;) syscall(SYS_kill, getpid(), SIGKILL); }
/* Say what happens to this call. Taken with the turn, which the caller gives back: calls happen one by one. */
static int meet(int kind) {
    counted[kind]++;
    if (control) return (error_number = control[0]) && (control[1] >> kind & 1) ? FAIL : NOTHING;
    if (!(mask >> kind & 1)) return NOTHING;
    seen++;
    if (!at || (sticky ? seen < at : seen != at)) return NOTHING;
    fired++;
    if (action == KILL_BEFORE) die();
    return action;
}
static void note(int kind, int failed, const char *first, const char *second, int64_t offset, const void *data,
                 size_t length) {
    struct { uint8_t kind, failed; uint16_t first, second, unused; int64_t offset; uint64_t length; } head = {
        kind, failed, strlen(first), strlen(second), 0, offset, length};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)first, head.first}, {(void *)second, head.second},
                            {(void *)data, data ? length : 0}};
    int kept = errno;
    if (trace >= 0) syscall(SYS_writev, trace, parts, 4);
    errno = kept;
}
static long ended(int what, long result) {
    if (what == KILL_AFTER || what == TORN) die();
    pthread_mutex_unlock(&turn);
    return result;
}
static long refused(void) { errno = error_number; return -1; }
static ssize_t written(int fd, const void *data, size_t n, off_t offset, int positioned, const char *path) {
    int what = (pthread_mutex_lock(&turn), meet(WRITE));
    if (what == FAIL) return ended(0, refused());
    if (what == TORN) n = prefix_of(n);
    if (what == SHORT) n = n > 1 ? 1 + prefix_of(n - 1) : n;
    struct stat facts;
    if (!positioned) {
        offset = lseek(fd, 0, SEEK_CUR);
        if (fcntl(fd, F_GETFL) & O_APPEND && !fstat(fd, &facts)) offset = facts.st_size;
    }
    ssize_t done = positioned ? REAL(pwrite64)(fd, data, n, offset) : REAL(write)(fd, data, n);
    if (done > 0) note(WRITE, 0, path, "", offset, data, done);
    return ended(what, done);
}
ssize_t write(int fd, const void *data, size_t n) {
    char p[PATH_MAX];
    return path_of(fd, p) ? written(fd, data, n, 0, 0, p) : REAL(write)(fd, data, n);
}
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset) {
    char p[PATH_MAX];
    return path_of(fd, p) ? written(fd, data, n, offset, 1, p) : REAL(pwrite64)(fd, data, n, offset);
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t offset) { return pwrite64(fd, data, n, offset); }
ssize_t writev(int fd, const struct iovec *parts, int count) { /* a short write is one that is allowed */
    char path[PATH_MAX];
    for (int i = 0; path_of(fd, path) && i < count; i++)
        if (parts[i].iov_len) return written(fd, parts[i].iov_base, parts[i].iov_len, 0, 0, path);
    return REAL(writev)(fd, parts, count);
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t n) {
    char path[PATH_MAX], data[65536];
    if (!path_of(out, path) || !offset) return REAL(sendfile64)(out, in, offset, n);
    ssize_t done = pread64(in, data, n < sizeof data ? n : sizeof data, *offset);
    if (done > 0) done = written(out, data, done, 0, 0, path);
    return done > 0 ? *offset += done, done : done;
}
ssize_t sendfile(int out, int in, off_t *offset, size_t n) { return sendfile64(out, in, offset, n); }
static int synced(const char *path) {
    int what = (pthread_mutex_lock(&turn), meet(SYNC));
    note(SYNC, what == FAIL, path, "", 0, 0, 0);
    return ended(what, what == FAIL ? refused() : 0);
}
int fsync(int fd) { char p[PATH_MAX]; return path_of(fd, p) ? synced(p) : REAL(fsync)(fd); }
int fdatasync(int fd) { char p[PATH_MAX]; return path_of(fd, p) ? synced(p) : REAL(fdatasync)(fd); }
int ftruncate64(int fd, off64_t length) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(ftruncate64)(fd, length);
    int what = (pthread_mutex_lock(&turn), meet(TRUNCATE));
    int done = what == FAIL ? refused() : REAL(ftruncate64)(fd, length);
    if (!done) note(TRUNCATE, 0, path, "", length, 0, 0);
    return ended(what, done);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

/* A change of names: `call` is evaluated when it is let through. */
#define NAMED(kind, first, second, offset, call) do { \
    pthread_mutex_lock(&turn); \
    int what = meet(kind), done = what == FAIL ? refused() : call; \
    if (done >= 0) note(kind, 0, first, second, offset, 0, 0); \
    return ended(what, done); } while (0)

int renameat2(int x, const char *a, int y, const char *b, unsigned flags) { /* offset 2: the names change places */
    if (!below(a) && !below(b)) return REAL(renameat2)(x, a, y, b, flags);
    NAMED(RENAME, a, b, flags, REAL(renameat2)(x, a, y, b, flags));
}
int rename(const char *a, const char *b) { return renameat2(AT_FDCWD, a, AT_FDCWD, b, 0); }
int link(const char *a, const char *b) {
    if (!below(b)) return REAL(link)(a, b);
    NAMED(LINK, a, b, 0, REAL(link)(a, b));
}
int unlinkat(int folder, const char *name, int flags) {
    char path[2 * PATH_MAX];
    if (*name == '/') snprintf(path, sizeof path, "%s", name);
    else if (path_of(folder, path)) strcat(strcat(path, "/"), name);
    else return REAL(unlinkat)(folder, name, flags);
    if (!below(path)) return REAL(unlinkat)(folder, name, flags);
    NAMED(UNLINK, path, "", 0, REAL(unlinkat)(folder, name, flags));
}
int unlink(const char *path) { return *path == '/' ? unlinkat(AT_FDCWD, path, 0) : REAL(unlink)(path); }
int rmdir(const char *path) { return *path == '/' ? unlinkat(AT_FDCWD, path, AT_REMOVEDIR) : REAL(rmdir)(path); }
int mkdir(const char *path, mode_t mode) {
    if (!below(path)) return REAL(mkdir)(path, mode);
    NAMED(CREATE, path, "", 1, REAL(mkdir)(path, mode));
}
static int opened(int folder, const char *path, int flags, mode_t mode) {
    int exists = !faccessat(folder, path, F_OK, AT_SYMLINK_NOFOLLOW);
    if (!below(path) || !(exists ? flags & O_TRUNC : flags & O_CREAT)) return REAL(openat64)(folder, path, flags, mode);
    NAMED(exists ? TRUNCATE : CREATE, path, "", 0, REAL(openat64)(folder, path, flags, mode));
}
#define MODE_OF(flags) ({ va_list rest; va_start(rest, flags); \
    mode_t m = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; va_end(rest); m; })
int open(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, MODE_OF(flags)); }
int open64(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, MODE_OF(flags)); }
int openat(int folder, const char *path, int flags, ...) { return opened(folder, path, flags, MODE_OF(flags)); }
int openat64(int folder, const char *path, int flags, ...) { return opened(folder, path, flags, MODE_OF(flags)); }
