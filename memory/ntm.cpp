// Room: memory. ntm: the Neural Turing Machine's memory (Graves, Wayne & Danihelka 2014, section 3).
//
// N slots of width M; any number of read and write heads, each with an addressing scheme of its own. All write heads
// address the memory as it was before any of them wrote; erasures multiply and additions sum, so their order is free
// (section 3.2). Whether a step reads or writes first is an option: the paper leaves it open.
#include "attention/combine.hpp"
#include "attention/content_location.hpp"
#include "attention/normalize.hpp"
#include "autodiff/ops.hpp"
#include "core/join.hpp"
#include "memory/erase_add.hpp"
#include "memory/heads.hpp"
#include "nn/linear.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace mneme {

namespace {

/// One scheme for all heads, or one each.
std::vector<std::string> schemes_of(const Options& o, const std::string& key, std::size_t heads) {
  std::vector<std::string> names = o.choices(key);
  if (names.size() == 1) names.resize(heads, names[0]);
  if (names.size() != heads)
    fail<ArgumentError>("memory." + key, "names {} schemes for {} heads: give one, or one a head", names.size(), heads);
  return names;
}

AddressingSetup setup_of(const Options& o) {
  return {.slots = o.size("slots"),
          .width = o.size("width"),
          .shifts = o.size("shift-range"),
          .similarity = o.text("score"),
          .normalizer = o.text("normalize"),
          .interpolates = o.flag("interpolate"),
          .sharpens = o.flag("sharpen"),
          .options = o};
}

AddressingDeclaration declaration_of(const std::string& scheme, const Options& o) {
  return addressing_schemes().find(scheme).declare(setup_of(o));
}

/// Whether weights may come to sum to less than 1 if those before the first step are zeros: what is interpolated with
/// them does, until it is sharpened.
bool falls_short(const AddressingParts& parts, bool starts_short) {
  bool less = parts.similarity.empty() && starts_short;
  for (const std::string& move : parts.moves) {
    if (move == "interpolate") less = less || starts_short;
    if (move == "sharpen") less = false;
  }
  return less;
}

// [D] or [N D] -> [B D N], the same for every row: M_0 from one learned row or from one row a slot.
template <class T>
Var<T> spread_slots(Tape<T>& tape, Var<T> rows, std::size_t batch, std::size_t n) {
  const std::size_t d = rows.shape.last(), per_slot = rows.shape.rank() == 2 ? d : 0;
  Var<T> y = tape.result(Shape{batch, d, n}, rows);
  for (std::size_t m = 0; m < d; ++m)
    for (std::size_t i = 0; i < n; ++i) y.data[m * n + i] = rows.data[i * per_slot + m];
  for (std::size_t b = 1; b < batch; ++b) std::copy_n(y.data, d * n, y.data + b * d * n);
  tape.node("spread_slots", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate_part(rows, [&](T* dr) {
      for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t m = 0; m < d; ++m)
          for (std::size_t i = 0; i < n; ++i) dr[i * per_slot + m] += dy[(b * d + m) * n + i];
    });
  });
  return y;
}

/// Weightings that are interpolated and written with sum to 1.
bool suits(const NormalizerPlugin& plugin) {
  return plugin.sums_to_one;
}
std::vector<std::string> normalizers_to_one() {
  std::vector<std::string> names;
  for (const auto& [name, plugin] : normalizers().entries())
    if (suits(plugin)) names.push_back(name);
  return names;
}

/// Of key and slot alone: a score with numbers that it learns could not be recomputed from a trace.
std::vector<std::string> plain_scores() {
  std::vector<std::string> names;
  for (const auto& [name, plugin] : scores().entries())
    if (plugin.needs_query && plugin.needs_equal_sizes) names.push_back(name);
  return names;
}

