// Room: tools. `mneme completion`: scripts for bash, zsh and fish, and what they ask.
//
// The scripts hold no list of anything: on every TAB they call `mneme completion words`, which looks at the command
// table, the option tables, the presets and the runs that are there. So a new memory's flags complete at once.
#include "tools/completion.hpp"

#include "core/error.hpp"
#include "core/names.hpp"
#include "core/quote.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/help.hpp"
#include "tools/terminal.hpp"

#include <algorithm>

namespace mneme::tools {

namespace {

using Words = std::vector<std::string>;
using Candidates = std::vector<Candidate>;

const Words kShells = {"bash", "zsh", "fish"};

// What bash breaks at '=' and ':' comes as words of its own; complete() puts '=' together again.
constexpr const char* kBash = R"sh(# bash completion for mneme: it asks the program.
_mneme() {
  local line
  COMPREPLY=()
  while IFS=$'\t' read -r line _; do
    printf -v line %q "$line" # a folder's name is inserted as a word, whatever it holds
    COMPREPLY+=("$line")
  done < <("${COMP_WORDS[0]}" completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case ${COMPREPLY[0]-} in *=) compopt -o nospace ;; esac
}
complete -o default -F _mneme mneme
)sh";

constexpr const char* kZsh = R"sh(#compdef mneme
# zsh completion for mneme: it asks the program.
_mneme() {
  local -a words_found texts
  local word what
  while IFS=$'\t' read -r word what; do
    words_found+=("$word")
    texts+=("$word${what:+  -- $what}")
  done < <("${words[1]}" completion words "${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( $#words_found )); then
    compadd -l -d texts -a words_found
  else
    _files
  fi
}
if [ "$funcstack[1]" = "_mneme" ]; then
  _mneme "$@"
else
  compdef _mneme mneme
fi
)sh";

constexpr const char* kFish = R"sh(# fish completion for mneme: it asks the program.
function __mneme_words
    set -l typed (commandline -opc) (commandline -ct)
    $typed[1] completion words $typed[2..-1] 2>/dev/null
end
function __mneme_has_words
    test (count (__mneme_words)) -gt 0
end
complete -c mneme -f -n __mneme_has_words -a '(__mneme_words)'
)sh";

void add_all(Candidates& list, const Words& words, const std::string& what = "") {
  for (const std::string& w : words) list.push_back({w, what});
}

/// What may follow a flag; none where that is a number, a path, or free.
Candidates values_of(const Command& c, const Keys& keys, const std::string& flag) {
  Candidates list;
  if (const Option* own = c.flags.find(flag)) {
    if (own->allowed) add_all(list, own->allowed());
    const auto called = c.values.find(flag);
    if (called != c.values.end() && called->second.starts_with("PRESET")) add_all(list, preset_names(), "preset");
    if (std::find(c.reads.begin(), c.reads.end(), flag) != c.reads.end() && called->second == "DIR")
      add_all(list, known_runs(), "run");
    return list;
  }
  const auto alias = c.aliases.find(flag);
  const std::string key = alias == c.aliases.end() ? flag.substr(2) : alias->second;
  for (const experiments::OptionInfo& o : keys.list)
    if (o.key == key)
      for (const std::string& v : o.values) list.push_back({v, o.plugin});
  return list;
}

bool takes_value(const Command& c, const std::string& flag) {
  if (const Option* own = c.flags.find(flag)) return own->type != Option::Type::flag;
  return flag.starts_with("--") && flag != "--help" && flag != "--quiet" && flag != "--no-color";
}

Candidates flags_of(const Command& c, const Keys& keys) {
  Candidates list;
  for (const Option& o : c.flags.options()) list.push_back({o.name, o.help});
  for (const auto& [name, key] : c.aliases) list.push_back({name, "the same as --" + key});
  for (const experiments::OptionInfo& o : keys.list) list.push_back({"--" + o.key, o.help});
  list.push_back({"--help", "what the command takes"});
  list.push_back({"--quiet", "no hints and no progress"});
  list.push_back({"--no-color", "no colour"});
  return list;
}

