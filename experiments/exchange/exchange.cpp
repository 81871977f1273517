// Room: experiments. Weights between checkpoints and other programs.
#include "experiments/exchange/exchange.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/join.hpp"
#include "core/names.hpp"
#include "experiments/run/environment.hpp"
#include "experiments/run/run_directory.hpp"
#include "experiments/run/session.hpp"
#include "experiments/run/trainer.hpp"
#include "trace/atomic_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <sstream>

namespace mneme::experiments {

namespace fs = std::filesystem;

Weights weights_of(const CheckpointInfo& c) {
  Weights w;
  std::string buffers;
  for (const NamedArray& a : c.arrays) {
    const std::size_t slash = a.name.find('/');
    const std::string kind = a.name.substr(0, slash), name = a.name.substr(slash + 1);
    if (kind != "parameters" && kind != "buffers") continue;
    if (kind == "buffers") buffers += (buffers.empty() ? "" : " ") + name;
    w.arrays.push_back({name, a.dims, a.values});
  }
  w.metadata = {{"format", fmt::format("{} 1", kWeightsFormat)},
                {"producer", fmt::format("mneme {}", build_info().version)},
                {"config", c.config_text},
                {"parameter_hash", hex(c.parameter_hash)},
                {"sequences", std::to_string(c.state.sequences)},
                {"layout", "row-major; a layer's weight is [in out]"},
                {"gate_order", "lstm: i f g o; gru: r z n"}};
  if (!c.provenance.run_id.empty()) w.metadata["config_hash"] = c.provenance.run_id;
  if (!buffers.empty()) w.metadata["buffers"] = buffers;
  if (!c.provenance.origin.empty()) w.metadata["origin"] = c.provenance.origin;
  return w;
}

NameMap parse_name_map(const std::string& text, const std::string& where) {
  NameMap map;
  std::istringstream lines(text);
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string at = fmt::format("{}:{}", where, ++number);
    std::istringstream words(line);
    std::vector<std::string> found;
    for (std::string word; words >> word && word[0] != '#';) found.push_back(word);
    if (found.empty()) continue;
    if (found.size() < 2)
      fail<ArgumentError>(at, "'{}' alone; a line is THEIRS OURS [transpose] [reshape] [add]", line);
    NameMap::Line l{.theirs = found[0], .ours = found[1], .where = at};
    for (std::size_t i = 2; i < found.size(); ++i) {
      bool* flag = found[i] == "transpose" ? &l.transpose
                   : found[i] == "reshape" ? &l.reshape
                   : found[i] == "add"     ? &l.add
                                           : nullptr;
      if (!flag) throw ArgumentError("[" + at + "] " + unknown_name("word", found[i], {"transpose", "reshape", "add"}));
      if (*flag) fail<ArgumentError>(at, "'{}' is there twice", found[i]);
      *flag = true;
    }
    map.lines.push_back(std::move(l));
  }
  return map;
}

