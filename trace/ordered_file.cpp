// Room: trace. See ordered_file.hpp.
#include "trace/ordered_file.hpp"

#include "core/error.hpp"

#include <hdf5.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mneme::trace {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::size_t kStaging = std::size_t{1} << 20;

// ---- The driver's table: C functions that lead to OrderedFile. No exception may pass through HDF5. ----

struct DriverFile {
  H5FD_t base;  // first: HDF5 knows only this part
  OrderedFile* file;
};

OrderedFile* self(const H5FD_t* f) {
  return reinterpret_cast<const DriverFile*>(f)->file;
}

H5FD_t* driver_open(const char*, unsigned, hid_t access, haddr_t) {
  const void* info = H5Pget_driver_info(access);
  if (!info) return nullptr;
  auto* f = new (std::nothrow) DriverFile{};
  if (f) std::memcpy(&f->file, info, sizeof f->file);
  return reinterpret_cast<H5FD_t*>(f);
}

herr_t driver_close(H5FD_t* f) {
  delete reinterpret_cast<DriverFile*>(f);  // the descriptor belongs to OrderedFile
  return 0;
}

int driver_compare(const H5FD_t* a, const H5FD_t* b) {
  return std::less<>{}(self(a), self(b)) ? -1 : std::less<>{}(self(b), self(a)) ? 1 : 0;
}

herr_t driver_query(const H5FD_t*, unsigned long* flags) {
  // No aggregation: every allocation is at the end, so that "past the last flush" is "never seen". No accumulator:
  // every piece of metadata arrives as a write of its own.
  if (flags) *flags = 0;
  return 0;
}

haddr_t driver_allocate(H5FD_t* f, H5FD_mem_t type, hid_t, hsize_t size) {
  return self(f)->allocate(type, size);
}
haddr_t driver_get_eoa(const H5FD_t* f, H5FD_mem_t) {
  return self(f)->allocated();
}
herr_t driver_set_eoa(H5FD_t* f, H5FD_mem_t, haddr_t end) {
  self(f)->set_allocated(end);
  return 0;
}
haddr_t driver_get_eof(const H5FD_t* f, H5FD_mem_t) {
  return self(f)->end();
}

herr_t driver_get_handle(H5FD_t* f, hid_t, void** handle) {
  if (!handle) return -1;
  *handle = const_cast<int*>(self(f)->descriptor());
  return 0;
}

herr_t driver_read(H5FD_t* f, H5FD_mem_t, hid_t, haddr_t address, size_t size, void* into) {
  return self(f)->read(address, size, into) ? 0 : -1;
}

herr_t driver_write(H5FD_t* f, H5FD_mem_t type, hid_t, haddr_t address, size_t size, const void* from) {
  try {
    self(f)->write(type, address, size, from);
    return 0;
  } catch (...) {
    return -1;  // no memory
  }
}

herr_t driver_flush(H5FD_t* f, hid_t, hbool_t) {
  try {
    self(f)->commit();
    return 0;
  } catch (...) {
    return -1;
  }
}

herr_t driver_truncate(H5FD_t*, hid_t, hbool_t) {
  return 0;
}  // commit() sets the length

const H5FD_class_t* driver_class() {
  static const H5FD_class_t table = [] {
    H5FD_class_t t;
    std::memset(&t, 0, sizeof t);
#if H5_VERSION_GE(1, 13, 2)
    t.version = H5FD_CLASS_VERSION;
    t.value = static_cast<H5FD_class_value_t>(600);  // above the range that The HDF Group reserves
#endif
    t.name = "mneme-ordered";
    t.maxaddr = (haddr_t{1} << 62) - 1;
    t.fc_degree = H5F_CLOSE_STRONG;
    t.fapl_size = sizeof(OrderedFile*);
    t.open = driver_open;
    t.close = driver_close;
    t.cmp = driver_compare;
    t.query = driver_query;
    t.alloc = driver_allocate;
    t.get_eoa = driver_get_eoa;
    t.set_eoa = driver_set_eoa;
    t.get_eof = driver_get_eof;
    t.get_handle = driver_get_handle;
    t.read = driver_read;
    t.write = driver_write;
    t.flush = driver_flush;
    t.truncate = driver_truncate;
    const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
    std::copy(std::begin(map), std::end(map), std::begin(t.fl_map));
    return t;
  }();
  return &table;
}

