// Room: models. cell: a controller with a memory, run step by step (NTM figure 1).
//
//   x_t, r_{t-1} -> controller -> h_t -> memory step -> r_t;   [h_t, r_t] -> readout, all steps at once
//
// Rows that have ended keep the state of controller and memory they ended with.
#include "core/batch.hpp"
#include "models/model.hpp"
#include "models/readout.hpp"

#include <algorithm>

namespace mneme {

namespace {

template <class T>
class Cell final : public Model<T> {
 public:
  static OptionTable options() {
    return OptionTable().integer("embedding", 64, 1, 65536, "width of a token's embedding, where the task has tokens");
  }
  static void validate(const BatchSpec& spec) {
    if (!spec.channels && !spec.vocabulary) fail<ArgumentError>("model cell", "reads steps, and the task gives none");
    if (spec.target_over != Along::steps) fail<ArgumentError>("model cell", "answers at steps, not for each item");
  }

  Cell(const Builder<T>& build, const Options& o, const ModelSetup& setup) : spec_(setup.batch) {
    const std::size_t hidden = setup.controller->output_size(setup.controller_options);
    memory_ = setup.memory->make<T>(build.scope("memory"), setup.memory_options, {hidden, spec_});
    const MemoryLayout& layout = memory_->layout();
    // Pointers choose among the items in the readout; otherwise items that the memory ignores are seen by nobody.
    const bool items = spec_.item_vocabulary || spec_.item_width;
    if (items && spec_.target != TargetKind::pointer &&
        std::none_of(layout.sites.begin(), layout.sites.end(), [](const Site& s) { return s.slot_axis == "item"; }))
      fail<ArgumentError>("model cell",
                          "the task gives items and this memory does not read them, so the model would see the "
                          "question alone; take them as steps (babi: task.form words) or another memory");
    for (const Site& s : layout.sites)
      if (s.value != nowhere) reads_.push_back(s.value);
    std::size_t input = spec_.channels + layout.read_size();
    if (spec_.vocabulary) {
      embedding_.emplace(build.scope("embedding"), spec_.vocabulary, o.size("embedding"), Initializer::normal(0.1));
      input += o.size("embedding");
    }
    controller_ = setup.controller->make<T>(build.scope("controller"), setup.controller_options, input);
    readout_.emplace(build.scope("readout"), spec_, hidden + layout.read_size());
    control_.state = controller_->state();
    components_ = {{"memory", "memory " + setup.memory->name, &layout, &layout},
                   {"controller", "controller " + setup.controller->name, &control_, nullptr, true}};
    if (const Declaration& pointer = readout_->pointer(); !pointer.sites.empty())
      components_.push_back({"pointer", "readout pointer", &pointer});
  }

  const Components& components() const override { return components_; }

  Forward<T> forward(const Batch& batch, Pass<T>& pass) const override {
    Tape<T>& tape = pass.tape;
    const std::size_t steps = batch.steps, rows = batch.size, parts = 1 + reads_.size();
    pass.steps = steps;
    std::span<Var<T>> control = controller_->begin(pass, rows);
    Values<T> memory = memory_->begin(pass, {rows, batch.items.count.empty() ? nullptr : &batch.items});
    if (pass.look) {
      pass.look->start(pass, "memory", memory);
      pass.look->start(pass, "controller", control);
    }

    const bool ragged = batch.ragged();
    auto* features = tape.template scratch<Var<T>>(steps * parts);
    auto* inputs = tape.template scratch<Var<T>>(2 + reads_.size());
    for (std::size_t t = 0; t < steps; ++t) {
      pass.step = t;
      pass.active = ragged ? active_rows(tape, batch, t) : nullptr;
      pass.at("controller");
      std::size_t count = 0;
      if (spec_.channels) new (inputs + count++) Var<T>(dense_step(tape, batch, t));
      if (embedding_) new (inputs + count++) Var<T>((*embedding_)(tape, {batch.tokens.data() + t * rows, rows}));
      for (std::size_t r : reads_) new (inputs + count++) Var<T>(memory[r]);
      std::span<Var<T>> next_control = control;
      const Var<T> h = controller_->step(pass, {inputs, count}, next_control);
      pass.at("memory");
      const Values<T> next = memory_->step(pass, memory_->head_parameters(pass, h), memory);
      if (pass.active) {
        freeze(tape, pass.active, next_control, control);
        freeze(tape, pass.active, next, memory);
      }
      control = next_control;
      memory = next;
      new (features + t * parts) Var<T>(h);
      for (std::size_t r = 0; r < reads_.size(); ++r) new (features + t * parts + 1 + r) Var<T>(memory[reads_[r]]);
      if (pass.look) {
        pass.look->state(pass, "memory", memory);
        pass.look->state(pass, "controller", control);
      }
    }
    pass.active = nullptr;
    pass.step = steps;
    pass.at("readout");
    const Var<T> logits = readout_->logits(pass, batch, {features, steps * parts}, parts);
    return {readout_->loss(tape, batch, logits, pass.loss_scale), logits};
  }

 private:
  static Var<T> dense_step(Tape<T>& tape, const Batch& batch, std::size_t t) {
    const std::size_t n = batch.dense.shape()[1] * batch.dense.shape()[2];
    Var<T> x = tape.constant({batch.dense.shape()[1], batch.dense.shape()[2]});
    std::copy_n(batch.dense.data() + t * n, n, x.data);
    return x;
  }

  /// [B]: 1 in rows that have not ended; null where none has.
  static const std::uint8_t* active_rows(Tape<T>& tape, const Batch& batch, std::size_t t) {
    if (std::none_of(batch.lengths.begin(), batch.lengths.end(), [t](auto n) { return n <= t; })) return nullptr;
    auto* active = tape.template scratch<std::uint8_t>(batch.size);
    for (std::size_t b = 0; b < batch.size; ++b) active[b] = t < batch.lengths[b];
    return active;
  }

  static void freeze(Tape<T>& tape, const std::uint8_t* active, std::span<Var<T>> next, std::span<Var<T>> old) {
    for (std::size_t i = 0; i < next.size(); ++i)
      if (next[i].data != old[i].data) next[i] = choose_rows(tape, active, next[i], old[i]);
  }

  BatchSpec spec_;
  std::unique_ptr<Memory<T>> memory_;
  std::vector<std::size_t> reads_;  // the state slots that the controller sees
  std::optional<Embedding<T>> embedding_;
  std::unique_ptr<Controller<T>> controller_;
  std::optional<Readout<T>> readout_;
  Declaration control_;
  Components components_;
};

const bool registered = register_model<Cell>("cell", "controller, memory and readout, step by step",
                                             "Graves et al. 2014, figure 1", true, true);

}  // namespace

}  // namespace mneme
