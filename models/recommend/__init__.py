"""The recommender: vocabulary, sparse tables, towers, counted sources, the combiner, and one pure learning step."""
