// Room: experiments. safetensors and npy, read and written.
#include "experiments/exchange/weights.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "trace/atomic_file.hpp"

#include <fmt/core.h>
#include <xtensor/xadapt.hpp>
#include <xtensor/xnpy.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>

namespace mneme::experiments {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "both formats are little-endian, and so is this code");

namespace {

constexpr std::size_t kLargestHeader = 100'000'000;  // the safetensors format's own limit
constexpr const char* kMetadata = "__metadata__";
constexpr const char* kIndex = "index.json";

/// Numbers of an array of these extents; false where there are more than `most`.
bool count_of(const std::vector<std::size_t>& dims, std::size_t most, std::size_t& count) {
  count = 1;
  for (const std::size_t d : dims)
    if (__builtin_mul_overflow(count, d, &count)) return false;
  return count <= most;
}

/// Little-endian numbers of `width` 4 or 8 bytes, each finite as a float.
std::vector<float> to_floats(std::string_view bytes, std::size_t width, const std::string& where) {
  std::vector<float> values(bytes.size() / width);
  for (std::size_t i = 0; i < values.size(); ++i) {
    double number = 0;
    if (width == 4) {
      std::memcpy(&values[i], bytes.data() + i * 4, 4);
      number = static_cast<double>(values[i]);
    } else {
      std::memcpy(&number, bytes.data() + i * 8, 8);
      // Written so that it is false for NaN, too; a cast of a number out of range is undefined.
      const bool fits = std::abs(number) <= static_cast<double>(std::numeric_limits<float>::max());
      values[i] = fits ? static_cast<float>(number) : std::numeric_limits<float>::infinity();
    }
    if (!std::isfinite(values[i])) fail<FileError>(where, "number {} is {}, which is no finite float32", i, number);
  }
  return values;
}

/// A JSON object whose keys differ, at every depth.
Json parse_object(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    if (depth > 8) fail<FileError>(where, "is nested too deep");
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get<std::string>()).second)
      fail<FileError>(where, "has the key '{}' twice", value.get<std::string>());
    return true;
  };
  if (const std::size_t zero = text.find('\0'); zero != text.npos)  // where the parser would end, whatever follows
    fail<FileError>(where, "holds a zero byte at {}", zero);
  try {
    Json j = parse_json(text, watch);
    if (!j.is_object()) fail<FileError>(where, "is no JSON object");
    return j;
  } catch (const Json::parse_error& e) {
    fail<FileError>(where, "is no JSON at byte {}", e.byte);
  } catch (const Json::out_of_range&) {  // 1e999
    fail<FileError>(where, "holds a number that no float64 holds");
  }
}

std::map<std::string, std::string> strings_of(const Json& j, const std::string& where) {
  if (!j.is_object()) fail<FileError>(where, "is no object");
  std::map<std::string, std::string> strings;
  for (const auto& [key, value] : j.items()) {
    if (!value.is_string()) fail<FileError>(where, "'{}' is no string", key);
    strings[key] = value.get<std::string>();
  }
  return strings;
}

std::vector<std::size_t> sizes_of(const Json& j, const std::string& where) {
  const auto natural = [](const Json& n) { return n.is_number_unsigned(); };
  if (!j.is_array() || !std::all_of(j.begin(), j.end(), natural))
    fail<FileError>(where, "is no list of natural numbers");
  return j.get<std::vector<std::size_t>>();
}

}  // namespace

std::string read_bytes(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) fail<FileError>(path.string(), "does not exist or is no file");
  std::ifstream in(path, std::ios::binary);
  const std::uintmax_t size = fs::file_size(path, error);
  std::string bytes(error ? 0 : size, '\0');
  if (error || !in.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
    fail<FileError>(path.string(), "cannot be read");
  return bytes;
}

std::string text_of(const std::vector<std::size_t>& dims) {
  return fmt::format("[{}]", join(dims, " "));
}

// ---- safetensors ----------------------------------------------------------------------------------------------------

