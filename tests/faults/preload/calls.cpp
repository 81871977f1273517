// Room: tests. Stands between the program and the kernel (LD_PRELOAD): see ../ledger.hpp.
//
// It sees what HDF5, iostreams, std::filesystem and the program itself call; log.txt, written by stdio inside libc, it
// does not. No allocation and no library but libc: it runs inside somebody else's process.
#include "tests/faults/ledger.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

using namespace mneme::faults;

namespace {

constexpr std::size_t kPage = 4096;

struct Plan {
  enum How { nothing, kill, tear, full, quota } how = nothing;
  Kind kind = none;
  Call call = mneme::faults::write;
  std::uint32_t number = 0;
};

Ledger spare;
Ledger* ledger = &spare;
Plan plan;
std::atomic<bool> full_now = false;

void set(std::int32_t& field, int value) {
  std::atomic_ref(field).store(value);
}

template <std::size_t N>
int index_of(const char* const (&names)[N], const char* name) {
  for (std::size_t i = 0; i < N; ++i)
    if (std::strcmp(names[i], name) == 0) return static_cast<int>(i);
  std::fprintf(stderr, "MNEME_FAULT: '%s' is unknown\n", name);
  ::_exit(99);
}

__attribute__((constructor)) void begin() {
  if (const char* path = std::getenv("MNEME_FAULT_LEDGER")) {
    const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDWR, 0));
    void* p = fd < 0 ? MAP_FAILED : ::mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
      std::fprintf(stderr, "MNEME_FAULT_LEDGER: %s cannot be mapped\n", path);
      ::_exit(99);
    }
    ledger = static_cast<Ledger*>(p);
    ::close(fd);
  }
  char how[16], kind[16], call[16];
  unsigned number = 0;
  const char* text = std::getenv("MNEME_FAULT");
  if (!text || std::sscanf(text, "%15s %15s %15s %u", how, kind, call, &number) != 4) return;
  constexpr const char* hows[] = {"nothing", "kill", "tear", "full", "quota"};
  plan = {static_cast<Plan::How>(index_of(hows, how)), static_cast<Kind>(index_of(kind_names, kind)),
          static_cast<Call>(index_of(call_names, call)), number};
}

Kind kind_of(std::string_view path) {
  if (path.ends_with(".part")) path.remove_suffix(5);
  if (path.find("/checkpoints/") != path.npos) return checkpoint;
  if (path.find("/traces/") != path.npos) return trace;
  if (path.ends_with("/metrics.jsonl")) return metrics;
  for (const char* name : {"/config.ini", "/run.json", "/DONE"})
    if (path.ends_with(name)) return mneme::faults::text;
  return none;
}

Kind kind_of(int fd) {
  char link[32], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = ::readlink(link, path, sizeof path);
  return n > 0 ? kind_of(std::string_view(path, static_cast<std::size_t>(n))) : none;
}

[[noreturn]] void die() {
  set(ledger->struck, 1);
  for (;;) ::syscall(SYS_kill, ::getpid(), SIGKILL);
}

/// Counts a call while it lives; the constructor carries out what is planned.
struct Busy {
  Kind kind;
  bool struck = false;

  Busy(Kind k, Call call) : kind(k) {
    if (kind == none) return;
    set(ledger->inside, 1 + kind);
    const std::uint32_t number = ++std::atomic_ref(ledger->count[kind][call]);
    const bool planned = plan.kind == kind && plan.call == call;
    struck = planned && (plan.how == Plan::tear ? plan.number <= number : plan.number == number);
    if (struck && plan.how == Plan::kill) die();
    if (struck && (plan.how == Plan::full || plan.how == Plan::quota)) {
      set(ledger->struck, 1);
      full_now = true;
    }
  }
  ~Busy() {
    if (kind != none) set(ledger->inside, 0);
  }
  bool refused() const { return kind != none && full_now && (plan.how == Plan::full || plan.kind == kind); }
};

