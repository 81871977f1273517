// Room: experiments. Checkpoints: everything that a run needs to go on to the bit, in one HDF5 file.
//
//   DIR/checkpoints/step-000005000.ckpt.h5   the last k; the number is how many sequences were trained on
//   DIR/checkpoints/best.ckpt.h5             of the best evaluation so far
//
// Invariants: a file is whole or not there (written as .part, fsync, rename). Every array is stored by its parameter's
// name, so files do not depend on how memory is laid out. Files gain and lose fields from version to version: what is
// not known is passed over, what is missing has its default, and the seal is of all bytes that are there. Errors:
// FileError where a file is truncated, damaged, foreign, of a newer format; ArgumentError where it does not fit the
// model (names and both shapes); RuntimeFailure where the disk refuses.
#pragma once

#include "experiments/exchange/weights.hpp"
#include "nn/optimizers.hpp"
#include "nn/parameters.hpp"

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mneme::experiments {

inline constexpr const char* kCheckpointFormat = "mneme-checkpoint";
inline constexpr int kCheckpointMajor = 1;

/// Where a run stands. Everything in it is saved and restored.
struct RunState {
  std::uint64_t sequences = 0;  ///< trained on so far: the number of the next one
  std::uint64_t updates = 0;
  std::uint64_t evaluations = 0;  ///< evaluations so far
  double seconds = 0;             ///< training alone: no evaluation, no checkpoint
  double wall_seconds = 0;        ///< all of it

  double last_evaluation = -1;  ///< the solved metric of the latest evaluation; see evaluation()
  std::uint64_t last_evaluation_at = 0;
  double last_evaluation_seconds = 0;
  double best = -1;  ///< lowest so far; see best_evaluation()
  std::uint64_t best_at = 0;
  bool solved = false;
  std::uint64_t solved_at = 0;  ///< sequences at the first of the two evaluations
  double solved_seconds = 0;

  double usual_norm = 0;  ///< running mean of the gradient's norm (nn/optimizers.hpp)

  /// Sums since the last line of metrics.jsonl.
  std::uint64_t window_updates = 0, window_sequences = 0;
  double window_loss = 0, window_norm = 0, window_norm_max = 0;
  std::vector<double> window_metrics;
  std::uint64_t metrics_bytes = 0;  ///< length of metrics.jsonl that belongs to this state

  /// None before the first evaluation; none of those, either, that an older version took down though it was NaN.
  std::optional<double> evaluation() const { return known(last_evaluation); }
  std::optional<double> best_evaluation() const { return known(best); }
  std::optional<double> known(double v) const {
    return evaluations > 0 && std::isfinite(v) ? std::optional<double>(v) : std::nullopt;
  }

  /// f(name, member) for every number but window_metrics.
  template <class Self, class F>
  static void each(Self& s, F f) {
    f("sequences", s.sequences), f("updates", s.updates), f("evaluations", s.evaluations);
    f("seconds", s.seconds), f("wall_seconds", s.wall_seconds);
    f("last_evaluation", s.last_evaluation), f("last_evaluation_at", s.last_evaluation_at);
    f("last_evaluation_seconds", s.last_evaluation_seconds);
    f("best", s.best), f("best_at", s.best_at);
    f("solved", s.solved), f("solved_at", s.solved_at), f("solved_seconds", s.solved_seconds);
    f("usual_norm", s.usual_norm);
    f("window_updates", s.window_updates), f("window_sequences", s.window_sequences);
    f("window_loss", s.window_loss), f("window_norm", s.window_norm), f("window_norm_max", s.window_norm_max);
    f("metrics_bytes", s.metrics_bytes);
  }
};

/// Ends a file with a checksum of all its bytes, which HDF5 does not see. Reading starts with it: HDF5 1.10 can crash
/// on a damaged file, so none is shown to it.
void seal_file(const std::filesystem::path& path);

/// Hash of all parameters and buffers: which weights made an episode.
std::uint64_t parameter_hash(const ParameterSet<float>& set);

/// Whose state a checkpoint is; "" where it does not say.
struct Provenance {
  std::string origin;       ///< where the run's first weights came from; "" for drawn ones
  std::string run_id;       ///< Config::run_id()
  std::string data_digest;  ///< Task::data_digest()
};

void save_checkpoint(const std::filesystem::path& path, const std::string& config_text, const ParameterSet<float>& set,
                     Optimizer<float>& optimizer, const RunState& state, const Provenance& provenance = {});

/// What a file holds, without a model.
struct CheckpointInfo {
  std::filesystem::path path;
  std::string version, producer, git_rev, config_text;
  Provenance provenance;
  std::uint64_t content_hash = 0, parameter_hash = 0;
  RunState state;
  std::vector<NamedArray> arrays;  ///< "parameters/NAME", "buffers/NAME", "optimizer/STATE/NAME"
};
/// Reads and verifies the whole file.
CheckpointInfo inspect_checkpoint(const std::filesystem::path& path);

/// Into a model and, unless null, an optimizer and a state. Nothing is changed when it throws.
CheckpointInfo load_checkpoint(const std::filesystem::path& path, ParameterSet<float>& set,
                               Optimizer<float>* optimizer = nullptr, RunState* state = nullptr);

/// step-*.ckpt.h5 of a run, oldest first.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& run);
std::filesystem::path checkpoint_path(const std::filesystem::path& run, std::uint64_t sequences);
std::filesystem::path best_checkpoint_path(const std::filesystem::path& run);
/// "last", "best", a number of sequences, or a file. ArgumentError lists what the run has.
std::filesystem::path find_checkpoint(const std::filesystem::path& run, const std::string& which);
/// Removes all but the last `keep`, and parts that a killed run left.
void prune_checkpoints(const std::filesystem::path& run, std::size_t keep);

}  // namespace mneme::experiments
