// Room: trace. See hdf5.hpp.
#include "trace/hdf5.hpp"

#include "trace/ordered_file.hpp"

#include "core/error.hpp"

#include <hdf5.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <limits>
#include <new>
#include <numeric>
#include <stdexcept>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace mneme::trace {
namespace {

static_assert(std::is_same_v<hid_t, Handle::Id> && std::is_same_v<herr_t, int>);

constexpr std::size_t kLargestChunk = std::size_t{64} << 20;
constexpr unsigned kIndexNode = 24;  // half the children of an index node: up to rank 7 a node fits in one page
constexpr int kDeepestGroup = 16;    // a damaged file may hold a group inside itself

/// HDF5 prints its error stack unless told not to, thread by thread.
void quiet() {
  thread_local const bool done = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  (void)done;
}

/// The innermost description on HDF5's error stack: what really went wrong.
std::string innermost() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* e, void* out) -> herr_t {
        if (n == 0 && e->desc) *static_cast<std::string*>(out) = e->desc;
        return 0;
      },
      &text);
  return text.empty() ? "HDF5 gives no reason" : text;
}

Handle own(hid_t id, Handle::Closer close) {
  return Handle(id, close);
}

hid_t file_type(Scalar t) {
  switch (t) {
    case Scalar::u8: return H5T_STD_U8LE;
    case Scalar::i32: return H5T_STD_I32LE;
    case Scalar::i64: return H5T_STD_I64LE;
    case Scalar::u64: return H5T_STD_U64LE;
    case Scalar::f32: return H5T_IEEE_F32LE;
    case Scalar::f64: return H5T_IEEE_F64LE;
  }
  return -1;
}

hid_t memory_type(Scalar t) {
  switch (t) {
    case Scalar::u8: return H5T_NATIVE_UINT8;
    case Scalar::i32: return H5T_NATIVE_INT32;
    case Scalar::i64: return H5T_NATIVE_INT64;
    case Scalar::u64: return H5T_NATIVE_UINT64;
    case Scalar::f32: return H5T_NATIVE_FLOAT;
    case Scalar::f64: return H5T_NATIVE_DOUBLE;
  }
  return -1;
}

