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
  Values<T> begin(Pass<T>&, const Start&) const override { return {}; }
  Values<T> head_parameters(Pass<T>&, Var<T>) const override { return {}; }
  void address(Pass<T>&, const Turn&, Values<T>, Values<T>, Values<T>) const override {}
  void update(Pass<T>&, const Turn&, Values<T>, Values<T>, Values<T>) const override {}
  void read(Pass<T>&, const Turn&, Values<T>) const override {}

 private:
  MemoryLayout layout_;
};

const bool registered = register_memory<None>("none", "no memory: the controller alone", "");

}  // namespace

}  // namespace mneme
