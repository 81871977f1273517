// Room: experiments. The studies there are, with the published figures and where they are from.
#include "core/error.hpp"
#include "core/names.hpp"
#include "experiments/compare/study.hpp"

#include <numeric>

namespace mneme::experiments {

namespace {

std::vector<std::int64_t> tasks_1_to_20() {
  std::vector<std::int64_t> all(20);
  std::iota(all.begin(), all.end(), 1);
  return all;
}

}  // namespace

const std::vector<Study>& studies() {
  const std::vector<TaskLength> copies = {20, 40, 80, 120}, repeats = {{10, 10}, {20, 10}, {10, 20}},
                                recalls = {6, 10, 15, 20};
  static const std::vector<Study> all = {
      {.name = "copy",
       .summary =
           "copy of 1 to 20 vectors of 8 bits: sequences until solved, then longer ones (Graves et al. 2014, section "
           "4.1)",
       .presets = {{"copy_ntm"}, {"copy_ntm_ff"}, {"copy_lstm_1x100"}, {"copy_lstm_3x256"}},
       .standard = 4,
       .lengths = {20, 40, 80, 120},
       .published =
           {{"Graves et al. 2014, figure 3, one run, read off the curve",
             "near 0 bits at about 200,000 sequences (LSTM controller) and 100,000 (feedforward); LSTM 3 x 256 about 2 "
             "bits at 1,000,000"},
            {"Graves et al. 2014, figure 4", "copies length 120 with small errors"},
            {"pytorch-ntm, mean of seeds 1, 10, 100, 1000, read off its plots",
             "0.1 wrong bits at about 14,000 sequences, back to 11 at 15,000, about 0 from 17,000"},
            {"mgupta8143's rebuild, 2026",
             "first below 0.05 bits: feedforward 5,000, LSTM controller 10,000, LSTM never (1.03 bits at 500,000); no "
             "error at length 120, LSTM 48 % of bits wrong"}}},
      {.name = "copy-batches",
       .summary = "copy with batches of 1, 4 and 16 sequences, both controllers: whether the settings hold over seeds",
       .presets =
           {{"copy_ntm"}, {"copy_ntm_b4"}, {"copy_ntm_b16"}, {"copy_ntm_ff"}, {"copy_ntm_ff_b4"}, {"copy_ntm_ff_b16"}},
       .standard = 6,
       .lengths = {20, 40, 80, 120},
       .published = {{"pytorch-ntm, issues 2 and 15", "its settings for batch 1 do not solve copy with batch 15"}}},
      {.name = "ntm",
       .summary = "the five tasks of Graves et al. 2014, section 4, each with both controllers of the NTM and an LSTM: "
                  "sequences until 0.05 bits and until solved, then harder sequences than trained on",
       .presets = {{.name = "copy_ntm", .seeds = {1, 10}, .lengths = copies},
                   {.name = "copy_ntm_ff", .seeds = {1, 10}, .lengths = copies},
                   {.name = "repeat_copy_ntm", .seeds = {1, 10}, .lengths = repeats},
                   {.name = "repeat_copy_ntm_ff", .seeds = {1, 10}, .lengths = repeats},
                   {.name = "associative_recall_ntm", .seeds = {1, 10}, .lengths = recalls},
                   {.name = "associative_recall_ntm_ff", .seeds = {1, 10}, .lengths = recalls},
                   {.name = "ngram_ntm", .seeds = {1, 3}, .lengths = {200}},
                   {.name = "ngram_ntm_ff", .seeds = {1, 3}, .lengths = {200}},
                   {.name = "priority_sort_ntm", .seeds = {1, 3}, .lengths = {20}},
                   {.name = "priority_sort_ntm_ff", .seeds = {1, 3}, .lengths = {20}},
                   {.name = "copy_lstm_3x256", .seeds = {1, 1}, .lengths = copies},
                   {.name = "repeat_copy_lstm", .seeds = {1, 1}, .lengths = repeats},
                   {.name = "associative_recall_lstm", .seeds = {1, 1}, .lengths = recalls},
                   {.name = "ngram_lstm", .seeds = {1, 1}, .lengths = {200}},
                   {.name = "priority_sort_lstm", .seeds = {1, 1}, .lengths = {20}}},
       .standard = 15,
       .lengths = {},
       .published =
           {{"Graves et al. 2014, figures 3, 7, 10, 13, 18, one run each, read off the curves",
             "copy near 0 bits at about 200,000 sequences (LSTM controller) and 100,000 (feedforward), LSTM about 2 at "
             "1,000,000; repeat copy about 100,000, LSTM 300,000; recall 100,000 and 30,000, LSTM never by 1,000,000; "
             "6-grams 133 to 134 bits against an optimum of 131 to 132, LSTM 137; sort 10 to 20 bits, LSTM 50"},
            {"Graves et al. 2014, figure 11, recall at 6, 10, 15, 20 items, as two readers read it",
             "0 at 12 items and under 1 bit at 15, or 0.1, 1.7, 4.5, 6.8 (LSTM controller) and 0.05, 0.1, 1.3, 7.8 "
             "(feedforward)"},
            {"mgupta8143's rebuild, 2026, one seed each",
             "first below 0.05 bits: copy 10,000 (LSTM controller) and 5,000 (feedforward), recall 22,000 and 39,000; "
             "recall at 6, 10, 15, 20 items 0, 0, 0, 0.94 and 0, 0, 1.77, 2.03 bits, LSTM 14.93, 18.63, 18.91, 20.48; "
             "copy at length 120 without an error, both"},
            {"pytorch-ntm, read off its plots", "repeat copy at about 0 from about 30,000 sequences, spikes after"},
            {"fumin/ntm, three seeds", "6-grams 133 bits, solved at 257,000, 302,000 and 476,000"}}},
      {.name = "babi-1k",
       .summary = "the 20 bAbI tasks of 1,000 questions: test error task by task (Sukhbaatar et al. 2015, table 1); "
                  "--task.data names the folder of the published files",
       .presets = {{"babi_memn2n_single", {1, 10}, tasks_1_to_20()},
                   {"babi_memn2n_joint", {1, 10}},
                   {"babi_kv", {1, 1}, tasks_1_to_20()},
                   {"babi_lstm", {1, 1}, tasks_1_to_20()},
                   {"babi_ntm",
                    {1, 1},
                    {1, 4, 15},
                    "curves, not a comparison: how the NTM learns three tasks, in metrics.jsonl of each run"}},
       .standard = 2,
       .lengths = {},
       .published = {{"Sukhbaatar et al. 2015, table 1, 1,000 questions, best of 10 runs by training error",
                      "mean error of MemN2N, 3 hops, PE LS RN: 13.9 single, 12.4 joint; LSTM 51.3"},
                     {"siyuanzhao's key-value rebuild, its README, one run, tasks trained together",
                      "more than 5 % error in tasks 2, 3, 4, 5, 7, 8, 10 and 14 to 19"},
                     {"Graves et al. 2016, table 1, 10,000 questions, joint: not comparable", "NTM mean error 20.1"}},
       .columns =
           {{"program",
             "babi_memn2n_single",
             "the authors' Matlab program (facebook MemNN, README), single tasks, PE LS RN, 3 hops: best of 10 "
             "runs by training error",
             {.1, 8.2, 41.8, 4.4, 13.7, 7.9, 20.3, 11.7, 13.6, 9.7, .7, 0, .3, .9, 0, .4, 51.0, 10.5, 81.4, 0}},
            {"NumPy",
             "babi_memn2n_single",
             "vinhkhuc's NumPy rebuild (README), single tasks: its own figures, runs not said",
             {0, 8.9, 41.4, 7.3, 12.2, 7.7, 19.8, 12.9, 13.9, 18.9, .5, .2, .9, 9.0, 0, .6, 49.1, 10.4, 90.8, 0}},
            {"paper",
             "babi_memn2n_joint",
             "Sukhbaatar et al. 2015, table 1, joint, PE LS RN, 3 hops: best of 10 runs by training error",
             {0, 11.4, 21.9, 13.4, 14.4, 2.8, 18.3, 9.3, 1.9, 6.5, .3, .1, .2, 6.9, 0, 2.7, 40.4, 9.4, 88.0, 0}},
            {"program",
             "babi_memn2n_joint",
             "the authors' Matlab program (facebook MemNN, README), joint, PE LS RN, 3 hops: best of 10 runs by "
             "training error",
             {0, 13.1, 23.4, 5.9, 12.9, 3.7, 22.9, 9.1, 2.7, 7.2, .8, .1, .1, 4.2, 0, 1.2, 43.6, 10.5, 86.7, 0}},
            {"NumPy",
             "babi_memn2n_joint",
             "vinhkhuc's NumPy rebuild (README), joint: its own figures, runs not said",
             {.1, 16.6, 26.3, 11.3, 14.4, 2.8, 16.0, 10.1, 2.3, 6.5, 1.2, .2, .5, 5.5, .3, 2.1, 42.6, 9.0, 90.2, .2}}},
       .number_key = "task.number",
       .data_key = "task.data",
       .test_data_key = "task.test-data"}};
  return all;
}

const Study& find_study(const std::string& name) {
  std::vector<std::string> names;
  for (const Study& s : studies()) {
    if (s.name == name) return s;
    names.push_back(s.name);
  }
  throw ArgumentError("[study] " + unknown_name("study", name, names));
}

}  // namespace mneme::experiments
