// Room: tools. The dispatcher: from words to a command, its flags and its exit code.
//
// Boost.Program_options cuts the words up; values are judged by OptionTable and Config, whose messages name key and
// range, so that flags and files are held to one standard. Its traps: guessing of shortened names is off, a value is
// always text (its own unsigned takes -1), and a flag given twice is an error here.
#include "tools/command.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/join.hpp"
#include "core/names.hpp"
#include "core/stopped.hpp"
#include "experiments/run/environment.hpp"
#include "tools/choices.hpp"
#include "tools/completion.hpp"
#include "tools/help.hpp"
#include "tools/terminal.hpp"

#include <fmt/core.h>
#include <boost/program_options.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <set>

namespace mneme::tools {

namespace po = boost::program_options;

namespace {

using Words = std::vector<std::string>;

[[noreturn]] void fail_unknown_command(const Words& words) {
  Words names, group;
  for (const Command& c : commands()) {
    names.push_back(c.name);
    if (c.name.rfind(words[0] + " ", 0) == 0) group.push_back(c.name.substr(words[0].size() + 1));
  }
  if (group.empty()) throw ArgumentError(unknown_name("command", words[0], names));
  if (words.size() < 2 || words[1].rfind("-", 0) == 0)
    fail<ArgumentError>(words[0], "what shall it do? There are: {}", join(group, ", "));
  throw ArgumentError("[" + words[0] + "] " + unknown_name("command", words[1], group));
}

struct Parameter {
  std::string name;
  bool optional = false;
};

/// "TRACE [KIND]" -> TRACE, KIND
std::vector<Parameter> parameters_of(const Command& command) {
  std::vector<Parameter> list;
  for (std::size_t at = 0; at < command.parameters.size();) {
    const std::size_t end = std::min(command.parameters.find(' ', at), command.parameters.size());
    const std::string word = command.parameters.substr(at, end - at);
    const bool optional = word.front() == '[';
    list.push_back({optional ? word.substr(1, word.size() - 2) : word, optional});
    at = end + 1;
  }
  return list;
}

class Parser {
 public:
  explicit Parser(const Command& command) : command_(command), keys_(config_flags(command).list) {
    auto add = description_.add_options();
    const auto one = [&](const std::string& name, bool takes_value) {
      if (!names_.insert("--" + name).second) return;
      if (takes_value)
        add(name.c_str(), po::value<std::string>(), "");
      else
        add(name.c_str(), "");
    };
    for (const Option& o : command.flags.options()) one(o.name.substr(2), o.type != Option::Type::flag);
    for (const auto& [name, key] : command.aliases) one(name.substr(2), true);
    for (const auto& key : keys_) one(key.key, true);
    add("quiet,q", "")("no-color", "")("positional", po::value<Words>());
    for (const char* name : {"--quiet", "--no-color", "--help"}) names_.insert(name);
  }

  Arguments parse(const Words& words) {
    require_dashes(words);
    po::positional_options_description positional;
    positional.add("positional", -1);
    po::parsed_options parsed(&description_);
    try {
      const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
      parsed = po::command_line_parser(words).options(description_).positional(positional).style(style).run();
    } catch (const po::unknown_option& e) {
      fail_unknown_flag(e.get_option_name());
    } catch (const po::invalid_command_line_syntax& e) {
      using Kind = po::invalid_syntax;
      const std::string name = e.get_option_name();
      switch (e.kind()) {
        case Kind::missing_parameter: fail<ArgumentError>(name, "needs a value");
        case Kind::extra_parameter: fail<ArgumentError>(name, "takes no value");
        default: fail<ArgumentError>(name, "cannot be read: {}", e.what());
      }
    } catch (const po::error& e) {
      throw ArgumentError(e.what());
    }
    Arguments a;
    std::set<std::string> seen;
    for (const auto& o : parsed.options) {
      if (o.position_key >= 0 || o.string_key == "positional") {
        a.positional.insert(a.positional.end(), o.value.begin(), o.value.end());
        continue;
      }
      take("--" + o.string_key, o.value.empty() ? "true" : o.value[0], seen, a);
    }
    check_positional(a);
    a.options = command_.flags.parse("", a.given);
    check_paths(a);
    return a;
  }

