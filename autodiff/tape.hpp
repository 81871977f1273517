// Room: autodiff. Var: a handle on a value; Tape: what was done to it, run backwards.
//
// A Var is a pointer into the tape's arena, a fixed small shape and a gradient slot (none: a constant, or nothing is
// being recorded). The tape is a linear list of coarse nodes, about one per paper equation; backward() runs it from the
// end: no sorting, no reference counts, no recursion. A node's gradient buffers return to a pool as soon as it has run,
// and the first writer of a gradient overwrites instead of adding to zeros.
//
// A state too large to be copied at every step is changed where it lies: it is kept in resident(), an op that changes
// it gives undo() what puts it back, and its gradient holds the rows that were touched. Undoing stands in the list
// among the nodes: when a node runs backwards, the state is what it was when the node was made.
//
// One tape belongs to one thread and one shard of the batch. Handles are void after begin().
#pragma once

#include "autodiff/arena.hpp"
#include "autodiff/flat_array.hpp"
#include "autodiff/rows.hpp"
#include "core/error.hpp"
#include "core/shape.hpp"

#include <cmath>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <memory>
#include <span>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace mneme {

/// Rows (x, dy) of every use of one weight, so that its gradient becomes one matrix product after the backward pass.
template <class T>
struct Panel {
  T* x = nullptr;          ///< [rows in]
  T* dy = nullptr;         ///< [rows out]
  std::uint32_t used = 0;  ///< rows filled by the backward pass
  std::uint32_t rows = 0;  ///< rows announced by the forward pass
};

/// A parameter as the tape sees it: values owned by nn/, gradient owned by the shard.
template <class T>
struct Leaf {
  T* data = nullptr;
  TransposedCopy<T>* transposed = nullptr;  ///< of rank 2 only: the same values as [out in], may be null
  T* gradient = nullptr;
  Shape shape;
};

/// Where the gradient of a value is gathered: in `data`, taken from the pool by the first writer (a leaf owns its own),
/// or, of a state changed in place, in `rows`. One cache line.
template <class T>
struct GradientSlot {
  T* data = nullptr;
  std::size_t size = 0;
  bool written = false;
  bool by_rows = false;
  RowGradient<T>* rows = nullptr;
  const Leaf<T>* leaf = nullptr;  ///< null: not a parameter
  Panel<T> panel;
};

static_assert(sizeof(GradientSlot<float>) == 64);

template <class T>
struct Var {
  T* data = nullptr;
  Shape shape;
  GradientSlot<T>* slot = nullptr;

  std::size_t size() const { return shape.size(); }
  bool needs_gradient() const { return slot != nullptr; }
  explicit operator bool() const { return data != nullptr; }
  /// The same numbers and the same gradient under another shape of equal size.
  Var reshaped(Shape other) const {
    if (other.size() != shape.size())
      fail<ArgumentError>("reshape", "{} holds {} numbers, {} holds {}", shape.text(), size(), other.text(),
                          other.size());
    return {data, other, slot};
  }
  Var detached() const { return {data, shape, nullptr}; }
};

/// How an op writes a gradient: Set where it is the first writer, Add afterwards. Lanes: see autodiff/lanes.hpp.
struct Set {
  static constexpr bool adds = false;
  template <class T>
  void operator()(T& to, T value) const {
    to = value;
  }
  template <class Lane, class T, class V>
  void store(const Lane& lane, T* to, V value) const {
    lane.store(to, value);
  }
};
struct Add {
  static constexpr bool adds = true;
  template <class T>
  void operator()(T& to, T value) const {
    to += value;
  }
  template <class Lane, class T, class V>
  void store(const Lane& lane, T* to, V value) const {
    lane.store(to, lane.load(to) + value);
  }
};

template <class T>
class Tape {
 public:
  Tape() = default;
  ~Tape() { end(); }
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// Parameters by index; the table must outlive the tape's use of it.
  void bind(std::span<const Leaf<T>> leaves);

