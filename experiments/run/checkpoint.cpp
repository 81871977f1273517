// Room: experiments. Checkpoint files.
//
//   / attrs    format, schema_version, producer, git_rev, content_hash, parameter_hash, origin (where there is one)
//   /config    the run's INI text       /order  names of the arrays, a line each, as they are hashed
//   /parameters/NAME  /buffers/NAME  /optimizer/STATE/NAME   f32, shaped as the parameter
//   /state/NAME       RunState
//   and behind HDF5's end 24 bytes: kSeal, the file's length before them and the hash of those bytes
#include "experiments/run/checkpoint.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/join.hpp"
#include "experiments/config/config.hpp"
#include "trace/hdf5.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

namespace mneme::experiments {

namespace fs = std::filesystem;

namespace {

/// Eight bytes a round, so that a hash of all parameters costs next to nothing beside a training step. Every round is
/// a bijection of the state, and the rotation carries high bits (signs) down.
class Hash {
 public:
  void add(const void* data, std::size_t bytes) {
    const auto* p = static_cast<const unsigned char*>(data);
    for (; bytes >= 8; bytes -= 8, p += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, p, 8);
      round(word);
    }
    std::uint64_t rest = 0;
    std::memcpy(&rest, p, bytes);
    round(rest ^ (static_cast<std::uint64_t>(bytes) << 56));
  }
  void add(const std::string& text) { add(text.data(), text.size()); }
  std::uint64_t value() const { return h_; }