template <class T>
class Ntm final : public Memory<T> {
 public:
  static OptionTable options() {
    const auto schemes = [] { return addressing_schemes().names(); };
    OptionTable table;
    table.integer("slots", 128, 1, 1 << 20, "N, memory slots")
        .integer("width", 20, 1, 4096, "M, width of a slot")
        .integer("read-heads", 1, 1, 64, "R, read heads")
        .integer("write-heads", 1, 1, 64, "W, write heads")
        .choices("read-addressing", "content_location", schemes, "addressing scheme of all read heads, or one each")
        .choices("write-addressing", "content_location", schemes, "addressing scheme of all write heads, or one each")
        .choice("score", "cosine", plain_scores, "similarity of key and slot, in schemes that look at content")
        .choice("normalize", "softmax", normalizers_to_one, "similarities to weights, in schemes that look at content");
    add_normalizer_options(table, suits);
    return table.flag("interpolate", true, "false: content_location does not look back at the last weighting")
        .integer("shift-range", 3, 1, 129, "S, how many shifts a head weighs, odd: 3 = -1, 0, 1")
        .flag("sharpen", true, "false: what is shifted is not sharpened")
        .choice("order", "write-first", {"read-first", "write-first"}, "what a step does first")
        .choice("initial-memory", "constant", {"constant", "random", "learned", "learned-slots"},
                "M_0: one number; a random row a slot, drawn once; one learned row; a learned row a slot")
        .real("initial-value", 0, -100, 100,
              "the number of a constant M_0 (0 = 1e-6); half-width of one that is drawn (0 = 1/sqrt(N+M))")
        .choice("initial-weights", "slot", {"slot", "learned", "zero"},
                "w_0: all on the start slot; softmax of learned numbers; zero")
        .integer("start-slot", 0, 0, (1 << 20) - 1, "the slot of w_0 where initial-weights is slot");
  }

  static void validate(const Options& o) {
    const std::size_t n = o.size("slots");
    if (o.size("start-slot") >= n)
      fail<ArgumentError>("memory.start-slot", "slot {} of {} (the first is 0)", o.size("start-slot"), n);
    const std::size_t s = o.size("shift-range");
    if (s % 2 == 0) fail<ArgumentError>("memory.shift-range", "{} is even; shifts reach equally far both ways", s);
    schemes_of(o, "read-addressing", o.size("read-heads"));
    const auto writers = schemes_of(o, "write-addressing", o.size("write-heads"));
    // Equal rows under equal weights stay equal for ever: either M_0 or a writer's w_0 must tell slots apart.
    const std::string& m0 = o.text("initial-memory");
    const std::string& w0 = o.text("initial-weights");
    const bool moves = std::any_of(writers.begin(), writers.end(),
                                   [&](const auto& name) { return declaration_of(name, o).uses_previous; });
    if (n > 1 && (m0 == "constant" || m0 == "learned") && (w0 == "zero" || !moves))
      fail<ArgumentError>("memory.initial-memory",
                          "'{}' makes all slots equal, and initial-weights '{}' with write-addressing '{}'{} cannot "
                          "tell them apart; use initial-memory random, or initial-weights slot with a location scheme",
                          m0, w0, join(o.choices("write-addressing"), ","),
                          o.flag("interpolate") ? "" : " without interpolation");
    if (w0 == "zero")
      for (const char* side : {"read", "write"})
        for (const auto& name : o.choices(std::string(side) + "-addressing"))
          if (!declaration_of(name, o).uses_content)
            fail<ArgumentError>("memory.initial-weights", "'zero' leaves {}-addressing '{}' nothing to shift", side,
                                name);
  }

  Ntm(const Builder<T>& build, const Options& o, const MemorySetup& setup)
      : sizes_(setup_of(o)),
        initial_memory_(o.text("initial-memory")),
        initial_weights_(o.text("initial-weights")),
        initial_value_(o.real("initial-value")),
        start_slot_(o.size("start-slot")) {
    layout_.slots = sizes_.slots;
    layout_.width = sizes_.width;
    layout_.update = "ntm-erase-add";
    contents_ = layout_.state.add(
        {"contents", "", {sizes_.width, sizes_.slots}, Kind::plain, "memory matrix M_t", {"cell", "slot"}});
    layout_.turns = {{"read", {}, false}, {"write", {}, true}};
    for (const bool writes : {false, true}) {
      const std::string kind = writes ? "write" : "read";
      const auto names = schemes_of(o, kind + "-addressing", o.size(kind + "-heads"));
      for (std::size_t h = 0; h < names.size(); ++h) add_head(build, kind, h, names[h]);
    }
    if (o.text("order") == "write-first") std::swap(layout_.turns[0], layout_.turns[1]);
    std::size_t raw = 0;
    for (const HeadParameter& p : orders_) {
      layout_.parameters.add(p.declared);
      raw += p.declared.count();
    }
    projection_.emplace(build.scope("heads"), setup.control_size, raw,
                        Initializer::xavier(setup.control_size, raw, 1.4), Initializer::normal(0.01));
    const double drawn = 1 / std::sqrt(static_cast<double>(sizes_.slots + sizes_.width));
    if (initial_value_ == 0) initial_value_ = initial_memory_ == "constant" ? 1e-6 : drawn;
    if (initial_memory_ == "random")
      random_ = &build.buffer("initial_memory", {sizes_.slots, sizes_.width}, Initializer::uniform(initial_value_));
    if (initial_memory_ == "learned")
      learned_ = build.parameter("initial_memory", {sizes_.width}, Initializer::uniform(initial_value_));
    if (initial_memory_ == "learned-slots")
      learned_ = build.parameter("initial_memory", {sizes_.slots, sizes_.width}, Initializer::uniform(initial_value_));
  }