  /// Starts a step: forgets all handles, keeps all memory. Without `record` no op keeps anything for a backward pass.
  void begin(bool record);
  bool recording() const { return recording_; }
  /// Ends the pass: undoes what is left to undo. Handles stay valid until begin(). backward() and begin() do it by
  /// themselves; for whoever does not go backward, or may be left by an exception, EndOfPass does it.
  void end() {
    if (!undos_.empty()) undone_ = true;
    while (!undos_.empty()) {
      const Node& node = nodes_[undos_.back()];
      undos_.pop_back();
      node.run(node.closure, *this);
    }
  }

  /// Where in the model we are, for messages: step t, site "write_0". The text must outlive the step.
  void at(std::size_t step, const char* site) {
    step_ = step;
    site_ = site;
  }

  void at(const char* site) { site_ = site; }

  // --- values -------------------------------------------------------------------------------------------------------
  T* allocate(std::size_t n) { return arena_.array<T>(n); }
  /// Room for things a closure keeps by pointer (handles, indices); trivially destructible, valid until begin().
  template <class U>
  U* scratch(std::size_t n) {
    static_assert(std::is_trivially_destructible_v<U>);
    return arena_.array<U>(n);
  }
  /// A constant of this shape, not initialised.
  Var<T> constant(Shape shape) { return {allocate(shape.size()), shape, nullptr}; }
  Var<T> filled(Shape shape, T value);
  /// A value whose gradient stays readable after backward(): the inputs of a gradient check.
  Var<T> variable(Shape shape);
  Var<T> parameter(std::size_t index) {
    GradientSlot<T>& slot = leaf_slots_[index];
    return {leaves_[index].data, leaves_[index].shape, recording_ ? &slot : nullptr};
  }
  /// An op's result: has a gradient slot when recording and any input has one.
  template <class... Inputs>
  Var<T> result(Shape shape, const Inputs&... inputs) {
    return result_if((... || inputs.needs_gradient()), shape);
  }
  Var<T> result_if(bool needs_gradient, Shape shape) { return view_if(needs_gradient, allocate(shape.size()), shape); }
  /// A result whose numbers are there already: a part of an input's.
  Var<T> view_if(bool needs_gradient, T* data, Shape shape) {
    return {data, shape, recording_ && needs_gradient ? new_slot(shape.size()) : nullptr};
  }

  // --- states changed in place --------------------------------------------------------------------------------------
  /// Storage of `owner` that outlives begin(): made as S() where it is first asked for, one a tape, owner and type. The
  /// owner must outlive the tape. S may say how many bytes it holds.
  template <class S>
  S& resident(const void* owner) {
    for (Resident& r : residents_)
      if (r.owner == owner && *r.type == typeid(S)) return *static_cast<S*>(r.storage.get());
    const auto bytes = [](const void* s) {
      if constexpr (requires { static_cast<const S*>(s)->bytes(); })
        return static_cast<const S*>(s)->bytes();
      else
        return (void)s, sizeof(S);
    };
    residents_.push_back({owner, &typeid(S), {new S(), [](void* s) { delete static_cast<S*>(s); }}, bytes});
    return *static_cast<S*>(residents_.back().storage.get());
  }
  /// The state [... D] that lies at `data`, before this pass changes it. Its gradient holds rows of D numbers.
  Var<T> in_place(T* data, Shape shape, bool needs_gradient) {
    const Var<T> x = view_if(needs_gradient, data, shape);
    if (x.slot) x.slot->by_rows = true;
    return x;
  }
  /// The state after an op has changed it where it lies; x and older handles must not be used any more. `inputs`: what
  /// the op wrote of.
  template <class... Inputs>
  Var<T> changed(const Var<T>& x, const Inputs&... inputs) {
    return in_place(x.data, x.shape, x.needs_gradient() || (... || inputs.needs_gradient()));
  }
  /// f() will run when the pass ends, recording or not, by return or exception, newest first and in turn with the
  /// nodes. It must put back to the bit what the op changed, must not throw, and is trivially copyable, as closures
  /// are. What can throw in an op, this too, stands before its change.
  template <class F>
  void undo(F f) {
    static_assert(std::is_trivially_copyable_v<F> && std::is_trivially_destructible_v<F>);
    F* closure = new (arena_.allocate(sizeof(F))) F(f);
    nodes_.push_back({[](void* g, Tape&) { (*static_cast<F*>(g))(); }, closure, nullptr, 0, "undo", site_, step_});
    undos_.push_back(nodes_.size() - 1);
  }