/// Level of a version-1 index node ("TREE", type, level, ...); leaves are 0.
int node_level(const std::vector<unsigned char>& bytes) {
  return bytes.size() > 5 && std::memcmp(bytes.data(), "TREE", 4) == 0 ? bytes[5] : 0;
}

}  // namespace

OrderedFile::OrderedFile(const std::filesystem::path& path, How how) {
  const std::string name = path.string();
  fd_ = ::open(name.c_str(), O_RDWR | O_CLOEXEC | (how == How::create ? O_CREAT : 0), 0666);
  if (fd_ < 0) fail<RuntimeFailure>(name, "cannot be written: {}", std::strerror(errno));
  // A lock of the open file, not of the process, and not flock(), which HDF5's readers would trip over.
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd_, F_OFD_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES)) {
    ::close(fd_);
    fail<RuntimeFailure>(name, "is being written by another process");
  }
  struct stat status {};
  if ((how == How::create && ::ftruncate(fd_, 0) != 0) || ::fstat(fd_, &status) != 0) {
    const int e = errno;
    ::close(fd_);
    fail<RuntimeFailure>(name, "cannot be written: {}", std::strerror(e));
  }
  on_disk_ = committed_ = static_cast<std::uint64_t>(status.st_size);
}

OrderedFile::~OrderedFile() {
  if (fd_ >= 0) ::close(fd_);
}

std::int64_t OrderedFile::access_list() {
  const hid_t driver = H5FDregister(driver_class());
  const hid_t list = H5Pcreate(H5P_FILE_ACCESS);
  OrderedFile* me = this;
  H5Pset_driver(list, driver, &me);
  H5FDunregister(driver);  // the list holds its own reference
  return list;
}

std::uint64_t OrderedFile::allocate(int memory_type, std::uint64_t size) {
  std::uint64_t at = allocated_;
  // A node or header in one page is old or new, never half of each.
  if (memory_type != H5FD_MEM_DRAW && size > 0 && size <= kPage && at / kPage != (at + size - 1) / kPage) {
    at = (at / kPage + 1) * kPage;
  }
  allocated_ = at + size;
  return at;
}

std::uint64_t OrderedFile::end() const {
  std::uint64_t end = on_disk_;
  if (!pieces_.empty()) end = std::max(end, pieces_.rbegin()->first + pieces_.rbegin()->second.bytes.size());
  return end;
}

bool OrderedFile::read(std::uint64_t address, std::size_t size, void* into) const {
  auto* out = static_cast<unsigned char*>(into);
  std::size_t got = 0;
  while (got < size) {
    const ssize_t n = ::pread(fd_, out + got, size - got, static_cast<off_t>(address + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  std::memset(out + got, 0, size - got);  // past the end: zeros, as HDF5's own drivers give
  auto it = pieces_.upper_bound(address);
  if (it != pieces_.begin()) --it;
  for (; it != pieces_.end() && it->first < address + size; ++it) {
    const std::uint64_t from = std::max(address, it->first);
    const std::uint64_t to = std::min<std::uint64_t>(address + size, it->first + it->second.bytes.size());
    if (from < to) std::memcpy(out + (from - address), it->second.bytes.data() + (from - it->first), to - from);
  }
  return true;
}

void OrderedFile::write(int memory_type, std::uint64_t address, std::size_t size, const void* from) {
  if (error_ || discarding_ || size == 0) return;
  const auto* bytes = static_cast<const unsigned char*>(from);
  auto first = pieces_.upper_bound(address);
  if (first != pieces_.begin()) {
    auto before = std::prev(first);
    if (before->first + before->second.bytes.size() > address) first = before;
  }
  auto last = first;
  std::uint64_t low = address, high = address + size;
  for (; last != pieces_.end() && last->first < address + size; ++last) {
    low = std::min(low, last->first);
    high = std::max(high, last->first + last->second.bytes.size());
  }
  if (first == last) {                                // nothing in the way
    if (address >= committed_ && size >= kStaging) {  // too large to hold, and nothing points there yet
      if (!put(address, bytes, size)) give_up();
      return;
    }
    pieces_.emplace_hint(first, address, Piece{memory_type, {bytes, bytes + size}});
    return;
  }
  if (std::next(first) == last && low == first->first && high == low + first->second.bytes.size()) {
    std::memcpy(first->second.bytes.data() + (address - low), bytes, size);
    first->second.type = memory_type;
    return;
  }
  Piece all{memory_type, std::vector<unsigned char>(high - low)};
  for (auto it = first; it != last; ++it) {
    std::memcpy(all.bytes.data() + (it->first - low), it->second.bytes.data(), it->second.bytes.size());
  }
  std::memcpy(all.bytes.data() + (address - low), bytes, size);
  pieces_.erase(first, last);
  pieces_.emplace(low, std::move(all));
}

bool OrderedFile::put(std::uint64_t address, const unsigned char* from, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::pwrite(fd_, from, size, static_cast<off_t>(address));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      error_ = n < 0 ? errno : ENOSPC;
      return false;
    }
    from += n;
    address += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
    on_disk_ = std::max(on_disk_, address);
  }
  return true;
}

bool OrderedFile::put_by_page(std::uint64_t address, const std::vector<unsigned char>& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t n = std::min<std::size_t>(bytes.size() - done, kPage - (address + done) % kPage);
    if (!put(address + done, bytes.data() + done, n)) return false;
    done += n;
  }
  return true;
}

