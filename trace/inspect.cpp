// Room: trace. Checks and dumps behind `mneme trace check|info|show|export|repair`. See reader.hpp.
#include "core/error.hpp"
#include "core/quote.hpp"
#include "trace/reader.hpp"
#include "trace/reader_file.hpp"
#include "trace/specs.hpp"
#include "trace/writer.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <ostream>
#include <system_error>

namespace mneme::trace {
namespace {

namespace fs = std::filesystem;

constexpr double kSumTolerance = 1e-4;  // float32 rows of up to some 100,000 weights
constexpr int kMostPerDataset = 3;

/// Collects problems; of each dataset the first few are told, the rest counted.
class Report {
 public:
  template <class... Args>
  void add(const std::string& dataset, fmt::format_string<Args...> format, Args&&... args) {
    if (++count_[dataset] <= kMostPerDataset) {
      problems_.push_back(dataset + ": " + fmt::format(format, std::forward<Args>(args)...));
    }
  }
  std::vector<std::string> take() {
    for (const auto& [dataset, n] : count_) {
      if (n > kMostPerDataset) problems_.push_back(fmt::format("{}: {} more problems", dataset, n - kMostPerDataset));
    }
    return std::move(problems_);
  }

 private:
  std::map<std::string, int> count_;
  std::vector<std::string> problems_;
};

/// Reads every number once, so that checksum failures show, in blocks of about a megabyte.
void check_readable(const File& f, const DatasetInfo& about, Report& report) {
  if (about.type.find("utf8") != std::string::npos || about.type.find("ascii") != std::string::npos) {
    try {
      if (about.dims.empty()) {
        f.read_text(about.name);
      } else {
        f.read_lines(about.name);
      }
    } catch (const FileError& e) {
      report.add(about.name, "{}", e.what());
    }
    return;
  }
  if (about.type == "other") return;
  const Dataset d = f.dataset(about.name);
  const Scalar type = about.type[0] == 'f' ? Scalar::f64 : Scalar::i64;
  const std::size_t row = std::max<std::size_t>(d.row_size(), 1);
  const std::uint64_t most = 1100 * f.size() + 65536;  // a damaged extent must not keep us reading for years
  if (row > most || d.row_count() > most / row) {
    report.add(about.name, "promises more than the file can hold");
    return;
  }
  // Whole chunks, so that each is unpacked once.
  const std::size_t chunk = about.chunk.empty() ? std::max<std::size_t>(d.row_count(), 1) : about.chunk[0];
  const std::size_t block = std::max<std::size_t>((std::size_t{1} << 17) / (row * chunk), 1) * chunk;
  std::vector<double> buffer;
  for (std::size_t at = 0; at < d.row_count(); at += block) {
    const std::size_t rows = std::min(block, d.row_count() - at);
    buffer.resize(rows * row);
    try {
      d.read(at, rows, type, buffer.data());
    } catch (const FileError& e) {
      report.add(about.name, "rows {} to {} cannot be read: {}", at, at + rows, e.what());
    }
  }
}

void check_structure(const File& f, const Layout& l, bool complete, Report& report) {
  std::map<std::string, ColumnSpec> specs;
  for (const auto& list : {columns(l), derived_columns(l), initial_columns(l), episode_columns(l)}) {
    for (const ColumnSpec& c : list) specs.emplace(c.path, c);
  }
  std::map<std::string, AxisSpec> axis;
  for (const AxisSpec& a : axes(l)) {
    axis.emplace("/" + a.name, a);
    if (!f.exists("/" + a.name)) report.add("/" + a.name, "the dimension scale is missing");
  }
  // By the names that the layout gives: what else is there is nobody's business, and HDF5 walks damaged groups badly.
  std::vector<std::string> names = {"/meta/config_ini", "/meta/config_json", "/meta/env_json", "/meta/schema_doc",
                                    "/meta/complete"};
  if (!l.vocab.empty()) names.emplace_back("/meta/vocab");
  if (!l.classes.empty()) names.emplace_back("/meta/classes");
  for (const auto& [name, a] : axis) names.push_back(name);
  for (const auto& [name, c] : specs) names.push_back(name);
  for (const std::string& name : names) {
    if (!f.exists(name)) {
      if (!axis.count(name)) report.add(name, "is missing");
      continue;
    }
    const DatasetInfo about = f.describe(name);
    for (const char* attribute : {"units", "long_name"}) {
      if (!f.has_attr(name, attribute)) report.add(name, "has no attribute {}", attribute);
    }
    for (std::size_t i = 0; i < about.scales.size() && !about.is_scale; ++i) {
      if (about.scales[i].empty()) {
        report.add(name, "axis {} has no dimension scale", i);
        continue;
      }
      const std::size_t scale_size = f.dims(about.scales[i])[0];
      if (scale_size != about.dims[i] && (complete || i > 0)) {
        report.add(name, "axis {} has {} rows, its scale {} has {}", i, about.dims[i], about.scales[i], scale_size);
      }
    }
    const auto a = axis.find(name);
    if (a != axis.end()) {
      if (!about.is_scale) report.add(name, "is not marked as a dimension scale");
      if (about.type != scalar_name(a->second.type)) {
        report.add(name, "holds {}, expected {}", about.type, scalar_name(a->second.type));
      }
    }
    const auto s = specs.find(name);
    if (s != specs.end()) {
      const ColumnSpec& c = s->second;
      if (about.type != scalar_name(c.type)) report.add(name, "holds {}, expected {}", about.type, scalar_name(c.type));
      for (std::size_t i = 0; i < c.axes.size() && i < about.scales.size(); ++i) {
        if (!about.scales[i].empty() && about.scales[i] != "/" + c.axes[i]) {
          report.add(name, "axis {} lies along {}, expected /{}", i, about.scales[i], c.axes[i]);
        }
      }
      const bool checksum = std::find(about.filters.begin(), about.filters.end(), "fletcher32") != about.filters.end();
      if (c.filtered() && !checksum) report.add(name, "has no fletcher32 checksums");
    }
    check_readable(f, about, report);
  }
}

/// One row of a declared kind; false and a reason when it breaks its promise.
bool row_is(Kind kind, const float* v, std::size_t n, std::string& why) {
  double sum = 0.0;
  bool all_zero = true;
  for (std::size_t i = 0; i < n; ++i) {
    const float x = v[i];
    if (!std::isfinite(x)) {
      why = fmt::format("is {} at {}", x, i);
      return false;
    }
    const bool weights = kind == Kind::weights || kind == Kind::sub_weights;
    if ((weights || kind == Kind::positive) && x < 0.0f) {
      why = fmt::format("is {} at {}, expected 0 or more", x, i);
      return false;
    }
    if ((kind == Kind::gate || kind == Kind::usage) && (x < 0.0f || x > 1.0f + 1e-5f)) {
      why = fmt::format("is {} at {}, expected 0 to 1", x, i);
      return false;
    }
    sum += x;
    all_zero = all_zero && x == 0.0f;
  }
  if ((kind == Kind::weights && !all_zero && std::abs(sum - 1.0) > kSumTolerance) ||
      (kind == Kind::sub_weights && sum > 1.0 + kSumTolerance)) {
    why = fmt::format("sums to {:.6g}, expected {}", sum, kind == Kind::weights ? "1" : "at most 1");
    return false;
  }
  return true;
}

void check_rows(const std::string& path, Kind kind, const std::vector<float>& values, const Dims& dims,
                std::size_t rows, std::size_t episode, const char* axis, Report& report) {
  std::size_t count = 1;
  for (std::size_t d : dims) count *= d;
  const std::size_t last = dims.empty() ? 1 : dims.back();
  if (count == 0) return;
  std::string why;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < count; i += last) {
      if (!row_is(kind, values.data() + r * count + i, last, why)) {
        report.add(path, "episode {}, {} {}{}: {}", episode, axis, r,
                   count > last ? fmt::format(", row {}", i / last) : "", why);
        return;
      }
    }
  }
}

