// Room: core. What a memory, a controller or a readout says about itself, once: where attention is paid, its state and
// its head parameters.
//
// The one declaration is the checkpoint's layout, the trace's schema and the conformance test's contract, so a new
// memory is traced, verified, saved and tested without a line written for it.
#pragma once

#include "core/shape.hpp"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace mneme {

/// What the numbers of a declared value promise. The conformance suite checks it; the trace stores it as an attribute.
enum class Kind {
  plain,        ///< no promise but to be finite
  weights,      ///< along the last axis: non-negative, rows sum to 1 (or are all zero where everything is masked)
  sub_weights,  ///< as weights, but rows sum to at most 1
  gate,         ///< in [0, 1]
  positive,     ///< >= 0
  usage,        ///< in [0, 1], one per slot
};

/// How a state passes from one step to the next.
enum class Life {
  carried,   ///< each step makes a new value and leaves the old one alone
  in_place,  ///< changed where it lies, and rolled back by the tape
  rebuilt,   ///< an index, made from the rest of the state: in no trace and no checkpoint
};

/// "weights", "gate", ...: the spelling in trace attributes and messages.
const char* kind_name(Kind kind);

/// One named tensor per batch row. Full name: site.name ("read_0.weights"), or name alone where site is empty.
struct Declared {
  std::string name;  ///< docs/notation.md's spelling: weights, key, beta, gate, shift, gamma, ...
  /// The head, hop or glimpse it belongs to; "" = the memory or controller itself. Where there are no sites, a part of
  /// another kind: "layer_0".
  std::string site;
  std::vector<std::size_t> dims;  ///< shape without the batch; {} = one number per row
  Kind kind = Kind::plain;
  std::string doc;  ///< long name with the paper's symbol: "content key k_t"
  /// Name of each of dims for the trace: "slot", "cell", "shift_offset", "hidden", or a name of its own. A value with
  /// axes {"cell", "slot"} (the inside layout) is written as the paper's slot x cell.
  std::vector<std::string> axes = {};
  bool trains = true;  ///< false: no gradient flows through it, by design
  Life life = Life::carried;
  /// Of a stage: rounding may have decided which of it are 0, so that nobody recomputes it from the rest alone. Traces
  /// hold it from level params on.
  bool decided = false;

  std::string full_name() const { return site.empty() ? name : site + "." + name; }
  std::size_t count() const {
    std::size_t n = 1;
    for (std::size_t d : dims) n *= d;
    return n;
  }
  /// Its shape in a batch of so many rows.
  Shape shape(std::size_t rows) const;
  /// Whether a value of this shape is one: an axis "item" may be shorter than declared (the longest set among these
  /// rows), and one number a row may be [B] or [B 1].
  bool fits(const Shape& value, std::size_t rows) const;
};

/// Declared values, in the order of their handles.
class DeclaredList : public std::vector<Declared> {
 public:
  using std::vector<Declared>::vector;
  /// The place of its handle in every list of values of this declaration: now[contents_] = ...
  std::size_t add(Declared declared) {
    push_back(std::move(declared));
    return size() - 1;
  }
};

/// What an addressing scheme is made of, each by the name that replay's rules know it by. All empty: a scheme of its
/// own.
struct AddressingParts {
  std::string similarity = "";          ///< the score of content addressing: "cosine"; "" = looks at no content
  std::string normalizer = "";          ///< similarities to weights: "softmax"
  std::vector<std::string> moves = {};  ///< what is done with the weights then, in order: "interpolate", "shift", ...
  std::vector<std::pair<std::string, double>> constants = {};  ///< numbers that the parts were told: {"top_k", 8}
};

inline constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

/// A place where attention is paid: a read or write head, a hop over a story, a pointer's glimpse.
struct Site {
  std::string name;                ///< "read_0", "write_0", "hop_1", "pointer"
  std::string kind;                ///< read, write, hop, pointer or a name of one's own; of these, all but write read
  std::string addressing;          ///< registered name of the scheme: content_location, ...
  std::string slot_axis = "slot";  ///< "slot" (memory slots), "item" (sentences, points) or another declared axis
  AddressingParts parts = {};
  std::size_t weights = nowhere;      ///< places in the state, as DeclaredList::add() gave them
  std::size_t value = nowhere;        ///< what is read there; nowhere at sites that only write or point
  std::string looks_at = "contents";  ///< the state that the similarity is of
};

/// Everything a part of a model declares.
struct Declaration {
  std::vector<Site> sites;
  DeclaredList state;       ///< what stands after each step, in order
  DeclaredList parameters;  ///< head parameters, by site
  DeclaredList stages;      ///< what is shown on the way to a site's weights (Pass::seen), by site; may be none

  /// For whoever knows a place by its name alone. Throws InvariantError where there is none.
  std::size_t state_index(const std::string& site, const std::string& name) const;
  std::size_t parameter_index(const std::string& site, const std::string& name) const;
};

/// Throws InvariantError naming `plugin` ("memory ring"), the place and both shapes where the declaration does not fit
/// together: two of one name, a site without its places, sizes that differ. `slots` and `width` are those of the axes
/// "slot", "item" and "cell".
void check(const Declaration& declared, const std::string& plugin, std::size_t slots, std::size_t width);

/// Throws InvariantError naming `plugin`, the value and both shapes where `value` is not as declared.
void check_value(const Declared& declared, const std::string& plugin, const Shape& value, std::size_t rows);

}  // namespace mneme