/// Room for a terminator: programs in C read texts as they are stored.
Handle text_type(std::size_t length) {
  Handle t = own(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(t.id(), length + 1);
  H5Tset_strpad(t.id(), H5T_STR_NULLPAD);
  H5Tset_cset(t.id(), H5T_CSET_UTF8);
  return t;
}

Handle lines_type() {
  Handle t = own(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(t.id(), H5T_VARIABLE);
  H5Tset_cset(t.id(), H5T_CSET_UTF8);
  return t;
}

Handle space_of(const Dims& dims) {
  if (dims.empty()) return own(H5Screate(H5S_SCALAR), H5Sclose);
  const std::vector<hsize_t> d(dims.begin(), dims.end());
  return own(H5Screate_simple(static_cast<int>(d.size()), d.data(), nullptr), H5Sclose);
}

bool dims_of(hid_t space, Dims& dims) {
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0) return false;
  std::vector<hsize_t> d(static_cast<std::size_t>(rank));
  if (rank > 0) H5Sget_simple_extent_dims(space, d.data(), nullptr);
  dims.assign(d.begin(), d.end());
  return H5Sget_simple_extent_type(space) != H5S_NULL;
}

/// Links create the groups on their way. No times: the same data gives the same bytes.
Handle link_list() {
  Handle list = own(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(list.id(), 1);
  H5Pset_char_encoding(list.id(), H5T_CSET_UTF8);
  return list;
}

Handle dataset_list() {
  Handle list = own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(list.id(), 0);
  return list;
}

Handle group_list() {
  Handle list = own(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
  H5Pset_obj_track_times(list.id(), 0);
  return list;
}

/// A string attribute or scalar dataset, fixed-length or vlen. `read(type, buffer)` is H5Aread or H5Dread. Returns what
/// is wrong with it; "" = nothing.
template <class Read>
std::string read_string(hid_t stored, hid_t space, Read&& read, std::string& out) {
  const char* const no_text = "is not one readable text";
  if (stored < 0 || H5Tget_class(stored) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1) return no_text;
  if (H5Tis_variable_str(stored) > 0) {
    char* text = nullptr;
    Handle type = lines_type();
    H5Tset_cset(type.id(), H5Tget_cset(stored));
    if (read(type.id(), static_cast<void*>(&text)) < 0) return no_text;
    out = text ? text : "";
    H5free_memory(text);
    return "";
  }
  out.assign(H5Tget_size(stored), '\0');
  if (read(stored, static_cast<void*>(out.data())) < 0) return no_text;
  const std::size_t end = std::min(out.find('\0'), out.size());
  const bool padded = H5Tget_strpad(stored) == H5T_STR_NULLPAD;  // else HDF5 says nothing of what follows
  if (padded && out.find_first_not_of('\0', end) != std::string::npos)
    return fmt::format("goes on after its end, a zero byte at {}", end);
  out.resize(end);
  return "";
}

/// Why a dataset cannot be read: a filter that this HDF5 has not, by name; else what HDF5 says.
std::string why_unreadable(hid_t dataset) {
  const std::string reason = innermost();
  const Handle list = own(H5Dget_create_plist(dataset), H5Pclose);
  for (int i = 0, n = list ? H5Pget_nfilters(list.id()) : 0; i < n; ++i) {
    unsigned flags = 0, config = 0;
    std::size_t count = 0;
    char name[64] = {};
    const H5Z_filter_t filter =
        H5Pget_filter2(list.id(), static_cast<unsigned>(i), &flags, &count, nullptr, sizeof name - 1, name, &config);
    if (filter < 0 || H5Zfilter_avail(filter) > 0) continue;
    return fmt::format("is stored with the HDF5 filter {}{}, which this HDF5 does not have", filter,
                       *name ? fmt::format(" ({})", name) : "");
  }
  return reason;
}

std::string type_text(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_STRING: {
      const std::string set = H5Tget_cset(type) == H5T_CSET_UTF8 ? "utf8" : "ascii";
      if (H5Tis_variable_str(type) > 0) return "vlen-" + set;
      return set + "[" + std::to_string(H5Tget_size(type)) + "]";
    }
    case H5T_INTEGER:
    case H5T_FLOAT:
      for (Scalar s : {Scalar::u8, Scalar::i32, Scalar::i64, Scalar::u64, Scalar::f32, Scalar::f64}) {
        if (H5Tequal(type, file_type(s)) > 0) return scalar_name(s);
      }
      return "other";
    default: return "other";
  }
}

}  // namespace

std::string library_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

bool library_is_threadsafe() {
  hbool_t yes = false;
  return H5is_library_threadsafe(&yes) >= 0 && yes;
}

const char* scalar_name(Scalar type) {
  static const char* const names[] = {"u8", "i32", "i64", "u64", "f32", "f64"};
  return names[static_cast<int>(type)];
}

std::size_t scalar_size(Scalar type) {
  static const std::size_t sizes[] = {1, 4, 8, 8, 4, 8};
  return sizes[static_cast<int>(type)];
}

// ---- Handle ---------------------------------------------------------------------------------------------------------

Handle::Id Handle::release() noexcept {
  return std::exchange(id_, -1);
}

Handle::Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    reset();
    id_ = std::exchange(other.id_, -1);
    close_ = other.close_;
  }
  return *this;
}

void Handle::reset() noexcept {
  if (id_ < 0) return;
  quiet();
  close_(std::exchange(id_, -1));
}

// ---- Dataset --------------------------------------------------------------------------------------------------------

std::size_t Dataset::row_size() const {
  std::size_t n = 1;
  for (std::size_t i = 1; i < dims_.size(); ++i)
    if (__builtin_mul_overflow(n, dims_[i], &n)) return std::numeric_limits<std::size_t>::max();
  return n;
}