  // --- nodes --------------------------------------------------------------------------------------------------------
  /// Ends an op: `backward(Tape&)` will run if any of `outputs` received a gradient. Closures must be trivially
  /// copyable (handles, pointers into the arena, numbers): nothing is ever destroyed. `op` must be a literal.
  template <class F>
  void node(const char* op, std::span<const Var<T>> outputs, F backward) {
    static_assert(std::is_trivially_copyable_v<F> && std::is_trivially_destructible_v<F>);
    if (check_finite_) check_outputs(op, outputs);
    std::size_t n = 0;
    for (const Var<T>& y : outputs) n += y.slot != nullptr;
    if (n == 0) return;
    auto** slots = arena_.array<GradientSlot<T>*>(n);
    n = 0;
    for (const Var<T>& y : outputs)
      if (y.slot) slots[n++] = y.slot;
    F* closure = new (arena_.allocate(sizeof(F))) F(backward);
    nodes_.push_back({[](void* f, Tape& tape) { (*static_cast<F*>(f))(tape); }, closure, slots, n, op, site_, step_});
  }
  template <class F>
  void node(const char* op, std::initializer_list<Var<T>> outputs, F backward) {
    node(op, std::span<const Var<T>>(outputs.begin(), outputs.size()), backward);
  }

  // --- inside a backward closure ------------------------------------------------------------------------------------
  bool has_gradient(const Var<T>& y) const { return y.slot && y.slot->written; }
  /// dy; zeros where nothing was written.
  const T* gradient(const Var<T>& y) {
    if (y.slot->by_rows) refuse_dense(y);
    if (!y.slot->written) zero(*y.slot);
    return y.slot->data;
  }
  /// f(into, dx) with into = Set or Add; f must write every number of dx through it. Nothing where x needs none.
  template <class F>
  void accumulate(const Var<T>& x, F f) {
    if (!x.slot) return;
    GradientSlot<T>& slot = *x.slot;
    if (slot.by_rows) refuse_dense(x);
    if (slot.written) {
      f(Add{}, slot.data);
    } else {
      if (!slot.data) slot.data = pool_.take(slot.size);
      slot.written = true;
      f(Set{}, slot.data);
    }
    if (check_finite_) touched_.push_back(&slot);
  }
  /// As accumulate, but f also runs where x needs no gradient, and what it writes is lost: for one pass that makes
  /// several gradients.
  template <class F>
  void accumulate_always(const Var<T>& x, F f) {
    if (x.slot)
      accumulate(x, f);
    else
      f(Set{}, allocate(x.size()));
  }
  /// As accumulate_always, for an op whose dx is made element by element of its dy: where x is the first to hear of it,
  /// dx takes over the buffer of dy.
  template <class F>
  void accumulate_in_place(const Var<T>& x, const Var<T>& y, F f) {
    if (x.slot && !x.slot->written && !x.slot->data && x.size() == y.size()) std::swap(x.slot->data, y.slot->data);
    accumulate_always(x, f);
  }
  /// f(dx) adds to dx, which may be zeros so far: for ops that touch a part of x.
  template <class F>
  void accumulate_part(const Var<T>& x, F f) {
    if (!x.slot) return;
    if (x.slot->by_rows) refuse_dense(x);
    if (!x.slot->written) zero(*x.slot);
    f(x.slot->data);
    if (check_finite_) touched_.push_back(x.slot);
  }
  /// f(at), at(r) -> row r of dx, to be added to, zeros so far where it is new; valid until the next at(). Whether dx
  /// is dense or by rows.
  template <class F>
  void accumulate_rows(const Var<T>& x, F f) {
    if (!x.slot) return;
    if (!x.slot->by_rows) {
      const std::size_t width = x.shape.last();
      return accumulate_part(x, [&](T* dx) { f([=](std::size_t r) { return dx + r * width; }); });
    }
    f([&rows = rows(x)](std::size_t r) { return rows.row(r); });
    x.slot->written = true;
    if (check_finite_) touched_.push_back(x.slot);
  }
  /// dy by rows; empty where nothing was written.
  RowGradient<T>& rows(const Var<T>& y) {
    if (!y.slot->rows) y.slot->rows = take_rows(y.shape.last());
    return *y.slot->rows;
  }
  /// In the node of an op that changed x into y: dy becomes dx, without being copied.
  void hand_rows(const Var<T>& x, const Var<T>& y) {
    if (!x.slot) return;
    if (x.slot->written)
      fail<InvariantError>("tape", "a state {} was used after it was changed in place", x.shape.text());
    std::swap(x.slot->rows, y.slot->rows);
    x.slot->written = true;
    if (check_finite_) touched_.push_back(x.slot);
  }

