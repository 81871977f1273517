// Room: memory. none: no memory at all, so that a plain controller is the same experiment with one option changed.
#include "memory/memory.hpp"

namespace mneme {

namespace {

template <class T>
class None final : public Memory<T> {
 public:
  static OptionTable options() { return {}; }
  None(const Builder<T>&, const Options&, const MemorySetup&) {}
  const MemoryLayout& layout() const override { return layout_; }
  Values<T> begin(Tape<T>&, const Start&) const override { return {}; }
  Values<T> head_parameters(Tape<T>&, Var<T>) const override { return {}; }
  Var<T> address(Tape<T>&, std::size_t, Values<T>, Values<T>) const override {
    fail<InvariantError>("none", "has no site to address");
  }
  Values<T> update(Tape<T>&, Values<T>, Values<T> state) const override { return state; }
  Var<T> read(Tape<T>&, std::size_t, Values<T>) const override { fail<InvariantError>("none", "has no site to read"); }
  typename Memory<T>::Step step(Tape<T>&, Var<T>, Values<T> state) const override { return {state, {}}; }

 private:
  MemoryLayout layout_;
};

const bool registered = register_memory<None>("none", "no memory: the controller alone", "");

}  // namespace

}  // namespace mneme