  const MemoryLayout& layout() const override { return layout_; }

  Values<T> begin(Pass<T>& pass, const Start& start) const override {
    Tape<T>& tape = pass.tape;
    const Values<T> state = empty_values(tape, layout_.state.size());
    state[contents_] = initial_contents(tape, start.rows);
    for (const Head& head : heads_) {
      state[head.weights] = initial_weights(tape, start.rows, head);
      if (head.reads()) state[head.value] = repeat_rows(tape, tape.parameter(head.initial_value), start.rows);
    }
    return state;
  }

  Values<T> head_parameters(Pass<T>& pass, Var<T> control) const override {
    return split_parameters<T>(pass.tape, (*projection_)(pass.tape, control), orders_);
  }

  void address(Pass<T>& pass, const Turn& turn, Values<T> p, Values<T> before, Values<T> now) const override {
    if (joined_) return address_joined(pass, turn, p, before, now);
    for (const std::size_t s : turn.sites) {
      const Head& head = heads_[s];
      pass.at(layout_.sites[s].name.c_str());
      now[head.weights] =
          (*head.scheme)(pass, p.subspan(head.parameters, head.count), now[contents_], before[head.weights]);
    }
  }

  // M(i) <- M(i) prod_h (1 - w_h(i) e_h) + sum_h w_h(i) a_h   (NTM eq. 3-4)
  void update(Pass<T>& pass, const Turn& turn, Values<T> p, Values<T>, Values<T> now) const override {
    Tape<T>& tape = pass.tape;
    const auto weights = [&](std::size_t s) { return now[heads_[s].weights]; };
    const auto erases = [&](std::size_t s) { return p[heads_[s].parameters + heads_[s].count]; };
    const auto adds = [&](std::size_t s) { return p[heads_[s].parameters + heads_[s].count + 1]; };
    Var<T>& contents = now[contents_];
    if (turn.sites.size() == 1) {
      const std::size_t s = turn.sites[0];
      contents = erase_add(tape, contents, weights(s), erases(s), adds(s));
      return;
    }
    for (const std::size_t s : turn.sites) contents = erase(tape, contents, weights(s), erases(s));
    for (const std::size_t s : turn.sites) contents = write(tape, contents, weights(s), adds(s));
  }

  // r = sum_i w(i) M(i)   (NTM eq. 2)
  void read(Pass<T>& pass, const Turn& turn, Values<T> now) const override {
    for (const std::size_t s : turn.sites) {
      const Head& head = heads_[s];
      if (!head.reads()) continue;
      pass.at(layout_.sites[s].name.c_str());
      const Var<T> w = now[head.weights];
      now[head.value] = weighted_sum(pass.tape, w.reshaped({w.shape[0], 1, w.shape[1]}), now[contents_])
                            .reshaped({w.shape[0], layout_.width});
    }
  }

 private:
  struct Head {
    std::unique_ptr<Addressing<T>> scheme;
    bool uses_previous = true;
    std::size_t weights = 0, value = nowhere;  // in the state
    std::size_t parameters = 0, count = 0;     // the scheme's own; erase and add follow
    std::size_t initial_value = 0, start = 0;  // parameters r_0 and the logits of w_0
    bool reads() const { return value != nowhere; }
  };

  /// All heads of a turn in one op; with what they read, where the turn leaves the memory as it is.
  void address_joined(Pass<T>& pass, const Turn& turn, Values<T> p, Values<T> before, Values<T> now) const {
    Tape<T>& tape = pass.tape;
    const std::size_t count = turn.sites.size(), reads = turn.writes ? 0 : count, looked = pass.look ? count : 0;
    auto* heads = tape.template scratch<LocatedHead<T>>(count);
    const Values<T> made = empty_values(tape, count + reads);
    auto* stages = tape.template scratch<LocatedStages<T>>(looked);
    for (std::size_t i = 0; i < count; ++i) {
      const Head& h = heads_[turn.sites[i]];
      const Values<T> own = p.subspan(h.parameters, h.count);
      new (heads + i) LocatedHead<T>{own[0], own[1], own[2], own[3], own[4], before[h.weights]};
    }
    content_location<T>(tape, {heads, count}, now[contents_], made.first(count), made.last(reads), {stages, looked});
    for (std::size_t i = 0; i < count; ++i) {
      const Head& h = heads_[turn.sites[i]];
      now[h.weights] = made[i];
      if (reads) now[h.value] = made[count + i];
      if (!looked) continue;
      pass.at(layout_.sites[turn.sites[i]].name.c_str());
      pass.seen("similarity", stages[i].similarity);
      pass.seen("content", stages[i].content);
      pass.seen("gated", stages[i].gated);
      pass.seen("shifted", stages[i].shifted);
    }
  }

