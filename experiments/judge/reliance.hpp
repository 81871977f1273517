// Room: experiments. reliance(): whether a model needs what it reads, and whether its hops look where the answer is.
//
// Attention is judged at the scored steps, on every site whose slots are the task's items, against the items marked as
// supporting facts. Weights over slots that hold no item (end_to_end: empty-slots) are mass elsewhere, and so is the
// weight of a supporting fact that did not fit into the memory; a question without any counts as missed.
// The same episodes are then asked again with every read of the memory zeroed, and with every row given the read of
// the row after it in its batch. What a memory reads before its first step is not altered.
#pragma once

#include "experiments/run/session.hpp"

#include <optional>
#include <string>
#include <vector>

namespace mneme::experiments {

/// Attention of one site, over the questions of one task.
struct HopUse {
  std::string site;
  double top_percent = 0;  ///< questions whose most attended item is a supporting fact, in percent
  double mass = 0;         ///< mean weight on supporting facts, 0..1
};

struct TaskReliance {
  int number = 0;                 ///< the batches' parameter "task"; 0 where they have none
  std::size_t questions = 0;      ///< or episodes
  double chance = 0;              ///< mean share of supporting facts among the items: of `mass` and of `top`, 0..1
  std::vector<HopUse> hops;       ///< empty where no site is over items, or the task knows no supporting facts
  std::optional<double> as_read;  ///< figure of the metric that says whether the task is solved
  std::optional<double> zeroed, shuffled;  ///< of the same, with reads altered
};

struct Reliance {
  std::string metric, unit;         ///< of as_read, zeroed and shuffled: "error_percent", "%"
  std::size_t rows = 0;             ///< computed together, and shuffled among each other
  std::vector<TaskReliance> tasks;  ///< by number
};

/// Puts another value in the place of every one that a site reads: zeros; or each row gets that of the row after it
/// (the last row: the first one's), so that every number is a read's, of another sequence.
template <class T>
class AlteredReads final : public Look<T> {
 public:
  enum class How { zeroed, shuffled };
  explicit AlteredReads(How how) : how_(how) {}
  Var<T> instead(const Pass<T>& pass, const Place& place, const Var<T>& value) override;

 private:
  How how_;
};

/// Attention of one batch's rows, as it passes. Figures are sums over the row's scored steps.
class AttentionWatch final : public Look<float> {
 public:
  struct Row {
    std::size_t scored = 0;
    double chance = 0;
    std::vector<double> top, mass;  ///< by site over items
  };
  /// `rows` has batch.size of them; both must outlive the pass.
  AttentionWatch(const MemoryLayout& layout, const Batch& batch, Row* rows);
  void state(const Pass<float>& pass, std::string_view component, std::span<const Var<float>> now) override;

 private:
  const Batch& batch_;
  Row* rows_;
  std::vector<std::size_t> weights_;  ///< in the state
};

/// ArgumentError where the model has no memory that is read, or `count` is under 2: a row needs another's read.
void require_reliance(const Session& session, std::size_t count);

/// On `count` episodes of the "eval" stream from number `first` on. Rows of train.eval-batch are computed together, as
/// evaluate() does, or 32 where that is 1, and a few more where the last row would be alone; in these two cases the
/// episodes of a task whose batches share something (copy: the length) are not those of evaluate(). Errors as above.
/// Results do not depend on the number of threads. `stop` as Session::Episodes::stop.
Reliance reliance(Session& session, const Task& task, std::uint64_t seed, std::uint64_t first, std::size_t count,
                  const std::function<bool()>& stop = {});

}  // namespace mneme::experiments
