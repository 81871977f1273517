// Room: trace. What `mneme trace check` and `replay --verify` hold a file to. See reader.hpp.
//
// Nothing is read twice: an episode's numbers are judged as they are read for whoever asks, tables and scales once at
// the start, and of the rest only the chunks that no episode touches.
#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "trace/hdf5.hpp"
#include "trace/reader.hpp"
#include "trace/reader_file.hpp"
#include "trace/specs.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

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

/// Whether one number may be in the column; "" = it may.
std::string range_fault(const ColumnSpec& c, double value) {
  if (std::isfinite(value) && value >= c.least && value <= c.most) return "";
  if (!std::isfinite(value) || (!std::isfinite(c.least) && !std::isfinite(c.most)))
    return fmt::format("is {}, no finite number", value);
  if (!std::isfinite(c.most)) return fmt::format("is {:.10g}, expected {:.10g} or more", value, c.least);
  return fmt::format("is {:.10g}, expected {:.10g} to {:.10g}", value, c.least, c.most);
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

void check_values(const ColumnSpec& c, const std::vector<float>& values, std::size_t episode, Report& report) {
  const std::size_t count = c.row_size(), last = c.row.empty() ? 1 : c.row.back();
  const bool bounded = std::isfinite(c.least) || std::isfinite(c.most);
  std::string why;
  for (std::size_t begin = 0; count && begin < values.size(); begin += last) {
    bool good = row_is(c.kind, values.data() + begin, last, why);
    for (std::size_t k = 0; bounded && good && k < last; ++k) {
      const std::string fault = range_fault(c, static_cast<double>(values[begin + k]));
      good = fault.empty();
      if (!good) why = fmt::format("{}, at {}", fault, k);
    }
    if (good) continue;
    const bool once = c.axes[0] == "episode";
    return report.add(c.path, "episode {}, {} {}{}: {}", episode, once ? "row" : c.axes[0], begin / count,
                      count > last ? fmt::format(", row {}", begin % count / last) : "", why);
  }
}

template <class T>
void check_values(const ColumnSpec& c, const std::vector<T>& values, std::size_t episode, Report& report) {
  const std::size_t row = c.row_size();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string why = range_fault(c, static_cast<double>(values[i]));
    if (!why.empty()) return report.add(c.path, "episode {}, {} {}: {}", episode, c.axes[0], i / row, why);
  }
}

/// Rows begin to end of a scale: 0, 1, 2, ... within what owns them.
template <class T>
void check_counting(const std::string& scale, const std::vector<T>& values, std::size_t begin, std::size_t end,
                    std::size_t episode, Report& report) {
  for (std::size_t r = begin; r < end; ++r)
    if (values[r] != static_cast<T>(r - begin))
      return report.add("/" + scale, "episode {}, {} {}: is {}, expected {}", episode, scale, r, values[r], r - begin);
}

void check_items(const Layout& l, const Episode& e, const Derived& d, std::size_t i, Report& report) {
  check_counting("item_row", d.item_row, 0, e.items.count, i, report);
  if (!l.item_tokens) return;
  std::size_t token = 0;
  for (std::size_t n = 0; n < e.items.count && e.items.token_count[n] >= 0; ++n) {
    const std::int64_t begin = d.token_begin[0] + static_cast<std::int64_t>(token);
    if (d.token_begin[n] != begin)
      return report.add("/items/token_begin", "episode {}, item_row {}: is {}, expected {}", i, n, d.token_begin[n],
                        begin);
    const std::size_t end = token + static_cast<std::size_t>(e.items.token_count[n]);
    check_counting("token_row", d.token_row, token, end, i, report);
    token = end;
  }
}

