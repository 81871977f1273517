#include "core/declared.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <set>

namespace mneme {

namespace {

std::size_t index_of(const DeclaredList& list, const std::string& site, const std::string& name) {
  for (std::size_t i = 0; i < list.size(); ++i)
    if (list[i].site == site && list[i].name == name) return i;
  fail<InvariantError>("declaration", "nothing is declared as {}.{}", site, name);
}

std::string text(const std::vector<std::size_t>& dims) {
  std::string s;
  for (const std::size_t d : dims) s += (s.empty() ? "" : " ") + std::to_string(d);
  return "[" + s + "]";
}

/// Names once, sites that exist, and axes of one size each.
void check_list(const DeclaredList& list, const std::string& plugin, const std::set<std::string>& sites,
                std::size_t slots, std::size_t width, std::set<std::string>& names) {
  for (const Declared& d : list) {
    if (!names.insert(d.full_name()).second) fail<InvariantError>(plugin, "declares {} twice", d.full_name());
    if (!d.site.empty() && !sites.empty() && !sites.count(d.site))
      fail<InvariantError>(plugin, "{} belongs to no site: there is none called {}", d.full_name(), d.site);
    if (d.dims.size() > 3)
      fail<InvariantError>(plugin, "{} {} has {} axes beside the rows, a shape has room for 3", d.full_name(),
                           text(d.dims), d.dims.size());
    if (!d.axes.empty() && d.axes.size() != d.dims.size())
      fail<InvariantError>(plugin, "{} {} names {} axes", d.full_name(), text(d.dims), d.axes.size());
    std::vector<std::size_t> fitting = d.dims;
    for (std::size_t i = 0; i < d.axes.size(); ++i)
      fitting[i] = d.axes[i] == "cell" ? width : d.axes[i] == "slot" || d.axes[i] == "item" ? slots : fitting[i];
    if (fitting != d.dims)
      fail<InvariantError>(plugin, "{} is declared {}, its axes are {}", d.full_name(), text(d.dims), text(fitting));
  }
}

void check_place(const Declaration& d, const std::string& plugin, const Site& site, const char* name,
                 std::size_t place) {
  if (place == nowhere) fail<InvariantError>(plugin, "site {} has no place for its {} in the state", site.name, name);
  if (place >= d.state.size())
    fail<InvariantError>(plugin, "site {} has its {} at place {} of {}", site.name, name, place, d.state.size());
  const Declared& there = d.state[place];
  if (there.site != site.name || there.name != name)
    fail<InvariantError>(plugin, "site {} has its {} at the place of {}", site.name, name, there.full_name());
}

}  // namespace

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::plain: return "plain";
    case Kind::weights: return "weights";
    case Kind::sub_weights: return "sub_weights";
    case Kind::gate: return "gate";
    case Kind::positive: return "positive";
    case Kind::usage: return "usage";
  }
  return "?";
}

Shape Declared::shape(std::size_t rows) const {
  Shape s{rows};
  for (const std::size_t d : dims) s.push_back(d);
  return s;
}

bool Declared::fits(const Shape& value, std::size_t rows) const {
  if (dims.empty()) return value == Shape{rows} || value == Shape{rows, 1};
  if (value.rank() != dims.size() + 1 || value[0] != rows) return false;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const bool shorter = i < axes.size() && axes[i] == "item" && value[i + 1] < dims[i];
    if (value[i + 1] != dims[i] && !shorter) return false;
  }
  return true;
}

std::size_t Declaration::state_index(const std::string& site, const std::string& name) const {
  return index_of(state, site, name);
}

std::size_t Declaration::parameter_index(const std::string& site, const std::string& name) const {
  return index_of(parameters, site, name);
}

void check(const Declaration& d, const std::string& plugin, std::size_t slots, std::size_t width) {
  std::set<std::string> sites, names;
  for (const Site& site : d.sites)
    if (!sites.insert(site.name).second) fail<InvariantError>(plugin, "declares the site {} twice", site.name);
  for (const DeclaredList* list : {&d.state, &d.parameters, &d.stages})
    check_list(*list, plugin, sites, slots, width, names);
  for (const Site& site : d.sites) {
    check_place(d, plugin, site, "weights", site.weights);
    const std::vector<std::size_t>& dims = d.state[site.weights].dims;
    if (dims != std::vector<std::size_t>{slots})
      fail<InvariantError>(plugin, "{}.weights is declared {}, there are [{}] {}s", site.name, text(dims), slots,
                           site.slot_axis);
    if (site.value != nowhere || site.kind == "read" || site.kind == "hop")
      check_place(d, plugin, site, "value", site.value);
  }
}

void check_value(const Declared& d, const std::string& plugin, const Shape& value, std::size_t rows) {
  if (!d.fits(value, rows))
    fail<InvariantError>(plugin, "{} has shape {}, declared {}", d.full_name(), value.text(), d.shape(rows).text());
}

}  // namespace mneme
