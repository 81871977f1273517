// Room: tests/trace. See fault.hpp.
#include "fault.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mneme::trace::testing {

Fault& fault() {
  static Fault state;
  return state;
}

}  // namespace mneme::trace::testing

using mneme::trace::testing::fault;

// The linker takes these before the libraries'. All that the project calls, or one would free what another allocated.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  auto& f = fault();
  return f.fail_new >= 0 && f.news++ == f.fail_new ? nullptr : std::malloc(bytes ? bytes : 1);
}
void* operator new(std::size_t bytes) {
  void* const memory = operator new(bytes, std::nothrow);
  if (!memory) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

extern "C" {

ssize_t pwrite(int fd, const void* from, size_t size, off_t offset) {
  auto& f = fault();
  const long number = f.writes++;
  if (f.fail_from >= 0 && number >= f.fail_from && (f.fail_until < 0 || number < f.fail_until)) {
    errno = f.error;
    return -1;
  }
  const ssize_t done = ::syscall(SYS_pwrite64, fd, from, size, offset);
  if (f.recording && done > 0) {
    const auto* bytes = static_cast<const unsigned char*>(from);
    f.log.push_back({false, static_cast<std::uint64_t>(offset), {bytes, bytes + done}});
  }
  return done;
}

int ftruncate(int fd, off_t size) noexcept {
  auto& f = fault();
  if (f.recording) f.log.push_back({true, static_cast<std::uint64_t>(size), {}});
  return static_cast<int>(::syscall(SYS_ftruncate, fd, size));
}

int fsync(int fd) {
  if (fault().fail_fsync) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

int rename(const char* from, const char* to) noexcept {
  if (fault().fail_rename) {
    errno = EACCES;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
}
