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
void require_shape(const char* field, const Tensor<T, R>& tensor, const std::array<std::size_t, R>& expected) {
  std::string have, want;
  for (std::size_t i = 0; i < R; ++i) {
    have += fmt::format(" {}", tensor.shape()[i]);
    want += fmt::format(" {}", expected[i]);
  }
  if (have != want) fail<InvariantError>("batch", "{} has shape [{} ], the task promised [{} ]", field, have, want);
}

}  // namespace

bool Batch::ragged() const {
  return std::any_of(lengths.begin(), lengths.end(), [&](std::uint32_t n) { return n != steps; });
}

void Batch::reset(const BatchSpec& spec, std::size_t rows, std::size_t max_steps, std::size_t max_items,
                  std::size_t max_words) {
  size = rows;
  steps = max_steps;
  lengths.assign(rows, static_cast<std::uint32_t>(max_steps));
  shape_and_fill<float, 3>(dense, {spec.channels ? steps : 0, rows, spec.channels}, 0.0f);
  shape_and_fill<std::int32_t, 2>(tokens, {spec.vocabulary ? steps : 0, rows}, -1);
  shape_and_fill<std::uint8_t, 2>(phase, {steps, rows}, static_cast<std::uint8_t>(Phase::input));
  const bool has_items = spec.item_width || spec.item_vocabulary;
  items.count.assign(has_items ? rows : 0, 0);
  shape_and_fill<float, 3>(items.values, {rows, spec.item_width ? max_items : 0, spec.item_width}, 0.0f);
  shape_and_fill<std::int32_t, 3>(items.tokens, {rows, spec.item_vocabulary ? max_items : 0, max_words}, -1);
  shape_and_fill<std::uint8_t, 2>(items.support, {rows, has_items ? max_items : 0}, 0);
  target.kind = spec.target;
  const bool indexed = spec.target == TargetKind::classes || spec.target == TargetKind::pointer;
  shape_and_fill<float, 3>(target.values, {indexed ? 0 : steps, rows, indexed ? 0 : spec.outputs}, 0.0f);
  shape_and_fill<std::int32_t, 2>(target.indices, {indexed ? steps : 0, rows}, -1);
  shape_and_fill<std::uint8_t, 2>(target.scored, {steps, rows}, 0);
}

void Batch::check(const BatchSpec& spec) const {
  if (!spec.output_tokens.empty() && spec.output_tokens.size() != spec.outputs)
    fail<InvariantError>("batch", "{} output tokens for {} outputs", spec.output_tokens.size(), spec.outputs);
  for (const std::int32_t v : spec.output_tokens)
    if (v < 0 || v >= static_cast<std::int64_t>(spec.vocabulary))
      fail<InvariantError>("batch", "output token {} is outside a vocabulary of {}", v, spec.vocabulary);
  if (lengths.size() != size) fail<InvariantError>("batch", "lengths has {} rows, B={}", lengths.size(), size);
  if (spec.channels) require_shape<float, 3>("dense", dense, {steps, size, spec.channels});
  if (spec.vocabulary) require_shape<std::int32_t, 2>("tokens", tokens, {steps, size});
  require_shape<std::uint8_t, 2>("phase", phase, {steps, size});
  require_shape<std::uint8_t, 2>("target.scored", target.scored, {steps, size});
  if (target.kind != spec.target) fail<InvariantError>("batch", "the target's kind is not the one promised");
  const bool indexed = spec.target == TargetKind::classes || spec.target == TargetKind::pointer;
  if (indexed)
    require_shape<std::int32_t, 2>("target.indices", target.indices, {steps, size});
  else
    require_shape<float, 3>("target.values", target.values, {steps, size, spec.outputs});
  std::size_t max_items = 0;
  if (spec.target == TargetKind::pointer && !spec.item_width && !spec.item_vocabulary)
    fail<InvariantError>("batch", "a pointer target needs items to point at");
  if (spec.item_width || spec.item_vocabulary) {
    if (items.count.size() != size)
      fail<InvariantError>("batch", "items.count has {} rows, B={}", items.count.size(), size);
    max_items = spec.item_width ? items.values.shape()[1] : items.tokens.shape()[1];
    if (spec.item_width) require_shape<float, 3>("items.values", items.values, {size, max_items, spec.item_width});
    if (spec.item_vocabulary)
      require_shape<std::int32_t, 3>("items.tokens", items.tokens, {size, max_items, items.tokens.shape()[2]});
    if (items.support.size()) require_shape<std::uint8_t, 2>("items.support", items.support, {size, max_items});
  }
  for (std::size_t b = 0; b < size; ++b) {
    if (lengths[b] < 1 || lengths[b] > steps)
      fail<InvariantError>("batch", "row {} has length {}, T={}", b, lengths[b], steps);
    if (!items.count.empty() && items.count[b] > max_items)
      fail<InvariantError>("batch", "row {} has {} items, N={}", b, items.count[b], max_items);
  }
  for (const auto& [name, values] : parameters)
    if (values.size() != size)
      fail<InvariantError>("batch", "parameter '{}' has {} rows, B={}", name, values.size(), size);
  for (float v : dense.storage())
    if (!std::isfinite(v)) fail<InvariantError>("batch", "dense holds a value that is not finite");
  for (float v : items.values.storage())
    if (!std::isfinite(v)) fail<InvariantError>("batch", "items.values holds a value that is not finite");
  for (std::int32_t v : tokens.storage())
    if (v < -1 || v >= static_cast<std::int64_t>(spec.vocabulary))
      fail<InvariantError>("batch", "token {} is outside a vocabulary of {}", v, spec.vocabulary);
  for (std::int32_t v : items.tokens.storage())
    if (v < -1 || v >= static_cast<std::int64_t>(spec.item_vocabulary))
      fail<InvariantError>("batch", "item token {} is outside a vocabulary of {}", v, spec.item_vocabulary);
  for (std::size_t t = 0; t < steps; ++t)
    for (std::size_t b = 0; b < size; ++b) {
      if (phase(t, b) > static_cast<std::uint8_t>(Phase::answer))
        fail<InvariantError>("batch", "step {} row {} has phase {}", t, b, phase(t, b));
      if (t >= lengths[b]) {
        bool empty = !spec.vocabulary || tokens(t, b) == -1;
        for (std::size_t c = 0; c < spec.channels; ++c) empty = empty && dense(t, b, c) == 0;
        if (!empty)
          fail<InvariantError>("batch", "step {} of row {} holds input, the row ends at {}", t, b, lengths[b]);
      }
      if (!target.scored(t, b)) continue;
      if (t >= lengths[b]) fail<InvariantError>("batch", "step {} is scored, row {} ends at {}", t, b, lengths[b]);
      if (indexed) {
        const std::size_t limit = spec.target == TargetKind::pointer ? items.count.at(b) : spec.outputs;
        const std::int32_t k = target.indices(t, b);
        if (k < 0 || static_cast<std::size_t>(k) >= limit)
          fail<InvariantError>("batch", "target {} at step {} row {} chooses from {}", k, t, b, limit);
      } else {
        for (std::size_t k = 0; k < spec.outputs; ++k) {
          const float y = target.values(t, b, k);
          if (spec.target == TargetKind::bits ? y != 0 && y != 1 : !std::isfinite(y))
            fail<InvariantError>("batch", "target {} at step {} row {} is no {}", y, t, b,
                                 spec.target == TargetKind::bits ? "bit" : "finite number");
        }
      }
    }
}

}  // namespace mneme