/// First or second words of the command table.
Candidates command_words(const Words& before) {
  Candidates list;
  for (const Command& c : commands()) {
    const std::size_t space = c.name.find(' ');
    if (before.empty())
      list.push_back({c.name.substr(0, space), space == std::string::npos ? c.summary : "a group of commands"});
    else if (space != std::string::npos && c.name.substr(0, space) == before[0])
      list.push_back({c.name.substr(space + 1), c.summary});
  }
  if (before.empty()) {
    list.push_back({"--help", "every command, and what to begin with"});
    list.push_back({"--version", "program, compiler, libraries"});
  }
  return list;
}

/// The keys that go with what was typed so far; all of them where that is no preset and no plug-in.
Keys keys_after(const Command& c, const Words& words) {
  try {
    return config_flags(c, words);
  } catch (const Error&) {
    return config_flags(c);
  }
}

/// bash gives --memory=ntm as three words.
Words joined(const Words& words) {
  Words out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool value = !out.empty() && out.back().starts_with("--") && words[i] == "=";
    if (!value) {
      out.push_back(words[i]);
    } else if (i + 1 < words.size()) {
      out.push_back(words[++i]);
    } else {
      out.emplace_back();
    }
  }
  return out;
}

/// Those that begin with what is typed, each once.
Candidates fitting(const Candidates& list, const std::string& typed) {
  Candidates some;
  for (const Candidate& c : list)
    if (c.word.starts_with(typed) &&
        std::none_of(some.begin(), some.end(), [&](const Candidate& s) { return s.word == c.word; }))
      some.push_back(c);
  return some;
}

}  // namespace

Candidates complete(Words words) {
  words = joined(words);
  if (words.empty()) words.emplace_back();
  const std::string typed = words.back();
  words.pop_back();
  if (!words.empty() && words[0] == "help") words.erase(words.begin());
  std::size_t used = 0;
  const Command* c = find_command(words, used);
  if (!c) return fitting(command_words(words), typed);
  const Words rest(words.begin() + static_cast<std::ptrdiff_t>(used), words.end());
  const Keys keys = keys_after(*c, rest);
  if (!rest.empty() && rest.back().find('=') == std::string::npos && takes_value(*c, rest.back()))
    return fitting(values_of(*c, keys, rest.back()), typed);
  if (const std::size_t equals = typed.find('='); typed.starts_with("--") && equals != std::string::npos) {
    Candidates list = values_of(*c, keys, typed.substr(0, equals));
    for (Candidate& v : list) v.word = typed.substr(0, equals + 1) + v.word;
    return fitting(list, typed);
  }
  if (typed.starts_with("-")) return fitting(flags_of(*c, keys), typed);
  Candidates list;
  if (c->choices) add_all(list, c->choices());
  return fitting(list, typed);
}

int print_completions(const Words& words) {
  for (const Candidate& c : complete(words))
    print("{}\t{}\n", c.word.find_first_of("\t\n") == std::string::npos ? c.word : "", printable(c.what));
  return kOk;
}

namespace {

int run(const Arguments& a) {
  const std::string& shell = a.positional[0];
  if (std::find(kShells.begin(), kShells.end(), shell) == kShells.end())
    throw ArgumentError("[completion] " + unknown_name("shell", shell, kShells));
  put(shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish);
  return kOk;
}

}  // namespace

Command completion_command() {
  Command c;
  c.name = "completion";
  c.summary = "a script that completes commands, flags, presets, values and runs in a shell";
  c.parameters = "SHELL";
  c.choices = [] { return kShells; };
  c.examples = {{"completion bash > mneme.bash", "then: source mneme.bash, or put that line into ~/.bashrc"},
                {"completion zsh > _mneme", "into a folder of $fpath"},
                {"completion fish > mneme.fish", "into ~/.config/fish/completions"}};
  c.notes = "Shells: bash, zsh, fish. 'cmake --install' puts all three where the shells look.";
  c.run = run;
  return c;
}

}  // namespace mneme::tools