void check_derived(const File& f, const Reader& reader, std::size_t i, std::size_t begin, const Episode& e,
                   Report& report) {
  const Layout& l = reader.layout();
  std::vector<float> entropy(e.steps);
  std::vector<std::int32_t> argmax(e.steps), step(e.steps);
  f.dataset("/step").read(begin, e.steps, Scalar::i32, step.data());
  for (std::size_t t = 0; t < e.steps; ++t) {
    if (step[t] != static_cast<std::int32_t>(t)) {
      report.add("/step", "episode {}, step {}: is {}", i, t, step[t]);
      break;
    }
  }
  for (std::size_t s = 0; s < l.sites.size(); ++s) {
    const std::string group = "/sites/" + l.sites[s].site.name;
    const std::size_t n = l.width(l.sites[s]);
    f.dataset(group + "/entropy").read(begin, e.steps, Scalar::f32, entropy.data());
    f.dataset(group + "/argmax").read(begin, e.steps, Scalar::i32, argmax.data());
    for (std::size_t t = 0; t < e.steps; ++t) {
      const float* w = e.sites[s].weights.data() + t * n;
      double h = 0.0;
      float most = 0.0f;
      for (std::size_t k = 0; k < n; ++k) {
        if (w[k] > 0.0f) h -= static_cast<double>(w[k]) * std::log(static_cast<double>(w[k]));
        most = std::max(most, w[k]);
      }
      const std::int32_t a = argmax[t];
      const bool fits = most == 0.0f ? a == -1 : a >= 0 && static_cast<std::size_t>(a) < n && w[a] == most;
      if (!fits) report.add(group + "/argmax", "episode {}, step {}: {} is not the largest weight", i, t, a);
      if (!(std::abs(h - entropy[t]) <= 1e-3 + 1e-4 * std::abs(h))) {  // below 0 where weights are plain scores
        report.add(group + "/entropy", "episode {}, step {}: {:.6g}, the weights give {:.6g}", i, t, entropy[t], h);
      }
    }
    for (std::size_t t = 0; t < e.steps && l.sites[s].site.slot_axis == "item"; ++t) {
      const float* w = e.sites[s].weights.data() + t * n;
      if (std::any_of(w + e.items.count, w + n, [](float x) { return x != 0.0f; })) {
        report.add(group + "/weights", "episode {}, step {}: not zero beyond its {} items", i, t, e.items.count);
        break;
      }
    }
  }
}

