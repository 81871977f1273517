// Room: replay. Walker: one episode step by step, each step recomputed from the logged one before it.
//
// For: verify.cpp, which counts what differs, and whoever wants the memory between keyframes. One walker serves all
// episodes of a trace.
// Invariants: logged weights and orders drive the memory forward, never recomputed ones, so that a difference is
// reported where it arises and does not travel.
#pragma once

#include "replay/own_memory.hpp"
#include "replay/rules.hpp"
#include "replay/verify.hpp"

#include <memory>
#include <string>
#include <vector>

namespace mneme::replay {

/// What happens on the way. All steps are within the episode.
class Witness {
 public:
  virtual ~Witness() = default;
  /// A row that was logged and its second opinion.
  virtual void compare(const std::string& dataset, std::size_t step, const float* logged, View recomputed,
                       const std::string& rule, Coverage& coverage) = 0;
  virtual void value(std::size_t /*site*/, std::size_t /*step*/, const Row& /*read*/) {}
  virtual void memory(std::size_t /*step*/, const Row& /*contents after it*/) {}
};

class Walker {
 public:
  /// `tolerance`: how far scores may be from what float32 made of them, times their size where that is above 1.
  explicit Walker(const trace::Layout& layout, double tolerance = 1e-5);

  void run(const trace::Episode& episode, Witness& witness);

  /// How each site and the memory are recomputed; filled with counts by the witness.
  std::vector<Coverage>& coverage() { return coverage_; }
  /// Datasets that follow from the model's trained weights, which a trace does not hold.
  const std::vector<std::string>& trained() const { return trained_; }
  /// True where some site or the memory can be recomputed.
  bool useful() const;

 private:
  struct Move {
    const MoveRule* rule = nullptr;
    int parameter = -1, stage = -1;  ///< values of the site; no stage after the last move
  };
  struct Plan {
    bool writes = false, reference = false;
    bool trained = false;  ///< its weights follow from trained parameters
    int key, beta, value, similarity, content;
    std::vector<int> orders;         ///< what the update rule takes of a write site
    SimilarityRule score = nullptr;  ///< null = looks at no content
    int looks_at = -1;               ///< what the similarity is of: index in layout.memory
    const NormalizerRule* normalize = nullptr;
    std::vector<Move> moves;
    std::string path, rule;
  };
  /// State of a site that is logged at every step (not weights, not value).
  struct SiteState {
    std::size_t site, value;
    std::string full_name;
  };

  /// A turn of the memory's, of the trace's sites; `own` is null where the memory itself is not here.
  struct Part {
    const Turn* own = nullptr;
    std::vector<std::size_t> sites = {};
    bool writes = false, last_write = false;
  };

  void plan_sites();
  void plan_own();
  void plan_turns();
  void plan_trained();
  Plan make_plan(const trace::SiteLayout& site) const;
  bool plan_reference(const trace::SiteLayout& site, Plan& p) const;
  bool visited_after(const trace::SiteLayout& site) const;
  bool rows_of(const trace::Logged& looked_at, const trace::SiteLayout& site, int value) const;
  std::string of_memory() const;  ///< how the update rule comes to it, for messages
  std::string of_value() const;
  int logged_value(const trace::SiteLayout& site, const char* name) const;
  Row row(const std::vector<float>& values, std::size_t step, std::size_t size) const;
  Row site_value(std::size_t site, int value, std::size_t step) const;
  double number(std::size_t site, int value, std::size_t step) const { return site_value(site, value, step)[0]; }
  Row previous(std::size_t site, std::size_t step) const;
  Row logged_weights(std::size_t site, std::size_t step) const;
  void start();
  void keyframe(std::size_t step, bool after_write);
  void begin_step(std::size_t step);
  void address(const Part& turn, std::size_t step);
  void write(const Part& turn, std::size_t step);
  void read(const Part& turn, std::size_t step);
  void end_step(std::size_t step);
  Row by_reference(std::size_t site, std::size_t step);
  Row weights_of(std::size_t site, std::size_t step, Row scores);
  View looked_at(std::size_t site) const;
  Row own_weights(std::size_t site, std::size_t step);
  void stage(std::size_t site, int value, std::size_t step, const Row& recomputed, const std::string& rule);

  const trace::Layout& layout_;
  double tolerance_;
  Constants constants_;
  const UpdateRule* update_ = nullptr;  ///< null = the memory's own
  std::vector<Part> turns_;
  Part after_;                     ///< sites of no turn: what they look at does not change within an episode
  int contents_ = -1;              ///< index in layout.memory
  bool contents_trained_ = false;  ///< what is written follows from trained parameters
  std::vector<Plan> plans_;
  std::vector<SiteState> site_states_;
  std::vector<Coverage> coverage_;  ///< sites, then the memory
  std::unique_ptr<OwnMemory> own_;
  std::vector<std::string> trained_;

  const trace::Episode* episode_ = nullptr;
  Witness* witness_ = nullptr;
  Row memory_;             ///< [slot cell]; valid where known_
  std::vector<Row> kept_;  ///< by layout.memory: the last keyframe's
  bool known_ = false;     ///< the memory before the coming event is known
  std::size_t next_keyframe_ = 0;
};

}  // namespace mneme::replay
