#include "core/options.hpp"

#include "core/error.hpp"
#include "core/names.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace mneme {

namespace {

std::optional<std::int64_t> to_integer(std::string_view s) {
  std::int64_t v = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (error != std::errc{} || end != s.data() + s.size()) return std::nullopt;
  return v;
}

std::optional<double> to_real(std::string_view s) {
  double v = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (error != std::errc{} || end != s.data() + s.size() || !std::isfinite(v)) return std::nullopt;
  return v;
}

std::optional<bool> to_flag(std::string_view s) {
  if (s == "true" || s == "yes" || s == "on" || s == "1") return true;
  if (s == "false" || s == "no" || s == "off" || s == "0") return false;
  return std::nullopt;
}

std::optional<Range> to_range(std::string_view s) {
  const std::size_t colon = s.find(':');
  const auto low = to_integer(s.substr(0, colon));
  const auto high = colon == std::string_view::npos ? low : to_integer(s.substr(colon + 1));
  if (!low || !high) return std::nullopt;
  return Range{*low, *high};
}

std::vector<std::string> split(const std::string& s) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (true) {
    const std::size_t comma = s.find(',', begin);
    parts.push_back(s.substr(begin, comma == std::string::npos ? comma : comma - begin));
    if (comma == std::string::npos) return parts;
    begin = comma + 1;
  }
}

bool known(const Option& o, const std::string& name) {
  const auto names = o.allowed();
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// "" where the value is right, else what is wrong with it.
std::string complaint(const Option& o, const std::string& value) {
  // A double does not tell 2^53 + 1 from 2^53, the most that a seed may be.
  const auto inside = [&](long double v) { return v >= o.minimum && v <= o.maximum; };
  switch (o.type) {
    case Option::Type::integer: {
      const auto v = to_integer(value);
      if (!v) return "is not a whole number";
      return inside(static_cast<long double>(*v)) ? "" : "is out of range";
    }
    case Option::Type::real: {
      const auto v = to_real(value);
      if (!v) return "is not a finite number";
      return inside(*v) ? "" : "is out of range";
    }
    case Option::Type::flag: return to_flag(value) ? "" : "is neither true nor false";
    case Option::Type::range: {
      const auto v = to_range(value);
      if (!v) return "is not a range low:high";
      if (v->low > v->high) return "has its low end above its high end";
      return inside(static_cast<long double>(v->low)) && inside(static_cast<long double>(v->high)) ? ""
                                                                                                   : "is out of range";
    }
    case Option::Type::choice: return known(o, value) ? "" : "does not exist";
    case Option::Type::choices:
      for (const std::string& part : split(value))
        if (!known(o, part)) return fmt::format("names '{}', which does not exist", part);
      return "";
    case Option::Type::text: return value.find('\n') == std::string::npos ? "" : "has more than one line";
  }
  return "";
}

}  // namespace

std::string Option::domain() const {
  switch (type) {
    case Type::integer: return fmt::format("{:.0f}..{:.0f}", minimum, maximum);
    case Type::real: return fmt::format("{:g}..{:g}", minimum, maximum);
    case Type::flag: return "true|false";
    case Type::range:
      return fmt::format("low:high in {:.0f}..{:.0f}{}", minimum, maximum, whole.empty() ? "" : " or " + whole);
    case Type::choice: return fmt::format("{}", fmt::join(allowed(), "|"));
    case Type::choices: return fmt::format("comma list of {}", fmt::join(allowed(), "|"));
    case Type::text: return "text";
  }
  return "";
}

const std::string& Options::raw(const std::string& name, Option::Type type) const {
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].first != name) continue;
    if (types_[i] != type && !(type == Option::Type::text && types_[i] == Option::Type::choice))
      fail<InvariantError>("options", "'{}' was declared as another type than it is read as", name);
    return items_[i].second;
  }
  fail<InvariantError>("options", "'{}' was never declared", name);
}

std::int64_t Options::integer(const std::string& name) const {
  return to_integer(raw(name, Option::Type::integer)).value();
}
double Options::real(const std::string& name) const {
  return to_real(raw(name, Option::Type::real)).value();
}
bool Options::flag(const std::string& name) const {
  return to_flag(raw(name, Option::Type::flag)).value();
}
const std::string& Options::text(const std::string& name) const {
  return raw(name, Option::Type::text);
}
std::vector<std::string> Options::choices(const std::string& name) const {
  return split(raw(name, Option::Type::choices));
}
Range Options::range(const std::string& name) const {
  return to_range(raw(name, Option::Type::range)).value();
}

