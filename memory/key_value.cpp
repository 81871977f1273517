// Room: memory. key_value: the memory of a Key-Value Memory Network (Miller et al. 2016).
//
//   q_1 = A phi(x);  k_i = A phi_K(fact i),  v_i = A phi_V(fact i)       section 3.1; memory/bags.hpp
//   p = normalize(score(q_j, k_i)),  o = sum_i p_i v_i                   value reading
//   q_{j+1} = R_j (q_j + o)                                              key addressing of the next hop
//   a = softmax(q_{H+1} . B phi_Y(y_i)) over the candidates y_i          before its softmax
//
// Facts are the batch's items. A fact is key and value alike, or its last words are the value and the others the key
// ("blade runner directed_by | ridley scott"). Which facts come in is the task's choice: there is no hashing here.
// Slots and hops: memory/hops.hpp.
#include "autodiff/ops.hpp"
#include "memory/hops.hpp"

namespace mneme {

namespace {

std::vector<std::string> scores_with_query() {
  std::vector<std::string> names;
  for (const auto& [name, plugin] : scores().entries())
    if (plugin.needs_query) names.push_back(name);
  return names;
}

/// What rounding decides cannot be recomputed from a trace by the memory's own functions.
bool suits(const NormalizerPlugin& plugin) {
  return plugin.continuous;
}
std::vector<std::string> continuous_normalizers() {
  std::vector<std::string> names;
  for (const auto& [name, plugin] : normalizers().entries())
    if (suits(plugin)) names.push_back(name);
  return names;
}

template <class T>
class KeyValue final : public HopMemory<T> {
  using Base = HopMemory<T>;
  using Base::layout_, Base::hops_, Base::slots_, Base::width_;

 public:
  static OptionTable options() {
    OptionTable table = hop_options(40);
    table.choice("score", "dot", scores_with_query, "how well a key fits the query")
        .choice("normalize", "softmax", continuous_normalizers, "scores to weights");
    add_normalizer_options(table, suits);
    return table
        .integer("value-words", 0, 0, 4096,
                 "the last words of a fact that are its value, the others its key; 0 = all are both")
        .choice("values", "shared", {"shared", "own"}, "the values' table: the keys' (A), or one of its own")
        .choice("answers", "own", {"own", "shared"},
                "the candidates' table B: of its own, or A where classes are words");
  }

  KeyValue(const Builder<T>& build, const Options& o, const MemorySetup& setup)
      : Base("key_value", o, setup), value_words_(o.size("value-words")) {
    const bool own_values = o.text("values") == "own", words = !setup.batch.output_tokens.empty();
    keys_ = this->word_table(build, "keys.table");
    values_ = own_values ? this->word_table(build, "values.table") : keys_;
    if (o.flag("temporal")) {
      key_times_ = this->table(build, "keys.times", slots_);
      value_times_ = own_values ? this->table(build, "values.times", slots_) : key_times_;
    }
    // The last R makes the query that answers; where nothing is answered, nothing would train it.
    for (std::size_t k = 0; k + !setup.question < hops_; ++k)
      rotations_.push_back(build.parameter("turn_" + std::to_string(k), {width_, width_},
                                           Initializer::xavier(width_, width_), this->group_));
    Attention<T> attention(build.scope("score"), o.text("score"), o.text("normalize"), {width_, width_}, o);
    if (setup.question) {
      this->ask(keys_,
                words && o.text("answers") == "shared" ? keys_
                : words                                ? this->word_table(build, "answers.table")
                                                       : this->table(build, "answers.table", setup.batch.outputs),
                words);
    } else {
      this->project(build, setup);
    }
    DeclaredList& state = layout_.state;
    key_memories_ = state.add({"keys", "", {width_, slots_}, Kind::plain, "key memories k_i", {"cell", "item"}});
    value_memories_ = state.add({"values", "", {width_, slots_}, Kind::plain, "value memories v_i", {"cell", "item"}});
    const bool sums_to_one = attention.sums_to_one();
    this->declare_hops(std::move(attention), o.text("score"), sums_to_one);
  }

  Values<T> begin(Pass<T>& pass, const Start& start) const override {
    Tape<T>& tape = pass.tape;
    const bool split = value_words_ > 0;
    const Bags<T> key_bags = this->bags(tape, start, split ? Part::front : Part::all, value_words_);
    const Bags<T> value_bags = split ? this->bags(tape, start, Part::back, value_words_) : key_bags;
    const std::int32_t* age = key_times_ ? item_ages(pass, key_bags, slots_, this->noise_) : nullptr;
    const auto times = [&](std::optional<std::size_t> index) { return index ? tape.parameter(*index) : Var<T>{}; };
    const Values<T> state = this->unread(tape, key_bags);
    state[key_memories_] = embed_bags(tape, key_bags, tape.parameter(keys_), times(key_times_), age);
    const bool alike = !split && values_ == keys_;
    state[value_memories_] =
        alike ? state[key_memories_] : embed_bags(tape, value_bags, tape.parameter(values_), times(value_times_), age);
    return state;
  }

 private:
  std::size_t keys(std::size_t) const override { return key_memories_; }
  std::size_t values(std::size_t) const override { return value_memories_; }

  // q_{j+1} = R_j (q_j + o)   (section 3.1)
  Var<T> next(Tape<T>& tape, std::size_t j, Var<T> q, Var<T> o) const override {
    const Var<T> sum = add(tape, q, o);
    return j < rotations_.size() ? linear(tape, sum, tape.parameter(rotations_[j])) : sum;
  }

  std::size_t value_words_;
  std::size_t keys_ = 0, values_ = 0;  // parameters
  std::optional<std::size_t> key_times_, value_times_;
  std::vector<std::size_t> rotations_;
  std::size_t key_memories_ = 0, value_memories_ = 0;  // in the state
};

const bool registered = register_memory<KeyValue>("key_value", "facts found by key, read by value, in several hops",
                                                  "Miller et al. 2016, section 3.1");

}  // namespace

}  // namespace mneme
