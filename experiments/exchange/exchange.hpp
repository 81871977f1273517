// Room: experiments. Weights out of checkpoints for other programs, and other programs' weights into new runs.
//
// Strict both ways: an import fills every parameter and buffer of the model from the file and uses every array of the
// file, or it changes nothing and lists all that is missing, left over and of another shape.
// Errors: ArgumentError (names, shapes, map, an output that exists), FileError (checkpoint or weights file).
#pragma once

#include "experiments/config/config.hpp"
#include "experiments/exchange/weights.hpp"
#include "experiments/run/checkpoint.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace mneme::experiments {

/// A checkpoint's parameters and buffers by their own names, without optimizer state; metadata say where they are from,
/// with the configuration, and how they lie.
Weights weights_of(const CheckpointInfo& checkpoint);

/// How another program's names become ours. Names that no line mentions stand for themselves.
///
///   THEIRS OURS [transpose] [reshape] [add]      # the rest of a line, or a line
///
/// `transpose` swaps two axes; `reshape` then takes the numbers in their order for our shape. Lines with the same OURS
/// are stacked along its first axis, in their order; one with `add` is added to the line before it instead.
struct NameMap {
  struct Line {
    std::string theirs, ours;
    bool transpose = false, reshape = false, add = false;
    std::string where;  ///< "names.txt:3"
  };
  std::vector<Line> lines;
};
/// ArgumentError names `where`:line.
NameMap parse_name_map(const std::string& text, const std::string& where);

/// Into the parameters and buffers of `set`. `where` stands for the file in messages. Nothing is changed when it
/// throws.
void fit_weights(const Weights& weights, const NameMap& map, ParameterSet<float>& set, const std::string& where);

struct ImportOptions {
  std::filesystem::path source;    ///< safetensors file or npy folder
  std::filesystem::path map = {};  ///< "" = none
  /// A preset, a file or a run's folder whose configuration is taken; "" = the one that the source's metadata hold.
  std::string into = {};
  std::vector<Assignment> given = {};  ///< on top of it
  std::filesystem::path out = {};      ///< "" = default_run_directory()
  std::vector<std::string> argv = {};  ///< for run.json
};
struct ImportResult {
  std::filesystem::path directory, checkpoint;
  std::string config_hash, origin;
  std::size_t arrays = 0, numbers = 0;
  std::vector<std::string> notices;  ///< of the configuration
};
/// A new run that stands before its first sequence: config.ini, run.json, log.txt and one checkpoint with these weights
/// and fresh optimizer state. `mneme eval` judges it, `mneme train --resume` trains it on.
ImportResult import_weights(const ImportOptions& options);

}  // namespace mneme::experiments
