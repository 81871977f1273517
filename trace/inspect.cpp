// Room: trace. The dumps behind `mneme trace info|show|export|repair`. See reader.hpp.
#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "trace/atomic_file.hpp"
#include "trace/reader.hpp"
#include "trace/reader_file.hpp"
#include "trace/specs.hpp"
#include "trace/writer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <optional>
#include <ostream>
#include <system_error>

namespace mneme::trace {

namespace fs = std::filesystem;

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
  std::string turns;
  for (const TurnLayout& t : l.turns) turns += (turns.empty() ? "" : ", ") + t.name;
  out << fmt::format("  memory N={} M={}, update {}, turns {}, keyframes {}\n", l.slots, l.cells, l.update,
                     turns.empty() ? "-" : turns,
                     !l.logs_memory()   ? "none"
                     : l.keyframe_every ? "every " + std::to_string(l.keyframe_every) + " steps"
                                        : "at the first step");
  for (const SiteLayout& s : l.sites) {
    std::string values;
    for (const Logged& v : s.values) values += " " + v.declared.name;
    out << fmt::format("  site {} ({}, {}, {} {}s):{}\n", s.site.name, s.site.kind, s.site.addressing, l.width(s),
                       s.site.slot_axis, values.empty() ? " weights only" : values);
  }
  for (const FieldLayout& f : l.fields) {
    const std::string along = f.axis == "step" ? "step" : f.axis == "item_row" ? "item" : "edge";
    out << fmt::format("  field {}: {} {} for each {}\n", f.name, f.width, f.width == 1 ? "number" : "numbers", along);
  }
  for (const Info::Item& d : i.datasets) {
    out << fmt::format("  {:<34} {:<10} [{}]  {} B\n", d.name, d.type, join(d.dims, ", "), d.stored_bytes);
  }
}

std::string info_json(const Info& i) {
  Json j;
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
  j["sites"] = Json::array();
  for (const SiteLayout& s : i.layout.sites) {
    Json values = Json::array();
    for (const Logged& v : s.values) values.push_back(v.declared.name);
    j["sites"].push_back({{"name", s.site.name},
                          {"kind", s.site.kind},
                          {"addressing", s.site.addressing},
                          {"slot_axis", s.site.slot_axis},
                          {"values", values}});
  }
  j["turns"] = Json::array();
  for (const TurnLayout& t : i.layout.turns) {
    Json sites = Json::array();
    for (const std::size_t s : t.sites) sites.push_back(i.layout.sites[s].site.name);
    j["turns"].push_back({{"name", t.name}, {"writes", t.writes}, {"sites", sites}});
  }
  j["fields"] = Json::array();
  for (const FieldLayout& f : i.layout.fields)
    j["fields"].push_back({{"name", f.name}, {"axis", f.axis}, {"width", f.width}, {"whole", f.whole}});
  j["datasets"] = Json::array();
  for (const Info::Item& d : i.datasets) {
    j["datasets"].push_back({{"name", d.name}, {"type", d.type}, {"dims", d.dims}, {"stored_bytes", d.stored_bytes}});
  }
  return json_text(j, 2);
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

}  // namespace

std::string sequence_name(std::int64_t sequence) {
  return sequence >= kHeldOut ? fmt::format("held-out:{}", sequence - kHeldOut) : fmt::format("sequence:{}", sequence);
}

std::string error_text(const Episode& e, int digits) {
  return std::isnan(e.loss) || std::isnan(e.error) ? "-" : fmt::format("{:.{}g}", e.error, digits);
}

/// A line a field, its steps, items or edges apart by "|".
std::string fields_text(const Layout& l, const Episode& e) {
  std::string text;
  for (std::size_t i = 0; i < l.fields.size(); ++i) {
    const FieldLayout& f = l.fields[i];
    text += fmt::format("{:<15}", f.name);
    std::visit(
        [&](const auto& values) {
          for (std::size_t k = 0; k < values.size(); ++k)
            text += fmt::format("{} {:.4g}", k && k % f.width == 0 ? " |" : "", static_cast<double>(values[k]));
        },
        e.fields[i]);
    text += '\n';
  }
  return text;
}

