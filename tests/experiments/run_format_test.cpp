// docs/run_format.md against what runs, restarts and evaluations write: what is written stands on the page, and what
// stands there is written.
#include "core/join.hpp"
#include "core/json.hpp"
#include "experiments/compare/restarts.hpp"
#include "experiments/judge/evaluate.hpp"
#include "experiments/run/run_directory.hpp"
#include "places.hpp"
#include "tests/experiments/support.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

namespace mneme::experiments {
namespace {

using Names = std::set<std::string>;

/// Rows of a section's tables that begin with a name in backticks: the name without them, then the other cells.
using Rows = std::vector<std::vector<std::string>>;

/// "| `a` | b \| c |" -> {"a", "b | c"}; {} where it is no such row.
std::vector<std::string> cells_of(const std::string& line) {
  if (!line.starts_with("| `") || !line.ends_with(" |")) return {};
  std::vector<std::string> cells = {""};
  for (std::size_t i = 2; i + 2 < line.size(); ++i) {
    if (line.compare(i, 2, "\\|") == 0)
      cells.back() += line[++i];
    else if (line.compare(i, 3, " | ") == 0) {
      cells.emplace_back();
      i += 2;
    } else {
      cells.back() += line[i];
    }
  }
  std::string& name = cells.front();
  if (name.size() < 3 || name.find('`', 1) != name.size() - 1) return {};
  name = name.substr(1, name.size() - 2);
  return cells;
}

std::map<std::string, Rows> read_page() {
  std::ifstream in(fs::path(MNEME_SOURCE_DIR) / "docs/run_format.md");
  std::map<std::string, Rows> sections;
  std::string section;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) section = line.substr(3);
    auto cells = cells_of(line);
    if (!cells.empty()) sections[section].push_back(std::move(cells));
  }
  return sections;
}

const Rows& section(const std::string& name) {
  static const std::map<std::string, Rows> page = read_page();
  static const Rows none;
  const auto it = page.find(name);
  return it == page.end() ? none : it->second;
}

Names names_in(const Rows& rows) {
  Names names;
  for (const auto& cells : rows) EXPECT_TRUE(names.insert(cells[0]).second) << cells[0] << " stands there twice";
  return names;
}

void expect_same(const Names& on_page, const Names& written, const std::string& where) {
  for (const std::string& name : written)
    EXPECT_TRUE(on_page.count(name)) << where << ": '" << name << "' is written and not on docs/run_format.md";
  for (const std::string& name : on_page)
    EXPECT_TRUE(written.count(name)) << where << ": '" << name << "' is on docs/run_format.md and never written";
}

/// "history[].argv", "environment.cpu", ...: every field that holds no further ones. A list of plain values is one.
void add_fields(const Json& j, const std::string& at, Names& names) {
  if (j.is_object() && !j.empty()) {
    for (const auto& [key, value] : j.items()) add_fields(value, at.empty() ? key : at + "." + key, names);
  } else if (j.is_array() && !j.empty() && j.front().is_object()) {
    for (const Json& element : j) add_fields(element, at + "[]", names);
  } else {
    names.insert(at);
  }
}

/// With METRIC for the name of each of the metrics, and NAME for that of a library.
Names fields_of(const Json& j, const Config& config) {
  Names found, names;
  add_fields(j, "", found);
  std::vector<Metric> metrics = tasks().find(config.task).make(config.task_options)->metrics();
  // One's name may be part of another's.
  std::sort(metrics.begin(), metrics.end(),
            [](const Metric& a, const Metric& b) { return a.name.size() > b.name.size(); });
  for (std::string name : found) {
    for (const Metric& m : metrics)
      if (const std::size_t begin = name.find(m.name); begin != name.npos) name.replace(begin, m.name.size(), "METRIC");
    names.insert(name.starts_with("environment.libraries.") ? "environment.libraries.NAME" : name);
  }
  return names;
}

std::vector<Json> lines_of(const fs::path& file) {
  std::vector<Json> lines;
  std::istringstream in(read_file(file));
  for (std::string line; std::getline(in, line);) lines.push_back(parse_json(line));
  return lines;
}

/// A memory network on bAbI stories of our own making.
Config stories(const std::vector<Assignment>& more = {}) {
  std::vector<Assignment> given = {{"task.questions", "40", ""},
                                   {"train.max-sequences", "640", ""},
                                   {"train.log-every", "320", ""},
                                   {"train.eval-every", "320", ""},
                                   {"train.eval-episodes", "4", ""}};
  given.insert(given.end(), more.begin(), more.end());
  return Config::load("babi_memn2n_single", given);
}

/// One of each kind: a run gone on with and judged, restarts with a test set, a run that diverged.
class RunFormat : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new Folder;
    experiments::run(small({{"trace.level", "weights", ""}}), *folder_ / "run");
    const fs::path last = list_checkpoints(run()).back();
    fs::resize_file(last, fs::file_size(last) / 2);
    go_on(run());
    judge(run(), {.lengths = {2, 3}, .episodes = 3, .given = {{"trace.level", "weights", ""}}});
    judge(run(), {.episodes = 1});
    judge(run(), {.slots = {16}, .episodes = 1});
    train_restarts(stories(), 2, group(), {"mneme", "train"}, {.jobs = 1});
    judge(group(), {.reliance = true});
    judge(group(), {.episodes = 5});
    const Config wild = stories({{"train.learning-rate", "1e6", ""}, {"memory.table-clip", "0", ""}});
    EXPECT_EQ(experiments::run(wild, diverged()).reason, ExitReason::diverged);
  }
  static void TearDownTestSuite() { delete folder_; }

  static void judge(const fs::path& directory, const EvaluationOptions& options) {
    const Evaluation e = evaluate(directory, options);
    append_evaluation(e.directory, evaluation_line(e, {"mneme", "eval"}));
  }
  static fs::path run() { return *folder_ / "run"; }
  static fs::path group() { return *folder_ / "group"; }
  static fs::path diverged() { return *folder_ / "diverged"; }
  static std::vector<fs::path> runs() { return {run(), group() / "seed1", group() / "seed2", diverged()}; }

  static Folder* folder_;
};
Folder* RunFormat::folder_ = nullptr;

