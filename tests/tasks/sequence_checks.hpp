// Room: tests. What the tests of tasks of random sequences share.
#pragma once

#include "core/prediction.hpp"
#include "core/random.hpp"
#include "tasks/task.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

namespace mneme {

using Given = std::map<std::string, std::string>;

inline std::unique_ptr<Task> make_task(const std::string& name, const Given& options = {}) {
  const TaskPlugin& plugin = tasks().find(name);
  return plugin.make(plugin.options.parse("task", options));
}

/// The message of the error; "" where there is none.
inline std::string complaint(const std::string& name, const Given& options) {
  try {
    make_task(name, options);
  } catch (const ArgumentError& e) {
    return e.what();
  }
  return "";
}

inline Batch sampled(const Task& task, const Draw& draw = {}) {
  Batch batch;
  task.sample(draw, batch);
  batch.check(task.spec());
  return batch;
}

inline float parameter(const Batch& batch, const std::string& name, std::size_t row = 0) {
  for (const auto& [own, values] : batch.parameters)
    if (own == name) return values[row];
  ADD_FAILURE() << "no parameter " << name;
  return 0;
}

/// Row 0's phases, a letter each: i, d, a.
inline std::string phases(const Batch& batch, std::size_t row = 0) {
  std::string text;
  for (std::size_t t = 0; t < batch.lengths[row]; ++t) text += "ida"[batch.phase(t, row)];
  return text;
}

/// The right answer, sure of itself.
inline Prediction right(const Task& task, const Batch& batch) {
  Prediction p{.values = batch.target.values, .indices = batch.target.indices};
  if (!chooses(task.spec().target)) return p;
  p.values.resize({batch.steps, batch.size, task.spec().outputs});
  std::fill(p.values.storage().begin(), p.values.storage().end(), 0.0f);
  for (std::size_t t = 0; t < batch.steps; ++t)
    for (std::size_t b = 0; b < batch.size; ++b)
      if (batch.target.scored(t, b)) p.values(t, b, static_cast<std::size_t>(p.indices(t, b))) = 1;
  return p;
}

inline std::vector<double> metrics_of(const Task& task, const Batch& batch, const Prediction& answer, double nats = 0,
                                      std::size_t row = 0) {
  std::vector<double> out(task.metrics().size());
  task.score(batch, row, answer, nats, out);
  return out;
}

/// The mean metrics of sequences 0 .. count-1, each answered by answer(batch, prediction), which changes the right
/// answer and gives its nats.
inline std::vector<double> mean_metrics(const Task& task, int count,
                                        const std::function<double(const Batch&, Prediction&)>& answer) {
  std::vector<double> mean(task.metrics().size());
  Batch batch;
  for (int i = 0; i < count; ++i) {
    task.sample({.first = static_cast<std::uint64_t>(i)}, batch);
    Prediction given = right(task, batch);
    const double nats = answer(batch, given);
    const std::vector<double> own = metrics_of(task, batch, given, nats);
    for (std::size_t m = 0; m < mean.size(); ++m) mean[m] += own[m] / count;
  }
  return mean;
}

/// The same where a coin is tossed for each scored bit of the first `width`, in all but the last `sure` steps.
inline std::vector<double> mean_of_coins(const Task& task, int count, std::size_t width, std::size_t sure = 0) {
  Random coin(1, "test");
  return mean_metrics(task, count, [&](const Batch& b, Prediction& guess) {
    double nats = 0;
    for (std::size_t t = 0; t + sure < b.steps; ++t)
      for (std::size_t k = 0; b.target.scored(t, 0) && k < width; ++k) {
        guess.values(t, 0, k) = static_cast<float>(coin.uniform());
        nats += std::numbers::ln2;
      }
    return nats;
  });
}

/// The same where each scored symbol is one of low .. high, whichever it is.
inline std::vector<double> mean_of_dice(const Task& task, int count, std::int64_t low, std::int64_t high) {
  Random dice(1, "test");
  return mean_metrics(task, count, [&](const Batch& b, Prediction& guess) {
    double nats = 0;
    for (std::size_t t = 0; t < b.steps; ++t) {
      if (!b.target.scored(t, 0)) continue;
      guess.indices(t, 0) = static_cast<std::int32_t>(dice.integer(low, high));
      nats += std::log(static_cast<double>(high - low + 1));
    }
    return nats;
  });
}

}  // namespace mneme