void show_episode(const Reader& reader, std::size_t i, std::ostream& out) {
  const Episode e = reader.episode(i);
  const Layout& l = reader.layout();
  out << fmt::format("episode {} (id {}), {}, seed {}, {} steps, loss {:.6g}, error {}, {}\n", i, e.id,
                     sequence_name(e.sequence), e.seed, e.steps, e.loss, error_text(e, 6),
                     e.correct ? "correct" : "not correct");
  for (std::size_t p = 0; p < e.params.size(); ++p) {
    out << fmt::format("{}{} {:g}", p ? ", " : "", l.episode_params[p].name, e.params[p]);
  }
  if (!e.params.empty()) out << "\n";
  out << fields_text(l, e);
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
  Csv(const fs::path& path, const std::string& header)
      : file_(path, AtomicFile::Old::refused), out_(file_.part(), std::ios::binary) {
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
  std::string buffer_;
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

constexpr const char* kTables[] = {"episodes", "steps", "io",    "weights", "values",
                                   "memory",   "items", "names", "fields"};

fs::path table_path(const fs::path& folder, const std::string& name) {
  return folder / (name + ".csv");
}

}  // namespace

std::vector<fs::path> export_csv(const Reader& reader, const fs::path& folder, const std::vector<std::size_t>& which,
                                 bool force) {
  const Layout& l = reader.layout();
  const bool has_names = !l.vocab.empty() || !l.classes.empty();
  for (const char* name : kTables) expect_free(table_path(folder, name), force);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail<RuntimeFailure>(folder.string(), "cannot be created: {}", error.message());
  std::vector<std::size_t> list = which;
  if (list.empty()) {
    for (std::size_t i = 0; i < reader.episodes(); ++i) list.push_back(i);
  }
  std::string head = "episode,sequence,seed,checkpoint_hash,steps,loss,error,correct";
  for (const EpisodeParam& p : l.episode_params) head += "," + csv_cell(p.name);
  Csv episodes(folder / "episodes.csv", head);
  Csv steps(folder / "steps.csv", "episode,step,phase,mask,site,argmax,largest,entropy");
  Csv io(folder / "io.csv", "episode,step,signal,channel,value");
  Csv weights(folder / "weights.csv", "episode,step,site,slot,weight");     // step -1: before the first
  Csv values(folder / "values.csv", "episode,step,site,name,index,value");  // step -1 too, of a site's state
  Csv memory(folder / "memory.csv", "episode,step,owner,name,index,value");
  std::optional<Csv> items, names, fields;
  if (!l.fields.empty()) fields.emplace(folder / "fields.csv", "episode,name,along,row,channel,value");
  if (l.items) items.emplace(folder / "items.csv", "episode,item,support,truth,values,text");
  if (has_names) names.emplace(folder / "names.csv", "of,number,name");
  for (std::size_t k = 0; k < l.vocab.size(); ++k) names->row("token,{},{}", k, csv_cell(l.vocab[k]));
  for (std::size_t k = 0; k < l.classes.size(); ++k) names->row("class,{},{}", k, csv_cell(l.classes[k]));
  Episode e;
  for (std::size_t i : list) {
    reader.episode(i, e);
    if (items) item_rows(*items, l, e);
    for (std::size_t f = 0; f < l.fields.size(); ++f)
      std::visit(
          [&](const auto& numbers) {
            const FieldLayout& about = l.fields[f];
            for (std::size_t k = 0; k < numbers.size(); ++k)
              fields->row("{},{},{},{},{},{}", e.id, about.name, about.axis, k / about.width, k % about.width,
                          numbers[k]);
          },
          e.fields[f]);
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
        const Logged& about = l.sites[s].values[v];
        if (!l.logs(about)) continue;
        if (about.state) value_rows(values, e.id, {-1}, l.sites[s].site.name, about.declared, site.initial[v]);
        value_rows(values, e.id, rows, l.sites[s].site.name, about.declared, site.values[v]);
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
  for (std::optional<Csv>* csv : {&items, &names, &fields})
    if (*csv) files.push_back((*csv)->finish());
  for (const char* name : kTables) {  // what an export of another trace left, which only `force` lets us come to
    const fs::path old = table_path(folder, name);
    if (!force || std::find(files.begin(), files.end(), old) != files.end()) continue;
    fs::remove(old, error);
    if (error) fail<RuntimeFailure>(old.string(), "is of an earlier export and cannot be removed: {}", error.message());
  }
  return files;
}

// ---- repair ---------------------------------------------------------------------------------------------------------

std::size_t repair(const fs::path& source, const fs::path& destination, bool force) {
  const Reader reader(source);
  fs::path part = destination;
  part += ".part";
  std::error_code none;
  if (fs::equivalent(part, source, none))
    fail<ArgumentError>(source.string(), "is where {} would be written first; give another --out",
                        destination.string());
  expect_free(destination, force);
  AtomicFile file(destination, AtomicFile::Old::refused);
  Layout layout = reader.layout();
  layout.repaired_from = source.filename().string();
  Writer writer(file.part(), layout, 64, reader.episodes() ? reader.summary(0).id : 0);
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

bool is_repaired_copy(const fs::path& path) {
  try {
    return File::open(path).has_attr("/", "repaired_from") ||
           path.filename().string().find(".repaired.") != std::string::npos;
  } catch (const FileError&) {
    return false;
  }
}

}  // namespace mneme::trace
