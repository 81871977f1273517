// Room: memory. end_to_end: the memory of an End-To-End Memory Network (Sukhbaatar et al. 2015).
//
//   m_i = sum_j l_j . A x_ij + T_A(i),  c_i likewise by C and T_C       section 2.1, 4.1; memory/bags.hpp
//   p^k = softmax(u^k . m_i),  o^k = sum_i p^k_i c_i                    eq. 1, 2: score, normalize, combine
//   u^{k+1} = u^k + o^k, or H u^k + o^k                                 eq. 4; layer-wise
//   a = W u^{K+1}                                                       eq. 3, before its softmax
//
// Statements are the batch's items. Tables are adjacent (C^k is A^{k+1}; B is A^1, and W's rows are those of the last
// C where classes are words) or layer-wise (one A, one C; B, W and H of their own). As in the authors' program, there
// are as many slots as training's longest story has statements, and the empty ones compete in the softmax: a hop may
// find nothing. Trained with noise in the ages of statements, and for the first `linear-start` sequences without the
// softmax.
#include "attention/combine.hpp"
#include "attention/normalize.hpp"
#include "attention/score.hpp"
#include "autodiff/ops.hpp"
#include "memory/bags.hpp"
#include "memory/heads.hpp"
#include "nn/linear.hpp"

#include <algorithm>

namespace mneme {

namespace {

template <class T>
class EndToEnd final : public Memory<T> {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("slots", 50, 1, 1 << 20, "N, the most statements a story may have")
        .integer("width", 20, 1, 4096, "D, width of the embeddings")
        .integer("hops", 3, 1, 64, "K, hops over the statements")
        .choice("encoding", "position", encoding_names(), "how a statement's words add up")
        .choice("tying", "adjacent", {"adjacent", "layer-wise"}, "which tables the hops share")
        .flag("temporal", true, "a learned row for each age of a statement")
        .flag("empty-slots", true, "slots that hold nothing compete in the softmax, with score 0")
        .real("noise", 0.1, 0, 10, "training: up to this share of empty statements makes the others older")
        .integer("linear-start", 0, 0, 1'000'000'000'000, "training sequences before the softmax is put in")
        .real("table-clip", 40, 0, 1e9, "2-norm limit of each matrix's gradient; 0 = off");
  }

  EndToEnd(const Builder<T>& build, const Options& o, const MemorySetup& setup)
      : slots_(setup.batch.max_items ? std::min(o.size("slots"), setup.batch.max_items) : o.size("slots")),
        width_(o.size("width")),
        hops_(o.size("hops")),
        adjacent_(o.text("tying") == "adjacent"),
        rule_{encoding_of(o.text("encoding")), width_, setup.batch.longest_line},
        empty_slots_(o.flag("empty-slots")),
        noise_(o.real("noise")),
        linear_start_(static_cast<std::uint64_t>(o.integer("linear-start"))),
        answer_tokens_(setup.batch.output_tokens) {
    const BatchSpec& batch = setup.batch;
    if (!batch.item_vocabulary) fail<ArgumentError>("memory end_to_end", "needs a task whose items are words");
    if (batch.max_items > o.size("slots"))
      fail<ArgumentError>("memory.slots", "{} slots for up to {} statements", o.size("slots"), batch.max_items);
    const Group group{.name = "embeddings", .clip_norm = o.real("table-clip")};
    const Initializer normal = Initializer::normal(0.1);
    const auto table = [&](const std::string& name, std::size_t rows) {
      return build.parameter(name, {rows, width_}, normal, group);
    };
    const std::size_t vocabulary = std::max(batch.vocabulary, batch.item_vocabulary);
    for (std::size_t e = 0; e < (adjacent_ ? hops_ + 1 : 2); ++e) {
      tables_.push_back(table("table_" + std::to_string(e), vocabulary));
      if (o.flag("temporal")) times_.push_back(table("times_" + std::to_string(e), slots_));
    }
    if (!adjacent_) hop_ = build.parameter("hop.weight", {width_, width_}, normal, group);
    if (setup.question) {
      question_ = adjacent_ ? tables_.front() : table("question.table", vocabulary);
      const bool tied = adjacent_ && !answer_tokens_.empty();
      answer_ = tied ? tables_.back() : table("answer.table", batch.outputs);
      if (!tied) answer_tokens_.clear();
    } else {
      projection_.emplace(build.scope("heads"), setup.control_size, width_,
                          Initializer::xavier(setup.control_size, width_));
    }
    declare();
  }

