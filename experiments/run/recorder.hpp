// Room: experiments. Recorder: watches a forward pass and copies chosen rows of it into trace episodes.
//
// What is copied follows from the declarations of memory and controller (core/declared.hpp): a new memory is traced
// without a line here. The pass itself is only read, so recording changes no bit of a result.
#pragma once

#include "experiments/config/config.hpp"
#include "models/model.hpp"
#include "tasks/task.hpp"
#include "trace/schema.hpp"

#include <span>
#include <string>
#include <vector>

namespace mneme::experiments {

/// The trace's schema for this model on this task; `phase` is train or eval, `checkpoint_step` the sequences trained on
/// before. InvariantError naming the task where it gives items and does not say how many at most.
trace::Layout make_layout(const Config& config, const Task& task, const Components& components,
                          const std::string& phase, std::uint64_t checkpoint_step, trace::Level level);

class Recorder final : public Look<float> {
 public:
  /// `layout` is make_layout()'s of a task of this `spec`; `components` must outlive it. InvariantError where a value
  /// does not fit the row that the trace has for it.
  Recorder(const trace::Layout& layout, const Components& components, const BatchSpec& spec);

  /// Rows of the coming batch to record, none to begin with; call before the forward pass.
  void start(const Batch& batch, std::span<const std::size_t> rows);
  bool wants(const Place& place) override;
  void seen(const Pass<float>& pass, const Place& place, const Var<float>& value) override;
  void start(const Pass<float>& pass, std::string_view component, std::span<const Var<float>> now) override;
  void state(const Pass<float>& pass, std::string_view component, std::span<const Var<float>> now) override;
  /// Inputs, targets and outputs of the recorded rows. `prediction` may be null: a pass that did not come to its end,
  /// whose episodes then hold the steps that were reached, one at least: zeros stand for what was not.
  void finish(const Batch& batch, const Prediction* prediction);
  /// Leaves no episode: the pass has nothing to tell.
  void forget() { rows_.clear(); }

  std::size_t count() const { return rows_.size(); }
  std::size_t row(std::size_t i) const { return rows_[i]; }
  trace::Episode& episode(std::size_t i) { return episodes_[i]; }

 private:
  enum class To { weights, site, memory, controller };
  /// Where a column of the trace has its numbers from.
  struct Column {
    const Component* component = nullptr;
    const Declared* declared = nullptr;
    bool seen = false;      ///< a parameter or a stage, else of the state
    std::size_t index = 0;  ///< in the component's state, or in handles_
    To to = To::weights;
    std::size_t site = 0, value = 0;  ///< of the episode
    std::size_t count = 0;            ///< numbers of a row there
  };
  void add_column(Column column);
  void add_columns(const Component& component);
  Column* column_of(const Place& place);
  void copy(const Column& column, const Var<float>& from, std::size_t batch_row, float* to) const;
  /// Every column of the component that is stored at `step`; -1 = what stands before the first one.
  void copy_all(std::string_view component, std::span<const Var<float>> now, std::ptrdiff_t step);
  static float* place_in(trace::Episode& episode, const Column& column, std::ptrdiff_t step);
  static void words(const Batch& batch, std::size_t row, trace::ItemRows& items);
  void choices(const Batch& batch, std::size_t row, trace::Episode& e) const;
  void answers(const Batch& batch, std::size_t row, const Prediction* prediction, trace::Episode& e) const;

  trace::Layout layout_;
  BatchSpec spec_;
  std::vector<Column> columns_;
  std::vector<Var<float>> handles_;  ///< what was seen last, by Column::index
  std::vector<std::size_t> rows_, lengths_;
  std::size_t batch_rows_ = 0;
  std::vector<trace::Episode> episodes_;  ///< as many as ever were recorded at once
  std::size_t reached_ = 0;               ///< steps seen
};

}  // namespace mneme::experiments