 private:
  void round(std::uint64_t word) {
    h_ ^= word * 0x9e3779b97f4a7c15ULL;
    h_ = std::rotl(h_, 27) * 0xff51afd7ed558ccdULL + 0x52dce729ULL;
  }
  std::uint64_t h_ = 0xcbf29ce484222325ULL;
};

struct Array {
  std::string name;
  trace::Dims dims;
  const float* values = nullptr;
  float* target = nullptr;  ///< where loading puts it
};

trace::Dims dims_of(const Shape& s) {
  trace::Dims d;
  for (std::size_t i = 0; i < s.rank(); ++i) d.push_back(s[i]);
  return d;
}

/// All arrays of a model in a fixed order; the optimizer's last.
std::vector<Array> arrays_of(ParameterSet<float>& set, Optimizer<float>* optimizer) {
  std::vector<Array> all;
  for (std::size_t i = 0; i < set.parameters().size(); ++i) {
    const Parameter& p = set.parameters()[i];
    all.push_back({"parameters/" + p.name, dims_of(p.shape), set.value(i), set.value(i)});
  }
  for (Buffer<float>& b : set.buffers())
    all.push_back({"buffers/" + b.name, dims_of(b.shape), b.values.data(), b.values.data()});
  if (optimizer)
    for (auto& state : optimizer->state())
      for (const Parameter& p : set.parameters())
        all.push_back({"optimizer/" + state.name + "/" + p.name, dims_of(p.shape), state.values.data() + p.offset,
                       state.values.data() + p.offset});
  return all;
}

void hash_array(Hash& hash, const std::string& name, const trace::Dims& dims, const float* values) {
  hash.add(name);
  std::size_t n = 1;
  for (std::size_t d : dims) n *= d;
  hash.add(dims.data(), dims.size() * sizeof(std::size_t));
  hash.add(values, n * sizeof(float));
}

void hash_state(Hash& hash, const RunState& state) {
  RunState::each(state, [&](const char* name, const auto& value) {
    hash.add(std::string(name));
    hash.add(&value, sizeof value);
  });
  hash.add(state.window_metrics.data(), state.window_metrics.size() * sizeof(double));
}

void read_state(const trace::File& file, RunState& state) {
  RunState::each(state, [&](const char* name, auto& value) {
    using V = std::remove_reference_t<decltype(value)>;
    const std::string path = std::string("/state/") + name;
    if (!file.exists(path)) return;  // of a version that did not have it: it stays at its default
    if constexpr (std::is_same_v<V, bool>)
      value = file.read_scalar<std::uint8_t>(path) != 0;
    else
      value = file.read_scalar<V>(path);
  });
  if (file.exists("/state/window_metrics")) state.window_metrics = file.read<double>("/state/window_metrics");
}

std::vector<std::pair<const char*, std::string*>> attributes_of(Provenance& p) {
  return {{"origin", &p.origin}, {"run_id", &p.run_id}, {"data_digest", &p.data_digest}};
}

std::string this_producer() {
  return fmt::format("mneme {}", build_info().version);
}

/// Why a file may not fit although nobody changed the configuration; "" where this very program wrote it.
std::string another_program(const CheckpointInfo& c) {
  if (c.producer == this_producer() && c.git_rev == build_info().git_rev) return "";
  const auto named = [](const std::string& producer, const std::string& commit) {
    return commit.empty() ? producer : fmt::format("{} (commit {})", producer, commit.substr(0, 12));
  };
  return fmt::format(
      "\nit was written by {}, which may build this model otherwise than this program, {}: see CHANGELOG.md; evaluate "
      "it "
      "with that one, or train anew",
      named(c.producer, c.git_rev), named(this_producer(), build_info().git_rev));
}

constexpr std::string_view kSeal = "MNEMEEND";
constexpr std::size_t kSealBytes = 24;

std::uint64_t hash_of(std::string_view bytes) {
  Hash hash;
  hash.add(bytes.data(), bytes.size());
  return hash.value();
}

/// Whole and unchanged since it was sealed, or a FileError that says what is wrong.
void check_seal(const fs::path& path) {
  const std::string bytes = read_bytes(path);
  if (!bytes.starts_with("\x89HDF\r\n\x1a\n")) fail<FileError>(path.string(), "is no checkpoint: it is no HDF5 file");
  const std::size_t length = bytes.size() < kSealBytes ? 0 : bytes.size() - kSealBytes;
  const std::string_view seal = std::string_view(bytes).substr(length);
  if (!seal.starts_with(kSeal)) {
    const trace::File file = trace::File::open(path);  // a file cut short is refused here
    if (!file.has_attr("/", "format") || file.text_attr("/", "format") != kCheckpointFormat)
      fail<FileError>(path.string(), "is no checkpoint of mneme");
    fail<FileError>(path.string(), "is truncated, or was changed by another program: its checksum is missing");
  }
  std::uint64_t sealed[2];
  std::memcpy(sealed, seal.data() + kSeal.size(), sizeof sealed);
  if (sealed[0] != length || sealed[1] != hash_of(std::string_view(bytes).substr(0, length)))
    fail<FileError>(path.string(), "is damaged: its bytes do not have the checksum at its end");
}

CheckpointInfo read_content(const fs::path& path) {
  check_seal(path);
  const trace::File file = trace::File::open(path);
  const auto refuse = [&](const std::string& why) { fail<FileError>(path.string(), "{}", why); };
  if (!file.has_attr("/", "format") || file.text_attr("/", "format") != kCheckpointFormat)
    refuse("is no checkpoint of mneme");
  CheckpointInfo c;
  c.path = path;
  c.version = file.text_attr("/", "schema_version");
  int major = 0;
  std::from_chars(c.version.data(), c.version.data() + c.version.size(), major);
  if (major > kCheckpointMajor)
    refuse(fmt::format("is a checkpoint of format {}; this program reads up to {}.x: use a newer one", c.version,
                       kCheckpointMajor));
  c.producer = file.text_attr("/", "producer");
  for (const auto& [name, value] : attributes_of(c.provenance))
    if (file.has_attr("/", name)) *value = file.text_attr("/", name);
  c.git_rev = file.text_attr("/", "git_rev");
  // What names the content, not what guards it: the seal covers all that the file holds, fields of other versions too.
  c.content_hash = file.attr<std::uint64_t>("/", "content_hash");
  c.parameter_hash = file.attr<std::uint64_t>("/", "parameter_hash");
  c.config_text = file.read_text("/config");
  std::istringstream order(file.read_text("/order"));
  for (std::string name; std::getline(order, name);) {
    NamedArray a{name, {}, {}};
    a.values = file.read<float>("/" + name, &a.dims);
    c.arrays.push_back(std::move(a));
  }
  read_state(file, c.state);
  return c;
}

}  // namespace