void check_keyframes(const Episode& e, std::size_t i, Report& report) {
  if (e.keyframes.empty() || e.keyframes[0] != 0)
    report.add("/keyframe", "episode {}: no keyframe at its first step", i);
  const auto back = std::adjacent_find(e.keyframes.begin(), e.keyframes.end(), std::greater_equal<>{});
  if (back != e.keyframes.end())
    report.add("/keyframe", "episode {}, keyframe {}: does not come after the one before it", i,
               back - e.keyframes.begin() + 1);
}

void check_site(const SiteLayout& site, std::size_t n, const std::vector<float>& weights,
                const std::vector<float>& entropy, const std::vector<std::int32_t>& argmax, const Episode& e,
                std::size_t i, Report& report) {
  const std::string group = "/sites/" + site.site.name;
  for (std::size_t t = 0; t < e.steps; ++t) {
    const float* w = weights.data() + t * n;
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
  for (std::size_t t = 0; t < e.steps && site.site.slot_axis == "item"; ++t) {
    const float* w = weights.data() + t * n;
    if (std::any_of(w + e.items.count, w + n, [](float x) { return x != 0.0f; }))
      return report.add(group + "/weights", "episode {}, step {}: not zero beyond its {} items", i, t, e.items.count);
  }
}

}  // namespace

struct Checker::Impl {
  const Reader& reader;
  const File& file;
  const Layout& layout;
  const std::vector<ColumnSpec> stored, derived, table;
  const std::vector<ColumnSpec> initial;
  std::map<std::string, AxisSpec> scales;
  Derived buffer;
  bool unreadable = false;
  Report report;
  std::vector<std::string> remarks;

  explicit Impl(const Reader& r)
      : reader(r),
        file(r.file()),
        layout(r.layout()),
        stored(columns(layout)),
        derived(derived_columns(layout)),
        table(episode_columns(layout)),
        initial(initial_columns(layout)) {
    for (const AxisSpec& a : axes(layout)) scales.emplace("/" + a.name, a);
  }

  template <class F>
  void tell(const std::string& dataset, F f) {
    try {
      f();
    } catch (const FileError& e) {
      report.add(dataset, "{}", e.what());
    }
  }

  void structure() {
    tell("/", [&] { attributes(); });
    tell("/", [&] { companions(); });
    // By the names that the layout gives: what else is there is nobody's business, and HDF5 walks damaged groups badly.
    std::vector<std::string> others = {"/meta/config_ini", "/meta/config_json", "/meta/env_json", "/meta/schema_doc",
                                       "/meta/complete"};
    if (!layout.vocab.empty()) others.emplace_back("/meta/vocab");
    if (!layout.classes.empty()) others.emplace_back("/meta/classes");
    for (const auto& [name, a] : scales) others.push_back(name);
    for (const std::string& name : others) tell(name, [&] { dataset(name); });
    bool checksums = true;
    for (const auto* list : {&stored, &derived, &initial, &table})
      for (const ColumnSpec& c : *list) tell(c.path, [&] { checksums = column(c, dataset(c.path)) && checksums; });
    if (!checksums)
      remarks.emplace_back(
          "some of its rows carry no checksums (a repacked file?): damage on disk shows only where numbers contradict "
          "each other");
    tell("/episodes", [&] { episode_table(); });
  }

  void attributes() {
    const auto flag = [&](const char* name, int value) {
      if (value > 1) report.add("/", "{} is {}, expected 0 or 1", name, value);
    };
    flag("attribute git_dirty", file.attr<std::uint8_t>("/", "git_dirty"));
    if (file.has_attr("/", "budget_exhausted"))
      flag("attribute budget_exhausted", file.attr<std::uint8_t>("/", "budget_exhausted"));
    flag("/meta/complete", file.read_scalar<std::uint8_t>("/meta/complete"));
    if (layout.checkpoint_step < 0) report.add("/", "attribute checkpoint_step is {}", layout.checkpoint_step);
    for (const auto& [name, value] : layout.constants)
      if (!std::isfinite(value)) report.add("/", "attribute constant_{} is {}", name, value);
    for (const SiteLayout& s : layout.sites)
      for (const auto& [name, value] : s.site.parts.constants)
        if (!std::isfinite(value)) report.add("/sites/" + s.site.name, "attribute constant_{} is {}", name, value);
    static const std::set<std::string> kinds = {"bits", "classes", "pointer", "real"};
    if (!layout.target_kind.empty() && !kinds.count(layout.target_kind))
      report.add("/io", "attribute target_kind is \"{}\", none of {}", layout.target_kind, join(kinds, ", "));
    for (const std::string& name : file.list("/sites"))
      if (layout.find_site(name) < 0) report.add("/sites", "its attribute order does not name {}", name);
  }