/// write(2) or pwrite(2): `raw(bytes)` writes so many of them, `offset` is where they go.
template <class Raw>
ssize_t write_some(int fd, std::size_t size, off_t offset, Raw raw) {
  Busy busy(kind_of(fd), mneme::faults::write);
  if (busy.struck && plan.how == Plan::tear) {
    // The kernel may be killed between pages, never within one.
    const std::size_t begin = static_cast<std::size_t>(offset), page = (begin + size / 2) / kPage * kPage;
    if (page > begin) {
      raw(page - begin);
      die();
    }
  }
  if (busy.refused()) {
    if (busy.struck && size > 1) return raw(size / 2);
    errno = ENOSPC;
    return -1;
  }
  return raw(size);
}

off_t position(int fd) {
  const auto flags = ::syscall(SYS_fcntl, fd, F_GETFL);
  return ::lseek(fd, 0, flags >= 0 && (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
}

int open_file(int folder, const char* path, int flags, unsigned mode) {
  Busy busy(flags & O_CREAT ? kind_of(std::string_view(path)) : none, create);
  const int fd = static_cast<int>(::syscall(SYS_openat, folder, path, flags, mode));
  if (busy.kind == checkpoint && fd >= 0) set(ledger->saving, 1);
  return fd;
}

int rename_file(const char* from, const char* to) {
  Busy busy(kind_of(std::string_view(to)), mneme::faults::rename);
  const auto r = static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
  if (busy.kind == checkpoint) set(ledger->saving, 0);
  return r;
}

int remove_file(const char* path) {
  Busy busy(kind_of(std::string_view(path)), mneme::faults::remove);
  const auto r = static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
  return r != 0 && errno == EISDIR ? static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR)) : r;
}

int truncate_file(int fd, off_t size) {
  Busy busy(kind_of(fd), mneme::faults::truncate);
  return static_cast<int>(::syscall(SYS_ftruncate, fd, size));
}

unsigned mode_of(int flags, va_list more) {
  return flags & O_CREAT ? va_arg(more, unsigned) : 0;
}

}  // namespace

extern "C" {

#define MNEME_OPEN(name)                           \
  int name(const char* path, int flags, ...) {     \
    va_list more;                                  \
    va_start(more, flags);                         \
    const unsigned mode = mode_of(flags, more);    \
    va_end(more);                                  \
    return open_file(AT_FDCWD, path, flags, mode); \
  }
#define MNEME_OPENAT(name)                                 \
  int name(int folder, const char* path, int flags, ...) { \
    va_list more;                                          \
    va_start(more, flags);                                 \
    const unsigned mode = mode_of(flags, more);            \
    va_end(more);                                          \
    return open_file(folder, path, flags, mode);           \
  }
MNEME_OPEN(open)
MNEME_OPEN(open64)
MNEME_OPENAT(openat)
MNEME_OPENAT(openat64)

ssize_t write(int fd, const void* from, size_t size) {
  if (fd <= 2) return ::syscall(SYS_write, fd, from, size);
  return write_some(fd, size, position(fd), [&](std::size_t n) { return ::syscall(SYS_write, fd, from, n); });
}
ssize_t writev(int fd, const iovec* pieces, int count) {  // by pieces: a caller must expect that
  for (int i = 0; i < count; ++i)
    if (pieces[i].iov_len > 0) return ::write(fd, pieces[i].iov_base, pieces[i].iov_len);
  return 0;
}
ssize_t pwrite(int fd, const void* from, size_t size, off_t at) {
  return write_some(fd, size, at, [&](std::size_t n) { return ::syscall(SYS_pwrite64, fd, from, n, at); });
}
ssize_t pwrite64(int fd, const void* from, size_t size, off_t at) {
  return ::pwrite(fd, from, size, at);
}

int fsync(int fd) {
  Busy busy(kind_of(fd), mneme::faults::sync);
  if (busy.refused() && plan.call == mneme::faults::sync) {
    errno = ENOSPC;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

int ftruncate(int fd, off_t size) noexcept {
  return truncate_file(fd, size);
}
int ftruncate64(int fd, off_t size) noexcept {
  return truncate_file(fd, size);
}
int rename(const char* from, const char* to) noexcept {
  return rename_file(from, to);
}
int remove(const char* path) noexcept {
  return remove_file(path);
}
int unlink(const char* path) noexcept {
  return remove_file(path);
}
}
