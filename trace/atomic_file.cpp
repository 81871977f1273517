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

std::filesystem::path part_of(std::filesystem::path path) {
  path += ".part";
  return path;
}

/// False where another open file holds the lock; a file system without locks refuses nobody.
bool lock(int fd) {
  struct flock all {};
  all.l_type = F_WRLCK;
  all.l_whence = SEEK_SET;
  return ::fcntl(fd, F_OFD_SETLK, &all) == 0 || (errno != EAGAIN && errno != EACCES);
}

[[noreturn]] void refuse_part(const std::filesystem::path& part) {
  fail<ArgumentError>(part.string(),
                      "is in the way: another process writes it, or one was killed while it did; "
                      "move it away then, or give another --out");
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path final_path, Old old)
    : final_(std::move(final_path)), part_(part_of(final_)) {
  if (old == Old::taken_over) return;
  const int fd = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0 && errno == EEXIST) refuse_part(part_);
  if (fd < 0) fail<RuntimeFailure>(part_.string(), "cannot be written: {}", std::strerror(errno));
  ::close(fd);
}

AtomicFile::~AtomicFile() {
  if (!committed_) remove_unless_held(part_);  // File::create() may just have refused us
}

void remove_unless_held(const std::filesystem::path& path) noexcept {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  if (lock(fd)) ::unlink(path.c_str());
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
  const std::filesystem::path part = part_of(path);
  if (std::filesystem::exists(std::filesystem::symlink_status(part, ignored))) refuse_part(part);
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

namespace {

/// A part, locked and empty, while this lives.
class TextPart {
 public:
  explicit TextPart(const std::string& part) {
    // Who held it until now may have given it its final name after we opened it: then once more.
    for (bool ours = false; !ours;) {
      if (fd_ >= 0) ::close(fd_);
      fd_ = ::open(part.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
      if (fd_ < 0) fail<RuntimeFailure>(part, "cannot be written: {}", std::strerror(errno));
      if (!lock(fd_)) refuse(part, "is being written by another process");
      struct stat here {};
      struct stat there {};
      if (::fstat(fd_, &here) != 0) refuse(part, "cannot be written");
      ours = ::stat(part.c_str(), &there) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
    }
    if (::ftruncate(fd_, 0) != 0) refuse(part, "cannot be emptied");
  }
  TextPart(const TextPart&) = delete;
  TextPart& operator=(const TextPart&) = delete;
  ~TextPart() { ::close(fd_); }
  int fd() const { return fd_; }

 private:
  [[noreturn]] void refuse(const std::string& part, const char* what) const {
    ::close(fd_);
    fail<RuntimeFailure>(part, "{}", what);
  }
  int fd_ = -1;
};

}  // namespace

void write_text_atomically(const std::filesystem::path& path, const std::string& text) {
  AtomicFile file(path);
  const std::string part = file.part().string();
  const TextPart locked(part);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(locked.fd(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail<RuntimeFailure>(part, "cannot be written: {}", std::strerror(n < 0 ? errno : ENOSPC));
    done += static_cast<std::size_t>(n);
  }
  file.commit();  // which syncs it, and hears of what the disk refuses late
}

}  // namespace mneme::trace
