// Room: tests. replay/story: a logged episode in words.
#include "replay/story.hpp"

#include <gtest/gtest.h>

namespace mneme {
namespace {

/// Two sentences, a question of three words, two hops over up to three items; answered at the last step.
struct Told {
  trace::Layout layout;
  trace::Episode e;

  Told() {
    layout.items = 3;
    layout.item_tokens = layout.item_support = layout.tokens = true;
    layout.channels_out = 3;
    layout.target_kind = "classes";
    layout.vocab = {"mary", "went", "home", "slept", "where", "is"};
    layout.classes = {"bed", "garden,kitchen", "<never seen in training>"};
    for (const char* name : {"hop_0", "hop_1"}) layout.sites.push_back({{name, "hop", "dot", "item"}});
    e.resize(layout, 3, 0, 2);
    e.items.token_count = {3, 2};
    e.items.token = {0, 1, 2, 0, 3};
    e.items.support = {0, 1};
    e.token = {4, 5, 0};
    e.mask = {0, 0, 1};
    e.sites[0].weights = {0, 0, 0, 0, 0, 0, 0.25f, 0.5f, 0};
    e.sites[1].weights = {1, 0, 0, 0, 0, 0, 0, 1, 0};
    e.target = {0, 0, 0, 0, 0, 0, 0, 1, 0};
    e.output = {0, 0, 0, 0, 0, 0, 0.25f, 0.625f, 0.125f};
    e.correct = true;
  }
};

TEST(Story, SentencesHopsAndAnswerInWords) {
  const Told t;
  ASSERT_TRUE(replay::tells_story(t.layout, t.e));
  EXPECT_EQ(replay::answering_step(t.e), 2u);
  const replay::Story s = replay::story_of(t.layout, t.e, 2);
  EXPECT_EQ(s.hops, (std::vector<std::string>{"hop_0", "hop_1"}));
  ASSERT_EQ(s.sentences.size(), 2u);
  EXPECT_EQ(s.sentences[0].text, "mary went home");
  EXPECT_EQ(s.sentences[1].text, "mary slept");
  EXPECT_FALSE(s.sentences[0].support);
  EXPECT_TRUE(s.sentences[1].support);
  EXPECT_EQ(s.sentences[0].weights, (std::vector<double>{0.25, 0}));
  EXPECT_EQ(s.sentences[1].weights, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(s.question, "where is mary");
  ASSERT_EQ(s.answers.size(), 1u);
  EXPECT_EQ(s.answers[0].step, 2u);
  EXPECT_EQ(s.answers[0].predicted, "garden,kitchen");
  EXPECT_EQ(s.answers[0].truth, "garden,kitchen");
  EXPECT_EQ(s.answers[0].probability, 0.625);
  EXPECT_TRUE(s.answers[0].right);
  EXPECT_EQ(replay::story_of(t.layout, t.e, 0).sentences[0].weights, (std::vector<double>{0, 1})) << "of that step";
}

TEST(Story, ASingleAnswerIsRightWhereTheEpisodeSaysSo) {
  Told t;
  t.e.correct = false;  // an answer that training never had is a class that is always wrong
  EXPECT_FALSE(replay::answers_of(t.layout, t.e)[0].right);
  t.e.mask = {1, 0, 1};  // of several, each by itself
  const auto answers = replay::answers_of(t.layout, t.e);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].step, 0u);
  EXPECT_TRUE(answers[1].right);
}

TEST(Story, WithoutNamesThereAreNumbers) {
  Told t;
  t.layout.vocab.clear();
  t.layout.classes.clear();
  const replay::Story s = replay::story_of(t.layout, t.e, 2);
  EXPECT_EQ(s.sentences[1].text, "#0 #3");
  EXPECT_EQ(s.answers[0].predicted, "#1");
}

TEST(Story, WordsReadOneByOneAreNoStoryButHaveText) {
  Told t;
  t.layout.vocab.insert(t.layout.vocab.end(), {".", "?"});
  t.e.token = {0, 3, 6};
  EXPECT_EQ(replay::words_of_steps(t.layout, t.e), "mary slept.");
  t.e.token = {4, 7, -1};
  EXPECT_EQ(replay::words_of_steps(t.layout, t.e), "where?") << "past the end there are none";
  t.e.items.count = 0;
  EXPECT_FALSE(replay::tells_story(t.layout, t.e));
  t.e.items.count = 2;
  for (auto& s : t.layout.sites) s.site.slot_axis = "slot";
  EXPECT_FALSE(replay::tells_story(t.layout, t.e)) << "items that nothing attends to";
  t.layout.target_kind = "bits";
  EXPECT_TRUE(replay::answers_of(t.layout, t.e).empty());
}

}  // namespace
}  // namespace mneme