  /// What only makes sense together: the layout holds what the file holds, so one of them would not be missed.
  void companions() {
    const auto needs = [&](const char* one, const char* other) {
      if (file.exists(one) && !file.exists(other)) report.add(other, "is missing, though {} is there", one);
    };
    for (const char* name : {"/items/token_count", "/items/token_begin", "/token_row"}) needs(name, "/items/token");
    needs("/word", "/meta/vocab");
    // Files before 1.1.1 do not list their scales; their memories all had slots, also where sites lie along items.
    std::string listed = layout.sites.empty() ? "" : "slot";
    if (file.has_attr("/", "scales")) listed = file.text_attr("/", "scales");
    for (const std::string& name : split_list(listed))
      if (!scales.count("/" + name)) report.add("/" + name, "the dimension scale is missing");
    for (const std::string group : {"/io", "/items", "/meta"})
      if (file.has_attr(group, "values"))
        for (const std::string& name : split_list(file.text_attr(group, "values")))
          if (!file.exists(group + "/" + name)) report.add(group + "/" + name, "is missing");
  }

  /// Of any dataset that the layout gives: there, annotated, a scale on every axis.
  DatasetInfo dataset(const std::string& name) {
    const auto axis = scales.find(name);
    if (!file.exists(name)) {
      report.add(name, "{}", axis == scales.end() ? "is missing" : "the dimension scale is missing");
      return {};
    }
    DatasetInfo about = file.describe(name);
    for (const char* attribute : {"units", "long_name"})
      if (!file.has_attr(name, attribute)) report.add(name, "has no attribute {}", attribute);
    for (std::size_t i = 0; i < about.scales.size() && !about.is_scale; ++i) attached(about, i);
    if (axis != scales.end()) scale(axis->second, about);
    if (about.type.find("utf8") != std::string::npos || about.type.find("ascii") != std::string::npos) text(about);
    return about;
  }

  void attached(const DatasetInfo& about, std::size_t i) {
    const std::string& name = about.scales[i];
    if (name.empty()) return report.add(about.name, "axis {} has no dimension scale", i);
    if (!file.exists(name)) return report.add(about.name, "axis {} lies along {}, which is missing", i, name);
    const Dims size = file.dims(name);
    if (size.size() != 1) return report.add(about.name, "axis {} lies along {}, which is no list", i, name);
    if (size[0] != about.dims[i] && (reader.complete() || i > 0))
      report.add(about.name, "axis {} has {} rows, its scale {} has {}", i, about.dims[i], name, size[0]);
  }

  void scale(const AxisSpec& a, const DatasetInfo& about) {
    if (!about.is_scale) report.add(about.name, "is not marked as a dimension scale");
    if (about.type != scalar_name(a.type))
      return report.add(about.name, "holds {}, expected {}", about.type, scalar_name(a.type));
    if (about.dims.size() != 1) return report.add(about.name, "is no list");
    if (a.grows) return;
    const auto values = file.read<std::int32_t>(about.name);
    // Offsets -k..k of a shift (of an even number -k..k-1), else 0, 1, 2, ...
    const std::int32_t first = a.name == "shift_offset" ? -static_cast<std::int32_t>(values.size() / 2) : 0;
    for (std::size_t k = 0; k < values.size(); ++k)
      if (const std::int32_t expected = first + static_cast<std::int32_t>(k); values[k] != expected)
        return report.add(about.name, "row {}: is {}, expected {}", k, values[k], expected);
  }