  const MemoryLayout& layout() const override { return layout_; }

  Values<T> begin(Pass<T>& pass, const Start& start) const override {
    if (!start.items) fail<InvariantError>("memory end_to_end", "got no items");
    Tape<T>& tape = pass.tape;
    const Bags<T> bags = item_bags(tape, *start.items, start.rows, rule_);
    if (bags.items > slots_)
      fail<ArgumentError>("memory.slots", "{} slots for a story of {} statements", slots_, bags.items);
    const std::int32_t* age = times_.empty() ? nullptr : item_ages(pass, bags, slots_, noise_);
    const Values<T> state = empty_values(tape, layout_.state.size());
    state[at_.present] = bags.present(tape);
    const Var<T> off = state[at_.softmax_off] = tape.filled({start.rows, 1}, T(0));
    for (std::size_t b = 0; pass.train && b < start.rows; ++b)
      off.data[b] = pass.sequence + b < linear_start_ ? T(1) : T(0);
    state[at_.query] = tape.filled({start.rows, width_}, T(0));
    for (std::size_t e = 0; e < tables_.size(); ++e)
      state[at_.embedded[e]] =
          embed_bags(tape, bags, tape.parameter(tables_[e]), age ? tape.parameter(times_[e]) : Var<T>{}, age);
    for (const Site& hop : layout_.sites) {
      state[hop.weights] = tape.filled({start.rows, bags.items}, T(0));
      state[hop.value] = tape.filled({start.rows, width_}, T(0));
    }
    return state;
  }

  Values<T> head_parameters(Pass<T>& pass, Var<T> control) const override {
    const Values<T> u = empty_values(pass.tape, 1);
    u[0] = projection_ ? (*projection_)(pass.tape, control) : control;
    return u;
  }

  // p = softmax(u . m_i) over the statements there are   (eq. 1); without the softmax where a row is in linear start
  void address(Pass<T>& pass, const Turn& turn, Values<T> parameters, Values<T>, Values<T> now) const override {
    if (turn.sites.empty()) return;
    Tape<T>& tape = pass.tape;
    const std::size_t k = turn.sites[0], rows = parameters[0].shape[0];
    const Var<T> present = now[at_.present], softmax_off = now[at_.softmax_off];
    const std::size_t n = present.shape[1];
    const Var<T> u = query_of(tape, k, parameters, now);
    const Var<T> scores = dot_score(tape, u.reshaped({rows, 1, width_}), now[keys(k)]);  // score
    auto* off = tape.template scratch<std::uint8_t>(rows);
    for (std::size_t b = 0; b < rows; ++b) off[b] = softmax_off.data[b] > 0;
    const auto linear_rows = std::count(off, off + rows, 1);
    Var<T>& weights = now[layout_.sites[k].weights];
    Var<T> linear;
    if (linear_rows > 0) weights = linear = multiply(tape, scores.reshaped({rows, n}), present);
    if (linear_rows == static_cast<std::ptrdiff_t>(rows)) return;
    const Mask mask = item_mask(tape, present, empty_slots_ ? slots_ : 0);
    weights = softmax(tape, scores, mask).reshaped({rows, n});  // normalize
    if (linear_rows > 0) weights = choose_rows(tape, off, linear, weights);
  }

  // u^{K+1}, what the answer is made from
  void update(Pass<T>& pass, const Turn&, Values<T> parameters, Values<T>, Values<T> now) const override {
    now[at_.query] = query_of(pass.tape, hops_, parameters, now);
  }

  // o = sum_i p_i c_i   (eq. 2)
  void read(Pass<T>& pass, const Turn& turn, Values<T> now) const override {
    for (const std::size_t k : turn.sites) {
      const Var<T> p = now[layout_.sites[k].weights];
      now[layout_.sites[k].value] =
          weighted_sum(pass.tape, p.reshaped({p.shape[0], 1, p.shape[1]}), now[values(k)])  // combine
              .reshaped({p.shape[0], width_});
    }
  }

