// Room: replay. Verify: recomputes every weighting and every memory of a trace from what the trace logs, without the
// model that made it.
//
// Each step starts from the logged previous state: the weights of the step before, and the memory rebuilt in float64
// from the last keyframe and the logged orders. The parts of an addressing scheme are recomputed by rules of their
// names (rules.hpp), the update rule ntm-erase-add by reference.hpp, loops that share no code with training; any other
// through the registered memory's own pure functions in float64. The report says which way each site went. What the
// file promises by itself (finite values, rows of their declared kind, entropy and argmax of the weights) is judged by
// trace::Checker, whose findings are failures here too.
#pragma once

#include "replay/reference.hpp"
#include "trace/reader.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace mneme::replay {

/// One value that is not what the rest of the log says it should be.
struct Mismatch {
  std::string dataset;        ///< "/sites/read_0/weights"
  std::int64_t episode = -1;  ///< index in the file
  std::int64_t step = -1;     ///< within the episode; -1 = of the whole episode
  double logged = 0;
  double recomputed = 0;
  double difference = 0;  ///< infinite where a value is not finite
  std::string rule;       ///< how it was recomputed, or what it breaks

  /// "/sites/read_0/weights episode 3 step 7: logged 0.91, recomputed 0.02 (difference 0.89): from key, beta, ..."
  std::string text() const;
};

/// How a site or the memory was verified.
struct Coverage {
  std::string what;        ///< "read_0", "memory"
  std::string rule;        ///< its addressing or update rule
  std::string how;         ///< "reference loops", "the memory's own functions in float64", or why it was not
  std::size_t values = 0;  ///< numbers compared
};

struct Report {
  double tolerance = 1e-5;
  double max_abs_difference = 0;
  std::size_t episodes = 0;
  std::size_t steps = 0;
  std::size_t values = 0;  ///< numbers compared
  std::vector<Coverage> coverage;
  std::vector<Mismatch> failures;  ///< the first twenty in the order of the trace
  std::size_t failure_count = 0;
  Mismatch worst;                           ///< the largest difference, failing or not
  std::vector<std::string> faults;          ///< what trace::Checker finds wrong, naming dataset, episode and step
  std::string nothing;                      ///< why no weighting and no memory was recomputed; empty = some were
  std::vector<std::string> remarks;         ///< what it finds worth knowing
  std::vector<std::string> not_recomputed;  ///< datasets that no rule covers, each with the reason
  std::vector<std::string> needs_model;     ///< weightings and memories among them: they need trained parameters

  bool ok() const { return failure_count == 0 && faults.empty(); }
};

struct VerifyOptions {
  /// A value passes where |logged - recomputed| <= tolerance max(1, |logged|).
  double tolerance = 1e-5;
  /// Told the number of episodes done and the number of all.
  std::function<void(std::size_t, std::size_t)> progress;
};

/// FileError where the file cannot be read.
Report verify(const std::filesystem::path& trace, const VerifyOptions& options = {});

/// The memory's contents [slot cell] after each step, rebuilt as verify() does; empty where the trace cannot tell.
std::vector<Row> rebuild_memory(const trace::Layout& layout, const trace::Episode& episode);
/// What read site `site` returned at each step [cell]: logged, or recomputed from weights and memory; empty if unknown.
std::vector<Row> read_values(const trace::Layout& layout, const trace::Episode& episode, std::size_t site);

}  // namespace mneme::replay
