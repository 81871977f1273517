// Room: trace. See atomic_file.hpp.
#include "trace/atomic_file.hpp"

#include "core/error.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mneme::trace {
namespace {

int fsync_path(const std::filesystem::path& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return errno;
  const int e = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return e;
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path final_path) : final_(std::move(final_path)), part_(final_) {
  part_ += ".part";
}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  // Not the part of someone else who is writing it, which File::create() has just refused us.
  const int fd = ::open(part_.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool taken = ::fcntl(fd, F_OFD_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES);
  std::error_code ignored;
  if (!taken) std::filesystem::remove(part_, ignored);
  ::close(fd);
}

void AtomicFile::commit() {
  durable_rename(part_, final_);
  committed_ = true;
}

AtomicFolder::AtomicFolder(std::filesystem::path final_path) : final_(std::move(final_path)) {
  namespace fs = std::filesystem;
  if (!final_.has_filename()) final_ = final_.parent_path();  // "out/" is "out"
  std::error_code error;
  if (fs::exists(fs::symlink_status(final_, error)) &&
      !(fs::is_directory(final_, error) && fs::is_empty(final_, error)))
    fail<ArgumentError>(final_.string(), "exists already");
  part_ = final_;
  part_ += ".part";
  if (final_.has_parent_path()) fs::create_directories(final_.parent_path(), error);
  if (::mkdir(part_.c_str(), 0777) == 0) return;
  const int e = errno;
  if (e == EEXIST)
    fail<ArgumentError>(part_.string(),
                        "is in the way: another process writes it, or one was killed while it did; "
                        "remove it then");
  fail<RuntimeFailure>(part_.string(), "cannot be made: {}", std::strerror(e));
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!committed_) std::filesystem::remove_all(part_, ignored);
}

void AtomicFolder::commit() {
  durable_rename(part_, final_);
  committed_ = true;
}

void expect_free(const std::filesystem::path& path, bool force) {
  std::error_code ignored;
  if (!force && std::filesystem::exists(std::filesystem::symlink_status(path, ignored)))
    fail<ArgumentError>(path.string(), "exists already; --force replaces it");
}

void durable_rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  int e = fsync_path(from, O_RDONLY);
  if (e == 0 && ::rename(from.c_str(), to.c_str()) != 0) e = errno;
  if (e != 0) fail<RuntimeFailure>(from.string(), "cannot become {}: {}", to.string(), std::strerror(e));
  const std::filesystem::path folder = to.has_parent_path() ? to.parent_path() : ".";
  e = fsync_path(folder, O_RDONLY | O_DIRECTORY);
  // Some network file systems have no fsync for folders; the rename itself has happened.
  if (e != 0 && e != EINVAL) fail<RuntimeFailure>(to.string(), "its folder cannot be synced: {}", std::strerror(e));
}

void write_text_atomically(const std::filesystem::path& path, const std::string& text) {
  AtomicFile file(path);
  const std::string part = file.part().string();
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) fail<RuntimeFailure>(part, "cannot be written: {}", std::strerror(errno));
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int e = n < 0 ? errno : ENOSPC;
      ::close(fd);
      fail<RuntimeFailure>(part, "cannot be written: {}", std::strerror(e));
    }
    done += static_cast<std::size_t>(n);
  }
  if (::close(fd) != 0) fail<RuntimeFailure>(part, "cannot be written: {}", std::strerror(errno));
  file.commit();
}

}  // namespace mneme::trace