void check_episode(const File& f, const Reader& reader, std::size_t i, std::size_t begin, Episode& e, Report& report) {
  const Layout& l = reader.layout();
  reader.episode(i, e);
  const auto table = [&](const char* name, const std::vector<float>& v, std::size_t n) {
    if (n) check_rows(name, Kind::plain, v, {n}, e.steps, i, "step", report);
  };
  table("/io/input", e.input, l.channels_in);
  table("/io/target", e.target, l.channels_out);
  table("/io/output", e.output, l.channels_out);
  for (std::size_t v = 0; v < l.memory.size(); ++v) {
    if (!l.logs(l.memory[v])) continue;
    check_rows("/memory/" + dataset_name(l.memory[v], false), l.memory[v].declared.kind, e.memory[v],
               l.memory[v].declared.dims, e.keyframes.size(), i, "keyframe", report);
  }
  for (std::size_t v = 0; v < l.controller.size(); ++v) {
    if (!l.logs(l.controller[v])) continue;
    check_rows("/controller/" + dataset_name(l.controller[v], false), l.controller[v].declared.kind, e.controller[v],
               l.controller[v].declared.dims, e.steps, i, "step", report);
  }
  for (std::size_t s = 0; s < l.sites.size(); ++s) {
    const SiteLayout& site = l.sites[s];
    const std::string group = "/sites/" + site.site.name;
    check_rows(group + "/weights", site.weights_kind, e.sites[s].weights, {l.width(site)}, e.steps, i, "step", report);
    check_rows(group + "/initial_weights", site.weights_kind, e.sites[s].initial_weights, {l.width(site)}, 1, i, "row",
               report);
    for (std::size_t v = 0; v < site.values.size(); ++v) {
      if (!l.logs(site.values[v])) continue;
      check_rows(group + "/" + dataset_name(site.values[v], true), site.values[v].declared.kind, e.sites[s].values[v],
                 site.values[v].declared.dims, e.steps, i, "step", report);
    }
  }
  if (l.logs_memory() && (e.keyframes.empty() || e.keyframes[0] != 0)) {
    report.add("/keyframe", "episode {}: no keyframe at its first step", i);
  }
  check_derived(f, reader, i, begin, e, report);
}

}  // namespace