void seal_file(const fs::path& path) {
  const std::string bytes = read_bytes(path);
  const std::uint64_t sealed[2] = {bytes.size(), hash_of(bytes)};
  std::ofstream out(path, std::ios::binary | std::ios::app);
  out.write(kSeal.data(), static_cast<std::streamsize>(kSeal.size()));
  out.write(reinterpret_cast<const char*>(sealed), sizeof sealed);
  out.close();
  if (!out) fail<RuntimeFailure>(path.string(), "cannot be written: {}", std::strerror(errno));
}

std::uint64_t parameter_hash(const ParameterSet<float>& set) {
  Hash hash;
  hash.add(set.flat(), set.flat_size() * sizeof(float));
  for (const Buffer<float>& b : set.buffers()) hash.add(b.values.data(), b.values.size() * sizeof(float));
  return hash.value();
}

void save_checkpoint(const fs::path& path, const std::string& config_text, const ParameterSet<float>& set,
                     Optimizer<float>& optimizer, const RunState& state, const Provenance& provenance) {
  // Only read from: the handles are those that loading writes through.
  const std::vector<Array> arrays = arrays_of(const_cast<ParameterSet<float>&>(set), &optimizer);
  Hash hash;
  hash.add(config_text);
  for (const Array& a : arrays) hash_array(hash, a.name, a.dims, a.values);
  hash_state(hash, state);

  trace::AtomicFile atomic(path);
  {
    trace::File file = trace::File::create(atomic.part());
    file.set_attr("/", "format", kCheckpointFormat);
    file.set_attr("/", "schema_version", fmt::format("{}.1.0", kCheckpointMajor));
    file.set_attr("/", "producer", this_producer());
    file.set_attr("/", "git_rev", build_info().git_rev);
    file.set_attr("/", "content_hash", hash.value());
    file.set_attr("/", "parameter_hash", parameter_hash(set));
    Provenance own = provenance;
    for (const auto& [name, value] : attributes_of(own))
      if (!value->empty()) file.set_attr("/", name, *value);
    file.write("/config", config_text);
    std::string order;  // one text: HDF5 1.10 crashes on damaged variable-length strings
    for (const Array& a : arrays) {
      file.write("/" + a.name, a.dims, a.values);
      order += a.name + "\n";
    }
    file.write("/order", order);
    RunState::each(state, [&](const char* name, const auto& value) {
      using V = std::remove_cvref_t<decltype(value)>;
      const std::string path = std::string("/state/") + name;
      if constexpr (std::is_same_v<V, bool>)
        file.write(path, static_cast<std::uint8_t>(value));
      else
        file.write(path, value);
    });
    file.write("/state/window_metrics", {state.window_metrics.size()}, state.window_metrics.data());
    file.close();
  }
  seal_file(atomic.part());
  atomic.commit();
}

CheckpointInfo inspect_checkpoint(const fs::path& path) {
  return read_content(path);
}