TEST_F(RunFormat, ThePageHasEveryMetric) {
  Rows declared;
  for (const auto& [name, plugin] : tasks().entries()) {
    if (name.starts_with("toy_")) continue;  // of other tests
    const auto task = plugin.make(plugin.options.parse("task", {}));
    for (const Metric& m : task->metrics()) {
      const bool solved = m.name == task->metrics()[task->solved_metric()].name;
      declared.push_back({m.name, name + (solved ? ", the solved metric" : ""), m.unit, m.doc});
    }
  }
  EXPECT_EQ(section(""), declared);
}

TEST_F(RunFormat, ThePageHasEveryFile) {
  Names written;
  for (const fs::path& directory : runs())
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
      if (!entry.is_regular_file()) continue;
      const std::string name = fs::relative(entry.path(), directory).string();
      // N for each digit of a number: step-NNNNNNNNN, train.NNN
      written.insert(std::regex_replace(name, std::regex("[0-9](?=[0-9]*\\.(ckpt|trace))"), "N"));
    }
  expect_same(names_in(section("The folder")), written, "a run's folder");
}

TEST_F(RunFormat, ThePageHasEveryKeyOfConfigIni) {
  Rows rows = section("config.ini");
  const auto options = std::stable_partition(rows.begin(), rows.end(), [](const auto& r) { return r.size() == 2; });
  Names top;
  for (const fs::path& directory : runs())
    for (const auto& [key, value] : read_run_config(directory).items())
      if (key.find('.') == key.npos) top.insert(key);
  expect_same(names_in({rows.begin(), options}), top, "config.ini");

  std::vector<std::string> on_page, declared;
  const auto row = [](const std::vector<std::string>& cells) { return join(cells, " | "); };
  for (auto it = options; it != rows.end(); ++it) on_page.push_back(row(*it));
  for (const OptionInfo& o : list_options()) {
    const Names of_other_tests = {"optimizer early", "optimizer late",   "task toy_graph",
                                  "task toy_items",  "model neighbours", "model route"};
    if (o.key == "seed" || of_other_tests.count(o.plugin)) continue;
    const auto& keys = resumable_keys();
    const bool may_change = std::count(keys.begin(), keys.end(), o.key) || o.domain == "path";
    declared.push_back(row(
        {o.key, o.plugin.empty() ? "every run" : o.plugin, o.standard, o.domain, may_change ? "yes" : "no", o.help}));
  }
  for (const std::string& text : declared)
    EXPECT_TRUE(std::count(on_page.begin(), on_page.end(), text)) << "not on docs/run_format.md:\n" << text;
  for (const std::string& text : on_page)
    EXPECT_TRUE(std::count(declared.begin(), declared.end(), text)) << "no option says so:\n" << text;
}

TEST_F(RunFormat, ThePageHasEveryFieldOfRunJson) {
  Names written;
  for (const fs::path& directory : runs()) written.merge(fields_of(run_json(directory), read_run_config(directory)));
  expect_same(names_in(section("run.json")), written, "run.json");
}

TEST_F(RunFormat, ThePageHasEveryFieldOfMetricsJsonl) {
  for (const std::string kind : {"train", "eval"}) {
    Names written, on_page;
    for (const auto& cells : section("metrics.jsonl"))
      if (cells.at(1) == kind || cells.at(1) == "both") on_page.insert(cells[0]);
    for (const fs::path& directory : runs())
      for (const Json& line : lines_of(directory / "metrics.jsonl"))
        if (line.at("kind") == kind) written.merge(fields_of(line, read_run_config(directory)));
    expect_same(on_page, written, "metrics.jsonl, lines of kind " + kind);
  }
}

TEST_F(RunFormat, ThePageHasEveryFieldOfEvaluationsJsonl) {
  Names written, always;
  for (const auto& cells : section("evaluations.jsonl"))
    if (cells.at(1) == "always") always.insert(cells[0]);
  ASSERT_FALSE(always.empty());
  std::size_t lines = 0;
  for (const fs::path& directory : runs())
    for (const Json& line : lines_of(directory / "evaluations.jsonl")) {
      Names fields = fields_of(line, read_run_config(directory));
      for (const std::string& name : always) EXPECT_TRUE(fields.count(name)) << name << " is not in " << line;
      written.merge(fields);
      ++lines;
    }
  EXPECT_EQ(lines, 5u);
  expect_same(names_in(section("evaluations.jsonl")), written, "evaluations.jsonl");
}

TEST_F(RunFormat, ThePageHasEveryFieldOfRestartsJson) {
  Names written;
  add_fields(parse_json(read_file(group() / kRestartsFile)), "", written);
  expect_same(names_in(section("restarts.json")), written, kRestartsFile);
}

}  // namespace
}  // namespace mneme::experiments
