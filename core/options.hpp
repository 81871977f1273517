// Room: core. Options: declared once by whoever reads them; flags, INI keys, help, HDF5 attributes and errors follow.
//
//   OptionTable t;
//   t.integer("slots", 128, 1, 1 << 20, "N, memory slots");
//   Options o = t.parse("memory", {{"slots", "64"}});   // throws ArgumentError naming memory.slots
//   o.integer("slots");
//
// Keys inside a table have no section; the section ("memory") is given when values are parsed and in messages.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace mneme {

/// Whole numbers low..high, both included; written "low:high", or one number for both.
struct Range {
  std::int64_t low = 0;
  std::int64_t high = 0;
  bool operator==(const Range&) const = default;
};

struct Option {
  enum class Type { integer, real, flag, text, choice, choices, range, path };
  std::string name;  ///< words joined by '-': "read-heads"
  Type type = Type::text;
  std::string standard;  ///< the default, as it would be typed
  double minimum = 0;    ///< inclusive; numbers and ranges only
  double maximum = 0;
  std::function<std::vector<std::string>()> allowed;  ///< choice, choices: asked when parsing, so registries are full
  std::string help;                         ///< one line; starts with the symbol of docs/notation.md where there is one
  std::string whole = {};                   ///< range: a word for minimum:maximum
  std::vector<std::string> old_names = {};  ///< oldest first; read wherever the name is
  std::string absent = {};                  ///< what stood for it before it existed, as typed; see OptionTable::absent

  /// "1..1048576", "none|softmax", "low:high in 1..1000": for help and messages.
  std::string domain() const;
  /// The name that it was born with: what a run's identity knows it by.
  const std::string& first_name() const { return old_names.empty() ? name : old_names.front(); }
};

/// Validated values. Reading a name that was not declared, or as another type, is an InvariantError.
class Options {
 public:
  std::int64_t integer(const std::string& name) const;
  std::size_t size(const std::string& name) const;  ///< an integer that is not negative
  double real(const std::string& name) const;
  bool flag(const std::string& name) const;
  const std::string& text(const std::string& name) const;           ///< text, choice and path
  std::vector<std::string> choices(const std::string& name) const;  ///< a comma list
  Range range(const std::string& name) const;

  /// Every name with its value as text, in the order declared: what config.ini and the trace hold.
  const std::vector<std::pair<std::string, std::string>>& items() const { return items_; }

 private:
  friend class OptionTable;
  const std::string& raw(const std::string& name, Option::Type type) const;
  std::vector<std::pair<std::string, std::string>> items_;
  std::vector<Option::Type> types_;  ///< of each item
};

class OptionTable {
 public:
  /// One that another table declares.
  OptionTable& add(Option option);
  OptionTable& integer(std::string name, std::int64_t standard, std::int64_t minimum, std::int64_t maximum,
                       std::string help);
  OptionTable& real(std::string name, double standard, double minimum, double maximum, std::string help);
  OptionTable& flag(std::string name, bool standard, std::string help);
  OptionTable& text(std::string name, std::string standard, std::string help);
  /// A file or folder: made absolute where a configuration is resolved, and no part of a run's identity. "" = none.
  OptionTable& path(std::string name, std::string standard, std::string help);
  OptionTable& choice(std::string name, std::string standard, std::vector<std::string> allowed, std::string help);
  /// One of a registry's names, asked at parse time: plug-ins may register themselves later.
  OptionTable& choice(std::string name, std::string standard, std::function<std::vector<std::string>()> allowed,
                      std::string help);
  /// A comma list of names from `allowed`, which may be a registry's names (asked at parse time).
  OptionTable& choices(std::string name, std::string standard, std::function<std::vector<std::string>()> allowed,
                       std::string help);
  /// `whole`, where it is not empty, is a word that may be given for minimum:maximum.
  OptionTable& range(std::string name, Range standard, std::int64_t minimum, std::int64_t maximum, std::string help,
                     std::string whole = "");

  /// Of the option declared last: a name that it had before, which goes on being read.
  OptionTable& formerly(std::string old_name);
  /// Of the option declared last: what stood for it before it existed, where that is not its default. A stored
  /// configuration without it means this, and a run whose value this is has the identity of one without it. Who changes
  /// the default of an option that has no absent() says the old default here, once and for all.
  OptionTable& absent(std::string value);

  const std::vector<Option>& options() const { return options_; }
  /// By its name or an old one; null where there is none.
  const Option* find(const std::string& name) const;

  /// Defaults overridden by `given`. Throws ArgumentError for an unknown key (lists what exists, suggests the nearest),
  /// a value of the wrong kind, not finite or out of range; `section` prefixes keys in messages, and `where(key)`, if
  /// given, says where the value came from ("copy.ini:12").
  Options parse(const std::string& section, const std::map<std::string, std::string>& given,
                const std::function<std::string(const std::string&)>& where = {}) const;

 private:
  std::vector<Option> options_;
};

}  // namespace mneme