CheckpointInfo load_checkpoint(const fs::path& path, ParameterSet<float>& set, Optimizer<float>* optimizer,
                               RunState* state) {
  CheckpointInfo c = read_content(path);
  const std::vector<Array> arrays = arrays_of(set, optimizer);
  std::map<std::string, const NamedArray*> in_file, unused;
  for (const NamedArray& a : c.arrays) in_file[a.name] = &a;
  unused = in_file;
  std::vector<std::string> wrong;
  for (const Array& a : arrays) {
    const auto it = in_file.find(a.name);
    if (it == in_file.end())
      wrong.push_back(fmt::format("{}: the model has {}, the file none", a.name, text_of(a.dims)));
    else if (it->second->dims != a.dims)
      wrong.push_back(
          fmt::format("{}: the model has {}, the file {}", a.name, text_of(a.dims), text_of(it->second->dims)));
    unused.erase(a.name);
  }
  const auto known = [&](const std::string& name) {
    return name.starts_with("parameters/") || name.starts_with("buffers/") ||
           (optimizer && name.starts_with("optimizer/"));
  };
  for (const auto& [name, array] : unused)
    if (known(name)) wrong.push_back(fmt::format("{}: the model has none, the file {}", name, text_of(array->dims)));
  if (!wrong.empty()) {
    const std::size_t shown = std::min<std::size_t>(wrong.size(), 12);
    fail<ArgumentError>(
        path.string(), "does not fit the configuration:\n  {}{}{}", join(std::span(wrong).first(shown), "\n  "),
        shown < wrong.size() ? fmt::format("\n  and {} more", wrong.size() - shown) : "", another_program(c));
  }
  for (const Array& a : arrays) {
    const std::vector<float>& values = in_file.at(a.name)->values;
    std::copy(values.begin(), values.end(), a.target);
  }
  set.refresh();
  if (state) *state = c.state;
  return c;
}

namespace {

/// step-000005000.ckpt.h5 -> 5000
bool step_of(const fs::path& path, std::uint64_t& sequences) {
  const std::string name = path.filename().string();
  constexpr std::string_view head = "step-", tail = ".ckpt.h5";
  if (!name.starts_with(head) || !name.ends_with(tail) || name.size() <= head.size() + tail.size()) return false;
  const char* begin = name.data() + head.size();
  const char* end = name.data() + name.size() - tail.size();
  const auto [stop, error] = std::from_chars(begin, end, sequences);
  return error == std::errc{} && stop == end;
}

}  // namespace

std::vector<fs::path> list_checkpoints(const fs::path& run) {
  std::vector<std::pair<std::uint64_t, fs::path>> found;
  std::error_code error;
  std::uint64_t n = 0;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", error))
    if (step_of(entry.path(), n)) found.emplace_back(n, entry.path());
  std::sort(found.begin(), found.end());
  std::vector<fs::path> paths;
  for (auto& [number, path] : found) paths.push_back(std::move(path));
  return paths;
}

fs::path checkpoint_path(const fs::path& run, std::uint64_t sequences) {
  return run / "checkpoints" / fmt::format("step-{:09}.ckpt.h5", sequences);
}

fs::path best_checkpoint_path(const fs::path& run) {
  return run / "checkpoints" / "best.ckpt.h5";
}

fs::path find_checkpoint(const fs::path& run, const std::string& which) {
  const std::vector<fs::path> steps = list_checkpoints(run);
  std::error_code error;
  if (which == "last" && !steps.empty()) return steps.back();
  if (which == "best" && fs::exists(best_checkpoint_path(run), error)) return best_checkpoint_path(run);
  std::uint64_t wanted = 0, n = 0;
  const auto [stop, bad] = std::from_chars(which.data(), which.data() + which.size(), wanted);
  const bool number = bad == std::errc{} && stop == which.data() + which.size();
  std::vector<std::string> names;
  for (const fs::path& p : steps) {
    if (step_of(p, n) && number && n == wanted) return p;
    names.push_back(std::to_string(n));
  }
  if (!number && fs::is_regular_file(which, error)) return which;
  if (fs::exists(best_checkpoint_path(run), error)) names.push_back("best");
  if (!steps.empty()) names.push_back("last");
  if (names.empty())
    fail<ArgumentError>(run.string(), "holds no checkpoint{}",
                        fs::exists(run / "config.ini", error) ? "" : ", and is no run's folder");
  fail<ArgumentError>(run.string(), "has no checkpoint '{}'. There are: {}", which, join(names, ", "));
}

void prune_checkpoints(const fs::path& run, std::size_t keep) {
  const std::vector<fs::path> steps = list_checkpoints(run);
  std::error_code ignored;  // a file that cannot be removed does no harm
  for (std::size_t i = 0; steps.size() > keep && i < steps.size() - keep; ++i) fs::remove(steps[i], ignored);
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", ignored))
    if (entry.path().extension() == ".part") fs::remove(entry.path(), ignored);
}

}  // namespace mneme::experiments
