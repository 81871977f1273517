// Room: memory. key_value: the memory of a Key-Value Memory Network (Miller et al. 2016).
//
//   q_1 = A phi(x);  k_i = A phi_K(fact i),  v_i = A phi_V(fact i)       section 3.1; memory/bags.hpp
//   p = normalize(score(q_j, k_i)),  o = sum_i p_i v_i                   value reading
//   q_{j+1} = R_j (q_j + o)                                              key addressing of the next hop
//   a = softmax(q_{H+1} . B phi_Y(y_i)) over the candidates y_i          before its softmax
//
// Facts are the batch's items. A fact is key and value alike, or its last words are the value and the others the key
// ("blade runner directed_by | ridley scott"). Which facts come in is the task's choice: there is no hashing here.
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

std::vector<std::string> scores_with_query() {
  std::vector<std::string> names;
  for (const auto& [name, plugin] : scores().entries())
    if (plugin.needs_query) names.push_back(name);
  return names;
}

template <class T>
class KeyValue final : public Memory<T> {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("slots", 50, 1, 1 << 20, "N, the most facts a set may have")
        .integer("width", 40, 1, 4096, "D, width of the embeddings")
        .integer("hops", 3, 1, 64, "H, hops over the facts")
        .choice("score", "dot", scores_with_query, "how well a key fits the query")
        .choice(
            "normalize", "softmax", [] { return normalizers().names(); }, "scores to weights")
        .choice("encoding", "position", encoding_names(), "how a fact's words add up")
        .integer("value-words", 0, 0, 4096,
                 "the last words of a fact that are its value, the others its key; 0 = all are both")
        .choice("values", "shared", {"shared", "own"}, "the values' table: the keys' (A), or one of its own")
        .choice("answers", "own", {"own", "shared"},
                "the candidates' table B: of its own, or A where classes are words")
        .flag("temporal", true, "keys and values get a learned row for each age of a fact")
        .flag("empty-slots", true,
              "slots that hold nothing compete in the softmax, with score 0; with sigmoid nothing competes, and what "
              "they hold adds nothing")
        .real("noise", 0.1, 0, 10, "training: up to this share of empty facts makes the others older")
        .real("table-clip", 40, 0, 1e9, "2-norm limit of each matrix's gradient; 0 = off");
  }

  KeyValue(const Builder<T>& build, const Options& o, const MemorySetup& setup)
      : slots_(setup.batch.max_items ? std::min(o.size("slots"), setup.batch.max_items) : o.size("slots")),
        width_(o.size("width")),
        hops_(o.size("hops")),
        value_words_(o.size("value-words")),
        rule_{encoding_of(o.text("encoding")), width_, setup.batch.longest_line},
        empty_slots_(o.flag("empty-slots")),
        noise_(o.real("noise")),
        normalize_(&normalizers().find(o.text("normalize"))),
        answer_tokens_(setup.batch.output_tokens) {
    const BatchSpec& batch = setup.batch;
    if (!batch.item_vocabulary) fail<ArgumentError>("memory key_value", "needs a task whose items are words");
    if (batch.max_items > o.size("slots"))
      fail<ArgumentError>("memory.slots", "{} slots for up to {} facts", o.size("slots"), batch.max_items);
    const Group group{.name = "embeddings", .clip_norm = o.real("table-clip")};
    const auto table = [&](const std::string& name, std::size_t rows) {
      return build.parameter(name, {rows, width_}, Initializer::normal(0.1), group);
    };
    const std::size_t vocabulary = std::max(batch.vocabulary, batch.item_vocabulary);
    keys_ = table("keys.table", vocabulary);
    values_ = o.text("values") == "own" ? table("values.table", vocabulary) : keys_;
    if (o.flag("temporal")) {
      key_times_ = table("keys.times", slots_);
      value_times_ = o.text("values") == "own" ? table("values.times", slots_) : key_times_;
    }
    // The last R makes the query that answers; where nothing is answered, nothing would train it.
    for (std::size_t k = 0; k + !setup.question < hops_; ++k)
      rotations_.push_back(
          build.parameter("turn_" + std::to_string(k), {width_, width_}, Initializer::xavier(width_, width_), group));
    score_ = scores().find(o.text("score")).template make<T>(build.scope("score"), {width_, width_, 0});
    if (setup.question) {
      const bool shared = o.text("answers") == "shared" && !answer_tokens_.empty();
      answer_ = shared                   ? keys_
                : answer_tokens_.empty() ? table("answers.table", batch.outputs)
                                         : table("answers.table", vocabulary);
    } else {
      projection_.emplace(build.scope("heads"), setup.control_size, width_,
                          Initializer::xavier(setup.control_size, width_));
    }
    declare(o.text("score"));
  }

  const MemoryLayout& layout() const override { return layout_; }

  Values<T> begin(Pass<T>& pass, const Start& start) const override {
    if (!start.items) fail<InvariantError>("memory key_value", "got no items");
    Tape<T>& tape = pass.tape;
    const bool split = value_words_ > 0;
    const Bags<T> key_bags =
        item_bags(tape, *start.items, start.rows, rule_, split ? Part::front : Part::all, value_words_);
    if (key_bags.items > slots_)
      fail<ArgumentError>("memory.slots", "{} slots for a set of {} facts", slots_, key_bags.items);
    const Bags<T> value_bags =
        split ? item_bags(tape, *start.items, start.rows, rule_, Part::back, value_words_) : key_bags;
    const std::int32_t* age = key_times_ ? item_ages(pass, key_bags, slots_, noise_) : nullptr;
    const auto times = [&](std::optional<std::size_t> index) { return index ? tape.parameter(*index) : Var<T>{}; };
    const Values<T> state = empty_values(tape, layout_.state.size());
    state[at_.present] = key_bags.present(tape);
    state[at_.query] = tape.filled({start.rows, width_}, T(0));
    state[at_.keys] = embed_bags(tape, key_bags, tape.parameter(keys_), times(key_times_), age);
    const bool alike = !split && values_ == keys_;
    state[at_.values] =
        alike ? state[at_.keys] : embed_bags(tape, value_bags, tape.parameter(values_), times(value_times_), age);
    for (const Site& hop : layout_.sites) {
      state[hop.weights] = tape.filled({start.rows, key_bags.items}, T(0));
      state[hop.value] = tape.filled({start.rows, width_}, T(0));
    }
    return state;
  }

  Values<T> head_parameters(Pass<T>& pass, Var<T> control) const override {
    const Values<T> q = empty_values(pass.tape, 1);
    q[0] = projection_ ? (*projection_)(pass.tape, control) : control;
    return q;
  }

  void address(Pass<T>& pass, const Turn& turn, Values<T> parameters, Values<T>, Values<T> now) const override {
    Tape<T>& tape = pass.tape;
    for (const std::size_t k : turn.sites) {
      const std::size_t rows = parameters[0].shape[0], n = now[at_.present].shape[1];
      const Mask mask = item_mask(tape, now[at_.present], empty_slots_ ? slots_ : 0);
      const Var<T> q = query_of(tape, k, parameters, now);
      const Var<T> prepared = score_->prepare(tape, now[at_.keys]);
      const Var<T> scores = (*score_)(tape, q.reshaped({rows, 1, width_}), prepared);             // score
      now[layout_.sites[k].weights] = normalize_->apply(tape, scores, mask).reshaped({rows, n});  // normalize
    }
  }

  void update(Pass<T>& pass, const Turn&, Values<T> parameters, Values<T>, Values<T> now) const override {
    now[at_.query] = query_of(pass.tape, hops_, parameters, now);
  }

  void read(Pass<T>& pass, const Turn& turn, Values<T> now) const override {
    for (const std::size_t k : turn.sites) {
      const Var<T> p = now[layout_.sites[k].weights];
      now[layout_.sites[k].value] =
          weighted_sum(pass.tape, p.reshaped({p.shape[0], 1, p.shape[1]}), now[at_.values])  // combine
              .reshaped({p.shape[0], width_});
    }
  }

  Var<T> question(Pass<T>& pass, const Batch& batch) const override {
    return embed_bags(pass.tape, question_bags(pass.tape, batch, rule_), pass.tape.parameter(keys_))
        .reshaped({batch.size, width_});
  }

  Var<T> answer(Pass<T>& pass, Values<T> state) const override {
    Tape<T>& tape = pass.tape;
    const Var<T> table = tape.parameter(answer_);
    return score_rows(tape, state[at_.query],
                      answer_tokens_.empty() ? table : gather_rows<T>(tape, table, answer_tokens_));
  }

 private:
  // q_{j+1} = R_j (q_j + o)   (section 3.1)
  Var<T> query_of(Tape<T>& tape, std::size_t k, Values<T> parameters, Values<T> now) const {
    Var<T> q = parameters[0];
    for (std::size_t j = 0; j < k; ++j) {
      q = add(tape, q, now[layout_.sites[j].value]);
      if (j < rotations_.size()) q = linear(tape, q, tape.parameter(rotations_[j]));
    }
    return q;
  }

  void declare(const std::string& score) {
    layout_.slots = slots_;
    layout_.width = width_;
    layout_.update = "next-query";
    DeclaredList& state = layout_.state;
    at_.present =
        state.add({"present", "", {slots_}, Kind::plain, "1 where there is a fact", {"item"}, /*trains=*/false});
    at_.query = state.add({"query", "", {width_}, Kind::plain, "query after the last hop q_{H+1}", {"cell"}});
    at_.keys = state.add({"keys", "", {width_, slots_}, Kind::plain, "key memories k_i", {"cell", "item"}});
    at_.values = state.add({"values", "", {width_, slots_}, Kind::plain, "value memories v_i", {"cell", "item"}});
    layout_.parameters.add({"query", "hop_0", {width_}, Kind::plain, "query q_1", {"cell"}});
    const Kind kind = !normalize_->sums_to_one ? Kind::plain : empty_slots_ ? Kind::sub_weights : Kind::weights;
    for (std::size_t k = 0; k < hops_; ++k) {
      const std::string hop = "hop_" + std::to_string(k);
      const std::size_t p = state.add({"weights", hop, {slots_}, kind, "weights over the facts p", {"item"}});
      const std::size_t o = state.add({"value", hop, {width_}, Kind::plain, "what was read o", {"cell"}});
      layout_.sites.push_back({hop, "hop", score, "item", {}, p, o});
      layout_.turns.push_back({hop, {k}});
    }
    layout_.turns.push_back({"next_query", {}, true});
  }

  std::size_t slots_, width_, hops_, value_words_;
  BagRule rule_;
  bool empty_slots_;
  double noise_;
  const NormalizerPlugin* normalize_;
  std::vector<std::int32_t> answer_tokens_;
  std::size_t keys_ = 0, values_ = 0, answer_ = 0;  // parameters
  std::optional<std::size_t> key_times_, value_times_;
  std::vector<std::size_t> rotations_;
  std::unique_ptr<Score<T>> score_;
  std::optional<Linear<T>> projection_;
  MemoryLayout layout_;
  struct {
    std::size_t present = 0, query = 0, keys = 0, values = 0;
  } at_;  // in the state
};

const bool registered = register_memory<KeyValue>("key_value", "facts found by key, read by value, in several hops",
                                                  "Miller et al. 2016, section 3.1");

}  // namespace

}  // namespace mneme