bool OrderedFile::write_out() {
  const auto fresh = pieces_.lower_bound(committed_);
  // 1. Past the last flush, neighbours in one write.
  std::uint64_t start = 0;
  staging_.clear();
  for (auto it = fresh; it != pieces_.end(); ++it) {
    const auto& bytes = it->second.bytes;
    if (!staging_.empty() && (start + staging_.size() != it->first || staging_.size() + bytes.size() > kStaging)) {
      if (!put(start, staging_.data(), staging_.size())) return false;
      staging_.clear();
    }
    if (staging_.empty()) start = it->first;
    staging_.insert(staging_.end(), bytes.begin(), bytes.end());
  }
  if (!staging_.empty() && !put(start, staging_.data(), staging_.size())) return false;
  if (on_disk_ < allocated_) {  // gaps left by allocate(): the superblock promises this length
    if (::ftruncate(fd_, static_cast<off_t>(allocated_)) != 0) {
      error_ = errno;
      return false;
    }
    on_disk_ = allocated_;
  }
  in_place_ = true;
  // 2. to 5. In place.
  struct Turn {
    int rank, level;
    std::map<std::uint64_t, Piece>::const_iterator piece;
  };
  std::vector<Turn> turns;
  for (auto it = pieces_.cbegin(); it != fresh; ++it) {
    const int type = it->second.type;
    const int rank = type == H5FD_MEM_SUPER ? 0 : type == H5FD_MEM_BTREE ? 1 : type == H5FD_MEM_DRAW ? 2 : 3;
    turns.push_back({rank, rank == 1 ? node_level(it->second.bytes) : 0, it});
  }
  std::stable_sort(turns.begin(), turns.end(),
                   [](const Turn& a, const Turn& b) { return a.rank != b.rank ? a.rank < b.rank : a.level > b.level; });
  for (const Turn& t : turns) {
    if (!put_by_page(t.piece->first, t.piece->second.bytes)) return false;
  }
  in_place_ = false;
  return true;
}

void OrderedFile::commit() {
  if (error_ || discarding_) return;
  if (pieces_.empty() && on_disk_ >= allocated_) return;
  if (!write_out()) return give_up();
  committed_ = allocated_;
  pieces_.clear();
}

void OrderedFile::give_up() {
  discarding_ = true;
  pieces_.clear();
  // Hands the space back and leaves the file as the last flush left it, unless the superblock may already promise the
  // new length (the device failed while overwriting; every step of that order is readable too).
  if (!in_place_ && ::ftruncate(fd_, static_cast<off_t>(committed_)) == 0) on_disk_ = committed_;
}

bool OrderedFile::sync() {
  if (error_) return false;
  if (::fsync(fd_) != 0) {
    error_ = errno;
    discarding_ = true;
    return false;
  }
  return true;
}

}  // namespace mneme::trace