 private:
  void take(const std::string& flag, const std::string& value, std::set<std::string>& seen, Arguments& a) const {
    if (!seen.insert(flag).second) fail<ArgumentError>(flag, "is given twice");
    if (flag == "--quiet") {
      screen().quiet = true;
    } else if (flag == "--no-color") {
      screen().no_color = true;
    } else if (command_.flags.find(flag)) {
      a.given[flag] = value;
    } else if (const auto alias = command_.aliases.find(flag); alias != command_.aliases.end()) {
      a.assignments.push_back({alias->second, value, flag});
    } else {
      a.assignments.push_back({flag.substr(2), value, flag});
    }
  }

  [[noreturn]] void fail_unknown_flag(std::string name) const {
    if (name.rfind("-", 0) != 0) name = "--" + name;
    name = name.substr(0, name.find('='));
    const Words near = nearest_flags(name, {names_.begin(), names_.end()});
    throw ArgumentError(fmt::format("unknown flag '{}'{}", name,
                                    near.empty() ? "" : fmt::format(", did you mean '{}'?", join(near, "' or '"))));
  }

  /// memory.slots=64 and -memory.slots=64 are flags that lack dashes.
  void require_dashes(const Words& words) const {
    for (std::size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
      const std::string& word = words[i];
      const std::size_t equals = word.find('='), dashes = word.find_first_not_of("-+");
      if (equals == std::string::npos || dashes > 1 || word.find('/') < equals) continue;
      if (i > 0 && words[i - 1].rfind("--", 0) == 0 && words[i - 1].find('=') == std::string::npos)
        continue;  // its value
      const std::string key = word.substr(dashes, equals - dashes);
      const Words near = nearest_flags(key, {names_.begin(), names_.end()});
      if (near.empty()) continue;
      throw ArgumentError(
          fmt::format("'{}' lacks its dashes, did you mean '{}{}'?", word, near[0], word.substr(equals)));
    }
  }

  /// "There are: ..." for the first parameter; "" where that cannot be said.
  std::string there_are(const std::string& given) const {
    if (!command_.choices) return "";
    Words names = command_.choices();
    if (names.empty()) return "; there is none here or below runs/, 'mneme train' makes one";
    const std::string near = given.empty() ? "" : nearest_name(given, names);
    const std::size_t all = names.size();
    if (!command_.reads.empty() && all > 8) names.resize(8);
    return fmt::format("{} There are: {}{}", near.empty() ? "." : fmt::format(", did you mean '{}'?", near),
                       join(names, ", "), names.size() < all ? fmt::format(" and {} more", all - names.size()) : "");
  }

  void check_positional(const Arguments& a) const {
    const std::vector<Parameter> list = parameters_of(command_);
    for (std::size_t i = a.positional.size(); i < list.size(); ++i)
      if (!list[i].optional)
        fail<ArgumentError>(command_.name, "{} is missing{}", list[i].name, i == 0 ? there_are("") : "");
    const bool more = !list.empty() && !list.back().optional && list.back().name.ends_with("...");
    if (a.positional.size() > list.size() && !more)
      fail<ArgumentError>(command_.name, "'{}' is one word too many; it takes {}", a.positional[list.size()],
                          command_.parameters.empty() ? "none" : command_.parameters);
  }

  /// One answer in every command to a path where nothing is, or that may not be read.
  void check_paths(const Arguments& a) const {
    for (const std::string& name : command_.reads) {
      const bool first = name.empty();
      if (first ? a.positional.empty() : !a.has(name) || a.given.at(name).empty()) continue;
      const std::string& path = first ? a.positional[0] : a.given.at(name);
      struct stat status {};
      const int failed = ::stat(path.c_str(), &status) != 0 || ::access(path.c_str(), R_OK) != 0 ? errno : 0;
      if (failed == ENOENT || failed == ENOTDIR)
        fail<ArgumentError>(path, "does not exist{}", first ? there_are(path) : "");
      if (failed) fail<RuntimeFailure>(path, "cannot be read: {}", std::strerror(failed));
    }
  }