std::vector<std::string> check(const fs::path& path) {
  std::string version;
  const File f = open_trace(path, version);
  Report report;
  try {
    const Reader reader(path);
    check_structure(f, reader.layout(), reader.complete(), report);
    const auto begins = f.read<std::int64_t>("/episodes/step_begin");
    Episode e;
    for (std::size_t i = 0; i < reader.episodes(); ++i) {
      try {
        check_episode(f, reader, i, static_cast<std::size_t>(begins[i]), e, report);
      } catch (const FileError& error) {
        report.add("episode " + std::to_string(i), "{}", error.what());
      }
    }
  } catch (const FileError& e) {
    report.add("file", "{}", e.what());
  }
  return report.take();
}

// ---- info -----------------------------------------------------------------------------------------------------------

Info info(const fs::path& path) {
  const Reader reader(path);
  Info i;
  i.path = path.string();
  i.version = reader.version();
  i.layout = reader.layout();
  i.episodes = reader.episodes();
  i.steps = reader.steps();
  i.complete = reader.complete();
  i.budget_exhausted = reader.budget_exhausted();
  std::error_code ignored;
  i.file_bytes = fs::file_size(path, ignored);
  const File f = File::open(path);
  for (const std::string& name : f.datasets()) {
    const DatasetInfo about = f.describe(name);
    i.datasets.push_back({name, about.type, about.dims, about.stored_bytes});
  }
  return i;
}

void print_info(const Info& i, std::ostream& out) {
  const Layout& l = i.layout;
  out << fmt::format("{}\n", i.path);
  out << fmt::format("  schema {}, level {}, {} ({}), run {}\n", i.version, level_name(l.level), l.phase, l.created_utc,
                     l.run_id.empty() ? "-" : l.run_id);
  out << fmt::format("  task {}, model {}, addressing {}, checkpoint at step {}\n", l.task, l.model, l.addressing,
                     l.checkpoint_step);
  out << fmt::format("  {} episodes, {} steps, {:.2f} MB{}{}\n", i.episodes, i.steps,
                     static_cast<double>(i.file_bytes) / 1e6,
                     i.complete ? "" : "; not closed by its writer (killed, or still running)",
                     i.budget_exhausted ? "; the size budget was used up" : "");
  out << fmt::format("  memory N={} M={}, update {}, {}, keyframes {}\n", l.slots, l.cells, l.update, l.step_order,
                     !l.logs_memory()   ? "none"
                     : l.keyframe_every ? "every " + std::to_string(l.keyframe_every) + " steps"
                                        : "at the first step");
  for (const SiteLayout& s : l.sites) {
    std::string values;
    for (const Logged& v : s.values) values += " " + v.declared.name;
    out << fmt::format("  site {} ({}, {}, {} {}s):{}\n", s.site.name, s.site.kind, s.site.addressing, l.width(s),
                       s.site.slot_axis, values.empty() ? " weights only" : values);
  }
  for (const Info::Item& d : i.datasets) {
    out << fmt::format("  {:<34} {:<10} [{}]  {} B\n", d.name, d.type, fmt::join(d.dims, ", "), d.stored_bytes);
  }
}