  void add_head(const Builder<T>& build, const std::string& kind, std::size_t index, const std::string& scheme) {
    const std::string site = kind + "_" + std::to_string(index);
    Head head;
    const AddressingPlugin& plugin = addressing_schemes().find(scheme);
    const AddressingDeclaration declared = plugin.declare(sizes_);
    head.scheme = plugin.template make<T>(build.scope(site), sizes_);
    head.uses_previous = declared.uses_previous;
    head.parameters = orders_.size();
    for (HeadParameter p : declared.parameters) {
      p.declared.site = site;
      orders_.push_back(std::move(p));
    }
    head.count = orders_.size() - head.parameters;
    const AddressingParts& parts = declared.parts;
    joined_ = joined_ && scheme == "content_location" && parts.similarity == "cosine" &&
              parts.normalizer == "softmax" && sizes_.interpolates && sizes_.sharpens;
    for (Declared stage : declared.stages) {
      stage.site = site;
      layout_.stages.add(std::move(stage));
    }
    const Kind rows = falls_short(parts, initial_weights_ == "zero") ? Kind::sub_weights : Kind::weights;
    head.weights = layout_.state.add({"weights", site, {sizes_.slots}, rows, kind + " weighting w_t", {"slot"}});
    if (kind == "read") {
      head.value = layout_.state.add({"value", site, {sizes_.width}, Kind::plain, "read vector r_t", {"cell"}});
      head.initial_value = build.scope(site).parameter("initial_value", {sizes_.width}, Initializer::constant(0));
    } else {
      orders_.push_back({{"erase", site, {sizes_.width}, Kind::gate, "erase vector e_t", {"cell"}}, Squash::sigmoid});
      orders_.push_back({{"add", site, {sizes_.width}, Kind::plain, "add vector a_t", {"cell"}}, Squash::tanh});
    }
    if (initial_weights_ == "learned" && head.uses_previous)
      head.start = build.scope(site).parameter("initial_weights", {sizes_.slots}, Initializer::normal(1));
    layout_.turns[kind == "write"].sites.push_back(layout_.sites.size());
    layout_.sites.push_back({site, kind, scheme, "slot", parts, head.weights, head.value});
    heads_.push_back(std::move(head));
  }

  Var<T> initial_contents(Tape<T>& tape, std::size_t rows) const {
    if (initial_memory_ == "constant")
      return tape.filled({rows, sizes_.width, sizes_.slots}, static_cast<T>(initial_value_));
    if (initial_memory_ == "random")
      return spread_slots(tape, Var<T>{random_->values.data(), random_->shape, nullptr}, rows, sizes_.slots);
    return spread_slots(tape, tape.parameter(learned_), rows, sizes_.slots);
  }

  Var<T> initial_weights(Tape<T>& tape, std::size_t rows, const Head& head) const {
    const std::size_t n = sizes_.slots;
    if (initial_weights_ == "learned" && head.uses_previous)
      return softmax(tape, repeat_rows(tape, tape.parameter(head.start), rows).reshaped({rows, 1, n}))
          .reshaped({rows, n});
    Var<T> w = tape.filled({rows, n}, T(0));
    if (initial_weights_ == "slot")
      for (std::size_t b = 0; b < rows; ++b) w.data[b * n + start_slot_] = 1;
    return w;
  }

  AddressingSetup sizes_;
  std::string initial_memory_, initial_weights_;
  double initial_value_;
  std::size_t start_slot_;
  MemoryLayout layout_;
  std::size_t contents_ = 0;           // in the state
  std::vector<HeadParameter> orders_;  // as layout_.parameters
  std::vector<Head> heads_;            // by site
  bool joined_ = true;                 // all heads address as content_location() does
  std::optional<Linear<T>> projection_;
  Buffer<T>* random_ = nullptr;
  std::size_t learned_ = 0;
};

const bool registered =
    register_memory<Ntm>("ntm", "slots read and written by content and location", "Graves et al. 2014, section 3");

}  // namespace

}  // namespace mneme