Weights parse_safetensors(std::string_view bytes, const std::string& where) {
  if (bytes.size() < 8)
    fail<FileError>(where, "is no safetensors file: it has {} bytes, too few for a header's length", bytes.size());
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  if (length > kLargestHeader)
    fail<FileError>(where, "is no safetensors file: it names a header of {} bytes; the format allows {}", length,
                    kLargestHeader);
  if (length > bytes.size() - 8)
    fail<FileError>(where, "is truncated: it names a header of {} bytes, and has {}", length, bytes.size() - 8);
  const std::string_view text = bytes.substr(8, length), data = bytes.substr(8 + length);
  if (!text.starts_with('{')) fail<FileError>(where, "is no safetensors file: its header does not begin with '{{'");

  struct Range {
    std::size_t begin, end, index;
  };
  Weights w;
  std::vector<Range> ranges;
  const Json header = parse_object(text, where + ": header");
  for (const auto& [name, entry] : header.items()) {
    const std::string at = fmt::format("{}: '{}'", where, name);
    if (name == kMetadata) {
      w.metadata = strings_of(entry, at);
      continue;
    }
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets"))
      fail<FileError>(at, "is not dtype, shape and data_offsets");
    const std::string dtype = entry["dtype"].is_string() ? entry["dtype"].get<std::string>() : "no text";
    if (dtype != "F32" && dtype != "F64") fail<FileError>(at, "has dtype {}; F32 and F64 can be read", dtype);
    const std::size_t width = dtype == "F32" ? 4 : 8;
    NamedArray array{name, sizes_of(entry["shape"], at + " shape"), {}};
    const std::vector<std::size_t> offsets = sizes_of(entry["data_offsets"], at + " data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1])
      fail<FileError>(at, "data_offsets {} are no begin and end", text_of(offsets));
    if (offsets[1] > data.size())
      fail<FileError>(at, "ends at byte {} of the data, which has {}: truncated, or not its header", offsets[1],
                      data.size());
    const std::size_t size = offsets[1] - offsets[0];
    std::size_t count = 0;
    if (!count_of(array.dims, size / width, count) || count * width != size)
      fail<FileError>(at, "of shape {} and dtype {} has {} bytes", text_of(array.dims), dtype, size);
    array.values = to_floats(data.substr(offsets[0], size), width, at);
    ranges.push_back({offsets[0], offsets[1], w.arrays.size()});
    w.arrays.push_back(std::move(array));
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::size_t end = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const std::string& name = w.arrays[ranges[i].index].name;
    if (ranges[i].begin < end)
      fail<FileError>(where, "'{}' and '{}' overlap in the data", w.arrays[ranges[i - 1].index].name, name);
    if (ranges[i].begin > end)
      fail<FileError>(where, "bytes {} to {} of the data belong to no array", end, ranges[i].begin);
    end = ranges[i].end;
  }
  if (end != data.size()) fail<FileError>(where, "bytes {} to {} of the data belong to no array", end, data.size());
  return w;
}

std::string safetensors_bytes(const Weights& weights) {
  Json header = Json::object();
  header[kMetadata] = weights.metadata;
  std::size_t end = 0;
  for (const NamedArray& a : weights.arrays) {
    const std::size_t begin = end;
    end += a.values.size() * sizeof(float);
    header[a.name] = {{"dtype", "F32"}, {"shape", a.dims}, {"data_offsets", {begin, end}}};
  }
  std::string text = json_text(header);
  text.append((8 - text.size() % 8) % 8, ' ');  // numbers begin at a multiple of 8 bytes
  const std::uint64_t length = text.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  bytes += text;
  for (const NamedArray& a : weights.arrays)
    bytes.append(reinterpret_cast<const char*>(a.values.data()), a.values.size() * sizeof(float));
  return bytes;
}

// ---- npy ------------------------------------------------------------------------------------------------------------

namespace {

/// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }: the one Python literal that numpy writes. xtensor has a
/// reader, but it believes the header's sizes.
class NpyHeader {
 public:
  NpyHeader(std::string_view text, const std::string& where) : text_(text), where_(where) {
    want('{');
    std::set<std::string> keys;
    while (!take('}')) {
      const std::string key = quoted();
      if (!keys.insert(key).second) fail<FileError>(where_, "its header has '{}' twice", key);
      want(':');
      if (key == "descr")
        descr = quoted();
      else if (key == "fortran_order")
        fortran = boolean();
      else if (key == "shape")
        shape();
      else
        fail<FileError>(where_, "its header has the unknown key '{}'", key);
      if (!take(',')) {
        want('}');
        break;
      }
    }
    skip();
    if (at_ != text_.size()) damaged();
    if (keys.size() != 3) fail<FileError>(where_, "its header lacks one of descr, fortran_order, shape");
  }
  std::string descr;
  bool fortran = false;
  std::vector<std::size_t> dims;

 private:
  [[noreturn]] void damaged() const { fail<FileError>(where_, "its header cannot be read at byte {}", at_); }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void want(char c) {
    if (!take(c)) damaged();
  }
  std::string quoted() {
    want('\'');
    const std::size_t end = text_.find('\'', at_);
    if (end == text_.npos) damaged();
    const std::string word(text_.substr(at_, end - at_));
    at_ = end + 1;
    return word;
  }
  bool boolean() {
    skip();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    damaged();
  }
  void shape() {
    want('(');
    while (!take(')')) {
      skip();
      std::size_t n = 0;
      const auto [stop, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), n);
      if (error != std::errc{} || dims.size() == 32) damaged();  // numpy has at most 32 axes
      at_ = static_cast<std::size_t>(stop - text_.data());
      dims.push_back(n);
      if (!take(',')) {
        want(')');
        break;
      }
    }
  }

  std::string_view text_;
  const std::string& where_;
  std::size_t at_ = 0;
};

/// From the first index fastest to the last index fastest.
std::vector<float> row_major(const std::vector<float>& values, const std::vector<std::size_t>& dims) {
  std::vector<float> out(values.size());
  std::vector<std::size_t> index(dims.size(), 0);
  for (const float v : values) {
    std::size_t at = 0;
    for (std::size_t a = 0; a < dims.size(); ++a) at = at * dims[a] + index[a];
    out[at] = v;
    for (std::size_t a = 0; a < dims.size() && ++index[a] == dims[a]; ++a) index[a] = 0;
  }
  return out;
}

}  // namespace