OptionTable& OptionTable::add(Option option) {
  if (find(option.name)) fail<InvariantError>("options", "'{}' is declared twice", option.name);
  options_.push_back(std::move(option));
  return *this;
}

OptionTable& OptionTable::integer(std::string name, std::int64_t standard, std::int64_t minimum, std::int64_t maximum,
                                  std::string help) {
  return add({std::move(name),
              Option::Type::integer,
              std::to_string(standard),
              static_cast<double>(minimum),
              static_cast<double>(maximum),
              {},
              std::move(help)});
}

OptionTable& OptionTable::real(std::string name, double standard, double minimum, double maximum, std::string help) {
  return add({std::move(name), Option::Type::real, fmt::format("{}", standard), minimum, maximum, {}, std::move(help)});
}

OptionTable& OptionTable::flag(std::string name, bool standard, std::string help) {
  return add({std::move(name), Option::Type::flag, standard ? "true" : "false", 0, 0, {}, std::move(help)});
}

OptionTable& OptionTable::text(std::string name, std::string standard, std::string help) {
  return add({std::move(name), Option::Type::text, std::move(standard), 0, 0, {}, std::move(help)});
}

OptionTable& OptionTable::choice(std::string name, std::string standard, std::vector<std::string> allowed,
                                 std::string help) {
  return choice(
      std::move(name), std::move(standard), [allowed = std::move(allowed)] { return allowed; }, std::move(help));
}

OptionTable& OptionTable::choice(std::string name, std::string standard,
                                 std::function<std::vector<std::string>()> allowed, std::string help) {
  return add({std::move(name), Option::Type::choice, std::move(standard), 0, 0, std::move(allowed), std::move(help)});
}

OptionTable& OptionTable::choices(std::string name, std::string standard,
                                  std::function<std::vector<std::string>()> allowed, std::string help) {
  return add({std::move(name), Option::Type::choices, std::move(standard), 0, 0, std::move(allowed), std::move(help)});
}

OptionTable& OptionTable::range(std::string name, Range standard, std::int64_t minimum, std::int64_t maximum,
                                std::string help, std::string whole) {
  return add({std::move(name),
              Option::Type::range,
              fmt::format("{}:{}", standard.low, standard.high),
              static_cast<double>(minimum),
              static_cast<double>(maximum),
              {},
              std::move(help),
              std::move(whole)});
}

const Option* OptionTable::find(const std::string& name) const {
  for (const Option& o : options_)
    if (o.name == name) return &o;
  return nullptr;
}

Options OptionTable::parse(const std::string& section, const std::map<std::string, std::string>& given,
                           const std::function<std::string(const std::string&)>& where) const {
  const auto place = [&](const std::string& key) {
    const std::string full = section.empty() ? key : section + "." + key;
    const std::string from = where ? where(key) : "";
    // An origin that is the key itself, as --memory.slots, says enough alone.
    return from.empty() ? full : from.ends_with(full) ? from : from + ": " + full;
  };
  for (const auto& [key, value] : given)
    if (!find(key)) {
      std::vector<std::string> names;
      for (const Option& o : options_) names.push_back(o.name);
      throw ArgumentError("[" + place(key) + "] " + unknown_name("key", key, names));
    }
  Options result;
  for (const Option& o : options_) {
    const auto it = given.find(o.name);
    std::string value = it == given.end() ? o.standard : it->second;
    if (!o.whole.empty() && value == o.whole) value = fmt::format("{:.0f}:{:.0f}", o.minimum, o.maximum);
    const std::string wrong = complaint(o, value);
    if (!wrong.empty()) {
      const std::string near = o.type == Option::Type::choice ? nearest_name(value, o.allowed()) : "";
      fail<ArgumentError>(place(o.name), "'{}' {}{}; it takes {}", value, wrong,
                          near.empty() ? "" : fmt::format(", did you mean '{}'?", near), o.domain());
    }
    result.items_.emplace_back(o.name, value);
    result.types_.push_back(o.type);
  }
  return result;
}

}  // namespace mneme
