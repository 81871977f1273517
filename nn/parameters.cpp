#include "nn/parameters.hpp"

#include <algorithm>
#include <cmath>
#include <new>

namespace mneme {

namespace {
constexpr std::size_t page = 4096;
}

template <class T>
void FlatArray<T>::Free::operator()(std::byte* p) const {
  ::operator delete[](p, std::align_val_t{page});
}

template <class T>
FlatArray<T>::FlatArray(std::size_t n, std::size_t stagger) : size_(n) {
  const std::size_t shift = (stagger % 16) * 256;
  const std::size_t bytes = shift + n * sizeof(T);
  memory_.reset(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{page})));
  data_ = reinterpret_cast<T*>(memory_.get() + shift);
  std::fill_n(data_, n, T(0));
}

namespace {

void check_start(const std::string& what, const Shape& shape, const Initializer& initializer) {
  if (shape.size() == 0) fail<InvariantError>("parameters", "{} {} has no numbers", what, shape.text());
  if (!std::isfinite(initializer.value))
    fail<InvariantError>("parameters", "{} {} starts from a number that is not finite", what, shape.text());
  if (initializer.kind == Initializer::Kind::one_row && initializer.row >= (shape.rank() < 2 ? 1 : shape[0]))
    fail<InvariantError>("parameters", "{} {} has no row {} to start from", what, shape.text(), initializer.row);
}

}  // namespace

template <class T>
void ParameterSet<T>::require(bool initialized, const std::string& what) const {
  if (initialized_ != initialized)
    fail<InvariantError>("parameters", "{} {} initialize", what, initialized ? "before" : "after");
}

template <class T>
std::size_t ParameterSet<T>::add(std::string name, Shape shape, Initializer initializer, const Group& group) {
  const std::string quoted = "'" + name + "'";
  require(false, quoted);
  check_start(quoted, shape, initializer);
  for (const Parameter& p : parameters_)
    if (p.name == name) fail<InvariantError>("parameters", "'{}' is declared twice", name);
  std::size_t g = 0;
  while (g < groups_.size() && groups_[g].name != group.name) ++g;
  if (g == groups_.size()) groups_.push_back(group);
  if (groups_[g] != group)
    fail<InvariantError>("parameters", "'{}' gives group '{}' other settings than it has", name, group.name);
  if (group.nil_row >= 0 && (shape.rank() != 2 || static_cast<std::size_t>(group.nil_row) >= shape[0]))
    fail<InvariantError>("parameters", "'{}' {} has no row {} to hold at zero", name, shape.text(), group.nil_row);
  const std::size_t offset = flat_size_;
  flat_size_ += (shape.size() + 15) & ~std::size_t{15};
  parameters_.push_back({std::move(name), shape, initializer, g, offset});
  return parameters_.size() - 1;
}

template <class T>
Buffer<T>& ParameterSet<T>::add_buffer(std::string name, Shape shape, Initializer initializer) {
  const std::string quoted = "buffer '" + name + "'";
  require(false, quoted);
  check_start(quoted, shape, initializer);
  for (const Buffer<T>& b : buffers_)
    if (b.name == name) fail<InvariantError>("parameters", "buffer '{}' is declared twice", name);
  buffers_.push_back({std::move(name), shape, initializer, {}});
  return buffers_.back();
}

template <class T>
void ParameterSet<T>::initialize(std::uint64_t seed) {
  if (initialized_) fail<InvariantError>("parameters", "initialize runs once");
  initialized_ = true;
  values_ = FlatArray<T>(flat_size_, 0);
  transposed_ = FlatArray<T>(flat_size_, 1);
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    parameters_[i].initializer.template fill<T>(value(i), parameters_[i].shape, seed, parameters_[i].name);
  for (Buffer<T>& b : buffers_) {
    b.values.resize(b.shape.size());
    b.initializer.template fill<T>(b.values.data(), b.shape, seed, b.name);
  }
  project();
  refresh();
}

template <class T>
const T* ParameterSet<T>::transposed(std::size_t index) const {
  return keep_transposed_ && parameters_[index].shape.rank() == 2 ? transposed_.data() + parameters_[index].offset
                                                                  : nullptr;
}

template <class T>
void ParameterSet<T>::keep_transposed(bool on) {
  if (has_gradients_ && on != keep_transposed_)
    fail<InvariantError>("parameters", "transposed copies are turned on or off before gradients are made");
  keep_transposed_ = on;
}

template <class T>
void ParameterSet<T>::refresh() {
  require(true, "refresh");
  if (!keep_transposed_) return;
  constexpr std::size_t tile = 16;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const Shape& s = parameters_[p].shape;
    if (s.rank() != 2) continue;
    const T* from = value(p);
    T* to = transposed_.data() + parameters_[p].offset;
    for (std::size_t i0 = 0; i0 < s[0]; i0 += tile)
      for (std::size_t j0 = 0; j0 < s[1]; j0 += tile)
        for (std::size_t j = j0; j < std::min(j0 + tile, s[1]); ++j)
          for (std::size_t i = i0; i < std::min(i0 + tile, s[0]); ++i) to[j * s[0] + i] = from[i * s[1] + j];
  }
}

template <class T>
std::size_t ParameterSet<T>::count() const {
  std::size_t n = 0;
  for (const Parameter& p : parameters_)
    if (!groups_[p.group].frozen) n += p.shape.size();
  return n;
}

template <class T>
void ParameterSet<T>::project() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::ptrdiff_t nil = groups_[parameters_[i].group].nil_row;
    if (nil < 0) continue;
    const std::size_t width = parameters_[i].shape.last();
    std::fill_n(value(i) + static_cast<std::size_t>(nil) * width, width, T(0));
  }
}

template <class T>
Gradients<T>::Gradients(ParameterSet<T>& set, std::size_t stagger) : values_(set.flat_size(), stagger) {
  set.require(true, "gradients");
  set.has_gradients_ = true;
  for (std::size_t i = 0; i < set.parameters().size(); ++i) {
    const Parameter& p = set.parameters()[i];
    leaves_.push_back({set.value(i), set.transposed(i), values_.data() + p.offset, p.shape});
  }
}

template class ParameterSet<float>;
template class ParameterSet<double>;
template class Gradients<float>;
template class Gradients<double>;
template class FlatArray<float>;
template class FlatArray<double>;

}  // namespace mneme