std::string info_json(const Info& i) {
  nlohmann::ordered_json j;
  j["path"] = i.path;
  j["schema_version"] = i.version;
  j["complete"] = i.complete;
  j["budget_exhausted"] = i.budget_exhausted;
  j["episodes"] = i.episodes;
  j["steps"] = i.steps;
  j["bytes"] = i.file_bytes;
  j["level"] = level_name(i.layout.level);
  j["phase"] = i.layout.phase;
  j["run_id"] = i.layout.run_id;
  j["task"] = i.layout.task;
  j["model"] = i.layout.model;
  j["addressing"] = i.layout.addressing;
  j["checkpoint_step"] = i.layout.checkpoint_step;
  j["slots"] = i.layout.slots;
  j["cells"] = i.layout.cells;
  j["update"] = i.layout.update;
  j["keyframe_every"] = i.layout.keyframe_every;
  j["sites"] = nlohmann::ordered_json::array();
  for (const SiteLayout& s : i.layout.sites) {
    nlohmann::ordered_json values = nlohmann::ordered_json::array();
    for (const Logged& v : s.values) values.push_back(v.declared.name);
    j["sites"].push_back({{"name", s.site.name},
                          {"kind", s.site.kind},
                          {"addressing", s.site.addressing},
                          {"slot_axis", s.site.slot_axis},
                          {"values", values}});
  }
  j["datasets"] = nlohmann::ordered_json::array();
  for (const Info::Item& d : i.datasets) {
    j["datasets"].push_back({{"name", d.name}, {"type", d.type}, {"dims", d.dims}, {"stored_bytes", d.stored_bytes}});
  }
  return j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

// ---- show -----------------------------------------------------------------------------------------------------------

namespace {

struct RowStats {
  std::int32_t argmax = -1;
  float entropy = 0.0f, largest = 0.0f;
};

RowStats stats(const float* w, std::size_t n) {
  RowStats r;
  for (std::size_t i = 0; i < n; ++i) {
    if (w[i] > 0.0f) r.entropy -= w[i] * std::log(w[i]);
    if (w[i] > r.largest) {
      r.largest = w[i];
      r.argmax = static_cast<std::int32_t>(i);
    }
  }
  return r;
}

std::string phase_name(std::uint8_t phase) {
  switch (phase) {
    case 0: return "input";
    case 1: return "delimiter";
    case 2: return "answer";
    default: return std::to_string(phase);
  }
}

}  // namespace

void show_episode(const Reader& reader, std::size_t i, std::ostream& out) {
  const Episode e = reader.episode(i);
  const Layout& l = reader.layout();
  out << fmt::format("episode {} (id {}), sequence {}, seed {}, {} steps, loss {:.6g}, error {:.6g}, {}\n", i, e.id,
                     e.sequence, e.seed, e.steps, e.loss, e.error, e.correct ? "correct" : "not correct");
  for (std::size_t p = 0; p < e.params.size(); ++p) {
    out << fmt::format("{}{} {:g}", p ? ", " : "", l.episode_params[p].name, e.params[p]);
  }
  if (!e.params.empty()) out << "\n";
  std::string head = fmt::format("{:>5} {:<9}", "step", "phase");
  for (const SiteLayout& s : l.sites) {
    head += fmt::format(" | {:>10} {:>6} {:>7}", s.site.name, "weight", "entropy");
    for (const Logged& v : s.values) {
      if (l.logs(v) && v.declared.dims.empty()) head += fmt::format(" {:>8}", v.declared.name);
    }
  }
  out << head << "\n";
  for (std::size_t t = 0; t < e.steps; ++t) {
    std::string line = fmt::format("{:>5} {:<9}", t, phase_name(e.phase[t]));
    for (std::size_t s = 0; s < l.sites.size(); ++s) {
      const std::size_t n = l.width(l.sites[s]);
      const RowStats r = stats(e.sites[s].weights.data() + t * n, n);
      line += fmt::format(" | {:>10} {:>6.3f} {:>7.3f}", r.argmax, r.largest, r.entropy);
      for (std::size_t v = 0; v < l.sites[s].values.size(); ++v) {
        const Logged& about = l.sites[s].values[v];
        if (l.logs(about) && about.declared.dims.empty()) line += fmt::format(" {:>8.3f}", e.sites[s].values[v][t]);
      }
    }
    out << line << "\n";
  }
}

// ---- export ---------------------------------------------------------------------------------------------------------

namespace {

/// A CSV file that appears under its name when it is whole.
class Csv {
 public:
  Csv(const fs::path& path, const std::string& header) : file_(path), out_(file_.part(), std::ios::binary) {
    if (!out_) fail<RuntimeFailure>(file_.part().string(), "cannot be written");
    row("{}", header);
  }
  template <class... Args>
  void row(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(buffer_), format, std::forward<Args>(args)...);
    buffer_.push_back('\n');
    if (buffer_.size() > 1 << 16) drain();
  }
  fs::path finish() {
    drain();
    out_.close();
    if (!out_) fail<RuntimeFailure>(file_.part().string(), "cannot be written (is the disk full?)");
    file_.commit();
    return file_.final_path();
  }

 private:
  void drain() {
    out_.write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    buffer_.clear();
  }
  AtomicFile file_;
  std::ofstream out_;
  fmt::memory_buffer buffer_;
};

/// "3", "3:1", "" : where in the declared dims a number stands.
std::string index_text(const Dims& dims, std::size_t flat) {
  std::string text;
  for (std::size_t i = dims.size(); i-- > 0; flat /= dims[i]) {
    text = std::to_string(flat % dims[i]) + (text.empty() ? "" : ":" + text);
  }
  return text;
}

/// One line an item; what the layout does not declare stays empty.
void item_rows(Csv& csv, const Layout& l, const Episode& e) {
  std::size_t token = 0;
  for (std::size_t n = 0; n < e.items.count; ++n) {
    std::string values, text;
    for (std::size_t k = 0; k < l.item_width; ++k)
      values += fmt::format("{}{}", k ? ":" : "", e.items.values[n * l.item_width + k]);
    for (std::int32_t w = 0; l.item_tokens && w < e.items.token_count[n]; ++w)
      text += (w ? " " : "") + l.word(e.items.token[token++]);
    csv.row("{},{},{},{},{},{}", e.id, n, l.item_support ? std::to_string(e.items.support[n]) : "",
            l.item_truth ? std::to_string(e.items.truth[n]) : "", values, csv_cell(text));
  }
}

/// One line a number: episode, row, name, index, value.
void value_rows(Csv& csv, std::int64_t episode, const std::vector<std::int64_t>& rows, const std::string& owner,
                const Declared& d, const std::vector<float>& values) {
  const std::size_t n = d.count();
  std::vector<std::string> index;
  for (std::size_t i = 0; i < n; ++i) index.push_back(index_text(d.dims, i));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t i = 0; i < n; ++i) {
      csv.row("{},{},{},{},{},{}", episode, rows[r], csv_cell(owner), csv_cell(d.name), index[i], values[r * n + i]);
    }
  }
}

}  // namespace