void Dataset::append(std::size_t rows, Scalar type, const void* values) {
  if (rows == 0) return;
  quiet();
  std::vector<hsize_t> size(dims_.begin(), dims_.end()), start(dims_.size(), 0), count(dims_.begin(), dims_.end());
  start[0] = dims_[0];
  count[0] = rows;
  size[0] += rows;
  const int rank = static_cast<int>(size.size());
  bool ok = H5Dset_extent(handle_.id(), size.data()) >= 0;
  if (ok) {
    const Handle in_file = own(H5Dget_space(handle_.id()), H5Sclose);
    const Handle in_memory = own(H5Screate_simple(rank, count.data(), nullptr), H5Sclose);
    ok = H5Sselect_hyperslab(in_file.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) >= 0 &&
         H5Dwrite(handle_.id(), memory_type(type), in_memory.id(), in_file.id(), H5P_DEFAULT, values) >= 0;
  }
  if (!ok) fail<RuntimeFailure>(file_, "dataset {} takes no more rows: {}", name_, innermost());
  dims_[0] += rows;
}

void Dataset::read(std::size_t begin, std::size_t rows, Scalar type, void* values) const {
  quiet();
  bool ok;
  if (dims_.empty() || (begin == 0 && rows == dims_[0])) {
    ok = H5Dread(handle_.id(), memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
  } else {
    if (rows == 0) return;
    std::vector<hsize_t> start(dims_.size(), 0), count(dims_.begin(), dims_.end());
    start[0] = begin;
    count[0] = rows;
    const Handle in_file = own(H5Dget_space(handle_.id()), H5Sclose);
    const Handle in_memory = own(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose);
    ok = begin + rows <= dims_[0] &&
         H5Sselect_hyperslab(in_file.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) >= 0 &&
         H5Dread(handle_.id(), memory_type(type), in_memory.id(), in_file.id(), H5P_DEFAULT, values) >= 0;
  }
  if (!ok)
    fail<FileError>(file_, "dataset {}, rows {} to {}: {}", name_, begin, begin + rows, why_unreadable(handle_.id()));
}

void Dataset::overwrite(Scalar type, const void* values) {
  quiet();
  if (H5Dwrite(handle_.id(), memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
    fail<RuntimeFailure>(file_, "dataset {} cannot be written: {}", name_, innermost());
  }
}

// ---- File: opening and closing --------------------------------------------------------------------------------------

File File::create(const std::filesystem::path& path) {
  quiet();
  File f;
  f.path_ = path.string();
  f.out_ = std::make_unique<OrderedFile>(path, OrderedFile::How::create);
  const Handle access = own(f.out_->access_list(), H5Pclose);
  const Handle creation = own(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_libver_bounds(access.id(), H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
  H5Pset_istore_k(creation.id(), kIndexNode);
  H5Pset_obj_track_times(creation.id(), 0);
  f.file_ = own(H5Fcreate(f.path_.c_str(), H5F_ACC_TRUNC, creation.id(), access.id()), H5Fclose);
  if (!f.file_) f.fail_write("cannot be created");
  return f;
}

File File::open_for_writing(const std::filesystem::path& path) {
  quiet();
  File f;
  f.path_ = path.string();
  f.out_ = std::make_unique<OrderedFile>(path, OrderedFile::How::append);
  const Handle access = own(f.out_->access_list(), H5Pclose);
  H5Pset_libver_bounds(access.id(), H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
  f.file_ = own(H5Fopen(f.path_.c_str(), H5F_ACC_RDWR, access.id()), H5Fclose);
  if (!f.file_) fail<FileError>(f.path_, "cannot be opened: {}", innermost());
  return f;
}

File File::open(const std::filesystem::path& path) {
  quiet();
  File f;
  f.path_ = path.string();
  struct stat status {};
  if (::stat(f.path_.c_str(), &status) != 0) fail<FileError>(f.path_, "cannot be opened: {}", std::strerror(errno));
  if (!S_ISREG(status.st_mode)) fail<FileError>(f.path_, "is not a file");
  if (::access(f.path_.c_str(), R_OK) != 0) fail<FileError>(f.path_, "cannot be opened: {}", std::strerror(errno));
  const Handle access = own(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access.id(), 0, 1);  // read-only folders and network file systems have no locks; we need none
#endif
  f.file_ = own(H5Fopen(f.path_.c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose);
  if (!f.file_) {
    const std::string why = innermost();
    if (why.find("truncated") != std::string::npos) {
      fail<FileError>(f.path_, "is truncated: it ends after {} bytes ({})", status.st_size, why);
    }
    if (H5Fis_hdf5(f.path_.c_str()) <= 0) fail<FileError>(f.path_, "is not an HDF5 file ({} bytes)", status.st_size);
    if (status.st_size < 96) fail<FileError>(f.path_, "is truncated: it ends after {} bytes", status.st_size);
    fail<FileError>(f.path_, "cannot be opened: {}", why);
  }
  return f;
}

File::File() = default;

File::File(File&&) noexcept = default;

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    abandon();
    path_ = std::move(other.path_);
    file_ = std::move(other.file_);
    out_ = std::move(other.out_);
  }
  return *this;
}

File::~File() {
  abandon();
}

void File::abandon() noexcept {
  if (out_) out_->discard();
  if (!file_) return;
  quiet();
  // HDF5 goes on using a file that it failed to close, at exit at the latest: then our driver's object must stay.
  if (H5Fclose(file_.release()) < 0) (void)out_.release();
}

void File::flush() {
  quiet();
  const herr_t done = H5Fflush(file_.id(), H5F_SCOPE_LOCAL);
  if (out_ && out_->error()) fail_write("cannot be written");
  if (done < 0) fail_write("cannot be flushed");
}

void File::flush_and_sync() {
  flush();
  if (out_ && !out_->sync()) fail_write("cannot be synced");
}

void File::close() {
  if (!file_) return;
  if (out_) {
    try {
      flush();
    } catch (...) {
      abandon();
      throw;
    }
  }
  quiet();
  if (H5Fclose(file_.release()) < 0) {
    const std::string why = innermost();
    (void)out_.release();  // see abandon()
    fail<RuntimeFailure>(path_, "cannot be closed: {}", why);
  }
  if (out_ && out_->error()) fail_write("cannot be written");
  out_.reset();
}

std::uint64_t File::size() const {
  quiet();
  hsize_t bytes = 0;
  H5Fget_filesize(file_.id(), &bytes);
  return bytes;
}

void File::fail_write(const std::string& what) const {
  if (out_ && out_->error()) fail<RuntimeFailure>(path_, "{}: {}", what, std::strerror(out_->error()));
  fail<RuntimeFailure>(path_, "{}: {}", what, innermost());
}

void File::fail_read(const std::string& what) const {
  fail<FileError>(path_, "{}: {}", what, innermost());
}

// ---- File: datasets -------------------------------------------------------------------------------------------------

void File::write_raw(const std::string& name, const Dims& dims, Scalar type, const void* values, bool checksum) {
  quiet();
  const Handle space = space_of(dims), links = link_list(), list = dataset_list();
  const std::size_t count = std::accumulate(dims.begin(), dims.end(), std::size_t{1}, std::multiplies<>{});
  if (checksum && !dims.empty() && count > 0) {  // checksums need chunks; one chunk where it fits
    std::vector<hsize_t> chunk(dims.begin(), dims.end());
    const std::size_t row = count / dims[0] * scalar_size(type);
    chunk[0] = std::clamp<std::size_t>(kLargestChunk / std::max<std::size_t>(row, 1), 1, dims[0]);
    H5Pset_chunk(list.id(), static_cast<int>(chunk.size()), chunk.data());
    H5Pset_fletcher32(list.id());
  }
  const Handle d = own(
      H5Dcreate2(file_.id(), name.c_str(), file_type(type), space.id(), links.id(), list.id(), H5P_DEFAULT), H5Dclose);
  if (!d) fail_write("dataset " + name + " cannot be created");
  if (count > 0 && H5Dwrite(d.id(), memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
    fail_write("dataset " + name + " cannot be written");
  }
}

void File::write(const std::string& name, const std::string& text) {
  quiet();
  const Handle type = text_type(text.size()), space = space_of({}), links = link_list(), list = dataset_list();
  const Handle d =
      own(H5Dcreate2(file_.id(), name.c_str(), type.id(), space.id(), links.id(), list.id(), H5P_DEFAULT), H5Dclose);
  const char* bytes = text.empty() ? "" : text.data();
  if (!d || H5Dwrite(d.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) < 0) {
    fail_write("dataset " + name + " cannot be written");
  }
}

void File::write_lines(const std::string& name, const std::vector<std::string>& lines) {
  quiet();
  const Handle type = lines_type(), space = space_of({lines.size()}), links = link_list(), list = dataset_list();
  const Handle d =
      own(H5Dcreate2(file_.id(), name.c_str(), type.id(), space.id(), links.id(), list.id(), H5P_DEFAULT), H5Dclose);
  std::vector<const char*> texts;
  for (const std::string& line : lines) texts.push_back(line.c_str());
  if (!d || (!texts.empty() && H5Dwrite(d.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()) < 0)) {
    fail_write("dataset " + name + " cannot be written");
  }
}

std::string File::read_text(const std::string& name) const {
  const Dataset d = dataset(name);
  const Handle type = own(H5Dget_type(d.handle_.id()), H5Tclose), space = own(H5Dget_space(d.handle_.id()), H5Sclose);
  std::string text;
  auto read = [&](hid_t t, void* into) { return H5Dread(d.handle_.id(), t, H5S_ALL, H5S_ALL, H5P_DEFAULT, into); };
  std::string wrong = "promises more than fits in memory";
  try {
    wrong = read_string(type.id(), space.id(), read, text);
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {
  }
  if (!wrong.empty()) fail<FileError>(path_, "dataset {} {}", name, wrong);
  return text;
}

std::vector<std::string> File::read_lines(const std::string& name) const {
  const Dataset d = dataset(name);
  const Handle stored = own(H5Dget_type(d.handle_.id()), H5Tclose), space = own(H5Dget_space(d.handle_.id()), H5Sclose);
  if (H5Tget_class(stored.id()) != H5T_STRING || H5Tis_variable_str(stored.id()) <= 0 || d.dims().size() != 1) {
    fail<FileError>(path_, "dataset {} is not a list of texts", name);
  }
  const Handle type = lines_type();
  H5Tset_cset(type.id(), H5Tget_cset(stored.id()));
  std::vector<char*> texts(checked_count(d), nullptr);
  if (!texts.empty() && H5Dread(d.handle_.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()) < 0) {
    fail<FileError>(path_, "dataset {}: {}", name, why_unreadable(d.handle_.id()));
  }
  std::vector<std::string> lines;
  for (const char* t : texts) lines.emplace_back(t ? t : "");
  if (!texts.empty()) H5Dvlen_reclaim(type.id(), space.id(), H5P_DEFAULT, texts.data());
  return lines;
}

bool File::exists(const std::string& name) const {
  quiet();
  // H5Lexists wants every group on the way to exist.
  for (std::size_t at = name.find_first_not_of('/'); at != std::string::npos;) {
    const std::size_t slash = name.find('/', at);
    if (H5Lexists(file_.id(), name.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
    at = name.find_first_not_of('/', slash == std::string::npos ? name.size() : slash);
  }
  return true;
}

bool File::is_group(const std::string& name) const {
  quiet();
  if (!exists(name)) return false;
  const Handle o = own(H5Oopen(file_.id(), name.c_str(), H5P_DEFAULT), H5Oclose);
  return o && H5Iget_type(o.id()) == H5I_GROUP;
}

std::vector<std::string> File::list(const std::string& group) const {
  quiet();
  std::vector<std::string> names;
  const Handle g = own(H5Gopen2(file_.id(), group.c_str(), H5P_DEFAULT), H5Gclose);
  H5G_info_t about{};
  if (!g || H5Gget_info(g.id(), &about) < 0) fail_read("group " + group);
  for (hsize_t i = 0; i < about.nlinks; ++i) {
    const ssize_t length = H5Lget_name_by_idx(g.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT);
    if (length < 0) fail_read("group " + group);
    std::string name(static_cast<std::size_t>(length) + 1, '\0');
    H5Lget_name_by_idx(g.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(), H5P_DEFAULT);
    name.pop_back();
    names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::string> File::datasets(const std::string& group) const {
  std::vector<std::string> found;
  const std::function<void(const std::string&, int)> walk = [&](const std::string& at, int depth) {
    if (depth > kDeepestGroup) fail<FileError>(path_, "group {} is nested too deep", at);
    for (const std::string& name : list(at)) {
      const std::string path = at == "/" ? "/" + name : at + "/" + name;
      const Handle o = own(H5Oopen(file_.id(), path.c_str(), H5P_DEFAULT), H5Oclose);
      if (!o) fail_read("object " + path);
      const H5I_type_t kind = H5Iget_type(o.id());
      if (kind == H5I_GROUP) walk(path, depth + 1);
      if (kind == H5I_DATASET) found.push_back(path);
    }
  };
  walk(group, 0);
  return found;
}

void File::make_group(const std::string& name) {
  quiet();
  if (exists(name)) return;
  const Handle links = link_list(), list = group_list();
  const Handle g = own(H5Gcreate2(file_.id(), name.c_str(), links.id(), list.id(), H5P_DEFAULT), H5Gclose);
  if (!g) fail_write("group " + name + " cannot be created");
}

Dataset File::create_growing(const std::string& name, const Growing& how) {
  quiet();
  std::vector<hsize_t> size{0}, most{H5S_UNLIMITED}, chunk{how.chunk_rows};
  for (std::size_t d : how.row) {
    size.push_back(d);
    most.push_back(d);
    chunk.push_back(std::max<std::size_t>(d, 1));
  }
  const Handle space = own(H5Screate_simple(static_cast<int>(size.size()), size.data(), most.data()), H5Sclose);
  const Handle links = link_list(), list = dataset_list(), access = own(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  H5Pset_chunk(list.id(), static_cast<int>(chunk.size()), chunk.data());
  if (how.filtered) {
    H5Pset_shuffle(list.id());
    H5Pset_deflate(list.id(), 1);
    H5Pset_fletcher32(list.id());
  }
  H5Pset_chunk_cache(access.id(), 0, 0, 1.0);  // whole chunks are written once: keeping them is of no use
  Dataset d;
  d.file_ = path_;
  d.name_ = name;
  d.handle_ =
      own(H5Dcreate2(file_.id(), name.c_str(), file_type(how.type), space.id(), links.id(), list.id(), access.id()),
          H5Dclose);
  if (!d.handle_) fail_write("dataset " + name + " cannot be created");
  d.dims_.assign(size.begin(), size.end());
  return d;
}

Dataset File::dataset(const std::string& name) const {
  quiet();
  Dataset d;
  d.file_ = path_;
  d.name_ = name;
  const Handle access = own(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  if (out_) H5Pset_chunk_cache(access.id(), 0, 0, 1.0);  // as in create_growing
  d.handle_ = own(H5Dopen2(file_.id(), name.c_str(), access.id()), H5Dclose);
  if (!d.handle_) {
    const std::string why = innermost();
    if (!exists(name)) fail<FileError>(path_, "dataset {} is missing", name);
    fail<FileError>(path_, "dataset {}: {}", name, why);
  }
  const Handle space = own(H5Dget_space(d.handle_.id()), H5Sclose);
  if (!space || !dims_of(space.id(), d.dims_)) fail<FileError>(path_, "dataset {} has no shape", name);
  return d;
}

void File::expect_class(const Dataset& d, Scalar type) const {
  const Handle stored = own(H5Dget_type(d.handle_.id()), H5Tclose);
  const H5T_class_t want = type == Scalar::f32 || type == Scalar::f64 ? H5T_FLOAT : H5T_INTEGER;
  if (H5Tget_class(stored.id()) != want) {
    fail<FileError>(path_, "dataset {} holds {}, expected {}", d.name(), type_text(stored.id()), scalar_name(type));
  }
}

std::size_t File::checked_count(const Dataset& d) const {
  // A damaged header may promise more numbers than there are bytes in the world; deflate gives at most 1032 for one.
  const std::uint64_t most = 1100 * size() + 65536;
  std::uint64_t n = 1;
  for (std::size_t k : d.dims()) {
    if (k != 0 && n > most / k) fail<FileError>(path_, "dataset {} promises more than the file can hold", d.name());
    n *= k;
  }
  return n;
}

void File::not_scalar(const std::string& name) const {
  fail<FileError>(path_, "dataset {} is not one number", name);
}

std::string File::type(const std::string& name) const {
  const Dataset d = dataset(name);
  const Handle stored = own(H5Dget_type(d.handle_.id()), H5Tclose);
  return type_text(stored.id());
}

DatasetInfo File::describe(const std::string& name) const {
  const Dataset d = dataset(name);
  const hid_t id = d.handle_.id();
  DatasetInfo info;
  info.name = name;
  info.dims = d.dims();
  const Handle type = own(H5Dget_type(id), H5Tclose), space = own(H5Dget_space(id), H5Sclose);
  info.type = type_text(type.id());
  const std::size_t rank = d.dims().size();
  std::vector<hsize_t> now(rank), most(rank);
  if (rank > 0) H5Sget_simple_extent_dims(space.id(), now.data(), most.data());
  for (hsize_t m : most) info.unlimited.push_back(m == H5S_UNLIMITED);
  const Handle list = own(H5Dget_create_plist(id), H5Pclose);
  if (H5Pget_layout(list.id()) == H5D_CHUNKED && rank > 0) {
    std::vector<hsize_t> chunk(rank);
    H5Pget_chunk(list.id(), static_cast<int>(rank), chunk.data());
    info.chunk.assign(chunk.begin(), chunk.end());
  }
  for (int i = 0, n = H5Pget_nfilters(list.id()); i < n; ++i) {
    unsigned flags = 0, values[8] = {}, config = 0;
    std::size_t count = 8;
    char text[64] = {};
    switch (H5Pget_filter2(list.id(), static_cast<unsigned>(i), &flags, &count, values, sizeof text, text, &config)) {
      case H5Z_FILTER_SHUFFLE: info.filters.emplace_back("shuffle"); break;
      case H5Z_FILTER_DEFLATE: info.filters.push_back("deflate " + std::to_string(values[0])); break;
      case H5Z_FILTER_FLETCHER32: info.filters.emplace_back("fletcher32"); break;
      default: info.filters.emplace_back(text); break;
    }
  }
  // Not H5DSis_scale(), which frees twice what a damaged attribute holds.
  if (has_attr(name, "CLASS")) {
    try {
      info.is_scale = text_attr(name, "CLASS") == "DIMENSION_SCALE";
    } catch (const FileError&) {
    }
  }
  info.scales.resize(rank);
  if (!info.is_scale) {
    for (unsigned a = 0; a < rank; ++a) {
      H5DSiterate_scales(
          id, a, nullptr,
          [](hid_t, unsigned, hid_t scale, void* out) -> herr_t {
            char path[256] = {};
            H5Iget_name(scale, path, sizeof path);
            *static_cast<std::string*>(out) = path;
            return 1;
          },
          &info.scales[a]);
    }
  }
  H5O_info_t about{};
#if H5_VERSION_GE(1, 10, 3)
  H5Oget_info2(id, &about, H5O_INFO_NUM_ATTRS);
#else
  H5Oget_info(id, &about);
#endif
  for (hsize_t i = 0; i < about.num_attrs; ++i) {
    char text[256] = {};
    H5Aget_name_by_idx(id, ".", H5_INDEX_NAME, H5_ITER_INC, i, text, sizeof text, H5P_DEFAULT);
    const std::string attribute = text;
    if (attribute != "DIMENSION_LIST" && attribute != "REFERENCE_LIST" && attribute != "CLASS" && attribute != "NAME") {
      info.attributes.push_back(attribute);
    }
  }
  info.stored_bytes = H5Dget_storage_size(id);
  return info;
}

// ---- File: attributes and scales ------------------------------------------------------------------------------------

namespace {

Handle create_attribute(hid_t object, const std::string& name, hid_t type, const Dims& dims) {
  const Handle space = space_of(dims);
  if (H5Aexists(object, name.c_str()) > 0) {
    Handle old = own(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose);
    const Handle old_type = own(H5Aget_type(old.id()), H5Tclose), old_space = own(H5Aget_space(old.id()), H5Sclose);
    if (H5Tequal(old_type.id(), type) > 0 && H5Sextent_equal(old_space.id(), space.id()) > 0) return old;
    old.reset();
    H5Adelete(object, name.c_str());
  }
  const Handle list = own(H5Pcreate(H5P_ATTRIBUTE_CREATE), H5Pclose);
  H5Pset_char_encoding(list.id(), H5T_CSET_UTF8);
  return own(H5Acreate2(object, name.c_str(), type, space.id(), list.id(), H5P_DEFAULT), H5Aclose);
}

}  // namespace

void File::set_attr_raw(const std::string& object, const std::string& name, Scalar type, const void* value) {
  quiet();
  const Handle o = own(H5Oopen(file_.id(), object.c_str(), H5P_DEFAULT), H5Oclose);
  const Handle a = o ? create_attribute(o.id(), name, file_type(type), {}) : Handle();
  if (!a || H5Awrite(a.id(), memory_type(type), value) < 0) fail_write("attribute " + name + " of " + object);
}

void File::set_attr(const std::string& object, const std::string& name, const std::string& text) {
  quiet();
  const Handle o = own(H5Oopen(file_.id(), object.c_str(), H5P_DEFAULT), H5Oclose);
  const Handle type = text_type(text.size());
  const Handle a = o ? create_attribute(o.id(), name, type.id(), {}) : Handle();
  if (!a || H5Awrite(a.id(), type.id(), text.c_str()) < 0) fail_write("attribute " + name + " of " + object);
}

void File::set_attr(const std::string& object, const std::string& name, const std::vector<std::string>& texts) {
  quiet();
  std::size_t longest = 0;
  for (const std::string& t : texts) longest = std::max(longest, t.size());
  std::string bytes((longest + 1) * std::max<std::size_t>(texts.size(), 1), '\0');
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i].copy(bytes.data() + i * (longest + 1), texts[i].size());
  const Handle o = own(H5Oopen(file_.id(), object.c_str(), H5P_DEFAULT), H5Oclose);
  const Handle type = text_type(longest);
  const Handle a = o ? create_attribute(o.id(), name, type.id(), {texts.size()}) : Handle();
  if (!a || H5Awrite(a.id(), type.id(), bytes.data()) < 0) fail_write("attribute " + name + " of " + object);
}

bool File::has_attr(const std::string& object, const std::string& name) const {
  quiet();
  return exists(object) && H5Aexists_by_name(file_.id(), object.c_str(), name.c_str(), H5P_DEFAULT) > 0;
}

void File::attr_raw(const std::string& object, const std::string& name, Scalar type, void* value) const {
  quiet();
  const Handle a = own(H5Aopen_by_name(file_.id(), object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (!a) fail<FileError>(path_, "attribute {} of {} is missing", name, object);
  const Handle stored = own(H5Aget_type(a.id()), H5Tclose), space = own(H5Aget_space(a.id()), H5Sclose);
  const H5T_class_t want = type == Scalar::f32 || type == Scalar::f64 ? H5T_FLOAT : H5T_INTEGER;
  if (H5Tget_class(stored.id()) != want || H5Sget_simple_extent_npoints(space.id()) != 1 ||
      H5Aread(a.id(), memory_type(type), value) < 0) {
    fail<FileError>(path_, "attribute {} of {} is not one {}", name, object, scalar_name(type));
  }
}

std::string File::text_attr(const std::string& object, const std::string& name) const {
  quiet();
  const Handle a = own(H5Aopen_by_name(file_.id(), object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (!a) fail<FileError>(path_, "attribute {} of {} is missing", name, object);
  const Handle stored = own(H5Aget_type(a.id()), H5Tclose), space = own(H5Aget_space(a.id()), H5Sclose);
  std::string text;
  auto read = [&](hid_t t, void* into) { return H5Aread(a.id(), t, into); };
  const std::string wrong = read_string(stored.id(), space.id(), read, text);
  if (!wrong.empty()) fail<FileError>(path_, "attribute {} of {} {}", name, object, wrong);
  return text;
}

void File::make_scale(const std::string& name) {
  const Dataset d = dataset(name);
  if (H5DSset_scale(d.handle_.id(), name.substr(name.rfind('/') + 1).c_str()) < 0) fail_write("scale " + name);
}

void File::attach_scale(const std::string& name, std::size_t axis, const std::string& scale) {
  const Dataset d = dataset(name), s = dataset(scale);
  if (H5DSattach_scale(d.handle_.id(), s.handle_.id(), static_cast<unsigned>(axis)) < 0) {
    fail_write("scale " + scale + " of " + name);
  }
}

}  // namespace mneme::trace
