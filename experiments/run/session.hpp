// Room: experiments. Session: task, model and optimizer of one configuration, ready to take training steps.
//
// For: trainer, evaluator, reports, benchmarks; no files here. A batch is cut into shards; each has its own tape,
// gradient and buffers, so any thread may run any shard. Gradients are added up over a fixed tree of the shards, ranges
// of them by all threads: results depend on train.batch and train.shard-size, never on the number of threads. In steady
// state step() allocates nothing.
#pragma once

#include "experiments/config/config.hpp"
#include "experiments/run/recorder.hpp"
#include "experiments/run/workers.hpp"
#include "models/model.hpp"
#include "nn/optimizers.hpp"
#include "nn/schedules.hpp"
#include "tasks/task.hpp"

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace mneme::experiments {

struct StepReport {
  double loss = 0;              ///< as it is minimised: nats times the scale that train.loss names
  double gradient_norm = 0;     ///< before clipping
  double rate = 0;              ///< learning rate of this update
  bool finite = true;           ///< false: loss, norm or a metric is not, and nothing was updated
  std::vector<double> metrics;  ///< by Task::metrics(), summed over the rows
};

class Session {
 public:
  Session(const Config& config, int threads);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Config& config() const { return config_; }
  const Task& task() const { return *task_; }
  const Model<float>& model() const { return *model_; }
  ParameterSet<float>& parameters() { return set_; }
  Optimizer<float>& optimizer() { return *optimizer_; }
  /// Running mean of the gradient's norm: state of the run, as the optimizer's is.
  double& usual_norm() { return usual_norm_; }
  std::size_t batch() const { return batch_; }
  std::size_t shards() const;
  /// Memory beside parameters and optimizer: tapes and gradients of all shards, transposed copies.
  std::size_t step_bytes() const;

  /// One update from the sequences first .. first+batch-1; `update` counts updates, this one included.
  const StepReport& step(std::uint64_t first, std::uint64_t update);

  /// Runs the batch again without an update, searching every op's results and gradients: throws NonFiniteError that
  /// names op, site, step and sequence. A pass that turns out finite throws too, naming a parameter that is not or the
  /// norm. `recorder`, where given, then holds the rows of the shard at fault, up to the step that it reached.
  [[noreturn]] void explain(std::uint64_t first, Recorder* recorder = nullptr);
  /// NonFiniteError naming a parameter, or a number of the optimizer's, that an update left infinite or NaN.
  void require_finite_state() const;

  /// From now on step() records the sequences from `from` on whose number is a multiple of `every`.
  void record(const trace::Layout& layout, std::uint64_t every, std::uint64_t from);
  void stop_recording();
  /// What ended the recording of a sequence in the last step() (out of memory), null = nothing did. The step is whole.
  std::exception_ptr recording_error() const;
  /// f(episode) for each sequence that the last step() recorded, in order. Episodes are complete but for their id.
  void each_recorded(const std::function<void(const trace::Episode&)>& f);

  struct Episodes {
    const Task* task = nullptr;  ///< whose episodes; null = the session's own
    std::uint64_t seed = 1;
    std::uint64_t first = 0;  ///< number of the first, in the "eval" stream
    std::size_t count = 0;
    std::size_t rows = 1;             ///< computed together, and sharing what a batch shares
    std::function<bool()> stop = {};  ///< true: give up (Stopped); asked before each batch, by any thread
    std::size_t beam = 1;             ///< of models whose answers feed back
    /// Who looks at the batch of episodes that begins with the so-manieth; called by any thread. Empty: nobody.
    std::function<std::unique_ptr<Look<float>>(std::size_t begin, const Batch& batch)> look = {};
    std::string how = {};  ///< what that changes, in messages: "reads zeroed"
  };
  /// Metrics of each episode, [count metrics], without learning. NonFiniteError, as of explain(), where cross-entropy
  /// or a metric of one is not finite.
  void evaluate(const Episodes& episodes, std::vector<double>& metrics);
  /// The so-manieth of the episodes that evaluate() judges, in the batch in which it judges it, recorded; complete but
  /// for its id.
  trace::Episode& trace_episode(const Episodes& episodes, std::size_t which, Recorder& recorder);

 private:
  struct Shard;
  struct Lane;  // what one worker evaluates with

  /// InvariantError naming the task where a shard's first batch is not as declared.
  void sample(Shard& shard, std::uint64_t first) const;
  void check(const Task& task, const Batch& batch) const;
  double loss_scale(std::size_t numbers) const;
  Pass<float> training_pass(Shard& shard, std::uint64_t first, double scale) const;
  void run_shard(Shard& shard, std::uint64_t first, double scale);
  /// -> the batch's gradient
  float* sum_gradients();
  void score_rows(const Task& task, const Batch& batch, const Prediction& prediction, Var<float> logits,
                  std::vector<double>& nats, std::vector<double>& row_metrics) const;
  void fill_episode(trace::Episode& e, const Task& task, std::uint64_t seed, std::uint64_t number, double nats,
                    const double* metrics, std::uint64_t hash) const;
  /// A part of the recording; an error of it is kept, and ends this step's recording of the shard alone.
  template <class F>
  void recording(Shard& shard, F f) const;
  /// The lane's batch, which `draw` gave; the logits that know its targets.
  Var<float> judge(const Task& task, const Draw& draw, Lane& lane, Look<float>* look, std::size_t beam,
                   const std::string& how = {}) const;
  Var<float> forward(const Draw& draw, Lane& lane, Look<float>* look) const;
  Pass<float> pass(const Draw& draw, Lane& lane, Look<float>* look) const;
  [[noreturn]] void explain_judged(const Task& task, const Draw& draw, Lane& lane, Look<float>* look,
                                   const std::string& how) const;

  Config config_;
  std::unique_ptr<Task> task_;
  ParameterSet<float> set_;
  std::unique_ptr<Model<float>> model_;
  std::unique_ptr<Optimizer<float>> optimizer_;
  std::size_t batch_ = 1;
  enum class Loss { sequence, element, sum } loss_ = Loss::sequence;
  Schedule schedule_;
  double rate_ = 0, total_ = 1;
  Clip clip_;
  double usual_norm_ = 0;
  Workers workers_;
  std::deque<Shard> shards_;  // a deque: a Tape does not move
  std::vector<float*> shard_gradients_;
  std::deque<Lane> lanes_;
  std::uint64_t record_every_ = 0, record_from_ = 0;
  StepReport report_;
};

}  // namespace mneme::experiments
