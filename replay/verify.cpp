// Room: replay. Verify: reads a trace episode by episode and counts what disagrees.
#include "replay/verify.hpp"

#include "core/error.hpp"
#include "replay/answer.hpp"
#include "replay/walker.hpp"
#include "trace/specs.hpp"

#include <algorithm>
#include <cmath>

namespace mneme::replay {

namespace {

constexpr std::size_t kept_failures = 20;
constexpr const char* every_so_many = "from the attribute keyframe_every of /memory";
constexpr const char* on_disk = "; a change on disk breaks its checksum (`mneme trace check`)";
constexpr double infinite = std::numeric_limits<double>::infinity();

double difference(double logged, double recomputed) {
  const double d = std::abs(logged - recomputed);
  return std::isfinite(d) ? d : infinite;
}

/// Counts differences of one episode into the report.
class Judge final : public Witness {
 public:
  Judge(Report& report, std::size_t episode) : report_(report), episode_(static_cast<std::int64_t>(episode)) {}

  void compare(const std::string& dataset, std::size_t step, const float* logged, View recomputed,
               const std::string& rule, Coverage& coverage) override {
    std::size_t at = 0;
    double largest = -1;
    bool fails = false;
    for (std::size_t i = 0; i < recomputed.size(); ++i) {
      const double value = static_cast<double>(logged[i]), d = difference(value, recomputed[i]);
      if (d > largest) {
        largest = d;
        at = i;
      }
      if (!(d <= report_.tolerance * std::max(1.0, std::abs(value)))) fails = true;
    }
    coverage.values += recomputed.size();
    report_.values += recomputed.size();
    if (recomputed.empty()) return;
    report_.max_abs_difference = std::max(report_.max_abs_difference, largest);
    const Mismatch m{
        dataset, episode_, static_cast<std::int64_t>(step), static_cast<double>(logged[at]), recomputed[at],
        largest, rule};
    if (report_.worst.dataset.empty() || largest > report_.worst.difference) report_.worst = m;
    if (fails) add(m);
  }

  /// A keyframe at every step that the layout says, and at no other.
  void keyframes(const trace::Layout& layout, const trace::Episode& e) {
    if (!layout.logs_memory()) return;
    const std::vector<std::int64_t> due = trace::keyframe_steps(layout, e.steps);
    const std::size_t both = std::min(due.size(), e.keyframes.size());
    for (std::size_t k = 0; k < both; ++k)
      if (e.keyframes[k] != due[k]) {
        const auto logged = static_cast<double>(e.keyframes[k]), expected = static_cast<double>(due[k]);
        return add({"/keyframe", episode_, due[k], logged, expected, difference(logged, expected), every_so_many});
      }
    if (due.size() != e.keyframes.size()) {
      const auto logged = static_cast<double>(e.keyframes.size()), expected = static_cast<double>(due.size());
      add({"/keyframe", episode_, -1, logged, expected, difference(logged, expected), every_so_many});
    }
  }

  /// The episode's own row. It is no weighting and no memory, so it does not count in max_abs_difference. Where
  /// training diverged there was no answer (loss NaN), which the checker holds against error and correct.
  void answer(const trace::Layout& layout, const trace::Episode& e) {
    if (std::isnan(e.loss)) return;
    const auto judge = [&](const char* dataset, double logged, double recomputed, double below, double above) {
      ++report_.values;
      const double d = difference(logged, recomputed);
      if (!(d <= (logged < recomputed ? below : above)))
        add({dataset, episode_, -1, logged, recomputed, d, "from outputs, targets and mask of the scored steps"});
    };
    if (const auto loss = answer_loss(layout, e))
      judge("/episodes/loss", static_cast<double>(e.loss), loss->value, loss->below + report_.tolerance,
            loss->above + report_.tolerance);
    if (const auto wrong = wrong_bits(layout, e)) {
      judge("/episodes/error", static_cast<double>(e.error), *wrong, 1e-6, 1e-6);
      judge("/episodes/correct", e.correct ? 1 : 0, *wrong == 0 ? 1 : 0, 0, 0);
    }
  }

 private:
  void add(const Mismatch& m) {
    ++report_.failure_count;
    if (report_.failures.size() < kept_failures) report_.failures.push_back(m);
  }

