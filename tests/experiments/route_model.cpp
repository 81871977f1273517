// Room: tests. route: a model that exists here alone and whose answers feed back: each choice is an input of the next.
// The proof that such a model fits predict() and search.
#include "autodiff/ops.hpp"
#include "core/batch.hpp"
#include "core/error.hpp"
#include "models/decode/decode.hpp"
#include "models/readout.hpp"

namespace mneme {
namespace {

/// h' = tanh(W [last choice, numbers, h]); logits of h'.
template <class T>
class Route final : public Model<T> {
 public:
  static OptionTable options() { return OptionTable().integer("hidden", 24, 1, 1024, "width of the state"); }
  static void validate(const BatchSpec& spec) {
    if (spec.item_width != 1 || spec.max_items == 0 || spec.target != TargetKind::classes)
      fail<ArgumentError>("model route", "names numbers; the task gives other things");
  }
  Route(const Builder<T>& build, const Options& o, const ModelSetup& setup)
      : spec_(setup.batch), hidden_(o.size("hidden")) {
    const std::size_t in = spec_.outputs + 1 + spec_.max_items + hidden_;
    step_.emplace(build.scope("step"), in, hidden_, Initializer::xavier(in, hidden_));
    readout_.emplace(build.scope("readout"), spec_, hidden_);
  }
  const Components& components() const override { return components_; }

  Forward<T> forward(const Batch& batch, Pass<T>& pass) const override {
    Tape<T>& tape = pass.tape;
    if (pass.look) pass.look->start(pass, "answers", {});
    for (; pass.look && pass.step < batch.steps; ++pass.step) pass.look->state(pass, "answers", {});
    const Var<T> numbers = numbers_of(tape, batch);
    Var<T> h = tape.filled({batch.size, hidden_}, T(0));
    auto* features = tape.template scratch<Var<T>>(batch.steps);
    for (std::size_t t = 0; t < batch.steps; ++t) {
      const std::int32_t* last = t == 0 ? nullptr : &batch.target.indices(t - 1, 0);
      h = step(tape, batch.size, last, numbers, h);
      new (features + t) Var<T>(h);
    }
    const Var<T> logits = readout_->logits(pass, batch, {features, batch.steps}, 1);
    return {readout_->loss(tape, batch, logits, pass.loss_scale), logits};
  }

  void predict(const Batch& batch, Pass<T>& pass, const Search& search, Var<T>, Prediction& out) const override {
    Lines lines(*this, pass, batch);
    decode(lines, batch, search, spec_.max_steps, out);
  }

 private:
  class Lines final : public Decoder<T> {
   public:
    Lines(const Route& model, Pass<T>& pass, const Batch& batch)
        : model_(model),
          pass_(pass),
          batch_(batch),
          numbers_(model.numbers_of(pass.tape, batch)),
          h_(pass.tape.filled({batch.size, model.hidden_}, T(0))) {}
    Var<T> next(std::span<const std::int32_t> last) override {
      h_ = model_.step(pass_.tape, last.size(), last.data(), numbers_, h_);
      return model_.readout_->logits(pass_, batch_, {&h_, 1}, 1);
    }
    void keep(std::span<const std::size_t> from) override {
      h_ = take_rows(pass_.tape, h_, from);
      numbers_ = take_rows(pass_.tape, numbers_, from);
    }

   private:
    const Route& model_;
    Pass<T>& pass_;
    const Batch& batch_;
    Var<T> numbers_, h_;
  };

  Var<T> numbers_of(Tape<T>& tape, const Batch& batch) const {
    const std::size_t given = batch.items.values.shape()[1], n = spec_.max_items;
    const Var<T> x = tape.filled({batch.size, n}, T(0));
    for (std::size_t b = 0; b < batch.size; ++b)
      for (std::size_t i = 0; i < given; ++i) x.data[b * n + i] = static_cast<T>(batch.items.values(b, i, 0));
    return x;
  }

  /// `last` [rows], -1 = no choice so far; null: nowhere.
  Var<T> step(Tape<T>& tape, std::size_t rows, const std::int32_t* last, Var<T> numbers, Var<T> h) const {
    const std::size_t k = spec_.outputs + 1;
    const Var<T> one = tape.filled({rows, k}, T(0));
    for (std::size_t r = 0; r < rows; ++r) one.data[r * k + static_cast<std::size_t>(last ? last[r] + 1 : 0)] = 1;
    const Var<T> parts[] = {one, numbers, h};
    return tanh(tape, (*step_)(tape, concatenate<T>(tape, parts)));
  }

  Declaration declared_;  // nothing: what a step comes to is in no trace
  Components components_{{"answers", "model route", &declared_}};
  BatchSpec spec_;
  std::size_t hidden_;
  std::optional<Linear<T>> step_;
  std::optional<Readout<T>> readout_;
};

const bool registered =
    register_model<Route>("route", "exists in the tests alone, its answers feed back", "", false, false);

}  // namespace
}  // namespace mneme