std::vector<fs::path> export_csv(const Reader& reader, const fs::path& folder, const std::vector<std::size_t>& which) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail<RuntimeFailure>(folder.string(), "cannot be created: {}", error.message());
  std::vector<std::size_t> list = which;
  if (list.empty()) {
    for (std::size_t i = 0; i < reader.episodes(); ++i) list.push_back(i);
  }
  const Layout& l = reader.layout();
  std::string head = "episode,sequence,seed,checkpoint_hash,steps,loss,error,correct";
  for (const EpisodeParam& p : l.episode_params) head += "," + csv_cell(p.name);
  Csv episodes(folder / "episodes.csv", head);
  Csv steps(folder / "steps.csv", "episode,step,phase,mask,site,argmax,largest,entropy");
  Csv io(folder / "io.csv", "episode,step,signal,channel,value");
  Csv weights(folder / "weights.csv", "episode,step,site,slot,weight");  // step -1: before the first
  Csv values(folder / "values.csv", "episode,step,site,name,index,value");
  Csv memory(folder / "memory.csv", "episode,step,owner,name,index,value");
  std::optional<Csv> items, names;
  if (l.items) items.emplace(folder / "items.csv", "episode,item,support,truth,values,text");
  if (!l.vocab.empty() || !l.classes.empty()) names.emplace(folder / "names.csv", "of,number,name");
  for (std::size_t k = 0; k < l.vocab.size(); ++k) names->row("token,{},{}", k, csv_cell(l.vocab[k]));
  for (std::size_t k = 0; k < l.classes.size(); ++k) names->row("class,{},{}", k, csv_cell(l.classes[k]));
  Episode e;
  for (std::size_t i : list) {
    reader.episode(i, e);
    if (items) item_rows(*items, l, e);
    std::string params;
    for (double p : e.params) params += fmt::format(",{}", p);
    episodes.row("{},{},{},{:016x},{},{},{},{}{}", e.id, e.sequence, e.seed, e.checkpoint_hash, e.steps, e.loss,
                 e.error, int{e.correct}, params);
    std::vector<std::int64_t> rows(e.steps);
    for (std::size_t t = 0; t < e.steps; ++t) rows[t] = static_cast<std::int64_t>(t);
    const auto signal = [&](const char* name, const std::vector<float>& v, std::size_t n) {
      for (std::size_t k = 0; n && k < v.size(); ++k) io.row("{},{},{},{},{}", e.id, k / n, name, k % n, v[k]);
    };
    signal("input", e.input, l.channels_in);
    signal("target", e.target, l.channels_out);
    signal("output", e.output, l.channels_out);
    for (std::size_t t = 0; t < e.token.size(); ++t) io.row("{},{},token,0,{}", e.id, t, e.token[t]);
    for (std::size_t s = 0; s < l.sites.size(); ++s) {
      const std::string name = csv_cell(l.sites[s].site.name);
      const std::size_t n = l.width(l.sites[s]);
      const SiteRows& site = e.sites[s];
      for (std::size_t k = 0; k < n; ++k) weights.row("{},-1,{},{},{}", e.id, name, k, site.initial_weights[k]);
      for (std::size_t t = 0; t < e.steps; ++t) {
        const float* w = site.weights.data() + t * n;
        const RowStats r = stats(w, n);
        steps.row("{},{},{},{},{},{},{},{}", e.id, t, phase_name(e.phase[t]), e.mask[t], name, r.argmax, r.largest,
                  r.entropy);
        for (std::size_t k = 0; k < n; ++k) weights.row("{},{},{},{},{}", e.id, t, name, k, w[k]);
      }
      for (std::size_t v = 0; v < site.values.size(); ++v) {
        if (l.logs(l.sites[s].values[v])) {
          value_rows(values, e.id, rows, l.sites[s].site.name, l.sites[s].values[v].declared, site.values[v]);
        }
      }
    }
    for (std::size_t v = 0; v < l.memory.size(); ++v) {
      if (l.logs(l.memory[v])) value_rows(memory, e.id, e.keyframes, "memory", l.memory[v].declared, e.memory[v]);
    }
    for (std::size_t v = 0; v < l.controller.size(); ++v) {
      if (l.logs(l.controller[v])) {
        value_rows(memory, e.id, rows, "controller", l.controller[v].declared, e.controller[v]);
      }
    }
  }
  std::vector<fs::path> files;
  for (Csv* csv : {&episodes, &steps, &io, &weights, &values, &memory}) files.push_back(csv->finish());
  for (std::optional<Csv>* csv : {&items, &names})
    if (*csv) files.push_back((*csv)->finish());
  return files;
}

// ---- repair ---------------------------------------------------------------------------------------------------------

std::size_t repair(const fs::path& source, const fs::path& destination) {
  const Reader reader(source);
  if (fs::exists(destination)) fail<ArgumentError>(destination.string(), "exists already");
  AtomicFile file(destination);
  Writer writer(file.part(), reader.layout(), 64, reader.episodes() ? reader.summary(0).id : 0);
  Episode e;
  for (std::size_t i = 0; i < reader.episodes(); ++i) {
    reader.episode(i, e);
    writer.append(e);
  }
  if (reader.budget_exhausted()) writer.mark_exhausted();
  writer.close();
  file.commit();
  return reader.episodes();
}

}  // namespace mneme::trace
