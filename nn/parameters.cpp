#include "nn/parameters.hpp"

#include <algorithm>
#include <cmath>

namespace mneme {

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
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    p.initializer.template fill<T>(value(i), p.shape, seed, p.name);
    transposed_.push_back(p.shape.rank() == 2 ? std::make_unique<TransposedCopy<T>>(value(i), p.shape) : nullptr);
  }
  for (Buffer<T>& b : buffers_) {
    b.values.resize(b.shape.size());
    b.initializer.template fill<T>(b.values.data(), b.shape, seed, b.name);
  }
  project();
  refresh();
}

template <class T>
TransposedCopy<T>* ParameterSet<T>::transposed(std::size_t index) const {
  return keep_transposed_ ? transposed_[index].get() : nullptr;
}

template <class T>
std::size_t ParameterSet<T>::transposed_bytes() const {
  std::size_t bytes = 0;
  for (const auto& copy : transposed_)
    if (copy) bytes += copy->bytes();
  return bytes;
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
  for (const auto& copy : transposed_)
    if (copy) copy->renew();
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

template <class T>
void sum_shards(std::span<T* const> shards, std::size_t begin, std::size_t end) {
  for (std::size_t apart = 1; apart < shards.size(); apart *= 2)
    for (std::size_t s = 0; s + apart < shards.size(); s += 2 * apart) {
      T* to = shards[s];
      const T* from = shards[s + apart];
      for (std::size_t i = begin; i < end; ++i) to[i] += from[i];
    }
}

template void sum_shards(std::span<float* const>, std::size_t, std::size_t);
template void sum_shards(std::span<double* const>, std::size_t, std::size_t);
template class ParameterSet<float>;
template class ParameterSet<double>;
template class Gradients<float>;
template class Gradients<double>;

}  // namespace mneme