  void text(const DatasetInfo& about) {
    if (!about.dims.empty()) {
      file.read_lines(about.name);
      return;
    }
    const std::string text = file.read_text(about.name);
    if (about.name.ends_with("_json") && !text.empty() && parse_json(text).is_discarded())
      report.add(about.name, "is no JSON, or has something after its end");
  }

  /// What a column says of itself. False where its rows should carry checksums and do not.
  bool column(const ColumnSpec& c, const DatasetInfo& about) {
    if (about.name.empty()) return true;
    if (about.type != scalar_name(c.type)) report.add(c.path, "holds {}, expected {}", about.type, scalar_name(c.type));
    const std::string axes = join(c.axes, ",");
    if (const std::string said = file.text_attr(c.path, "axes"); said != axes)
      report.add(c.path, "attribute axes is \"{}\", expected \"{}\"", said, axes);
    for (std::size_t i = 0; i < c.axes.size() && i < about.scales.size(); ++i)
      if (!about.scales[i].empty() && about.scales[i] != "/" + c.axes[i])
        report.add(c.path, "axis {} lies along {}, expected /{}", i, about.scales[i], c.axes[i]);
    return !c.filtered() || std::count(about.filters.begin(), about.filters.end(), "fletcher32") > 0;
  }

  /// The episode at which training diverged has no answer: neither a loss nor an error (0 in older files), nor is it
  /// right.
  void unanswered(const Episode& e, std::size_t i) {
    const bool none = std::isnan(e.error) || e.error == 0;
    if (std::isnan(e.loss) ? !none || e.correct : std::isnan(e.error))
      report.add("/episodes/error", "episode {}: is {}, correct {}, beside a loss of {}: an answer has all or none", i,
                 e.error, int{e.correct}, e.loss);
  }

  /// /episodes and /episode as they are stored; what they say of rows the reader has judged.
  void episode_table() {
    std::vector<double> values;
    for (const ColumnSpec& c : table) {
      const Dataset d = file.dataset(c.path);
      values.resize(std::min(reader.episodes(), d.row_count()));
      if (!values.empty()) d.read(0, values.size(), Scalar::f64, values.data());
      const bool may_be_nan = layout.phase == "train" && (c.path == "/episodes/loss" || c.path == "/episodes/error");
      for (std::size_t i = 0; i < values.size(); ++i)
        if (const std::string why = range_fault(c, values[i]); !why.empty() && !(may_be_nan && std::isnan(values[i])))
          report.add(c.path, "episode {}: {}", i, why);
    }
    for (std::size_t i = 0; i < reader.episodes(); ++i) unanswered(reader.summary(i), i);
    for (std::size_t i = 0; i < reader.episodes(); ++i) {
      const std::int64_t id = reader.summary(i).id;
      const std::int64_t expected = i ? reader.summary(i - 1).id + 1 : std::max<std::int64_t>(id, 0);
      if (id != expected) return report.add("/episode", "episode {}: is {}, expected {}", i, id, expected);
    }
  }

  void episode(std::size_t i, const Episode& e) {
    std::size_t k = 0;
    each_column(layout, e, [&](const auto& values) { check_values(stored[k++], values, i, report); });
    std::size_t c = 0;
    each_initial(layout, e, [&](const auto& values) { check_values(initial[c++], values, i, report); });
    if (layout.logs_memory()) check_keyframes(e, i, report);
    reader.derived(i, e, buffer);
    check_counting("step", buffer.step, 0, e.steps, i, report);
    if (layout.items) check_items(layout, e, buffer, i, report);
    if (layout.has_edges()) check_counting("edge_row", buffer.edge_row, 0, e.items.edges, i, report);
    for (std::size_t s = 0; s < layout.sites.size(); ++s)
      check_site(layout.sites[s], layout.width(layout.sites[s]), e.sites[s].weights, buffer.entropy[s],
                 buffer.argmax[s], e, i, report);
  }