namespace {

using Dims = std::vector<std::size_t>;

struct Target {
  std::string name;
  Dims dims;
  float* values;
  std::vector<NamedArray> pieces = {};  ///< what the file gives, to be stacked along the first axis
  bool given = false, failed = false;   ///< a line gives it; one of them in vain
};

std::vector<Target> targets_of(ParameterSet<float>& set) {
  std::vector<Target> all;
  const auto add = [&](const std::string& name, const Shape& shape, float* values) {
    Dims dims;
    for (std::size_t a = 0; a < shape.rank(); ++a) dims.push_back(shape[a]);
    all.push_back({name, std::move(dims), values});
  };
  for (std::size_t i = 0; i < set.parameters().size(); ++i)
    add(set.parameters()[i].name, set.parameters()[i].shape, set.value(i));
  for (Buffer<float>& b : set.buffers()) add(b.name, b.shape, b.values.data());
  return all;
}

NamedArray transposed(const NamedArray& a) {
  NamedArray t{a.name, {a.dims[1], a.dims[0]}, std::vector<float>(a.values.size())};
  for (std::size_t i = 0; i < a.dims[0]; ++i)
    for (std::size_t j = 0; j < a.dims[1]; ++j) t.values[j * a.dims[0] + i] = a.values[i * a.dims[1] + j];
  return t;
}

/// One line of the map applied; what is wrong, or "".
std::string apply(const NameMap::Line& line, const NamedArray& source, Target& target) {
  if (line.transpose && source.dims.size() != 2)
    return fmt::format("'{}' is {}: transpose wants two axes", line.theirs, text_of(source.dims));
  NamedArray piece = line.transpose ? transposed(source) : source;
  if (line.reshape) {
    std::size_t wanted = 1;
    for (const std::size_t d : target.dims) wanted *= d;
    if (piece.values.size() != wanted)
      return fmt::format("'{}' {} cannot be reshaped to {} of '{}'", line.theirs, text_of(source.dims),
                         text_of(target.dims), line.ours);
    piece.dims = target.dims;
  }
  if (!line.add) {
    target.pieces.push_back(std::move(piece));
    return "";
  }
  if (target.pieces.empty()) return fmt::format("no line before it gives '{}' what to add to", line.ours);
  NamedArray& sum = target.pieces.back();
  if (sum.dims != piece.dims)
    return fmt::format("'{}' {} cannot be added to {}", line.theirs, text_of(piece.dims), text_of(sum.dims));
  for (std::size_t i = 0; i < sum.values.size(); ++i) {
    sum.values[i] += piece.values[i];
    if (!std::isfinite(sum.values[i]))  // what the file holds was finite
      fail<NonFiniteError>(line.where, "'{}' added to '{}' gives {} at number {}", line.theirs, line.ours,
                           sum.values[i], i);
  }
  return "";
}

/// Extents of the pieces stacked; none where they do not fit onto each other.
std::optional<Dims> stacked(const std::vector<NamedArray>& pieces) {
  Dims dims = pieces[0].dims;
  for (std::size_t i = 1; i < pieces.size(); ++i) {
    const Dims& more = pieces[i].dims;
    if (dims.empty() || more.size() != dims.size() || !std::equal(dims.begin() + 1, dims.end(), more.begin() + 1))
      return std::nullopt;
    dims[0] += more[0];
  }
  return dims;
}

std::string shape_problem(const Target& t) {
  const std::optional<Dims> dims = stacked(t.pieces);
  if (dims == t.dims) return "";
  std::vector<std::string> shapes;
  for (const NamedArray& p : t.pieces) shapes.push_back(text_of(p.dims));
  std::string text =
      fmt::format("other shape: {} is {} in the model, {} in the file", t.name, text_of(t.dims), join(shapes, " on "));
  if (dims && dims->size() == 2 && dims->at(0) != dims->at(1) && Dims{dims->at(1), dims->at(0)} == t.dims)
    text += "; say transpose in a map's line";
  return text;
}

std::string suggestion(const std::string& name, const std::vector<std::string>& known) {
  const std::string near = nearest_name(name, known);
  return near.empty() ? "" : fmt::format(", did you mean '{}'?", near);
}

}  // namespace

