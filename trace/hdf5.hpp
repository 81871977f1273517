// Room: trace. The one door to HDF5: files, datasets, attributes and dimension scales, with our errors.
//
// For: traces and checkpoints. No HDF5 type appears here, so that no other room includes <hdf5.h>.
// Invariants: a file being written is changed on disk only inside flush() and close(), in an order in which a kill or a
// full disk at any moment leaves the state of the last flush readable (trace/ordered_file.hpp); destructors never
// throw; nothing is printed by HDF5. Requires: one thread at a time per File. Errors: FileError (unreadable, truncated,
// foreign), RuntimeFailure (disk full, permission); both name the file.
#pragma once

#include "trace/atomic_file.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace mneme::trace {

class OrderedFile;

/// The number types of our files; little-endian on disk.
enum class Scalar { u8, i32, i64, u64, f32, f64 };
const char* scalar_name(Scalar type);
std::size_t scalar_size(Scalar type);

template <class T>
constexpr Scalar scalar_of() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return Scalar::u8;
  if constexpr (std::is_same_v<T, std::int32_t>) return Scalar::i32;
  if constexpr (std::is_same_v<T, std::int64_t>) return Scalar::i64;
  if constexpr (std::is_same_v<T, std::uint64_t>) return Scalar::u64;
  if constexpr (std::is_same_v<T, float>) return Scalar::f32;
  if constexpr (std::is_same_v<T, double>) return Scalar::f64;
}

using Dims = std::vector<std::size_t>;

/// Of the HDF5 library that runs, for run.json: "1.10.8".
std::string library_version();
/// Whether threads may use it at once, each with files of its own.
bool library_is_threadsafe();

/// Owns one HDF5 identifier; closing never throws.
class Handle {
 public:
  using Id = std::int64_t;
  using Closer = int (*)(Id);
  Handle() = default;
  Handle(Id id, Closer close) noexcept : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  ~Handle() { reset(); }
  Id id() const noexcept { return id_; }
  explicit operator bool() const noexcept { return id_ >= 0; }
  void reset() noexcept;
  Id release() noexcept;  ///< gives the identifier away, unclosed

 private:
  Id id_ = -1;
  Closer close_ = nullptr;
};

/// An open dataset: whole reads, or rows along the first axis.
class Dataset {
 public:
  Dataset() = default;
  const std::string& name() const { return name_; }
  const Dims& dims() const { return dims_; }
  std::size_t row_count() const { return dims_.empty() ? 1 : dims_[0]; }
  std::size_t row_size() const;  ///< numbers in one row; the largest there is where a damaged file promises more
  /// Adds rows at the end; `values` holds rows * row_size() numbers of `type`, converted where the file's type differs.
  void append(std::size_t rows, Scalar type, const void* values);
  /// Reads rows [begin, begin + rows) into `values`.
  void read(std::size_t begin, std::size_t rows, Scalar type, void* values) const;
  void overwrite(Scalar type, const void* values);  ///< the whole dataset, in place

 private:
  friend class File;
  std::string file_, name_;
  Handle handle_;
  Dims dims_;
};

/// What `trace check`, `trace info` and the golden files want to know about one dataset.
struct DatasetInfo {
  std::string name;                  ///< full path
  std::string type;                  ///< "f32", "i64", "vlen-utf8", "utf8[120]", "other"
  Dims dims;                         ///< {} = scalar
  std::vector<bool> unlimited;       ///< per axis
  Dims chunk;                        ///< {} = not chunked
  std::vector<std::string> filters;  ///< "shuffle", "deflate 1", "fletcher32"
  std::vector<std::string> scales;   ///< per axis: path of the attached dimension scale, "" = none
  bool is_scale = false;
  std::vector<std::string> attributes;  ///< names, without those that dimension scales add
  std::uint64_t stored_bytes = 0;
};

/// How a dataset that grows along its first axis is stored.
struct Growing {
  Scalar type = Scalar::f32;
  Dims row;  ///< dims past the first
  std::size_t chunk_rows = 64;
  bool filtered = false;  ///< shuffle + deflate 1 + fletcher32; append whole chunks only
};

class File {
 public:
  File();                                                           ///< no file yet: only to be assigned to
  static File create(const std::filesystem::path& path);            ///< truncates what is there
  static File open(const std::filesystem::path& path);              ///< for reading; .part files too
  static File open_for_writing(const std::filesystem::path& path);  ///< appends; one writer at a time
  File(File&&) noexcept;
  File& operator=(File&&) noexcept;
  ~File();