  /// In blocks of about a megabyte and whole chunks.
  void read_rows(const DatasetInfo& about, std::size_t begin, std::size_t end) {
    const Dataset d = file.dataset(about.name);
    const std::size_t row = std::max<std::size_t>(d.row_size(), 1);
    const std::size_t chunk = about.chunk.empty() ? std::max<std::size_t>(d.row_count(), 1) : about.chunk[0];
    const std::size_t block = std::max<std::size_t>((std::size_t{1} << 17) / (row * chunk), 1) * chunk;
    std::vector<double> values;
    for (std::size_t at = begin; at < end; at += block) {
      const std::size_t rows = std::min(block, end - at);
      values.resize(rows * row);
      try {
        d.read(at, rows, Scalar::f64, values.data());
      } catch (const FileError& e) {
        report.add(about.name, "rows {} to {} cannot be read: {}", at, at + rows, e.what());
      }
    }
  }

  /// Chunks that no episode touches: padding, and rows that a kill left without an episode. Where an episode could not
  /// be read, all chunks, so that what is damaged is named with its rows.
  void unowned() {
    for (const auto* list : {&stored, &derived})
      for (const ColumnSpec& c : *list)
        if (unreadable || c.filtered()) tell(c.path, [&] { unowned(c); });
  }
  void unowned(const ColumnSpec& c) {
    const DatasetInfo about = file.describe(c.path);
    const std::size_t row = std::max<std::size_t>(file.dataset(c.path).row_size(), 1);
    const std::uint64_t most = 1100 * file.size() + 65536;  // a damaged extent must not keep us reading for years
    if (row > most || about.dims.at(0) > most / row)
      return report.add(about.name, "promises more than the file can hold");
    const std::size_t rows = about.dims.at(0), chunk = about.chunk.empty() ? rows : about.chunk[0];
    if (unreadable || chunk == 0) return read_rows(about, 0, rows);
    std::vector<bool> met((rows + chunk - 1) / chunk);
    for (std::size_t i = 0; i < reader.episodes(); ++i) {
      const auto [begin, end] = reader.rows(i, c.axes[0] == "keyframe");
      for (std::size_t k = begin / chunk; begin < end && k <= (end - 1) / chunk; ++k) met[k] = true;
    }
    for (std::size_t k = 0; k < met.size(); ++k)
      if (!met[k]) read_rows(about, k * chunk, std::min((k + 1) * chunk, rows));
  }
};

Checker::Checker(const Reader& reader) : impl_(std::make_unique<Impl>(reader)) {
  impl_->structure();
}
Checker::~Checker() = default;

void Checker::read(std::size_t i, Episode& into) {
  try {
    impl_->reader.episode(i, into);
    impl_->episode(i, into);
  } catch (const FileError& e) {
    impl_->unreadable = true;
    impl_->report.add("episode " + std::to_string(i), "{}", e.what());
    throw;
  }
}

std::vector<std::string> Checker::take(bool rest) {
  if (rest) impl_->unowned();
  return impl_->report.take();
}

const std::vector<std::string>& Checker::remarks() const {
  return impl_->remarks;
}

Findings examine(const fs::path& path) {
  std::string version;
  const File f = open_trace(path, version);
  try {
    const Reader reader(path);
    Checker checker(reader);
    Episode e;
    for (std::size_t i = 0; i < reader.episodes(); ++i) {
      try {
        checker.read(i, e);
      } catch (const FileError&) {  // take() tells
      }
    }
    return {checker.take(), checker.remarks()};
  } catch (const FileError& e) {
    return {{fmt::format("file: {}", e.what())}, {}};
  }
}

std::vector<std::string> check(const fs::path& path) {
  return examine(path).problems;
}

}  // namespace mneme::trace
