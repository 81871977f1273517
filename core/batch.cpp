#include "core/batch.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>

namespace mneme {

namespace {

template <class T, std::size_t R>
void shape_and_fill(Tensor<T, R>& tensor, const std::array<std::size_t, R>& shape, T value) {
  tensor.resize(shape);
  std::fill(tensor.storage().begin(), tensor.storage().end(), value);
}

template <class T, std::size_t R>
void require_shape(const std::string& whose, const char* field, const Tensor<T, R>& tensor,
                   const std::array<std::size_t, R>& expected) {
  if (tensor.shape() == expected) return;
  std::string have, want;
  for (std::size_t i = 0; i < R; ++i) {
    have += fmt::format(" {}", tensor.shape()[i]);
    want += fmt::format(" {}", expected[i]);
  }
  fail<InvariantError>(whose, "{} has shape [{} ], the task promised [{} ]", field, have, want);
}

}  // namespace

bool Batch::ragged() const {
  return std::any_of(lengths.begin(), lengths.end(), [&](std::uint32_t n) { return n != steps; });
}

void Batch::reset(const BatchSpec& spec, std::size_t rows, std::size_t step_count, std::size_t item_count,
                  std::size_t word_count) {
  size = rows;
  steps = step_count;
  lengths.assign(rows, static_cast<std::uint32_t>(step_count));
  shape_and_fill<float, 3>(dense, {spec.channels ? steps : 0, rows, spec.channels}, 0.0f);
  shape_and_fill<std::int32_t, 2>(tokens, {spec.vocabulary ? steps : 0, rows}, -1);
  shape_and_fill<std::uint8_t, 2>(phase, {steps, rows}, static_cast<std::uint8_t>(Phase::input));
  const bool has_items = spec.has_items();
  items.count.assign(has_items ? rows : 0, 0);
  shape_and_fill<float, 3>(items.values, {rows, spec.item_width ? item_count : 0, spec.item_width}, 0.0f);
  shape_and_fill<std::int32_t, 3>(items.tokens, {rows, spec.item_vocabulary ? item_count : 0, word_count}, -1);
  shape_and_fill<std::uint8_t, 2>(items.support, {rows, has_items ? item_count : 0}, 0);
  target.kind = spec.target;
  const bool indexed = spec.target == TargetKind::classes || spec.target == TargetKind::pointer;
  shape_and_fill<float, 3>(target.values, {indexed ? 0 : steps, rows, indexed ? 0 : spec.outputs}, 0.0f);
  shape_and_fill<std::int32_t, 2>(target.indices, {indexed ? steps : 0, rows}, -1);
  shape_and_fill<std::uint8_t, 2>(target.scored, {steps, rows}, 0);
  parameters.resize(spec.parameters.size());
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    parameters[p].first = spec.parameters[p].name;
    parameters[p].second.assign(rows, 0.0f);
  }
}

void Batch::check_parameters(const BatchSpec& spec, const std::string& whose) const {
  if (parameters.size() != spec.parameters.size())
    fail<InvariantError>(whose, "{} parameters, the task promised {}", parameters.size(), spec.parameters.size());
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const auto& [name, values] = parameters[p];
    const BatchParameter& promised = spec.parameters[p];
    if (name != promised.name)
      fail<InvariantError>(whose, "parameter {} is '{}', the task promised '{}'", p, name, promised.name);
    if (values.size() != size)
      fail<InvariantError>(whose, "parameter '{}' has {} rows, B={}", name, values.size(), size);
    for (const float v : values)
      if (!std::isfinite(v) || (promised.whole && v != std::floor(v)))
        fail<InvariantError>(whose, "parameter '{}' is {}, the task promised {} numbers", name, v,
                             promised.whole ? "whole" : "finite");
  }
}

