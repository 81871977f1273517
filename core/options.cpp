#include "core/options.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "core/names.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace mneme {

namespace {

std::optional<double> to_real(std::string_view s) {
  double v = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (error != std::errc{} || end != s.data() + s.size() || !std::isfinite(v)) return std::nullopt;
  return v;
}

/// Digits, or a number that is whole however it is written: 1e5.
std::optional<std::int64_t> to_integer(std::string_view s) {
  std::int64_t v = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (error == std::errc{} && end == s.data() + s.size()) return v;
  constexpr double exact = 9007199254740992;  // 2^53: every whole number up to here is a double
  const auto real = to_real(s);
  if (!real || *real != std::floor(*real)) return std::nullopt;
  if (std::abs(*real) > exact) return std::numeric_limits<std::int64_t>::max();  // out of every range
  return static_cast<std::int64_t>(*real);
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
        if (!known(o, part)) {
          const std::string near = nearest_name(part, o.allowed());
          return fmt::format("names '{}', which does not exist{}", part,
                             near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near));
        }
      return "";
    case Option::Type::path:
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
    case Type::choice: return join(allowed(), "|");
    case Type::choices: return fmt::format("comma list of {}", join(allowed(), "|"));
    case Type::text: return "text";
    case Type::path: return "path";
  }
  return "";
}

const std::string& Options::raw(const std::string& name, Option::Type type) const {
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].first != name) continue;
    const bool texts = types_[i] == Option::Type::choice || types_[i] == Option::Type::path;
    if (types_[i] != type && !(type == Option::Type::text && texts))
      fail<InvariantError>("options", "'{}' was declared as another type than it is read as", name);
    return items_[i].second;
  }
  fail<InvariantError>("options", "'{}' was never declared", name);
}

std::int64_t Options::integer(const std::string& name) const {
  return to_integer(raw(name, Option::Type::integer)).value();
}
std::size_t Options::size(const std::string& name) const {
  const std::int64_t v = integer(name);
  if (v < 0) fail<InvariantError>("options", "'{}' is {} and read as a size", name, v);
  return static_cast<std::size_t>(v);
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
  using Type = Option::Type;
  if (find(option.name)) fail<InvariantError>("options", "'{}' is declared twice", option.name);
  const bool number = option.type == Type::integer || option.type == Type::real || option.type == Type::range;
  const std::string wrong = number ? complaint(option, option.standard) : "";
  if (!wrong.empty())
    fail<InvariantError>("options", "the default of '{}': '{}' {}; it takes {}", option.name, option.standard, wrong,
                         option.domain());
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

OptionTable& OptionTable::path(std::string name, std::string standard, std::string help) {
  return add({std::move(name), Option::Type::path, std::move(standard), 0, 0, {}, std::move(help)});
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

OptionTable& OptionTable::formerly(std::string old_name) {
  if (options_.empty() || find(old_name))
    fail<InvariantError>("options", "the old name '{}' is taken, or follows no option", old_name);
  options_.back().old_names.push_back(std::move(old_name));
  return *this;
}

OptionTable& OptionTable::absent(std::string value) {
  if (options_.empty()) fail<InvariantError>("options", "'{}' stood for no option", value);
  options_.back().absent = std::move(value);
  return *this;
}

const Option* OptionTable::find(const std::string& name) const {
  for (const Option& o : options_)
    if (o.name == name || std::count(o.old_names.begin(), o.old_names.end(), name)) return &o;
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
  std::map<std::string, std::string> as_given;  // today's name -> the one that was given
  for (const auto& [key, value] : given) {
    const Option* o = find(key);
    if (!o) {
      std::vector<std::string> names;
      for (const Option& known : options_) names.push_back(known.name);
      throw ArgumentError("[" + place(key) + "] " + unknown_name("key", key, names));
    }
    if (const auto [twice, first] = as_given.emplace(o->name, key); !first)
      fail<ArgumentError>(place(key), "is given twice: as {} and as {}, one of which is its old name", twice->second,
                          key);
  }
  Options result;
  for (const Option& o : options_) {
    const auto name = as_given.find(o.name);
    const auto it = name == as_given.end() ? given.end() : given.find(name->second);
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
