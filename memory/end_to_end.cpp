// Room: memory. end_to_end: the memory of an End-To-End Memory Network (Sukhbaatar et al. 2015).
//
//   m_i = sum_j l_j . A x_ij + T_A(i),  c_i likewise by C and T_C       section 2.1, 4.1; memory/bags.hpp
//   p^k = softmax(u^k . m_i),  o^k = sum_i p^k_i c_i                    eq. 1, 2: score, normalize, combine
//   u^{k+1} = u^k + o^k, or H u^k + o^k                                 eq. 4; layer-wise
//   a = W u^{K+1}                                                       eq. 3, before its softmax
//
// Statements are the batch's items. Tables are adjacent (C^k is A^{k+1}; B is A^1, and W's rows are those of the last
// C where classes are words) or layer-wise (one A, one C; B, W and H of their own). Trained with noise in the ages of
// statements, and for the first `linear-start` sequences without the softmax. Slots and hops: memory/hops.hpp, where u
// is called q.
#include "autodiff/ops.hpp"
#include "memory/hops.hpp"

#include <algorithm>

namespace mneme {

namespace {

template <class T>
class EndToEnd final : public HopMemory<T> {
  using Base = HopMemory<T>;
  using Base::layout_, Base::hops_, Base::slots_, Base::width_;

 public:
  static OptionTable options() {
    return hop_options(20)
        .choice("tying", "adjacent", {"adjacent", "layer-wise"}, "which tables the hops share")
        .integer("linear-start", 0, 0, 1'000'000'000'000, "training sequences before the softmax is put in");
  }

  EndToEnd(const Builder<T>& build, const Options& o, const MemorySetup& setup)
      : Base("end_to_end", o, setup),
        adjacent_(o.text("tying") == "adjacent"),
        linear_start_(static_cast<std::uint64_t>(o.integer("linear-start"))) {
    for (std::size_t e = 0; e < (adjacent_ ? hops_ + 1 : 2); ++e) {
      tables_.push_back(this->word_table(build, "table_" + std::to_string(e)));
      if (o.flag("temporal")) times_.push_back(this->table(build, "times_" + std::to_string(e), slots_));
    }
    if (!adjacent_) hop_ = this->table(build, "hop.weight", width_);
    if (setup.question) {
      const std::size_t question = adjacent_ ? tables_.front() : this->word_table(build, "question.table");
      const bool tied = adjacent_ && !setup.batch.output_tokens.empty();
      this->ask(question, tied ? tables_.back() : this->table(build, "answer.table", setup.batch.outputs), tied);
    } else {
      this->project(build, setup);
    }
    DeclaredList& state = layout_.state;
    softmax_off_ = state.add({"softmax_off", "", {}, Kind::plain, "1 during linear start", {}, /*trains=*/false});
    for (std::size_t e = 0; e < tables_.size(); ++e)
      embedded_.push_back(state.add({"embedded_" + std::to_string(e),
                                     "",
                                     {width_, slots_},
                                     Kind::plain,
                                     "statements embedded by table " + std::to_string(e),
                                     {"cell", "item"}}));
    // Without the softmax rows sum to anything, so a memory that ever does without promises nothing.
    this->declare_hops(Attention<T>(build, "dot", "softmax", {width_, width_}), "dot", linear_start_ == 0);
  }

  Values<T> begin(Pass<T>& pass, const Start& start) const override {
    Tape<T>& tape = pass.tape;
    const Bags<T> bags = this->bags(tape, start);
    const std::int32_t* age = times_.empty() ? nullptr : item_ages(pass, bags, slots_, this->noise_);
    const Values<T> state = this->unread(tape, bags);
    const Var<T> off = state[softmax_off_] = tape.filled({start.rows, 1}, T(0));
    for (std::size_t b = 0; pass.train && b < start.rows; ++b)
      off.data[b] = pass.sequence + b < linear_start_ ? T(1) : T(0);
    for (std::size_t e = 0; e < tables_.size(); ++e)
      state[embedded_[e]] =
          embed_bags(tape, bags, tape.parameter(tables_[e]), age ? tape.parameter(times_[e]) : Var<T>{}, age);
    return state;
  }

 private:
  std::size_t keys(std::size_t k) const override { return embedded_[adjacent_ ? k : 0]; }
  std::size_t values(std::size_t k) const override { return embedded_[adjacent_ ? k + 1 : 1]; }

  // u^{k+1} = u^k + o^k (eq. 4), or H u^k + o^k (section 2.2)
  Var<T> next(Tape<T>& tape, std::size_t, Var<T> u, Var<T> o) const override {
    return add(tape, adjacent_ ? u : linear(tape, u, tape.parameter(hop_)), o);
  }

  // p = softmax(u . m_i) over the statements there are   (eq. 1); without the softmax where a row is in linear start
  Var<T> weigh(Tape<T>& tape, Var<T> scores, Var<T> present, const Mask& mask, Values<T> now) const override {
    const std::size_t rows = scores.shape[0];
    auto* off = tape.template scratch<std::uint8_t>(rows);
    for (std::size_t b = 0; b < rows; ++b) off[b] = now[softmax_off_].data[b] > 0;
    const auto linear_rows = static_cast<std::size_t>(std::count(off, off + rows, 1));
    if (linear_rows == 0) return Base::weigh(tape, scores, present, mask, now);
    const Var<T> linear = multiply(tape, scores, present);
    if (linear_rows == rows) return linear;
    return choose_rows(tape, off, linear, Base::weigh(tape, scores, present, mask, now));
  }

  bool adjacent_;
  std::uint64_t linear_start_;
  std::vector<std::size_t> tables_, times_;  // parameters, by table
  std::size_t hop_ = 0;
  std::size_t softmax_off_ = 0;        // in the state
  std::vector<std::size_t> embedded_;  // in the state, by table
};

const bool registered = register_memory<EndToEnd>("end_to_end", "statements, read in several hops by what they say",
                                                  "Sukhbaatar et al. 2015, sections 2 and 4.1");

}  // namespace

}  // namespace mneme
