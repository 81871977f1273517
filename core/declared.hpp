// Room: core. What a memory or controller says about itself, once: its state and its head parameters.
//
// The one declaration is the checkpoint's layout, the trace's schema and the conformance test's contract, so a new
// memory is traced, verified, saved and tested without a line written for it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace mneme {

/// What a declared value promises. The conformance suite checks it; the trace stores it as an attribute.
enum class Kind {
  plain,        ///< no promise but to be finite
  weights,      ///< along the last axis: non-negative, rows sum to 1 (or are all zero where everything is masked)
  sub_weights,  ///< as weights, but rows sum to at most 1
  gate,         ///< in [0, 1]
  positive,     ///< >= 0
  usage,        ///< in [0, 1], one per slot
  hard,         ///< no gradient flows by design
  journaled,    ///< changed in place and rolled back by the tape
  opaque,       ///< an index, rebuilt from the rest of the state, never saved
};

/// "weights", "gate", ...: the spelling in trace attributes and messages.
const char* kind_name(Kind kind);

/// One named tensor per batch row. Full name: site.name ("read_0.weights"), or name alone where site is empty.
struct Declared {
  std::string name;               ///< docs/notation.md's spelling: weights, key, beta, gate, shift, gamma, ...
  std::string site;               ///< the head, hop or glimpse it belongs to; "" = the memory or controller itself
  std::vector<std::size_t> dims;  ///< shape without the batch; {} = one number per row
  Kind kind = Kind::plain;
  std::string doc;  ///< long name with the paper's symbol: "content key k_t"
  /// Name of each of dims for the trace: "slot", "cell", "shift_offset", "hidden", or a name of its own. A value with
  /// axes {"cell", "slot"} (the inside layout) is written as the paper's slot x cell.
  std::vector<std::string> axes = {};

  std::string full_name() const { return site.empty() ? name : site + "." + name; }
  std::size_t count() const {
    std::size_t n = 1;
    for (std::size_t d : dims) n *= d;
    return n;
  }
};

/// What an addressing scheme is made of, each by the name that replay's rules know it by. All empty: a scheme of its
/// own.
struct AddressingParts {
  std::string similarity = "";          ///< the score of content addressing: "cosine"; "" = looks at no content
  std::string normalizer = "";          ///< similarities to weights: "softmax"
  std::vector<std::string> moves = {};  ///< what is done with the weights then, in order: "interpolate", "shift", ...
};

/// A place where attention is paid: a read or write head, a hop over a story, a pointer's glimpse.
struct Site {
  std::string name;                ///< "read_0", "write_0", "hop_1", "pointer"
  std::string kind;                ///< read | write | hop | pointer
  std::string addressing;          ///< registered name of the scheme: content_location, ...
  std::string slot_axis = "slot";  ///< "slot" (memory slots) or "item" (sentences, points)
  AddressingParts parts = {};
};

}  // namespace mneme