  Report& report_;
  std::int64_t episode_;
};

/// Why no weighting and no memory can be recomputed; "" = some can.
std::string why_nothing(const trace::Layout& layout, Walker& walker) {
  if (layout.sites.empty()) return "the trace holds no attention sites: its model has no memory";
  if (layout.level < trace::Level::params)
    return fmt::format(
        "the trace was written at level {}, without head parameters to recompute from: train or evaluate with "
        "--trace.level params or full",
        trace::level_name(layout.level));
  if (walker.useful()) return "";
  return fmt::format("{}: {}", walker.coverage()[0].what, walker.coverage()[0].how);
}

std::vector<std::string> uncovered(const trace::Layout& layout) {
  std::vector<std::string> names;
  if (layout.channels_in) names.push_back(std::string("/io/input: what the task drew") + on_disk);
  if (layout.channels_out && !layout.target_kind.empty())
    names.push_back("/io/output, /io/target, /io/mask: compared with loss and error, on scored steps only");
  else if (layout.channels_out)
    names.push_back(std::string("/io/output, /io/target: the trace does not say what kind of target it has") + on_disk);
  if (layout.items) names.push_back(std::string("/items, /io/token: what the task drew") + on_disk);
  if (layout.error_name != "wrong_bits_per_sequence" || layout.target_kind != "bits")
    names.push_back(std::string("/episodes/error, /episodes/correct: only wrong bits are counted again") + on_disk);
  for (const trace::Logged& v : layout.controller)
    if (layout.logs(v))
      names.push_back("/controller/" + trace::dataset_name(v, false) + ": needs the model's weights" + on_disk);
  return names;
}

/// Keeps what the walk passes by.
class Keeper final : public Witness {
 public:
  void compare(const std::string&, std::size_t, const float*, View, const std::string&, Coverage&) override {}
  void value(std::size_t site, std::size_t, const Row& read) override {
    if (site == wanted) values.push_back(read);
  }
  void memory(std::size_t, const Row& contents) override { memories.push_back(contents); }
  std::size_t wanted = 0;
  std::vector<Row> values, memories;
};

}  // namespace

std::string Mismatch::text() const {
  std::string where = dataset;
  if (episode >= 0) where += fmt::format(" episode {}", episode);
  if (step >= 0) where += fmt::format(" step {}", step);
  return fmt::format("{}: logged {:.9g}, recomputed {:.9g} (difference {:.3g}): {}", where, logged, recomputed,
                     difference, rule);
}

Report verify(const std::filesystem::path& path, const VerifyOptions& options) {
  const trace::Reader reader(path);
  const trace::Layout& layout = reader.layout();
  Walker walker(layout, options.tolerance);
  Report report;
  report.nothing = why_nothing(layout, walker);
  report.tolerance = options.tolerance;
  report.not_recomputed = uncovered(layout);
  trace::Checker checker(reader);
  trace::Episode episode;
  for (std::size_t i = 0; i < reader.episodes(); ++i) {
    checker.read(i, episode);
    Judge judge(report, i);
    judge.keyframes(layout, episode);
    if (report.nothing.empty()) walker.run(episode, judge);
    judge.answer(layout, episode);
    ++report.episodes;
    report.steps += episode.steps;
    if (options.progress) options.progress(i + 1, reader.episodes());
  }
  report.faults = checker.take();
  report.remarks = checker.remarks();
  if (report.nothing.empty()) report.coverage = walker.coverage();
  report.needs_model = walker.trained();
  for (const std::string& dataset : report.needs_model)
    report.not_recomputed.push_back(dataset + ": needs the model's weights" + on_disk);
  return report;
}

std::vector<Row> rebuild_memory(const trace::Layout& layout, const trace::Episode& episode) {
  Keeper keeper;
  Walker(layout).run(episode, keeper);
  if (keeper.memories.size() != episode.steps) keeper.memories.clear();
  return std::move(keeper.memories);
}

std::vector<Row> read_values(const trace::Layout& layout, const trace::Episode& episode, std::size_t site) {
  const int logged = trace::Layout::find(layout.sites.at(site).values, "value");
  if (logged >= 0 && layout.logs(layout.sites[site].values[static_cast<std::size_t>(logged)])) {
    const std::vector<float>& v = episode.sites[site].values[static_cast<std::size_t>(logged)];
    const std::size_t size = episode.steps ? v.size() / episode.steps : 0;
    std::vector<Row> rows;
    for (std::size_t t = 0; t < episode.steps; ++t)
      rows.emplace_back(v.begin() + static_cast<std::ptrdiff_t>(t * size),
                        v.begin() + static_cast<std::ptrdiff_t>((t + 1) * size));
    return rows;
  }
  Keeper keeper;
  keeper.wanted = site;
  Walker(layout).run(episode, keeper);
  if (keeper.values.size() != episode.steps) keeper.values.clear();
  return std::move(keeper.values);
}

}  // namespace mneme::replay