  const std::string& path() const { return path_; }

  /// Creates a dataset and its parent groups. Arrays carry a fletcher32 checksum unless told not to. T: u8, i32, i64,
  /// u64, float, double.
  template <class T>
  void write(const std::string& name, const Dims& dims, const T* values, bool checksum = true) {
    write_raw(name, dims, scalar_of<T>(), values, checksum);
  }
  template <class T>
  void write(const std::string& name, T value) requires std::is_arithmetic_v<T> {
    write_raw(name, {}, scalar_of<T>(), &value, false);
  }
  void write(const std::string& name, const std::string& text);  ///< scalar, fixed-length UTF-8
  void write(const std::string& name, const char* text) { write(name, std::string(text)); }
  void write_lines(const std::string& name, const std::vector<std::string>& lines);  ///< vlen UTF-8 [n]

  /// Reads a whole dataset; T must be of the stored class (integers convert to integers, floats to floats).
  template <class T>
  std::vector<T> read(const std::string& name, Dims* dims = nullptr) const {
    Dataset d = dataset(name);
    std::vector<T> values(checked_count(d));
    expect_class(d, scalar_of<T>());
    if (!values.empty()) d.read(0, d.row_count(), scalar_of<T>(), values.data());
    if (dims) *dims = d.dims();
    return values;
  }
  template <class T>
  T read_scalar(const std::string& name) const {
    const std::vector<T> v = read<T>(name);
    if (v.size() != 1) not_scalar(name);
    return v[0];
  }
  std::string read_text(const std::string& name) const;
  std::vector<std::string> read_lines(const std::string& name) const;

  bool exists(const std::string& name) const;
  std::vector<std::string> list(const std::string& group = "/") const;      ///< names of the direct children, sorted
  std::vector<std::string> datasets(const std::string& group = "/") const;  ///< full paths, recursive, sorted
  bool is_group(const std::string& name) const;
  Dims dims(const std::string& name) const { return dataset(name).dims(); }
  std::string type(const std::string& name) const;  ///< as DatasetInfo::type
  DatasetInfo describe(const std::string& name) const;
  void expect_class(const Dataset& d, Scalar type) const;  ///< FileError where integer meets float
  void make_group(const std::string& name);

  /// Attributes; `object` is a path. Strings are fixed-length UTF-8, null-padded. Setting an existing one overwrites
  /// it.
  template <class T>
  void set_attr(const std::string& object, const std::string& name, T value) requires std::is_arithmetic_v<T> {
    set_attr_raw(object, name, scalar_of<T>(), &value);
  }
  void set_attr(const std::string& object, const std::string& name, const std::string& text);
  void set_attr(const std::string& object, const std::string& name, const char* text) {
    set_attr(object, name, std::string(text));
  }
  void set_attr(const std::string& object, const std::string& name, const std::vector<std::string>& texts);
  template <class T>
  T attr(const std::string& object, const std::string& name) const requires std::is_arithmetic_v<T> {
    T value{};
    attr_raw(object, name, scalar_of<T>(), &value);
    return value;
  }
  std::string text_attr(const std::string& object, const std::string& name) const;
  bool has_attr(const std::string& object, const std::string& name) const;

  Dataset create_growing(const std::string& name, const Growing& how);
  Dataset dataset(const std::string& name) const;
  void make_scale(const std::string& name);  ///< the dataset becomes the dimension scale of that name
  void attach_scale(const std::string& name, std::size_t axis, const std::string& scale);

  std::uint64_t size() const;  ///< bytes, what is not yet flushed included
  void flush();                ///< all of it on disk (against kills), ordered
  void flush_and_sync();       ///< flush, then fsync (against power loss)
  void close();                ///< flush and close; an error is thrown and the file stays as the last flush left it

 private:
  void write_raw(const std::string& name, const Dims& dims, Scalar type, const void* values, bool checksum);
  void set_attr_raw(const std::string& object, const std::string& name, Scalar type, const void* value);
  void attr_raw(const std::string& object, const std::string& name, Scalar type, void* value) const;
  std::size_t checked_count(const Dataset& d) const;
  [[noreturn]] void not_scalar(const std::string& name) const;
  [[noreturn]] void fail_write(const std::string& what) const;
  [[noreturn]] void fail_read(const std::string& what) const;
  void abandon() noexcept;

  std::string path_;
  std::unique_ptr<OrderedFile> out_;  ///< null when reading; outlives file_
  Handle file_;
};

}  // namespace mneme::trace
