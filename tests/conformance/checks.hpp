// Room: tests. The conformance suite's checks: what every memory, controller and model must hold to, whatever it is.
//
// Each is a function of a specimen that returns its complaints (none: it conforms), so that the suite itself can be
// tested with memories that are broken on purpose. Nothing here knows a plug-in by name.
#pragma once

#include "experiments/proving/specimens.hpp"

namespace mneme::test {

using Complaints = std::vector<std::string>;
using experiments::ModelSpecimen;
using experiments::Specimen;

/// How often operator new ran so far.
std::uint64_t allocation_total();

// --- memories and controllers ---------------------------------------------------------------------------------------
Complaints check_declaration(const Specimen& s);  ///< names, sites, axes and shapes fit together
Complaints check_values(const Specimen& s);       ///< declared shapes and kinds at every step; everything finite
Complaints check_bits(const Specimen& s);      ///< same seed, second evaluation, with or without recording: same bits
Complaints check_batch(const Specimen& s);     ///< a row of a batch is the single run, 1e-12 in float64
Complaints check_zero(const Specimen& s);      ///< zero state, input and parameters: finite values and gradients
Complaints check_reach(const Specimen& s);     ///< every parameter that is not frozen gets gradient
Complaints check_gradient(const Specimen& s);  ///< against central differences
Complaints check_copy(const Specimen& s);      ///< values copied by name into a fresh one: same output
Complaints check_allocations(const Specimen& s);  ///< the second sequence allocates nothing
Complaints check_slots(const Specimen& s);        ///< 1, 2, 7 and 128 for every option that N follows
Complaints check_purity(const Specimen& s);       ///< functions leave their arguments alone and depend on nothing else
Complaints check_stages(const Specimen& s);       ///< a step that is looked at shows what is declared, and is the same
Complaints check_reads(const Specimen& s);        ///< altered reads (Look::instead) reach every site

/// All of the above, each complaint headed by the check's name.
Complaints check_all(const Specimen& s);

// --- models ---------------------------------------------------------------------------------------------------------
Complaints check_values(const ModelSpecimen& s);
Complaints check_bits(const ModelSpecimen& s);
Complaints check_batch(const ModelSpecimen& s);  ///< also loss, gradient, and state frozen past a row's end
Complaints check_reach(const ModelSpecimen& s);
Complaints check_gradient(const ModelSpecimen& s);
Complaints check_copy(const ModelSpecimen& s);
Complaints check_allocations(const ModelSpecimen& s);
Complaints check_predictions(const ModelSpecimen& s);
Complaints check_all(const ModelSpecimen& s);

}  // namespace mneme::test
