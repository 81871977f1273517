#include "core/batch.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>

namespace mneme {

namespace {

/// [n B] or [B n], and the width of an element where the tensor has a third axis.
template <std::size_t R>
std::array<std::size_t, R> shape_of(const BatchField& field, std::size_t rows, std::size_t n) {
  std::array<std::size_t, R> shape{};
  shape[0] = field.across_rows ? n : rows;
  shape[1] = field.across_rows ? rows : n;
  if constexpr (R > 2) shape[2] = field.width;
  return shape;
}

template <class Shape>
std::string shape_text(const Shape& shape) {
  std::string text;
  for (const std::size_t n : shape) text += fmt::format(" {}", n);
  return text;
}

const char* one_of(Along along) {
  return along == Along::steps ? "step" : along == Along::items ? "item" : "edge";
}

std::string bounds_text(const BatchField& f) {
  const char* kind = f.whole ? "a whole number" : "a finite number";
  return std::isfinite(f.least) ? fmt::format("{} from {} to {}", kind, f.least, f.most) : kind;
}

}  // namespace

const char* target_name(TargetKind kind) {
  switch (kind) {
    case TargetKind::bits: return "bits";
    case TargetKind::classes: return "classes";
    case TargetKind::pointer: return "pointer";
    case TargetKind::real: return "real";
  }
  return "?";
}

bool Batch::ragged() const {
  return std::any_of(lengths.begin(), lengths.end(), [&](std::uint32_t n) { return n != steps; });
}

std::size_t Batch::count(Along along, std::size_t b) const {
  return along == Along::steps ? lengths[b] : along == Along::items ? items.count[b] : items.edge_count[b];
}

void Batch::reset(const BatchSpec& spec, const BatchSize& most) {
  most_ = most;
  size = most.rows;
  steps = most.steps;
  lengths.assign(size, static_cast<std::uint32_t>(steps));
  items.count.assign(spec.has_items() ? size : 0, 0);
  items.edge_count.assign(spec.edges ? size : 0, 0);
  target.kind = spec.target;
  target.over = spec.target_over;
  fields(spec, most, [&](const BatchField& field, bool there, auto of) {
    auto& tensor = of(*this);
    using Numbers = std::decay_t<decltype(tensor)>;
    constexpr std::size_t rank = std::tuple_size_v<typename Numbers::shape_type>;
    tensor.resize(shape_of<rank>(field, size, there ? extent(field.along) : 0));
    std::fill(tensor.storage().begin(), tensor.storage().end(),
              static_cast<typename Numbers::value_type>(field.nothing));
  });
  parameters.resize(spec.parameters.size());
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    parameters[p].first = spec.parameters[p].name;
    parameters[p].second.assign(size, 0.0f);
  }
}

void Batch::check(const BatchSpec& spec, const std::string& whose) const {
  check_counts(spec, whose);
  check_parameters(spec, whose);
  if (target.kind != spec.target || target.over != spec.target_over)
    fail<InvariantError>(whose, "the target's kind is not the one promised");
  each(spec, *this, [&](const BatchField& field, const auto& tensor) {
    constexpr std::size_t rank = std::tuple_size_v<typename std::decay_t<decltype(tensor)>::shape_type>;
    const auto promised = shape_of<rank>(field, size, extent(field.along));
    if (tensor.shape() != promised)
      fail<InvariantError>(whose, "{} has shape [{} ], the task promised [{} ]", field.name, shape_text(tensor.shape()),
                           shape_text(promised));
  });
  each(spec, *this, [&](const BatchField& field, const auto& tensor) {
    for (std::size_t b = 0; b < size; ++b) {
      const std::size_t own = count(field.along, b);
      for (std::size_t i = 0; i < extent(field.along); ++i) {
        const auto* numbers = element(field, tensor, b, i);
        for (std::size_t k = 0; k < field.width; ++k) {
          const auto v = static_cast<double>(numbers[k]);
          if (i >= own && v != field.nothing)
            fail<InvariantError>(whose, "{} is {} at {} {} of row {}, which has {}", field.name, v, one_of(field.along),
                                 i, b, own);
          if (!std::isfinite(v) || v < field.least || v > field.most || (field.whole && v != std::floor(v)))
            fail<InvariantError>(whose, "{} is {} at {} {} of row {}, expected {}", field.name, v, one_of(field.along),
                                 i, b, bounds_text(field));
        }
      }
    }
  });
  check_choices(spec, whose);
}