void fit_weights(const Weights& weights, const NameMap& map, ParameterSet<float>& set, const std::string& where) {
  std::vector<Target> targets = targets_of(set);
  std::map<std::string, const NamedArray*> sources;
  std::map<std::string, Target*> by_name;
  std::vector<std::string> theirs, ours, wrong;
  for (const NamedArray& a : weights.arrays) sources[a.name] = &a, theirs.push_back(a.name);
  for (Target& t : targets) by_name[t.name] = &t, ours.push_back(t.name);

  std::set<std::string> used;
  for (const NameMap::Line& line : map.lines) {
    const auto source = sources.find(line.theirs);
    const auto target = by_name.find(line.ours);
    used.insert(line.theirs);
    if (target != by_name.end()) {
      target->second->given = true;
      target->second->failed |= source == sources.end();
    }
    if (source == sources.end())
      wrong.push_back(
          fmt::format("{}: the file has no '{}'{}", line.where, line.theirs, suggestion(line.theirs, theirs)));
    if (target == by_name.end())
      wrong.push_back(fmt::format("{}: the model has no '{}'{}", line.where, line.ours, suggestion(line.ours, ours)));
    if (source == sources.end() || target == by_name.end()) continue;
    const std::string problem = apply(line, *source->second, *target->second);
    if (problem.empty()) continue;
    target->second->failed = true;
    wrong.push_back(fmt::format("{}: {}", line.where, problem));
  }
  std::vector<std::string> missing, left_over;
  for (const NamedArray& a : weights.arrays) {
    if (used.count(a.name)) continue;
    const auto target = by_name.find(a.name);
    if (target == by_name.end() || target->second->given)
      left_over.push_back(a.name);
    else
      target->second->pieces.push_back(a);
  }
  for (const Target& t : targets)
    if (!t.given && t.pieces.empty()) missing.push_back(t.name);
  for (const std::string& name : missing)
    wrong.push_back(fmt::format("missing: {} {}{}", name, text_of(by_name[name]->dims), suggestion(name, left_over)));
  for (const std::string& name : left_over)
    wrong.push_back(fmt::format("left over: {} {}{}", name, text_of(sources[name]->dims), suggestion(name, missing)));
  for (const Target& t : targets) {
    if (t.pieces.empty() || t.failed) continue;  // a line that failed has been named
    const std::string problem = shape_problem(t);
    if (!problem.empty()) wrong.push_back(problem);
  }
  if (!wrong.empty()) fail<ArgumentError>(where, "does not fit the model:\n  {}", join(wrong, "\n  "));
  for (Target& t : targets) {
    float* to = t.values;
    for (const NamedArray& p : t.pieces) to = std::copy(p.values.begin(), p.values.end(), to);
  }
  set.refresh();
}

ImportResult import_weights(const ImportOptions& options) {
  const std::string source = options.source.string();
  const NameMap map = options.map.empty() ? NameMap{} : parse_name_map(read_bytes(options.map), options.map.string());
  const Weights weights = read_weights(options.source);
  const auto inside = weights.metadata.find("config");
  if (options.into.empty() && inside == weights.metadata.end())
    fail<ArgumentError>("--into", "is missing: {} names no configuration, so say which model the weights are for",
                        source);
  const Config config = options.into.empty() ? Config::stored(inside->second, source + ": config").with(options.given)
                                             : Config::load(options.into, options.given);
  Session session(config, 1);
  fit_weights(weights, map, session.parameters(), source);

  ImportResult r;
  r.notices = config.notices;
  r.config_hash = config.run_id(session.task().data_digest());
  r.directory = options.out.empty() ? default_run_directory(config) : options.out;
  r.arrays = weights.arrays.size();
  for (const NamedArray& a : weights.arrays) r.numbers += a.values.size();
  r.origin = fmt::format("weights imported from {}{}; optimizer state fresh", source,
                         options.map.empty() ? "" : fmt::format(" with map {}", options.map.string()));

  // Whole or not there: a run without its checkpoint would start again from drawn weights, and nobody would know.
  trace::AtomicFolder folder(r.directory);
  const RunFolder held = RunFolder::create(folder.part(), config);
  RunState state;
  state.window_metrics.resize(session.task().metrics().size());
  save_checkpoint(checkpoint_path(folder.part(), 0), config.text(), session.parameters(), session.optimizer(), state,
                  {r.origin, r.config_hash, session.task().data_digest()});
  RunRecord record;
  record.argv = options.argv;
  record.started_utc = utc_now();
  record.exit_reason = "imported";
  record.message = r.origin;
  record.parameters = session.parameters().count();
  write_run_json(folder.part(), config, session.task(), record, state);
  append_log(folder.part(), r.origin);
  folder.commit();
  r.checkpoint = checkpoint_path(r.directory, 0);
  return r;
}

}  // namespace mneme::experiments