  Var<T> question(Pass<T>& pass, const Batch& batch) const override {
    return embed_bags(pass.tape, question_bags(pass.tape, batch, rule_), pass.tape.parameter(question_))
        .reshaped({batch.size, width_});
  }

  Var<T> answer(Pass<T>& pass, Values<T> state) const override {
    Tape<T>& tape = pass.tape;
    const Var<T> table = tape.parameter(answer_);
    return score_rows(tape, state[at_.query],
                      answer_tokens_.empty() ? table : gather_rows<T>(tape, table, answer_tokens_));
  }

 private:
  std::size_t keys(std::size_t k) const { return at_.embedded[adjacent_ ? k : 0]; }
  std::size_t values(std::size_t k) const { return at_.embedded[adjacent_ ? k + 1 : 1]; }

  // u^{k+1} = u^k + o^k (eq. 4), or H u^k + o^k (section 2.2)
  Var<T> query_of(Tape<T>& tape, std::size_t k, Values<T> parameters, Values<T> now) const {
    Var<T> u = parameters[0];
    for (std::size_t j = 0; j < k; ++j)
      u = add(tape, adjacent_ ? u : linear(tape, u, tape.parameter(hop_)), now[layout_.sites[j].value]);
    return u;
  }

  void declare() {
    layout_.slots = slots_;
    layout_.width = width_;
    layout_.update = "next-query";
    DeclaredList& state = layout_.state;
    at_.present =
        state.add({"present", "", {slots_}, Kind::plain, "1 where there is a statement", {"item"}, /*trains=*/false});
    at_.softmax_off = state.add({"softmax_off", "", {}, Kind::plain, "1 during linear start", {}, /*trains=*/false});
    at_.query = state.add({"query", "", {width_}, Kind::plain, "query after the last hop u^{K+1}", {"cell"}});
    for (std::size_t e = 0; e < tables_.size(); ++e)
      at_.embedded.push_back(state.add({"embedded_" + std::to_string(e),
                                        "",
                                        {width_, slots_},
                                        Kind::plain,
                                        "statements embedded by table " + std::to_string(e),
                                        {"cell", "item"}}));
    layout_.parameters.add({"query", "hop_0", {width_}, Kind::plain, "query u^1", {"cell"}});
    // Without the softmax rows sum to anything, so a memory that ever does without promises nothing.
    const Kind kind = linear_start_ ? Kind::plain : empty_slots_ ? Kind::sub_weights : Kind::weights;
    for (std::size_t k = 0; k < hops_; ++k) {
      const std::string hop = "hop_" + std::to_string(k);
      const std::size_t p = state.add({"weights", hop, {slots_}, kind, "weights over the statements p^k", {"item"}});
      const std::size_t o = state.add({"value", hop, {width_}, Kind::plain, "what was found o^k", {"cell"}});
      layout_.sites.push_back({hop, "hop", "dot", "item", {}, p, o});
      layout_.turns.push_back({hop, {k}});
    }
    layout_.turns.push_back({"next_query", {}, true});
  }

  std::size_t slots_, width_, hops_;
  bool adjacent_;
  BagRule rule_;
  bool empty_slots_;
  double noise_;
  std::uint64_t linear_start_;
  std::vector<std::int32_t> answer_tokens_;
  std::vector<std::size_t> tables_, times_;  // parameters, by table
  std::size_t hop_ = 0, question_ = 0, answer_ = 0;
  std::optional<Linear<T>> projection_;
  MemoryLayout layout_;
  struct {
    std::size_t present = 0, softmax_off = 0, query = 0;
    std::vector<std::size_t> embedded;  // by table
  } at_;                                // in the state
};

const bool registered = register_memory<EndToEnd>("end_to_end", "statements, read in several hops by what they say",
                                                  "Sukhbaatar et al. 2015, sections 2 and 4.1");

}  // namespace

}  // namespace mneme
