// Room: tests. What one value promises by its declaration, and comparing lists of values.
#pragma once

#include "tests/conformance/checks.hpp"

#include <cmath>

namespace mneme::test {

template <class T>
bool finite(const T* x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    if (!std::isfinite(x[i])) return false;
  return true;
}

inline bool has_items(const Declared& d) {
  return !d.axes.empty() && d.axes.back() == "item";
}

/// `begun`: before the first step, where weights may still be all zero.
template <class T>
void expect_promise(Complaints& out, const std::string& where, const Declared& d, const Var<T>& v, std::size_t rows,
                    bool begun) {
  if (d.life == Life::rebuilt) return;
  if (!v || !d.fits(v.shape, rows)) {
    out.push_back(fmt::format("{}: {} has shape {}, declared {}", where, d.full_name(), v ? v.shape.text() : "none",
                              d.shape(rows).text()));
    return;
  }
  const double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-12;
  const std::size_t width = d.dims.empty() ? 1 : v.shape.last();
  const bool sums = d.kind == Kind::weights || d.kind == Kind::sub_weights;
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double x = static_cast<double>(v.data[i]);
    const bool low =
        (sums || d.kind == Kind::gate || d.kind == Kind::usage || d.kind == Kind::positive) && x < -tolerance;
    const bool high = (d.kind == Kind::gate || d.kind == Kind::usage) && x > 1 + tolerance;
    if (!std::isfinite(x) || low || high) {
      out.push_back(fmt::format("{}: {}[{}] is {}, declared {}", where, d.full_name(), i, x, kind_name(d.kind)));
      return;
    }
  }
  for (std::size_t at = 0; sums && at < v.size(); at += width) {
    double total = 0;
    for (std::size_t i = 0; i < width; ++i) total += static_cast<double>(v.data[at + i]);
    const bool right =
        d.kind == Kind::weights ? std::abs(total - 1) <= tolerance || (begun && total == 0) : total <= 1 + tolerance;
    if (!right) {
      out.push_back(fmt::format("{}: row {} of {} sums to {:.9g}, declared {}", where, at / width, d.full_name(), total,
                                kind_name(d.kind)));
      return;
    }
  }
}

template <class T>
void expect_promises(Complaints& out, const std::string& where, const DeclaredList& declared,
                     std::span<const Var<T>> values, std::size_t rows, bool begun) {
  if (values.size() != declared.size()) {
    out.push_back(fmt::format("{}: {} values for {} declarations", where, values.size(), declared.size()));
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) expect_promise(out, where, declared[i], values[i], rows, begun);
}

/// Numbers copied off the tape, to outlive it: one entry a value.
using Record = std::vector<std::pair<std::string, std::vector<double>>>;

template <class T>
void keep(Record& record, const std::string& name, const Var<T>& v) {
  record.emplace_back(name, std::vector<double>(v.data, v.data + v.size()));
}

/// As declared: an item axis that is shorter here is filled up with zeros.
template <class T>
void keep(Record& record, const std::string& name, const Var<T>& v, const Declared& d) {
  if (!has_items(d) || v.shape.last() >= d.dims.back()) return keep(record, name, v);
  const std::size_t have = v.shape.last(), full = d.dims.back();
  std::vector<double> values(v.shape.rows() * full);
  for (std::size_t i = 0; i < v.size(); ++i) values[i / have * full + i % have] = static_cast<double>(v.data[i]);
  record.emplace_back(name, std::move(values));
}

/// The first number further apart than tolerance * max(1, |a|), or nothing.
inline void expect_same(Complaints& out, const std::string& where, const Record& a, const Record& b, double tolerance) {
  if (a.size() != b.size()) {
    out.push_back(fmt::format("{}: {} values against {}", where, a.size(), b.size()));
    return;
  }
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (a[k].second.size() != b[k].second.size()) {
      out.push_back(
          fmt::format("{}: {} has {} numbers against {}", where, a[k].first, a[k].second.size(), b[k].second.size()));
      return;
    }
    for (std::size_t i = 0; i < a[k].second.size(); ++i) {
      const double x = a[k].second[i], y = b[k].second[i];
      if (x == y || std::abs(x - y) <= tolerance * std::max(1.0, std::abs(x))) continue;
      out.push_back(fmt::format("{}: {}[{}] is {:.17g} and {:.17g}", where, a[k].first, i, x, y));
      return;
    }
  }
}

/// Values and buffers by name, as a checkpoint does it. False where names or sizes differ.
template <class T>
bool copy_by_name(const ParameterSet<T>& from, ParameterSet<T>& to) {
  const auto& a = from.parameters();
  const auto& b = to.parameters();
  if (a.size() != b.size() || from.buffers().size() != to.buffers().size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t k = 0;
    while (k < b.size() && b[k].name != a[i].name) ++k;
    if (k == b.size() || !(a[i].shape == b[k].shape)) return false;
    std::copy_n(from.flat() + a[i].offset, a[i].shape.size(), to.value(k));
  }
  for (const Buffer<T>& buffer : from.buffers()) {
    bool found = false;
    for (Buffer<T>& other : to.buffers())
      if (other.name == buffer.name && other.shape == buffer.shape) {
        other.values = buffer.values;
        found = true;
      }
    if (!found) return false;
  }
  to.refresh();
  return true;
}

/// Complaints about every parameter whose gradient is zero throughout, but for frozen groups.
template <class T>
void expect_reached(Complaints& out, const ParameterSet<T>& set, Gradients<T>& gradients) {
  for (const Parameter& p : set.parameters()) {
    if (set.groups()[p.group].frozen) continue;
    const T* g = gradients.flat() + p.offset;
    if (std::all_of(g, g + p.shape.size(), [](T x) { return x == 0; }))
      out.push_back(fmt::format("parameter {} gets no gradient", p.name));
  }
}

inline void operator+=(Complaints& to, const Complaints& from) {
  to.insert(to.end(), from.begin(), from.end());
}

/// A check's complaints under its name; what it throws is one.
template <class S>
Complaints guarded(const std::string& name, Complaints (*check)(const S&), const S& specimen) {
  Complaints out;
  try {
    out = check(specimen);
  } catch (const std::exception& e) {
    out = {e.what()};
  }
  for (std::string& c : out) c = name + ": " + c;
  return out;
}

}  // namespace mneme::test
