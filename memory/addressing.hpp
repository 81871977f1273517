// Room: memory. Addressing schemes: where a head looks, as a pure function of its parameters, the memory and its last
// weighting. Registered by name; a head of a memory picks one.
#pragma once

#include "memory/heads.hpp"

namespace mneme {

struct AddressingSizes {
  std::size_t slots = 0;   ///< N
  std::size_t width = 0;   ///< M
  std::size_t shifts = 3;  ///< S, odd: the shifts -(S-1)/2 .. (S-1)/2
};

struct AddressingPlugin {
  std::string summary;
  std::string source;
  bool uses_content = true;   ///< looks at the memory
  bool uses_previous = true;  ///< looks at the head's last weighting
  /// The parameters a head of this scheme needs, without a site.
  std::vector<HeadParameter> (*parameters)(const AddressingSizes&) = nullptr;
  /// The weightings on the way, [B N] each, without a site: `address` taps them by name (Tape::tap), in this order.
  std::vector<Declared> (*stages)(const AddressingSizes&) = nullptr;
  /// parameters in that order, memory [B M N], previous [B N] -> weights [B N]
  Var<float> (*address_float)(Tape<float>&, Values<float>, Var<float> memory, Var<float> previous) = nullptr;
  Var<double> (*address_double)(Tape<double>&, Values<double>, Var<double> memory, Var<double> previous) = nullptr;

  template <class T>
  Var<T> address(Tape<T>& tape, Values<T> parameters, Var<T> memory, Var<T> previous) const {
    if constexpr (std::is_same_v<T, float>)
      return address_float(tape, parameters, memory, previous);
    else
      return address_double(tape, parameters, memory, previous);
  }
};

/// content, location, content_location
Registry<AddressingPlugin>& addressing_schemes();

}  // namespace mneme