void Batch::check(const BatchSpec& spec, const std::string& whose) const {
  if (!spec.output_tokens.empty() && spec.output_tokens.size() != spec.outputs)
    fail<InvariantError>(whose, "{} output tokens for {} outputs", spec.output_tokens.size(), spec.outputs);
  for (const std::int32_t v : spec.output_tokens)
    if (v < 0 || v >= static_cast<std::int64_t>(spec.vocabulary))
      fail<InvariantError>(whose, "output token {} is outside a vocabulary of {}", v, spec.vocabulary);
  if (spec.max_steps && steps > spec.max_steps)
    fail<InvariantError>(whose, "T={}, the task promised at most {} steps", steps, spec.max_steps);
  if (lengths.size() != size) fail<InvariantError>(whose, "lengths has {} rows, B={}", lengths.size(), size);
  if (spec.channels) require_shape<float, 3>(whose, "dense", dense, {steps, size, spec.channels});
  if (spec.vocabulary) require_shape<std::int32_t, 2>(whose, "tokens", tokens, {steps, size});
  require_shape<std::uint8_t, 2>(whose, "phase", phase, {steps, size});
  require_shape<std::uint8_t, 2>(whose, "target.scored", target.scored, {steps, size});
  if (target.kind != spec.target) fail<InvariantError>(whose, "the target's kind is not the one promised");
  const bool indexed = spec.target == TargetKind::classes || spec.target == TargetKind::pointer;
  if (indexed)
    require_shape<std::int32_t, 2>(whose, "target.indices", target.indices, {steps, size});
  else
    require_shape<float, 3>(whose, "target.values", target.values, {steps, size, spec.outputs});
  std::size_t max_items = 0;
  if (spec.target == TargetKind::pointer && !spec.has_items())
    fail<InvariantError>(whose, "a pointer target needs items to point at");
  if (spec.has_items()) {
    if (items.count.size() != size)
      fail<InvariantError>(whose, "items.count has {} rows, B={}", items.count.size(), size);
    max_items = spec.item_width ? items.values.shape()[1] : items.tokens.shape()[1];
    if (spec.item_width)
      require_shape<float, 3>(whose, "items.values", items.values, {size, max_items, spec.item_width});
    if (spec.item_vocabulary)
      require_shape<std::int32_t, 3>(whose, "items.tokens", items.tokens, {size, max_items, items.tokens.shape()[2]});
    if (items.support.size()) require_shape<std::uint8_t, 2>(whose, "items.support", items.support, {size, max_items});
  }
  for (std::size_t b = 0; b < size; ++b) {
    if (lengths[b] < 1 || lengths[b] > steps)
      fail<InvariantError>(whose, "row {} has length {}, T={}", b, lengths[b], steps);
    if (!items.count.empty() && items.count[b] > max_items)
      fail<InvariantError>(whose, "row {} has {} items, N={}", b, items.count[b], max_items);
    if (!items.count.empty() && spec.item_limit() && items.count[b] > spec.item_limit())
      fail<InvariantError>(whose, "row {} has {} items, the task promised at most {}", b, items.count[b],
                           spec.item_limit());
  }
  check_parameters(spec, whose);
  for (float v : dense.storage())
    if (!std::isfinite(v)) fail<InvariantError>(whose, "dense holds a value that is not finite");
  for (float v : items.values.storage())
    if (!std::isfinite(v)) fail<InvariantError>(whose, "items.values holds a value that is not finite");
  for (std::int32_t v : tokens.storage())
    if (v < -1 || v >= static_cast<std::int64_t>(spec.vocabulary))
      fail<InvariantError>(whose, "token {} is outside a vocabulary of {}", v, spec.vocabulary);
  for (std::int32_t v : items.tokens.storage())
    if (v < -1 || v >= static_cast<std::int64_t>(spec.item_vocabulary))
      fail<InvariantError>(whose, "item token {} is outside a vocabulary of {}", v, spec.item_vocabulary);
  for (std::size_t t = 0; t < steps; ++t)
    for (std::size_t b = 0; b < size; ++b) {
      if (phase(t, b) > static_cast<std::uint8_t>(Phase::answer))
        fail<InvariantError>(whose, "step {} row {} has phase {}", t, b, phase(t, b));
      if (t >= lengths[b]) {
        bool empty = !spec.vocabulary || tokens(t, b) == -1;
        for (std::size_t c = 0; c < spec.channels; ++c) empty = empty && dense(t, b, c) == 0;
        if (!empty) fail<InvariantError>(whose, "step {} of row {} holds input, the row ends at {}", t, b, lengths[b]);
      }
      if (!target.scored(t, b)) continue;
      if (t >= lengths[b]) fail<InvariantError>(whose, "step {} is scored, row {} ends at {}", t, b, lengths[b]);
      if (indexed) {
        const std::size_t limit = spec.target == TargetKind::pointer ? items.count.at(b) : spec.outputs;
        const std::int32_t k = target.indices(t, b);
        if (k < 0 || static_cast<std::size_t>(k) >= limit)
          fail<InvariantError>(whose, "target {} at step {} row {} chooses from {}", k, t, b, limit);
      } else {
        for (std::size_t k = 0; k < spec.outputs; ++k) {
          const float y = target.values(t, b, k);
          if (spec.target == TargetKind::bits ? y != 0 && y != 1 : !std::isfinite(y))
            fail<InvariantError>(whose, "target {} at step {} row {} is no {}", y, t, b,
                                 spec.target == TargetKind::bits ? "bit" : "finite number");
        }
      }
    }
}

}  // namespace mneme