  const Command& command_;
  std::vector<experiments::OptionInfo> keys_;
  po::options_description description_;
  std::set<std::string> names_;
};

int print_version(const std::string& word) {
  if (word == "--version=json") {
    print("{}\n", experiments::environment_json());
    return kOk;
  }
  if (word != "--version") throw ArgumentError("[--version] is spelt --version or --version=json");
  const BuildInfo& b = build_info();
  const std::string rev = std::string(b.git_rev).substr(0, 12);
  print("mneme {}{} ({}, {})\n", b.version,
        rev.empty() ? "" : fmt::format(" {}{}", rev, b.git_dirty ? " with local changes" : ""), b.compiler,
        b.build_type);
  return kOk;
}

bool asks_for_help(const Words& words) {
  for (const std::string& w : words) {
    if (w == "--") return false;
    if (w == "--help" || w == "-h") return true;
  }
  return false;
}

int run_words(Words words) {
  while (!words.empty() && (words[0] == "--no-color" || words[0] == "--quiet" || words[0] == "-q")) {
    (words[0] == "--no-color" ? screen().no_color : screen().quiet) = true;
    words.erase(words.begin());
  }
  if (words.empty()) {
    say(general_help(), true);
    return kUsage;
  }
  if (words[0].rfind("--version", 0) == 0) return print_version(words[0]);
  const bool help = words[0] == "help" || words[0] == "--help" || words[0] == "-h";
  if (help) words.erase(words.begin());
  if (help && words.empty()) {
    put(general_help(), true);
    return kOk;
  }
  if (words.size() > 1 && words[0] == "completion" && words[1] == "words")
    return print_completions({words.begin() + 2, words.end()});
  std::size_t used = 0;
  const Command* command = find_command(words, used);
  if (!command) {
    if ((help || asks_for_help(words)) && is_group(words[0])) {
      put(group_help(words[0]), true);
      return kOk;
    }
    if (words[0].rfind("-", 0) == 0) fail<ArgumentError>(words[0], "comes before a command; try 'mneme --help'");
    fail_unknown_command(words);
  }
  try {
    if (help || asks_for_help(words)) {
      Words rest(words.begin() + static_cast<std::ptrdiff_t>(used), words.end());
      std::erase_if(rest, [](const std::string& w) { return w == "--help" || w == "-h"; });
      put(command_help(*command, rest), true);
      return kOk;
    }
    Arguments a = Parser(*command).parse(Words(words.begin() + static_cast<std::ptrdiff_t>(used), words.end()));
    a.argv = words;
    if (command->heeds_signals) catch_signals(command->saves_when_stopped);
    return command->run(a);
  } catch (const ArgumentError& e) {
    say(fmt::format("mneme: {}", e.what()));
    note(fmt::format("try 'mneme {} --help'", command->name));
    return kUsage;
  }
}

}  // namespace

const Command* find_command(const std::vector<std::string>& words, std::size_t& used) {
  for (const std::size_t n : {std::size_t{2}, std::size_t{1}}) {
    if (words.size() < n) continue;
    const std::string name = n == 2 ? words[0] + " " + words[1] : words[0];
    for (const Command& c : commands())
      if (c.name == name) {
        used = n;
        return &c;
      }
  }
  return nullptr;
}

const std::vector<std::pair<int, std::string>>& exit_codes() {
  static const std::vector<std::pair<int, std::string>> codes = {
      {kOk, "done"},
      {kFailure,
       "failed: disk full, no permission, out of memory, a program that is missing; a second Ctrl-C, which saves "
       "nothing"},
      {kUsage, "wrong usage or configuration: a word, a value, a path where nothing is"},
      {kBadFile, "invalid file: it is there, but damaged, of another format, or newer"},
      {kDiverged, "diverged: a number stopped being finite"},
      {kNotVerified, "not verified: a check found something wrong"},
      {kStopped, "stopped from outside or by the time limit; the run can be resumed"},
      {kInterrupted, "interrupted by Ctrl-C; a run that trains is saved"}};
  return codes;
}

int dispatch(const Words& arguments) {
  ignore_broken_pipes();
  int code = kOk;
  try {
    code = run_words(arguments);
  } catch (const ArgumentError& e) {
    say(fmt::format("mneme: {}", e.what()));
    code = kUsage;
  } catch (const FileError& e) {
    say(fmt::format("mneme: {}", e.what()));
    code = kBadFile;
  } catch (const NonFiniteError& e) {
    say(fmt::format("mneme: {}", e.what()));
    code = kDiverged;
  } catch (const std::bad_alloc&) {
    say("mneme: out of memory: this needs more than the machine, or a limit on this process, allows");
    code = kFailure;
  } catch (const std::length_error&) {
    say("mneme: out of memory: this needs more than any machine has");
    code = kFailure;
  } catch (const Stopped& e) {
    say(fmt::format("mneme: {}", e.what()));
    code = signal_code(caught_signal().load());
  } catch (const std::exception& e) {
    say(fmt::format("mneme: {}", e.what()));
    code = kFailure;
  }
  const std::string failed = stdout_failed();
  if (!failed.empty()) {
    say(fmt::format("mneme: standard output cannot be written: {}", failed));
    if (code == kOk) code = kFailure;
  }
  return code;
}

}  // namespace mneme::tools
