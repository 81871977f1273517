#include "autodiff/tape.hpp"

#include "autodiff/products.hpp"

namespace mneme {

namespace {

template <class T>
bool finite(const T* p, std::size_t n) {
  T sum = 0;  // x - x is 0 for finite x and NaN otherwise
  for (std::size_t i = 0; i < n; ++i) sum += p[i] - p[i];
  return sum == 0;
}

std::string place(const char* site, std::size_t step) {
  return *site ? fmt::format("step {}, {}", step, site) : fmt::format("step {}", step);
}

}  // namespace

template <class T>
void Tape<T>::bind(std::span<const Leaf<T>> leaves) {
  leaves_ = leaves;
  leaf_slots_.assign(leaves.size(), {});
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    leaf_slots_[i].data = leaves[i].gradient;
    leaf_slots_[i].size = leaves[i].shape.size();
    leaf_slots_[i].leaf = &leaves_[i];
  }
}

template <class T>
void Tape<T>::begin(bool record) {
  end();
  nodes_.clear();
  free_rows_.clear();
  for (RowGradient<T>& rows : all_rows_) free_rows_.push_back(&rows);
  arena_.reset();
  pool_.reset();
  touched_.clear();
  recording_ = record;
  ran_ = undone_ = false;
  for (GradientSlot<T>& slot : leaf_slots_) {
    slot.written = false;
    slot.panel = {};
  }
  at(0, "");
}

template <class T>
Var<T> Tape<T>::filled(Shape shape, T value) {
  Var<T> x = constant(shape);
  std::fill_n(x.data, x.size(), value);
  return x;
}

template <class T>
Var<T> Tape<T>::variable(Shape shape) {
  Var<T> x = {allocate(shape.size()), shape, recording_ ? new_slot(shape.size()) : nullptr};
  if (x.slot) x.slot->data = allocate(shape.size());  // no node ends it, so it must not hold a pooled buffer
  return x;
}

template <class T>
std::size_t Tape<T>::bytes() const {
  std::size_t bytes = arena_.capacity() + pool_.capacity();
  for (const RowGradient<T>& rows : all_rows_) bytes += rows.bytes();
  for (const Resident& r : residents_) bytes += r.bytes(r.storage.get());
  return bytes;
}

template <class T>
void Tape<T>::backward(const Var<T>& loss) {
  const EndOfPass<T> end{*this};
  if (!loss.slot) fail<InvariantError>("backward", "the loss depends on nothing that needs a gradient");
  if (loss.size() != 1) fail<InvariantError>("backward", "the loss must be one number, not {}", loss.shape.text());
  if (ran_) fail<InvariantError>("backward", "it runs once a step; add the losses first");
  if (undone_) fail<InvariantError>("backward", "the pass has ended: states that it changed in place were put back");
  ran_ = true;
  accumulate(loss, [](auto into, T* d) { into(d[0], T(1)); });
  for (std::size_t i = 0; i < leaf_slots_.size(); ++i) {
    Panel<T>& panel = leaf_slots_[i].panel;
    if (!panel.rows) continue;
    panel.x = allocate(panel.rows * leaves_[i].shape[0]);
    panel.dy = allocate(panel.rows * leaves_[i].shape[1]);
  }
  const Arena::Mark scratch = arena_.mark();  // what a closure allocates is void when it returns, and still in cache
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    const Node& node = nodes_[i];
    if (!node.outputs) {
      undos_.pop_back();
      node.run(node.closure, *this);
      continue;
    }
    bool any = false;
    for (std::size_t k = 0; k < node.output_count; ++k) any = any || node.outputs[k]->written;
    if (!any) continue;
    node.run(node.closure, *this);
    arena_.release(scratch);
    if (check_finite_) check_touched(node);
    for (std::size_t k = 0; k < node.output_count; ++k) {
      GradientSlot<T>& slot = *node.outputs[k];
      if (slot.data) pool_.give(slot.data, slot.size);
      if (slot.rows) free_rows_.push_back(slot.rows);
      slot.data = nullptr;
      slot.rows = nullptr;
      slot.written = false;
    }
  }
  for (std::size_t i = 0; i < leaf_slots_.size(); ++i) {
    GradientSlot<T>& slot = leaf_slots_[i];
    if (slot.panel.used) {
      const Shape s = leaves_[i].shape;
      // dW += X^T dY, all uses of this weight in one product
      gemm<T>(true, false, s[0], s[1], slot.panel.used, slot.panel.x, slot.panel.dy, slot.data, slot.written);
      slot.written = true;
      if (check_finite_ && !finite(slot.data, slot.size))
        fail<NonFiniteError>("linear", "the gradient of a weight {} is not finite, summed over its {} rows", s.text(),
                             slot.panel.used);
    }
    if (!slot.written) zero(slot);
  }
}

template <class T>
void Tape<T>::check_outputs(const char* op, std::span<const Var<T>> outputs) const {
  for (const Var<T>& y : outputs)
    if (y && !finite(y.data, y.size()))
      fail<NonFiniteError>(op, "the result {} is not finite at {}", y.shape.text(), place(site_, step_));
}

template <class T>
void Tape<T>::check_touched(const Node& node) {
  for (GradientSlot<T>* slot : touched_) {
    const bool dense = !slot->data || finite(slot->data, slot->size);
    const bool sparse = !slot->rows || finite(slot->rows->values(0), slot->rows->count() * slot->rows->width());
    if (!dense || !sparse)
      fail<NonFiniteError>(node.op, "the gradient of an input is not finite at {}", place(node.site, node.step));
  }
  touched_.clear();
}

template class Tape<float>;
template class Tape<double>;

}  // namespace mneme