  /// Runs the list backwards from a scalar and leaves every leaf's gradient complete (zeros where unused). Once a step.
  void backward(const Var<T>& loss);

  /// While on, every op's results and gradients are searched, and the first value that is not finite throws
  /// NonFiniteError naming op, site and step. Slow: used to explain a failure that the cheap guard found.
  void check_finite(bool on) { check_finite_ = on; }

  /// For the gradient checker: fills all recycled gradient buffers.
  void poison(T value) { pool_.poison(value); }

  std::size_t node_count() const { return nodes_.size(); }
  /// All memory it holds: of values, gradients and what closures keep.
  std::size_t bytes() const;

 private:
  struct Node {
    void (*run)(void*, Tape&);
    void* closure;
    GradientSlot<T>** outputs;  // null: of undo()
    std::size_t output_count;
    const char* op;
    const char* site;
    std::size_t step;
  };

  struct Resident {
    const void* owner;
    const std::type_info* type;
    std::unique_ptr<void, void (*)(void*)> storage;
    std::size_t (*bytes)(const void*);
  };

  GradientSlot<T>* new_slot(std::size_t size) {
    auto* slot = new (arena_.allocate(sizeof(GradientSlot<T>))) GradientSlot<T>();
    slot->size = size;
    return slot;
  }
  void zero(GradientSlot<T>& slot) {
    if (!slot.data) slot.data = pool_.take(slot.size);
    std::memset(static_cast<void*>(slot.data), 0, slot.size * sizeof(T));
    slot.written = true;
  }
  RowGradient<T>* take_rows(std::size_t width) {
    if (free_rows_.empty()) free_rows_.push_back(&all_rows_.emplace_back());
    RowGradient<T>* rows = free_rows_.back();
    free_rows_.pop_back();
    rows->begin(width);
    return rows;
  }
  [[noreturn, gnu::cold, gnu::noinline]] void refuse_dense(const Var<T>& x) const {
    fail<InvariantError>("tape", "an op wants all of the gradient of a state {} that is changed in place",
                         x.shape.text());
  }
  void check_outputs(const char* op, std::span<const Var<T>> outputs) const;
  void check_touched(const Node& node);

  Arena arena_;
  GradientPool<T> pool_;
  std::vector<Node> nodes_;
  std::span<const Leaf<T>> leaves_;
  std::vector<GradientSlot<T>> leaf_slots_;
  std::vector<GradientSlot<T>*> touched_;
  std::vector<std::size_t> undos_;  // nodes that are still to be undone
  std::vector<Resident> residents_;
  std::deque<RowGradient<T>> all_rows_;
  std::vector<RowGradient<T>*> free_rows_;
  bool recording_ = false;
  bool ran_ = false, undone_ = false;
  bool check_finite_ = false;
  std::size_t step_ = 0;
  const char* site_ = "";
};

/// Ends the pass where it goes out of scope, by return or exception.
template <class T>
struct [[nodiscard]] EndOfPass {
  Tape<T>& tape;
  ~EndOfPass() { tape.end(); }
};

extern template class Tape<float>;
extern template class Tape<double>;

}  // namespace mneme
