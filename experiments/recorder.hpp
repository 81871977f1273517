// Room: experiments. Recorder: watches a forward pass and copies chosen rows of it into trace episodes.
//
// What is copied follows from the declarations of memory and controller (core/declared.hpp): a new memory is traced
// without a line here. The pass itself is only read, so recording changes no bit of a result.
#pragma once

#include "experiments/config.hpp"
#include "models/model.hpp"
#include "tasks/task.hpp"
#include "trace/schema.hpp"

#include <span>
#include <string>
#include <vector>

namespace mneme::experiments {

/// The trace's schema for this model on this task; `phase` is train or eval, `checkpoint_step` the sequences trained on
/// before. InvariantError naming the task where it gives items and does not say how many at most.
trace::Layout make_layout(const Config& config, const Task& task, const ModelParts& parts, const std::string& phase,
                          std::uint64_t checkpoint_step, trace::Level level);

class Recorder final : public Observer<float> {
 public:
  /// `layout` is make_layout()'s of a task of this `spec`.
  Recorder(const trace::Layout& layout, const ModelParts& parts, const BatchSpec& spec);

  /// Rows of the coming batch to record, none to begin with; call before the forward pass.
  void start(const Batch& batch, std::span<const std::size_t> rows);
  bool wants_stages() const override { return wants_stages_; }
  void begin(const StepView<float>& view) override;
  void step(const StepView<float>& view) override;
  /// Inputs, targets and outputs of the recorded rows. `prediction` may be null: a pass that did not come to its end,
  /// whose episodes then hold the steps that were reached.
  void finish(const Batch& batch, const Prediction* prediction);

  std::size_t count() const { return rows_.size(); }
  std::size_t row(std::size_t i) const { return rows_[i]; }
  trace::Episode& episode(std::size_t i) { return episodes_[i]; }

 private:
  enum class From { memory, parameters, stages, controller };
  /// Where a column's numbers are in a StepView; `swap` turns [M N] into N x M.
  struct Source {
    From from = From::memory;
    std::size_t index = 0;
    std::size_t count = 0;
    std::size_t swap_rows = 0, swap_columns = 0;  ///< 0: as it is
    bool logged = true;
  };
  struct SiteSource {
    Source weights;
    std::vector<Source> values;
  };
  Source source_of(From from, std::size_t index, const Declared& declared, bool logged) const;
  static void copy(const StepView<float>& view, const Source& source, std::size_t batch_row, float* to);
  void keyframe(const StepView<float>& view, std::size_t step);
  static void words(const Batch& batch, std::size_t row, trace::ItemRows& items);
  void choices(const Batch& batch, std::size_t row, trace::Episode& e) const;
  void answers(const Batch& batch, std::size_t row, const Prediction* prediction, trace::Episode& e) const;

  trace::Layout layout_;
  BatchSpec spec_;
  std::vector<SiteSource> sites_;
  std::vector<Source> memory_, controller_;
  std::vector<std::size_t> rows_, lengths_;
  std::vector<trace::Episode> episodes_;  ///< as many as ever were recorded at once
  std::size_t reached_ = 0;               ///< steps seen
  bool wants_stages_ = false;
};

}  // namespace mneme::experiments