NamedArray parse_npy(std::string_view bytes, const std::string& where) {
  if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 10) fail<FileError>(where, "is no .npy file");
  const int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3) fail<FileError>(where, "is of npy version {}; 1 to 3 can be read", version);
  const std::size_t start = version == 1 ? 10 : 12;
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, std::min(start, bytes.size()) - 8);
  if (bytes.size() < start || length > bytes.size() - start)
    fail<FileError>(where, "is truncated: it names a header of {} bytes, and has {}", length, bytes.size());
  const NpyHeader header(bytes.substr(start, length), where);
  const std::string_view data = bytes.substr(start + length);
  if (header.descr.starts_with('>'))
    fail<FileError>(where, "is big-endian ('{}'); '<f4' and '<f8' can be read", header.descr);
  if (header.descr != "<f4" && header.descr != "<f8")
    fail<FileError>(where, "has dtype '{}'; '<f4' and '<f8' can be read", header.descr);
  const std::size_t width = header.descr == "<f4" ? 4 : 8;
  std::size_t count = 0;
  if (!count_of(header.dims, data.size() / width, count) || count * width != data.size())
    fail<FileError>(where, "of shape {} and dtype '{}' has {} bytes of numbers", text_of(header.dims), header.descr,
                    data.size());
  NamedArray array{"", header.dims, to_floats(data, width, where)};
  if (header.fortran) array.values = row_major(array.values, array.dims);
  return array;
}

namespace {

Weights read_folder(const fs::path& folder) {
  Weights w;
  std::error_code error;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".npy") files.push_back(entry.path());
  if (error) fail<FileError>(folder.string(), "cannot be read: {}", error.message());
  if (files.empty()) fail<ArgumentError>(folder.string(), "holds no .npy file");
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    w.arrays.push_back(parse_npy(read_bytes(file), file.string()));
    w.arrays.back().name = file.stem().string();
  }
  const fs::path index = folder / kIndex;
  if (!fs::exists(index, error)) return w;
  const Json j = parse_object(read_bytes(index), index.string());
  if (!j.contains("metadata") || !j.contains("arrays") || !j["arrays"].is_object())
    fail<FileError>(index.string(), "is not metadata and arrays");
  w.metadata = strings_of(j["metadata"], index.string() + ": metadata");
  // In the index's order; what it names and what is there are the same.
  std::vector<NamedArray> ordered;
  for (const auto& [name, shape] : j["arrays"].items()) {
    const auto it = std::find_if(w.arrays.begin(), w.arrays.end(), [&](const auto& a) { return a.name == name; });
    if (it == w.arrays.end()) fail<FileError>(index.string(), "names '{}', and there is no {}.npy", name, name);
    const std::vector<std::size_t> dims = sizes_of(shape, fmt::format("{}: '{}'", index.string(), name));
    if (dims != it->dims)
      fail<FileError>(index.string(), "gives '{}' the shape {}, the file has {}", name, text_of(dims),
                      text_of(it->dims));
    ordered.push_back(std::move(*it));
    w.arrays.erase(it);
  }
  if (!w.arrays.empty()) fail<FileError>(index.string(), "does not name '{}', which is there", w.arrays[0].name);
  w.arrays = std::move(ordered);
  return w;
}

