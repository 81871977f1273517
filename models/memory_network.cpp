// Room: models. memory_network: a question, hops over a memory of items, an answer; no controller (Sukhbaatar et al.
// 2015, figure 1; Miller et al. 2016, figure 1).
//
//   tokens of the steps -> question -> u -> one memory step (all hops) -> answer -> logits
//
// There is one answer a sequence, the same at each of its steps: whichever are scored. The memory embeds question,
// items and answers, because the papers tie these tables.
#include "autodiff/ops.hpp"
#include "core/batch.hpp"
#include "models/model.hpp"

#include <algorithm>

namespace mneme {

namespace {

template <class T>
class MemoryNetwork final : public Model<T> {
 public:
  static OptionTable options() { return {}; }
  static void validate(const BatchSpec& spec) {
    if (!spec.vocabulary || !spec.item_vocabulary || spec.target != TargetKind::classes ||
        spec.target_over != Along::steps)
      fail<ArgumentError>("model memory_network",
                          "asks a question in words about items in words, answered by a class; the task gives other "
                          "things (babi: task.form items)");
  }

  MemoryNetwork(const Builder<T>& build, const Options&, const ModelSetup& setup) {
    std::size_t width = 0;
    for (const auto& [name, value] : setup.memory_options.items())
      if (name == "width") width = setup.memory_options.size("width");
    memory_ = setup.memory->make<T>(build.scope("memory"), setup.memory_options, {width, setup.batch, true});
    const auto& sites = memory_->layout().sites;
    if (sites.empty() || std::any_of(sites.begin(), sites.end(), [](const Site& s) { return s.kind != "hop"; }))
      fail<ArgumentError>("model memory_network", "needs a memory that is filled from items and read in hops");
    components_ = {{"memory", "memory " + setup.memory->name, &memory_->layout(), &memory_->layout()}};
  }

  const Components& components() const override { return components_; }

  Forward<T> forward(const Batch& batch, Pass<T>& pass) const override {
    Tape<T>& tape = pass.tape;
    pass.steps = batch.steps;
    pass.at("question");
    const Var<T> u = memory_->question(pass, batch);
    pass.at("memory");
    const Values<T> start = memory_->begin(pass, {batch.size, batch.items.count.empty() ? nullptr : &batch.items});
    if (pass.look) pass.look->start(pass, "memory", start);
    const Values<T> done = memory_->step(pass, memory_->head_parameters(pass, u), start);
    for (; pass.look && pass.step < batch.steps; ++pass.step) pass.look->state(pass, "memory", done);
    pass.step = 0;
    pass.at("answer");
    const Var<T> answer = memory_->answer(pass, done);
    const std::size_t rows = batch.steps * batch.size;
    const Var<T> logits = repeat_rows(tape, answer, batch.steps).reshaped({rows, answer.shape.last()});
    return {class_loss(tape, logits, batch.target.indices.data(), batch.target.scored.data(), pass.loss_scale), logits};
  }

 private:
  std::unique_ptr<Memory<T>> memory_;
  Components components_;
};

const bool registered =
    register_model<MemoryNetwork>("memory_network", "a question, hops over items, an answer; no controller",
                                  "Sukhbaatar et al. 2015, figure 1", true, false);

}  // namespace

}  // namespace mneme
