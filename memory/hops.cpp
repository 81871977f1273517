// Room: memory. Hops: what memories share that are filled from items and read in several hops.
#include "memory/hops.hpp"

#include "core/batch.hpp"

#include <algorithm>

namespace mneme {

OptionTable hop_options(std::int64_t width) {
  return OptionTable()
      .integer("slots", 50, 1, 1 << 20, "N, the most items a set may have")
      .integer("width", width, 1, 4096, "D, width of the embeddings")
      .integer("hops", 3, 1, 64, "K, hops over the items")
      .choice("encoding", "position", encoding_names(), "how an item's words add up")
      .flag("temporal", true, "a learned row for each age of an item")
      .flag("empty-slots", true,
            "slots that hold nothing compete where weights sum to 1, with score 0; elsewhere they add nothing")
      .real("noise", 0.1, 0, 10, "training: up to this share of empty items makes the others older")
      .real("table-clip", 40, 0, 1e9, "2-norm limit of each matrix's gradient; 0 = off");
}

template <class T>
HopMemory<T>::HopMemory(std::string memory, const Options& o, const MemorySetup& setup)
    : slots_(setup.batch.max_items ? std::min(o.size("slots"), setup.batch.max_items) : o.size("slots")),
      width_(o.size("width")),
      hops_(o.size("hops")),
      group_{.name = "embeddings", .clip_norm = o.real("table-clip")},
      noise_(o.real("noise")),
      memory_(std::move(memory)),
      rule_{encoding_of(o.text("encoding")), width_, setup.batch.longest_line},
      empty_slots_(o.flag("empty-slots")),
      words_(std::max(setup.batch.vocabulary, setup.batch.item_vocabulary)),
      answer_tokens_(setup.batch.output_tokens) {
  if (!setup.batch.item_vocabulary) fail<ArgumentError>("memory " + memory_, "needs a task whose items are words");
  if (setup.batch.max_items > o.size("slots"))
    fail<ArgumentError>("memory.slots", "{} slots for up to {} items", o.size("slots"), setup.batch.max_items);
  layout_.slots = slots_;
  layout_.width = width_;
  layout_.update = "next-query";
  present_ =
      layout_.state.add({"present", "", {slots_}, Kind::plain, "1 where there is an item", {"item"}, /*trains=*/false});
  query_ = layout_.state.add({"query", "", {width_}, Kind::plain, "query after the last hop q^{K+1}", {"cell"}});
}

template <class T>
std::size_t HopMemory<T>::table(const Builder<T>& build, const std::string& name, std::size_t rows) const {
  return build.parameter(name, {rows, width_}, Initializer::normal(0.1), group_);
}

template <class T>
std::size_t HopMemory<T>::word_table(const Builder<T>& build, const std::string& name) const {
  return table(build, name, words_);
}

template <class T>
void HopMemory<T>::ask(std::size_t question_table, std::size_t answer_table, bool answers_are_words) {
  question_ = question_table;
  answer_ = answer_table;
  if (!answers_are_words) answer_tokens_.clear();
}

template <class T>
void HopMemory<T>::project(const Builder<T>& build, const MemorySetup& setup) {
  projection_.emplace(build.scope("heads"), setup.control_size, width_,
                      Initializer::xavier(setup.control_size, width_));
}

template <class T>
void HopMemory<T>::declare_hops(Attention<T> attention, const std::string& similarity, bool sums_to_one) {
  attention_.emplace(std::move(attention));
  layout_.parameters.add({"query", "hop_0", {width_}, Kind::plain, "query q^1", {"cell"}});
  const Kind kind = !sums_to_one ? Kind::plain : empty_slots_ ? Kind::sub_weights : Kind::weights;
  for (std::size_t k = 0; k < hops_; ++k) {
    const std::string hop = "hop_" + std::to_string(k);
    const std::size_t p = layout_.state.add({"weights", hop, {slots_}, kind, "weights over the items p^k", {"item"}});
    const std::size_t o = layout_.state.add({"value", hop, {width_}, Kind::plain, "what was found o^k", {"cell"}});
    layout_.sites.push_back({hop, "hop", similarity, "item", {}, p, o});
    layout_.turns.push_back({hop, {k}});
  }
  layout_.turns.push_back({"next_query", {}, true});
}

template <class T>
Bags<T> HopMemory<T>::bags(Tape<T>& tape, const Start& start, Part part, std::size_t split) const {
  if (!start.items) fail<InvariantError>("memory " + memory_, "got no items");
  const Bags<T> found = item_bags(tape, *start.items, start.rows, rule_, part, split);
  if (found.items > slots_) fail<ArgumentError>("memory.slots", "{} slots for a set of {} items", slots_, found.items);
  return found;
}

template <class T>
Values<T> HopMemory<T>::unread(Tape<T>& tape, const Bags<T>& bags) const {
  const Values<T> state = empty_values(tape, layout_.state.size());
  state[present_] = bags.present(tape);
  state[query_] = tape.filled({bags.rows, width_}, T(0));
  for (const Site& hop : layout_.sites) {
    state[hop.weights] = tape.filled({bags.rows, bags.items}, T(0));
    state[hop.value] = tape.filled({bags.rows, width_}, T(0));
  }
  return state;
}

template <class T>
Values<T> HopMemory<T>::head_parameters(Pass<T>& pass, Var<T> control) const {
  const Values<T> q = empty_values(pass.tape, 1);
  q[0] = projection_ ? (*projection_)(pass.tape, control) : control;
  return q;
}

template <class T>
void HopMemory<T>::address(Pass<T>& pass, const Turn& turn, Values<T> parameters, Values<T>, Values<T> now) const {
  Tape<T>& tape = pass.tape;
  for (const std::size_t k : turn.sites) {
    const Mask mask = item_mask(tape, now[present_], empty_slots_ ? slots_ : 0);
    const Var<T> q = query_of(tape, k, parameters, now);
    const Var<T> scores = attention_->score(tape, q, attention_->prepare(tape, now[keys(k)]));
    now[layout_.sites[k].weights] = weigh(tape, scores, now[present_], mask, now);
  }
}

template <class T>
Var<T> HopMemory<T>::weigh(Tape<T>& tape, Var<T> scores, Var<T>, const Mask& mask, Values<T>) const {
  return attention_->normalize(tape, scores, mask);
}

template <class T>
void HopMemory<T>::read(Pass<T>& pass, const Turn& turn, Values<T> now) const {
  for (const std::size_t k : turn.sites)
    now[layout_.sites[k].value] = attention_->combine(pass.tape, now[layout_.sites[k].weights], now[values(k)]);
}

template <class T>
void HopMemory<T>::update(Pass<T>& pass, const Turn&, Values<T> parameters, Values<T>, Values<T> now) const {
  now[query_] = query_of(pass.tape, hops_, parameters, now);
}

template <class T>
Var<T> HopMemory<T>::query_of(Tape<T>& tape, std::size_t hop, Values<T> parameters, Values<T> now) const {
  Var<T> q = parameters[0];
  for (std::size_t k = 0; k < hop; ++k) q = next(tape, k, q, now[layout_.sites[k].value]);
  return q;
}

template <class T>
Var<T> HopMemory<T>::question(Pass<T>& pass, const Batch& batch) const {
  return embed_bags(pass.tape, question_bags(pass.tape, batch, rule_), pass.tape.parameter(question_))
      .reshaped({batch.size, width_});
}

template <class T>
Var<T> HopMemory<T>::answer(Pass<T>& pass, Values<T> state) const {
  Tape<T>& tape = pass.tape;
  const Var<T> table = tape.parameter(answer_);
  return score_rows(tape, state[query_], answer_tokens_.empty() ? table : gather_rows<T>(tape, table, answer_tokens_));
}

template class HopMemory<float>;
template class HopMemory<double>;

}  // namespace mneme