/// What is in a folder besides the index and the arrays that it names. ArgumentError where the index is none of ours.
std::vector<std::string> foreign_entries(const fs::path& folder) {
  const Json index = read_json(folder / kIndex);
  const auto format = [&]() -> std::string {
    if (!index.is_object() || !index.contains("metadata") || !index["metadata"].is_object()) return "";
    const auto& metadata = index["metadata"];
    return metadata.contains("format") && metadata["format"].is_string() ? metadata["format"].get<std::string>() : "";
  }();
  if (!format.starts_with(kWeightsFormat) || !index.contains("arrays") || !index["arrays"].is_object())
    fail<ArgumentError>((folder / kIndex).string(),
                        "is none that an export of weights wrote, so --force does not replace its folder");
  std::vector<std::string> foreign;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool named = entry.path().extension() == ".npy" && index["arrays"].contains(entry.path().stem().string());
    if ((name != kIndex && !named) || !fs::is_regular_file(entry.symlink_status())) foreign.push_back(name);
  }
  std::sort(foreign.begin(), foreign.end());
  return foreign;
}

/// Refuses to replace a folder that such an export did not write, or that holds anything else.
void require_own_export(const fs::path& folder) {
  std::vector<std::string> foreign = foreign_entries(folder);
  if (foreign.empty()) return;
  const std::size_t all = foreign.size(), shown = std::min<std::size_t>(all, 3);
  foreign.resize(shown);
  fail<ArgumentError>(folder.string(), "holds what no export of weights wrote, so --force does not replace it: {}{}",
                      join(foreign, ", "), all > shown ? fmt::format(" and {} more", all - shown) : "");
}

void write_new_folder(const fs::path& path, const Weights& weights) {
  trace::AtomicFolder folder(path);
  Json index = {{"metadata", weights.metadata}, {"arrays", Json::object()}};
  for (const NamedArray& a : weights.arrays) {
    trace::write_text_atomically(folder.part() / (a.name + ".npy"), xt::dump_npy(xt::adapt(a.values, a.dims)));
    index["arrays"][a.name] = a.dims;
  }
  trace::write_text_atomically(folder.part() / kIndex, json_text(index, 2) + "\n");
  folder.commit();
}

/// With `force`, in the place of a folder that such an export wrote; of no other.
void write_folder(fs::path path, const Weights& weights, bool force) {
  if (!path.has_filename()) path = path.parent_path();  // "out/" is "out"
  std::error_code error;
  if (!force || !fs::is_regular_file(path / kIndex, error)) return write_new_folder(path, weights);
  require_own_export(path);
  fs::path fresh = path, old = path;
  fresh += ".new";
  old += ".old";
  trace::expect_free(old, false);
  write_new_folder(fresh, weights);
  trace::durable_rename(path, old);
  trace::durable_rename(fresh, path);
  fs::remove_all(old, error);
}

}  // namespace

Weights read_weights(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? read_folder(path) : parse_safetensors(read_bytes(path), path.string());
}

const std::vector<std::string>& weight_formats() {
  static const std::vector<std::string> formats = {"safetensors", "npy"};
  return formats;
}

void write_weights(const fs::path& path, const std::string& format, const Weights& weights, bool force) {
  if (format == "npy") return write_folder(path, weights, force);
  std::error_code error;
  trace::expect_free(path, force);
  if (fs::is_directory(path, error)) fail<ArgumentError>(path.string(), "is a folder, which no file replaces");
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  trace::write_text_atomically(path, safetensors_bytes(weights));
}

}  // namespace mneme::experiments