/// How many there are of everything, and what the task says of itself.
void Batch::check_counts(const BatchSpec& spec, const std::string& whose) const {
  if (!spec.output_tokens.empty() && spec.output_tokens.size() != spec.outputs)
    fail<InvariantError>(whose, "{} output tokens for {} outputs", spec.output_tokens.size(), spec.outputs);
  for (const std::int32_t v : spec.output_tokens)
    if (v < 0 || v >= static_cast<std::int64_t>(spec.vocabulary))
      fail<InvariantError>(whose, "output token {} is outside a vocabulary of {}", v, spec.vocabulary);
  if (spec.target == TargetKind::pointer && !spec.has_items())
    fail<InvariantError>(whose, "a pointer target needs items to point at");
  if ((spec.edges || spec.target_over == Along::items) && !spec.has_items())
    fail<InvariantError>(whose, "{} need items", spec.edges ? "edges" : "targets over items");
  if (spec.target_over == Along::edges) fail<InvariantError>(whose, "targets are over steps or items");
  if (spec.max_steps && steps > spec.max_steps)
    fail<InvariantError>(whose, "T={}, the task promised at most {} steps", steps, spec.max_steps);
  const auto rows = [&](const char* name, std::size_t have, bool there) {
    if (have != (there ? size : 0)) fail<InvariantError>(whose, "{} has {} rows, B={}", name, have, size);
  };
  rows("lengths", lengths.size(), true);
  rows("items.count", items.count.size(), spec.has_items());
  rows("items.edge_count", items.edge_count.size(), spec.edges);
  for (std::size_t b = 0; b < size; ++b) {
    if (lengths[b] < 1 || lengths[b] > steps)
      fail<InvariantError>(whose, "row {} has length {}, T={}", b, lengths[b], steps);
    if (spec.has_items() && items.count[b] > most_.items)
      fail<InvariantError>(whose, "row {} has {} items, N={}", b, items.count[b], most_.items);
    if (spec.has_items() && spec.item_limit() && items.count[b] > spec.item_limit())
      fail<InvariantError>(whose, "row {} has {} items, the task promised at most {}", b, items.count[b],
                           spec.item_limit());
    if (spec.edges && items.edge_count[b] > most_.edges)
      fail<InvariantError>(whose, "row {} has {} edges, E={}", b, items.edge_count[b], most_.edges);
  }
}

/// What is pointed at is there: targets in the row's own set, edges between its own items.
void Batch::check_choices(const BatchSpec& spec, const std::string& whose) const {
  for (std::size_t b = 0; b < size; ++b) {
    for (std::size_t e = 0; spec.edges && e < items.edge_count[b]; ++e)
      for (std::size_t end = 0; end < 2; ++end)
        if (const std::int32_t n = items.edges(b, e, end); n < 0 || static_cast<std::size_t>(n) >= items.count[b])
          fail<InvariantError>(whose, "edge {} of row {} joins item {} of {}", e, b, n, items.count[b]);
    if (!chooses(spec.target)) continue;
    const std::size_t limit = spec.target == TargetKind::pointer ? items.count[b] : spec.outputs;
    for (std::size_t i = 0; i < target.count(); ++i)
      if (const std::int32_t k = target.indices(i, b);
          target.scored(i, b) && (k < 0 || static_cast<std::size_t>(k) >= limit))
        fail<InvariantError>(whose, "target {} at {} {} of row {} chooses from {}", k, one_of(spec.target_over), i, b,
                             limit);
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

Batch Batch::row(const BatchSpec& spec, std::size_t b) const {
  Batch one;
  one.reset(spec, {1, lengths[b], spec.has_items() ? items.count[b] : 0, most_.words,
                   spec.edges ? items.edge_count[b] : std::size_t{0}});
  if (spec.has_items()) one.items.count[0] = items.count[b];
  if (spec.edges) one.items.edge_count[0] = items.edge_count[b];
  fields(spec, most_, [&](const BatchField& field, bool there, auto of) {
    for (std::size_t i = 0; there && i < count(field.along, b); ++i)
      std::copy_n(element(field, of(*this), b, i), field.width, one.element(field, of(one), 0, i));
  });
  for (std::size_t p = 0; p < parameters.size(); ++p) one.parameters[p].second[0] = parameters[p].second[b];
  return one;
}

std::string Batch::text(const BatchSpec& spec, std::size_t b, const std::vector<std::string>& names) const {
  std::string text;
  for (const auto& [name, values] : parameters)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, values[b]);
  if (!text.empty()) text += '\n';
  each(spec, *this, [&](const BatchField& field, const auto& tensor) {
    text += fmt::format("{:<15}", field.name);
    const bool words = std::string_view(field.name).ends_with("tokens");
    for (std::size_t i = 0; i < count(field.along, b); ++i) {
      if (i) text += " |";
      const auto* numbers = element(field, tensor, b, i);
      for (std::size_t k = 0; k < field.width; ++k) {
        const auto v = static_cast<double>(numbers[k]);
        if (words && v < 0) continue;
        const auto n = static_cast<std::size_t>(words ? v : 0);
        text += words && n < names.size() ? " " + names[n] : fmt::format(" {:.4g}", v);
      }
    }
    text += '\n';
  });
  return text;
}

}  // namespace mneme
